//! From the paths that were asked for to the prefixes that cover them: few paths are named one by one, many by what they share.

/// So many paths are named one by one.
const EXACT: usize = 4;

/// Whether a grant with this prefix covers the path: whole segments, and with a `/` at its end only what is below.
pub(crate) fn covers(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
}

/// Prefixes that cover all of `paths`, which are sorted: of more than [`EXACT`], those that are shared below `/`.
pub(crate) fn prefixes(paths: &[&str]) -> Vec<String> {
    let paths: Vec<&str> = outermost(paths);
    if paths.len() <= EXACT {
        return paths.into_iter().map(str::to_owned).collect();
    }
    let shared = shared(&paths);
    if shared != "/" {
        return vec![shared.to_owned()];
    }
    // Sorted, so those with the same first segment stand together.
    paths.chunk_by(|a, b| first_segment(a) == first_segment(b)).flat_map(prefixes).collect()
}

/// The paths that no other of them covers.
fn outermost<'a>(paths: &[&'a str]) -> Vec<&'a str> {
    // A prefix sorts before what it covers, though other paths may stand between.
    let mut kept: Vec<&str> = Vec::new();
    for path in paths {
        if !kept.iter().any(|prefix| covers(prefix, path)) {
            kept.push(path);
        }
    }
    kept
}

/// The longest prefix that covers all of them.
fn shared<'a>(paths: &[&'a str]) -> &'a str {
    let mut prefix = paths.first().copied().unwrap_or("/");
    while !paths.iter().all(|path| covers(prefix, path)) {
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
        let mut paths: Vec<_> = paths.split_whitespace().collect();
        paths.sort_unstable();
        let found = prefixes(&paths);
        assert_eq!(found, expected.split_whitespace().collect::<Vec<_>>());
        assert!(paths.iter().all(|path| found.iter().any(|prefix| covers(prefix, path))));
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
    }
}
