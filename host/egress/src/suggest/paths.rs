//! From the paths that were asked for to the prefixes that cover them: few paths are named one by one, many by what they share.

use std::cmp::Ordering;

/// So many paths are named one by one.
const EXACT: usize = 4;

/// Whether a grant with this prefix covers the path: whole segments, and with a `/` at its end only what is below.
pub(crate) fn covers(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
}

/// Prefixes that cover all of `paths`, each with those that it covers: of more than [`EXACT`], those that are shared below `/`.
pub(crate) fn groups(mut paths: Vec<&str>) -> Vec<(&str, Vec<&str>)> {
    paths.sort_unstable_by(|a, b| by_segments(a, b));
    let mut groups: Vec<(&str, Vec<&str>)> = prefixes(&paths).into_iter().map(|prefix| (prefix, Vec::new())).collect();
    let mut at = 0;
    for path in paths {
        // Both are in the same order, and no prefix covers another.
        while at + 1 < groups.len() && !covers(groups[at].0, path) {
            at += 1;
        }
        if let Some((_, covered)) = groups.get_mut(at) {
            covered.push(path);
        }
    }
    groups
}

/// An order in which what a path covers stands right behind it.
fn by_segments(a: &str, b: &str) -> Ordering {
    a.split('/').cmp(b.split('/'))
}

/// The prefixes for paths that are in order.
fn prefixes<'a>(paths: &[&'a str]) -> Vec<&'a str> {
    let paths: Vec<&str> = outermost(paths);
    if paths.len() <= EXACT {
        return paths;
    }
    let shared = shared(&paths);
    if shared != "/" {
        return vec![shared];
    }
    // Those with the same first segment stand together.
    paths.chunk_by(|a, b| first_segment(a) == first_segment(b)).flat_map(prefixes).collect()
}

/// The paths that no other of them covers.
fn outermost<'a>(paths: &[&'a str]) -> Vec<&'a str> {
    let mut kept: Vec<&str> = Vec::new();
    for path in paths {
        if !kept.last().is_some_and(|last| covers(last, path)) {
            kept.push(path);
        }
    }
    kept
}

/// The longest prefix that covers all of them: what covers the first and the last covers what stands between.
fn shared<'a>(paths: &[&'a str]) -> &'a str {
    let [first, .., last] = paths else { return "/" };
    let mut prefix = *first;
    while !covers(prefix, first) || !covers(prefix, last) {
        prefix = wider(prefix);
    }
    prefix
}

/// The next shorter prefix: `/a/b`, `/a/`, `/a`, `/`.
fn wider(prefix: &str) -> &str {
    match prefix.strip_suffix('/') {
        Some("") => "/",
        Some(shorter) => shorter,
        None => prefix.rfind('/').map_or("/", |at| &prefix[..=at]),
    }
}

fn first_segment(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(paths: &str, expected: &str) {
        let all: Vec<_> = paths.split_whitespace().collect();
        let groups = groups(all.clone());
        let found: Vec<_> = groups.iter().map(|(prefix, _)| *prefix).collect();
        assert_eq!(found, expected.split_whitespace().collect::<Vec<_>>());
        // Each path is in one group, whose prefix covers it.
        assert!(
            groups.iter().all(|(prefix, paths)| !paths.is_empty() && paths.iter().all(|path| covers(prefix, path)))
        );
        let mut grouped: Vec<_> = groups.into_iter().flat_map(|(_, paths)| paths).collect();
        grouped.sort_by_key(|path| all.iter().position(|one| one == path));
        assert_eq!(grouped, all);
    }

    #[test]
    fn few_are_named_and_many_are_shared() {
        check("/v1/chat", "/v1/chat");
        check("/v1/chat /v1/models", "/v1/chat /v1/models");
        check("/v1 /v1/chat /v10", "/v1 /v10");
        check("/v1 /v1-x /v1/a", "/v1 /v1-x");
        check("/v1/a /v1/b /v1/c /v1/d /v1/e", "/v1/");
        check("/v1 /v1/a /v1/b /v1/c /v1/d", "/v1");
        check("/t/1/run /t/2/run /t/3/run /t/4/run /t/5/run /status", "/status /t/");
        check("/a1 /a2 /a3 /a4 /a5", "/a1 /a2 /a3 /a4 /a5");
        check("/ /a /b", "/");
        check("/v1/ /v1/b /v1 /v1-x /v1/a/ /w/", "/v1 /v1-x /w/");
        check("/v1/ /v1/b /v1/a/ /v1/a", "/v1/");
    }

    /// Nothing in common, or all of it but the end: neither takes long.
    #[test]
    fn many_paths_take_no_time() {
        let begun = std::time::Instant::now();
        for stem in ["/", "/v1/a", &"/s".repeat(90)] {
            let paths: Vec<_> = (0..50_000).map(|n| format!("{stem}{n:05}/x")).collect();
            let paths = paths.iter().map(String::as_str).collect();
            assert_eq!(groups(paths).iter().map(|(_, covered)| covered.len()).sum::<usize>(), 50_000);
        }
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    }
}
