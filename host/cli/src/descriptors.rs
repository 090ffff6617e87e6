//! Limits of the process: open files, as many as the system gives, and no core dumps.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit on open files to the hard one, and returns the limit that holds then; `None` is no limit.
///
/// The soft one is low for the sake of programs that use `select`; this one does not.
pub(crate) fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

/// Keeps the system from writing the process' memory, with its keys and prompts, to a file when it aborts.
pub(crate) fn forbid_core_dumps() -> std::io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    Ok(setrlimit(Resource::Core, none)?)
}

/// Whether `connections` clients can be served within `limit`. Each takes two: its own connection, and one to a provider.
pub(crate) fn suffice(limit: Option<u64>, connections: usize) -> bool {
    limit.is_none_or(|limit| limit / 2 >= u64::try_from(connections).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_for_each_connection() {
        for (limit, connections, expected) in [(Some(8), 4, true), (Some(7), 4, false), (None, usize::MAX, true)] {
            assert_eq!(suffice(limit, connections), expected, "{limit:?} {connections}");
        }
    }
}
