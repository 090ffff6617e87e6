//! The table of attacks is complete: each case of the list has a test of its name, wherever it fits best.

use crate::tidy::sources;
use std::collections::BTreeSet;

/// How many cases the list has under each letter. Those beyond it were found later.
const LISTED: [(char, u8); 6] = [('a', 14), ('b', 9), ('c', 5), ('d', 11), ('e', 6), ('f', 12)];

/// The case that a test is named by, such as `a04` of `fn a04_ports_that_are_not_plain`.
fn case(line: &str) -> Option<&str> {
    let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
    let (case, rest) = name.split_at_checked(3)?;
    let (letter, number) = case.split_at(1);
    let listed = LISTED.iter().any(|(listed, _)| letter.starts_with(*listed));
    let named = rest.starts_with('_') && rest.ends_with("() {");
    (listed && number.bytes().all(|digit| digit.is_ascii_digit()) && named).then_some(case)
}

#[test]
fn each_case_has_a_test() {
    let sources = sources();
    let mut cases = BTreeSet::new();
    for (file, text) in &sources {
        let mut is_test = false;
        for line in text.lines() {
            let line = line.trim_start();
            match case(line) {
                Some(case) if is_test => drop(cases.insert(case)),
                Some(case) => panic!("{file}: `{case}` is the name of a test, but this is none"),
                None => {}
            }
            is_test = line == "#[test]" || line == "#[tokio::test]";
        }
    }
    let all = LISTED.iter().flat_map(|(letter, last)| (1..=*last).map(move |number| format!("{letter}{number:02}")));
    let missing: Vec<_> = all.filter(|case| !cases.contains(case.as_str())).collect();
    assert_eq!(missing, Vec::<String>::new(), "the cases without a test");
    for (letter, last) in LISTED {
        let further = cases.iter().filter(|case| case.starts_with(letter)).count() - usize::from(last);
        assert!(further > 0, "{letter}: nothing was tried beyond the list");
    }
}
