//! The table of the front's cases is complete: each row has a test of its name, wherever it fits best.

use crate::tidy::sources;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

const ROWS: RangeInclusive<u8> = 1..=29;
const LAST: u8 = 29;

/// The row that a test is named by, such as 4 of `fn r04_half_a_stream_never_looks_like_all_of_it`.
fn row(line: &str) -> Option<u8> {
    let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn r")?;
    let (number, rest) = name.split_at_checked(2)?;
    let plain = number.bytes().all(|digit| digit.is_ascii_digit()) && rest.starts_with('_') && rest.ends_with("() {");
    number.parse().ok().filter(|_| plain)
}

#[test]
fn each_row_has_a_test() {
    let sources = sources();
    let mut rows = BTreeSet::new();
    for (file, text) in &sources {
        let mut is_test = false;
        for line in text.lines().map(str::trim_start) {
            match row(line) {
                Some(row) if is_test => drop(rows.insert(row)),
                Some(row) => panic!("{file}: `r{row:02}` is the name of a test, but this is none"),
                None => {}
            }
            let stays = is_test && (line.starts_with("#[") || line.starts_with("//"));
            is_test = stays || line == "#[test]" || line.starts_with("#[tokio::test");
        }
    }
    let missing: Vec<_> = ROWS.filter(|row| !rows.contains(row)).map(|row| format!("r{row:02}")).collect();
    assert_eq!(missing, Vec::<String>::new(), "the rows without a test");
    assert!(rows.iter().all(|row| (1..=LAST).contains(row)), "a row that the list does not have: {rows:?}");
}
