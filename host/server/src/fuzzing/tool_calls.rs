//! The assembly of tool calls, held against slow code that keeps all pieces and reads all of them again.
//!
//! An input has a piece a line: `number id name arguments`, with `-` for what it does not say. Arguments are what stands between the
//! quotes of a JSON string.

use crate::dialect::calls::{Calls, Piece};
use crate::work::counted;
use serde::de::IgnoredAny;

/// The most calls of one answer.
const MAX_CALLS: usize = 1_024;

/// Assembles the pieces that a fuzzer made up.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (mut calls, mut slow) = (Calls::default(), Slow::default());
    for line in text.lines() {
        let mut said = line.splitn(4, ' ').map(|word| if word == "-" { "" } else { word });
        let mut next = || said.next().unwrap_or_default();
        let piece = Piece { number: next().parse().ok(), id: next(), name: next(), arguments: next() };
        if [piece.id, piece.name, piece.arguments].into_iter().any(|inner| !stands_in_quotes(inner)) {
            continue;
        }
        let (place, visited) = counted(|| calls.place(piece).ok());
        assert!(visited <= 2 * line.len() + 64, "{visited} bytes for {line:?}");
        assert_eq!(place, slow.place(piece), "{line:?} in {text:?}");
    }
    for place in 0..=slow.0.len() {
        assert_eq!(calls.id(place), slow.id(place), "{place} in {text:?}");
    }
}

fn stands_in_quotes(inner: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(&format!("\"{inner}\"")).is_ok()
}

/// The slow way: calls with all that was said of them.
#[derive(Default)]
struct Slow(Vec<Call>);

struct Call {
    number: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl Slow {
    fn place(&mut self, piece: Piece<'_>) -> Option<usize> {
        let at = self.known(piece).unwrap_or(self.0.len());
        if at == MAX_CALLS {
            return None;
        }
        if at == self.0.len() {
            let (id, name, arguments) = (String::new(), String::new(), String::new());
            self.0.push(Call { number: piece.number, id, name, arguments });
        }
        let call = &mut self.0[at];
        for (told, known) in [(piece.id, &mut call.id), (piece.name, &mut call.name)] {
            if known.is_empty() {
                known.push_str(told);
            }
        }
        call.arguments.push_str(piece.arguments);
        Some(at)
    }

    /// The call that a piece goes on with.
    fn known(&self, piece: Piece<'_>) -> Option<usize> {
        let by_id = self.0.iter().rposition(|call| !piece.id.is_empty() && call.id == piece.id);
        if let Some(at) = by_id {
            let call = &self.0[at];
            let has_other_number = piece.number.is_some_and(|number| call.number.is_some_and(|own| own != number));
            let begins_again = !piece.name.is_empty()
                && decoded(piece.arguments).is_some_and(|text| text.trim_start_matches(' ').starts_with('{'))
                && is_complete(&call.arguments);
            return (!has_other_number && !begins_again).then_some(at);
        }
        let at = match piece.number {
            Some(number) => self.0.iter().rposition(|call| call.number == Some(number))?,
            None if !piece.id.is_empty() && !piece.name.is_empty() => return None,
            None => self.0.len().checked_sub(1)?,
        };
        let call = &self.0[at];
        let begins_another = match (!piece.name.is_empty() && !call.name.is_empty(), &*call.id, piece.id) {
            (false, ..) => false,
            (true, "", _) | (true, _, "") => piece.name != call.name || is_complete(&call.arguments),
            (true, own, id) => own != id,
        };
        (!begins_another).then_some(at)
    }

    fn id(&self, place: usize) -> Option<&str> {
        let id = &*self.0.get(place)?.id;
        (!id.is_empty() && self.0.iter().position(|call| call.id == id) == Some(place)).then_some(id)
    }
}

/// Whether arguments, as what stands between quotes, are one value that has ended: an object, an array, a string or `null`.
fn is_complete(inner: &str) -> bool {
    let Some(text) = decoded(inner) else { return false };
    let text = text.trim_matches(' ');
    if let Some(rest) = text.strip_prefix('n') {
        if let Some(rest) = rest.strip_prefix("ull") {
            return rest.is_empty();
        }
        // What only begins so is a value without an end of its own, and its first other letter belongs to it.
        let same = rest.bytes().zip(b"ull").take_while(|(a, b)| a == *b).count();
        return ends(rest.get(same + 1..).unwrap_or_default(), true);
    }
    ends(text, false)
}

/// Whether the first value that ends in `text` ends all of it; `has_begun` says that a value has begun before.
fn ends(text: &str, mut has_begun: bool) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        let closes = match byte {
            _ if escaped => {
                escaped = false;
                false
            }
            b'\\' if in_string => {
                escaped = true;
                false
            }
            b'"' => {
                in_string = !in_string;
                !in_string
            }
            _ if in_string => false,
            b'{' | b'[' => {
                depth += 1;
                false
            }
            b'}' | b']' if has_begun => {
                depth = depth.saturating_sub(1);
                true
            }
            _ => false,
        };
        has_begun |= byte != b' ';
        if closes && depth == 0 {
            return text[at + 1..].trim_matches(' ').is_empty();
        }
    }
    false
}

/// The text that stands between quotes as ASCII, with `x` for what is none; none if an escape is not whole.
fn decoded(inner: &str) -> Option<String> {
    let (mut text, mut chars) = (String::new(), inner.chars());
    while let Some(c) = chars.next() {
        let c = if c == '\\' {
            match chars.next()? {
                'n' | 'r' | 't' => ' ',
                'b' | 'f' => 'x',
                'u' => {
                    let digits: String = chars.by_ref().take(4).collect();
                    if digits.len() < 4 {
                        return None;
                    }
                    match u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32) {
                        Some('\n' | '\r' | '\t') => ' ',
                        Some(c) => c,
                        None => 'x',
                    }
                }
                c => c,
            }
        } else {
            c
        };
        if c.is_ascii() {
            text.push(c);
        } else {
            // A character has as many bytes as it is written with, each of which is none of JSON's own.
            text.push('x');
        }
    }
    Some(text)
}
