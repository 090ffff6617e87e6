//! Which of an answer's tool calls a piece of one belongs to.
//!
//! In go the pieces' numbers, ids and names, in order; out come places. OpenAI numbers its calls; others give all of them one number or
//! none, an id that is empty or another one with each piece, or a name again and again. Two calls may never become one.

use crate::dialect::arguments::ArgumentsScanner;
use crate::dialect::broke;
use crate::error::ApiError;
use crate::json::{inner, quoted};
use crate::work::visit;
use std::borrow::Cow;
use std::collections::HashMap;

/// The most calls of one answer.
const MOST: usize = 1_024;

/// The calls that have begun.
#[derive(Default)]
pub(crate) struct Calls {
    begun: Vec<Begun>,
    /// The first and the last call with an id.
    by_id: HashMap<Box<str>, (usize, usize)>,
    /// The last call with a number.
    by_number: HashMap<u64, usize>,
}

struct Begun {
    number: Option<u64>,
    /// Id and name: what stands between the quotes of the JSON strings.
    id: String,
    name: String,
    arguments: ArgumentsScanner,
}

/// A piece of a call. What it does not say is empty; texts are what stands between the quotes of JSON strings.
#[derive(Clone, Copy, Default)]
pub(crate) struct Piece<'a> {
    pub(crate) number: Option<u64>,
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) arguments: &'a str,
}

impl Calls {
    /// The place of the call that a piece belongs to, counted from 0 in the order in which they begin. Takes time that is linear in the
    /// piece, whatever came before.
    ///
    /// # Errors
    /// If there are too many calls.
    pub(crate) fn place(&mut self, piece: Piece<'_>) -> Result<usize, ApiError> {
        visit(piece.id.len() + piece.name.len());
        let place = self.known(piece).unwrap_or(self.begun.len());
        if place == MOST {
            return Err(broke("holds more calls of tools than 1,024"));
        }
        if place == self.begun.len() {
            let (id, name, arguments) = (String::new(), String::new(), ArgumentsScanner::default());
            self.begun.push(Begun { number: piece.number, id, name, arguments });
            if let Some(number) = piece.number {
                self.by_number.insert(number, place);
            }
        }
        let begun = &mut self.begun[place];
        if begun.id.is_empty() && !piece.id.is_empty() {
            begun.id.push_str(piece.id);
            let (first, last) = self.by_id.entry(piece.id.into()).or_insert((place, place));
            (*first, *last) = ((*first).min(place), (*last).max(place));
        }
        if begun.name.is_empty() {
            begun.name.push_str(piece.name);
        }
        begun.arguments.read(piece.arguments);
        Ok(place)
    }

    /// The id of the call at `place`, if no call before it has the same.
    pub(crate) fn id(&self, place: usize) -> Option<&str> {
        let id = &*self.begun.get(place)?.id;
        self.by_id.get(id).filter(|(first, _)| *first == place)?;
        Some(id)
    }

    fn known(&self, piece: Piece<'_>) -> Option<usize> {
        if let Some((_, at)) = self.by_id.get(piece.id) {
            return (!self.begun[*at].is_followed_by(piece)).then_some(*at);
        }
        let at = match (piece.number, piece.id, piece.name) {
            (Some(number), ..) => *self.by_number.get(&number)?,
            // Where they have no numbers, a new id and a name are a new call's.
            (None, "", _) | (None, _, "") => self.begun.len().checked_sub(1)?,
            (None, ..) => return None,
        };
        (!self.begun[at].is_over(piece)).then_some(at)
    }
}

impl Begun {
    /// Whether `piece`, which seems to go on with this call, begins another one.
    fn is_over(&self, piece: Piece<'_>) -> bool {
        // Without a name nothing begins.
        if piece.name.is_empty() || self.name.is_empty() {
            return false;
        }
        if !piece.id.is_empty() && !self.id.is_empty() {
            return piece.id != self.id;
        }
        piece.name != self.name || self.arguments.is_complete()
    }

    /// Whether `piece` has the id of this call, and is another one's.
    fn is_followed_by(&self, piece: Piece<'_>) -> bool {
        let other = piece.number.is_some() && self.number.is_some() && piece.number != self.number;
        let begins = !piece.name.is_empty() && ArgumentsScanner::begins_object(piece.arguments);
        other || begins && self.arguments.is_complete()
    }
}

