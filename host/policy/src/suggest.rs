//! "Did you mean": the known word that is closest to a misspelt one.

/// Returns the word of `known` that is closest to `text`, if it is close.
pub fn closest<'k>(text: &str, known: &[&'k str]) -> Option<&'k str> {
    const LONGEST: usize = 64;
    // By the characters first, which are cheap to count.
    let near = |word: &str| {
        let most = (word.len() / 3).max(1);
        let differ = text.chars().count().abs_diff(word.chars().count());
        text.len() <= LONGEST && differ <= most && distance(text, word) <= most
    };
    known.iter().copied().filter(|word| near(word)).min_by_key(|word| distance(text, word))
}

/// The Levenshtein distance, where swapped neighbours count as one step.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions() {
        let known = ["url", "adapters", "methods", "network", "secret", "expires"];
        for (text, expected) in [
            ("adaptors", Some("adapters")),
            ("adapter", Some("adapters")),
            ("Methods", Some("methods")),
            ("ulr", Some("url")),
            ("uri", Some("url")),
            ("host", None),
            ("", None),
            ("expire", Some("expires")),
        ] {
            assert_eq!(closest(text, &known), expected, "{text}");
        }
    }
}
