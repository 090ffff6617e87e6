//! The same events however a stream is cut, and what counts as an event.

use super::*;

/// Streams and the data of their events; the last one is what `finish` gives.
const STREAMS: &[(&[u8], &[&str], Option<&str>)] = &[
    (b"data: a\n\ndata:b\n\n", &["a", "b"], None),
    (b"data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"], None),
    (b"data: a\r\rdata: b\r\r", &["a", "b"], None),
    (b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\ndata: d\n\r", &["a", "b", "c", "d"], None),
    (b"data: a\rdata: b\r\ndata: c\n\n", &["a\nb\nc"], None),
    (b"\xEF\xBB\xBFdata: a\n\n", &["a"], None),
    (b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\ndata: b\n\n", &["b"], None),
    (b": hello\n\n:\ndata: a\n: between\n\n\n\n:\n\n", &["a"], None),
    (b"data:  two\n\ndata:\n\ndata\n\ndata: \ndata\n\n", &[" two", "", "", "\n"], None),
    (b"event: x\n\nevent\n\nid: 1\n\nretry: 5\n\nother: y\n\nDATA: z\n\n data: z\n\n", &[], None),
    ("data: \u{e9}\u{20ac}\u{1f600}\u{2028}\u{feff}\n\n".as_bytes(), &["é€😀\u{2028}\u{feff}"], None),
    (b"data: {\"a\":\"[DONE]\"}\n\ndata: [DONE]\n\n", &["{\"a\":\"[DONE]\"}", "[DONE]"], None),
    (b"data: a\n\ndata: b\n", &["a"], Some("b")),
    (b"data: a\n\ndata: b", &["a"], Some("b")),
    (b"data: a\n\ndata: b\r", &["a"], Some("b")),
    (b"data: a\n\ndata: b\ndat", &["a"], Some("b")),
    (b"data: a\n\nevent: b\n", &["a"], None),
    (b"error: {\"code\":400}\n\ndata: [DONE]\n\n", &["{\"error\":{\"code\":400}}", "[DONE]"], None),
    (b"data: a\nerror:boom\ndata: b\nevent: c\nerror: 7\n\ndata: d\n\n", &["{\"error\":\"boom\"}", "d"], None),
    (b"error: [7]\r", &[], Some("{\"error\":[7]}")),
    (b"error\n\nerror: \n\nerror: null\n\ndata: a\n\n", &["a"], None),
    (b"", &[], None),
    (b"\n\r\n\r", &[], None),
];

fn drain(reader: &mut Reader, events: &mut Vec<Event>) -> Result<(), Error> {
    while let Some(event) = reader.next()? {
        events.push(event);
    }
    Ok(())
}

fn read<'a>(
    mut reader: Reader,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Event>, Result<Option<Event>, Error>) {
    let mut events = vec![];
    for piece in pieces {
        reader.feed(piece.to_vec());
        if let Err(error) = drain(&mut reader, &mut events) {
            return (events, Err(error));
        }
    }
    let last = reader.finish();
    (events, last)
}

fn data(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.data.as_str()).collect()
}

#[test]
fn cut_at_every_offset() {
    for &(stream, expected, rest) in STREAMS {
        let (whole, last) = read(Reader::new(), [stream]);
        assert_eq!(data(&whole), expected, "{:?}", stream.escape_ascii());
        assert_eq!(
            last.as_ref().unwrap().as_ref().map(|event| event.data.as_str()),
            rest,
            "{:?}",
            stream.escape_ascii()
        );
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let cut = read(Reader::new(), [&stream[..first], &stream[first..second], &stream[second..]]);
                assert_eq!(
                    cut,
                    (whole.clone(), last.clone()),
                    "{:?} cut at {first} and {second}",
                    stream.escape_ascii()
                );
            }
        }
        assert_eq!(read(Reader::new(), stream.chunks(1)), (whole, last), "{:?} byte by byte", stream.escape_ascii());
    }
}

#[test]
fn fields() {
    let stream =
        b"event: a\ndata: 1\nid: 7\nretry: 250\nretry: x\n\nid: no\0pe\ndata: 2\n\nid\nevent: b\nevent: c\ndata: 3\n\n";
    let mut reader = Reader::new();
    let mut events = vec![];
    reader.feed(stream.to_vec());
    drain(&mut reader, &mut events).unwrap();
    let all: Vec<_> =
        events.iter().map(|event| (event.name.as_str(), event.data.as_str(), event.id.as_str())).collect();
    assert_eq!(all, [("a", "1", "7"), ("", "2", "7"), ("c", "3", "")]);
    assert_eq!(reader.retry(), Some(250));
}

#[test]
fn an_error_field_names_its_event() {
    let stream = b"event: x\nerror: {}\nevent: y\nid: 1\n\nevent: z\ndata: 1\n\n";
    let (events, _) = read(Reader::new(), [&stream[..]]);
    let all: Vec<_> = events.iter().map(|event| (event.name.as_str(), event.data.as_str())).collect();
    assert_eq!(all, [("error", r#"{"error":{}}"#), ("z", "1")]);
}

#[test]
fn an_event_is_given_with_its_lone_carriage_return() {
    let (events, _) = read(Reader::new(), [&b"data: a\r\r"[..]]);
    assert_eq!(data(&events), ["a"]);
}

#[test]
fn invalid_text_is_an_error_after_the_events_before_it() {
    for bad in [&b"data: \xff\n\n"[..], b"\xef\xbb", b"data: \xc3\n\n", b": \xe2\x82\r", b"data: \xf0\x9f\x98"] {
        let stream = [b"data: a\n\n", bad].concat();
        for cut in 0..stream.len() {
            let (events, last) = read(Reader::new(), [&stream[..cut], &stream[cut..]]);
            assert_eq!(data(&events), ["a"]);
            assert!(matches!(last, Err(Error::Upstream(failure)) if failure.message.contains("UTF-8")));
        }
    }
}

#[test]
fn the_cap_holds_wherever_the_stream_is_cut() {
    let fits = b"data: 0123456789\n\ndata: 0123\ndata: 0123\n\n";
    let (events, last) = read(Reader::with_max(16), [&fits[..]]);
    assert_eq!((data(&events), last), (vec!["0123456789", "0123\n0123"], Ok(None)));
    for over in [
        &b"data: 01234567890\n\n"[..],
        b"data: 0123\ndata: 01234567\n\n",
        b"data: 012345678901234567890",
        b":                    ",
    ] {
        let stream = [b"data: a\n\n", over].concat();
        for cut in 0..stream.len() {
            let (events, last) = read(Reader::with_max(16), [&stream[..cut], &stream[cut..]]);
            assert_eq!(data(&events), ["a"]);
            assert!(matches!(last, Err(Error::Upstream(failure)) if failure.message.contains("larger than 16 bytes")));
        }
    }
}

#[test]
fn large_events_take_linear_time_and_endless_ones_bounded_memory() {
    let text = "x".repeat(1 << 20);
    let stream = format!("data: {text}\n\n").into_bytes();
    let (events, _) = read(Reader::new(), stream.chunks(7));
    assert_eq!(data(&events), [text]);

    let mut reader = Reader::with_max(1 << 16);
    let fed = (0..).take_while(|_| {
        reader.feed(vec![b'x'; 1 << 10]);
        reader.next().is_ok()
    });
    assert_eq!(fed.count(), 64);
}
