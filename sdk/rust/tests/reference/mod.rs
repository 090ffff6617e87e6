//! Properties of the reader of server-sent events, checked against slow code that reads a whole stream at once.
//!
//! Used by the test over the fuzzer's corpus, and by the fuzzer itself. Each check panics where a property does not hold.

use hauski_adapter_sdk::Error;
use hauski_adapter_sdk::sse::{Event, Reader};

/// What came of a stream: its events, the one that its end cut off, and how long to wait before connecting again.
type Outcome = (Vec<Event>, Result<Option<Event>, String>, Option<u64>);

/// Reads a stream in pieces. The first byte says where it is cut, the second how large an event may be.
pub(crate) fn fuzz_sse(data: &[u8]) {
    let Some(([step, max], stream)) = data.split_first_chunk() else { return };
    let max = match max % 4 {
        0 => 16,
        1 => 64,
        2 => 256,
        _ => 1 << 20,
    };
    let whole = read(max, [stream]);
    for step in [1, 2, usize::from(step % 16) + 3] {
        check(stream, &whole, &read(max, stream.chunks(step)));
        // In two, and with a piece that is empty.
        let cut = usize::from(step as u8).min(stream.len());
        check(stream, &whole, &read(max, [&stream[..cut], &[], &stream[cut..]]));
    }
    if let Ok(text) = std::str::from_utf8(stream)
        // The text of an error is escaped, by which it grows.
        && text.len() * 8 <= max
    {
        check(stream, &whole, &(slow(text), whole.1.clone(), whole.2));
        let (all, last) = (slow(&format!("{text}\n\n")), whole.1.clone());
        let told: Vec<_> = whole.0.iter().cloned().chain(last.into_iter().flatten()).collect();
        assert_eq!(told, all, "{}", stream.escape_ascii());
    }
}

#[track_caller]
fn check(stream: &[u8], whole: &Outcome, cut: &Outcome) {
    assert_eq!(cut, whole, "{}", stream.escape_ascii());
}

fn read<'a>(max: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut reader = Reader::with_max(max);
    let mut events = Vec::new();
    let message = |error: Error| format!("{error:?}");
    for piece in pieces {
        reader.feed(piece.to_vec());
        loop {
            match reader.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                // How far it had come before the error, and what it had heard, depends on nothing but the bytes before.
                Err(error) => return (events, Err(message(error)), None),
            }
        }
    }
    let retry = reader.retry();
    (events, reader.finish().map_err(message), retry)
}

/// The slow way: the specification's grammar, over the whole text.
fn slow(text: &str) -> Vec<Event> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let (mut events, mut id) = (Vec::new(), String::new());
    let (mut name, mut data, mut error) = (String::new(), None::<Vec<String>>, None);
    let Some((lines, _)) = text.rsplit_once('\n') else { return events };
    for line in lines.split('\n') {
        if line.is_empty() {
            let (name, lines) = (std::mem::take(&mut name), data.take());
            if let Some(error) = error.take() {
                events.push(Event { name: "error".to_owned(), data: error, id: id.clone() });
            } else if let Some(lines) = lines {
                events.push(Event { name, data: lines.join("\n"), id: id.clone() });
            }
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "data" => data.get_or_insert_default().push(value),
            "event" => name = value,
            "id" if !value.contains('\0') => id = value,
            "error" if error.is_none() && !value.is_empty() && value != "null" => error = Some(as_member(&value)),
            _ => {}
        }
    }
    events
}

/// An object whose member `error` is a value, or a text that is none.
fn as_member(value: &str) -> String {
    let is_json = serde_json::from_str::<&serde_json::value::RawValue>(value).is_ok();
    if is_json { format!("{{\"error\":{}}}", value.trim()) } else { serde_json::json!({ "error": value }).to_string() }
}