/// What a call's arguments say, as what stands between the quotes of a JSON string. Some give the object itself.
pub(super) fn arguments(json: Option<&str>) -> Cow<'_, str> {
    match json {
        None | Some("null") => Cow::Borrowed(""),
        Some(text) if text.starts_with('"') => Cow::Borrowed(inner(text)),
        Some(object) => Cow::Owned(inner(&quoted(object)).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces as `number id name arguments`, with `-` for what is not said, and the places that they have.
    #[track_caller]
    fn check(pieces: &[&str], expected: &[usize]) {
        let mut calls = Calls::default();
        let found: Vec<_> = pieces
            .iter()
            .map(|piece| {
                let said: Vec<_> = piece.split(' ').map(|word| if word == "-" { "" } else { word }).collect();
                let number = said[0].parse().ok();
                calls.place(Piece { number, id: said[1], name: said[2], arguments: said[3] }).unwrap()
            })
            .collect();
        assert_eq!(found, expected, "{pieces:?}");
    }

    #[test]
    fn too_many() {
        let mut calls = Calls::default();
        let mut place = |number| calls.place(Piece { number: Some(number), ..Piece::default() });
        for number in 0..1_024 {
            assert_eq!(place(number).unwrap(), usize::try_from(number).unwrap());
        }
        assert_eq!(place(1_024).unwrap_err().code, "adapter_broke_contract");
        assert_eq!(place(1_023).unwrap(), 1_023);
    }

    #[test]
    fn ids() {
        let mut calls = Calls::default();
        for (number, id) in [(0, "a"), (1, "a"), (2, ""), (3, "b")] {
            calls.place(Piece { number: Some(number), id, name: "f", arguments: "{}" }).unwrap();
        }
        assert_eq!([0, 1, 2, 3, 4].map(|place| calls.id(place)), [Some("a"), None, None, Some("b"), None]);
    }

    #[test]
    fn arguments_that_are_no_text() {
        assert_eq!(arguments(Some(r#""{\"a\":1}""#)), r#"{\"a\":1}"#);
        assert_eq!(arguments(Some(r#"{"a":"b\n"}"#)), r#"{\"a\":\"b\\n\"}"#);
        assert_eq!((arguments(Some("null")), arguments(None)), ("".into(), "".into()));
    }

    #[test]
    fn places() {
        // As OpenAI says it, in order or mixed.
        check(&["0 a f -", "0 - - {", "0 - - }", "1 b g -", "1 - - {}"], &[0, 0, 0, 1, 1]);
        check(&["0 a f -", "1 b g -", "0 - - {", "1 - - {", "0 - - }", "1 - - }"], &[0, 1, 0, 1, 0, 1]);
        // All with one number.
        check(&["0 a f {}", "0 b g {}"], &[0, 1]);
        check(&["0 a f {}", "0 b f {}", "0 - - -"], &[0, 1, 1]);
        check(&["0 - f {}", "0 - g {}"], &[0, 1]);
        check(&["0 - f {}", "0 - f {}"], &[0, 1]);
        // Without numbers.
        check(&["- a f {}", "- b g {}"], &[0, 1]);
        check(&["- a f {", "- a - }", "- b g {}"], &[0, 0, 1]);
        check(&["- - f {}", "- - g {}", "- - f {}"], &[0, 1, 2]);
        check(&["- a f {", "- - - }"], &[0, 0]);
        // A name or an id again and again.
        check(&["0 a f {", "0 a f \\\"a", "0 a f \\\":1}"], &[0, 0, 0]);
        check(&["0 - f {", "0 - f }", "0 - f {"], &[0, 0, 1]);
        check(&["0 a f {", "0 b - }"], &[0, 0]);
        check(&["0 a f {", "- - - }"], &[0, 0]);
        check(&["0 a f {", "1 - - }"], &[0, 1]);
        // An id that two have.
        check(&["0 a f {}", "1 a f {}", "1 - - -"], &[0, 1, 1]);
        check(&["- a f {}", "- a f {}"], &[0, 1]);
        check(&["0 a f {}", "0 a f \\n"], &[0, 0]);
        check(&["0 a f {}", r"0 a f \n{}"], &[0, 1]);
        // An id or a name that comes late.
        check(&["0 - - {", "0 a f }"], &[0, 0]);
        check(&["0 a - -", "0 - f {}"], &[0, 0]);
    }
}
