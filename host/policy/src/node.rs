//! A YAML file as a tree: values of the JSON model with their places, and nothing of YAML's more surprising parts.

use std::ops::Range;

/// A value and its place, as bytes of the file.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

/// A value.
#[derive(Debug)]
pub(crate) enum Value {
    /// `null`, `~`, or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A finite decimal number as JSON text, with all of its digits.
    Number(Box<str>),
    /// Text.
    Text(Box<str>),
    /// A list.
    List(Vec<Node>),
    /// A map in the file's order; its keys are distinct.
    Map(Vec<(Key, Node)>),
}

/// A map's key and its place.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) span: Range<usize>,
    pub(crate) text: Box<str>,
}

impl Value {
    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// A number that programs read differently, or that JSON can't say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AmbiguousNumber;

/// The value of an unquoted scalar (YAML 1.2, section 10.3: the core schema).
///
/// Refused are the numbers that YAML 1.1 and 1.2 read differently (`010`), other bases, infinities and not-a-number.
pub(crate) fn plain(text: &str) -> Result<Value, AmbiguousNumber> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let based = |prefix, radix| {
        unsigned.strip_prefix(prefix).is_some_and(|d: &str| !d.is_empty() && d.chars().all(|c| c.is_digit(radix)))
    };
    let special = matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN");
    if special || based("0x", 16) || based("0o", 8) {
        return Err(AmbiguousNumber);
    }
    Ok(match json_number(unsigned) {
        Some(_) if unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.as_bytes()[1].is_ascii_digit() => {
            return Err(AmbiguousNumber);
        }
        Some(number) if text.starts_with('-') => Value::Number(format!("-{number}").into()),
        Some(number) => Value::Number(number.into()),
        None => Value::Text(text.into()),
    })
}

/// `[0-9]* ( . [0-9]* )? ( [eE] [-+]? [0-9]+ )?` with a digit before the exponent, as JSON writes it.
fn json_number(unsigned: &str) -> Option<String> {
    let (mantissa, exponent) = unsigned.find(['e', 'E']).map_or((unsigned, ""), |at| unsigned.split_at(at));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let power = exponent.get(1..).unwrap_or_default();
    let power = power.strip_prefix(['-', '+']).unwrap_or(power);
    let ok = digits(whole)
        && fraction.is_none_or(digits)
        && whole.len() + fraction.map_or(0, str::len) > 0
        && (exponent.is_empty() || !power.is_empty() && digits(power));
    ok.then(|| {
        let or_zero = |text: &str| if text.is_empty() { "0".to_owned() } else { text.to_owned() };
        let fraction = fraction.map_or(String::new(), |f| format!(".{}", or_zero(f)));
        format!("{}{fraction}{exponent}", or_zero(whole))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let got = match plain(text) {
            Ok(Value::Number(number)) => {
                serde_json::from_str::<serde_json::Value>(&number).unwrap();
                number.into()
            }
            Ok(other) => other.kind().to_owned(),
            Err(AmbiguousNumber) => "ambiguous".to_owned(),
        };
        assert_eq!(got, expected, "{text:?}");
    }

    #[test]
    fn plain_scalars() {
        for text in ["", "~", "null", "NULL"] {
            check(text, "null");
        }
        for text in ["true", "False", "TRUE"] {
            check(text, "a boolean");
        }
        for text in [
            "yes",
            "no",
            "on",
            "tRUE",
            "nULL",
            "1_000",
            "1:30",
            "2027-01-31",
            ".",
            "-",
            "+",
            "e5",
            "1e",
            "1.2.3",
            "0x",
            "12k",
            "-.",
            "--1",
        ] {
            check(text, "text");
        }
        for text in ["010", "-010", "00", "0x1F", "0o17", ".inf", "-.INF", ".nan", "007.5"] {
            check(text, "ambiguous");
        }
        for (text, number) in [
            ("0", "0"),
            ("-0", "-0"),
            ("+5", "5"),
            ("9007199254740993", "9007199254740993"),
            (".5", "0.5"),
            ("5.", "5.0"),
            ("1.10", "1.10"),
            ("1e9", "1e9"),
            ("-1.5E-3", "-1.5E-3"),
            ("0.5", "0.5"),
        ] {
            check(text, number);
        }
    }
}
