//! Paths and queries as text: whole, plain segments, and no text that two servers could read differently.

use crate::target::InvalidTarget;

/// Checks a path: whole segments, none of them empty (but for the last) or a dot segment, also when its parameters (`..;x`) and
/// the blanks that some file systems take off are gone.
pub(crate) fn check_path(path: &str) -> Result<(), InvalidTarget> {
    let segments = path.strip_prefix('/').ok_or(InvalidTarget::Path)?;
    if !path.bytes().all(|b| is_pchar(b) || b == b'/') {
        return Err(InvalidTarget::Character);
    }
    let mut rest = segments.split('/').peekable();
    while let Some(segment) = rest.next() {
        let name = segment.split(';').next().unwrap_or_default();
        let only_dots = name.split("%20").all(|part| part.bytes().all(|b| b == b'.'));
        let ends = segment.is_empty() && rest.peek().is_none();
        if only_dots && !ends {
            return Err(InvalidTarget::Path);
        }
    }
    let decoded = percent_decode(path)?;
    let hidden = |b: &u8| matches!(b, b'/' | b'\\' | b'.' | b'%' | b';' | b'?' | b'#' | 0..=0x1f | 0x7f);
    if decoded.iter().any(|(byte, encoded)| *encoded && hidden(byte)) {
        return Err(InvalidTarget::Encoding);
    }
    let bytes: Vec<u8> = decoded.into_iter().map(|(byte, _)| byte).collect();
    let text = std::str::from_utf8(&bytes).map_err(|_| InvalidTarget::Encoding)?;
    if text.chars().any(is_taken_for_another) { Err(InvalidTarget::Encoding) } else { Ok(()) }
}

/// Characters beyond ASCII that some servers make a separator, a dot or the like of (Unicode's compatibility forms, "best fit"),
/// and those that end a line.
fn is_taken_for_another(c: char) -> bool {
    matches!(
        c,
        '\u{80}'..='\u{9f}'
            | '\u{37e}'
            | '\u{2024}'..='\u{2026}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{2044}'
            | '\u{2047}'..='\u{2049}'
            | '\u{2215}'
            | '\u{2216}'
            | '\u{29f5}'
            | '\u{29f8}'
            | '\u{fe10}'..='\u{fe19}'
            | '\u{fe30}'
            | '\u{fe50}'..='\u{fe6b}'
            | '\u{ff01}'..='\u{ff5e}'
    )
}

/// Checks a query, with its `?`: characters of URLs, and encodings that are some.
pub(crate) fn check_query(query: &str) -> Result<(), InvalidTarget> {
    if !query.bytes().all(|b| is_pchar(b) || matches!(b, b'/' | b'?')) {
        return Err(InvalidTarget::Character);
    }
    percent_decode(query).map(drop)
}

/// RFC 3986, section 3.3: `pchar`, with the percent sign for the encodings that are checked apart.
fn is_pchar(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(&b)
}

/// The bytes that a text means, each with whether it was percent-encoded.
fn percent_decode(text: &str) -> Result<Vec<(u8, bool)>, InvalidTarget> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push((byte, false));
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16)).ok_or(InvalidTarget::Encoding);
        let value = digit()? * 16 + digit()?;
        out.push((u8::try_from(value).map_err(|_| InvalidTarget::Encoding)?, true));
    }
    Ok(out)
}
