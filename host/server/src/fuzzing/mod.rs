//! Entry points for fuzzers and property tests, and the properties that hold for every input.
//!
//! Compiled for this crate's own tests and with the feature `fuzzing` only. Each check panics where a property does not hold.

#![expect(clippy::panic, reason = "a check that panics has failed")]

mod accepted;
mod client;
mod convert;
mod dialects;
mod heads;
mod made;
mod split;
mod tool_calls;

#[cfg(test)]
mod linear;

pub use dialects::check as dialects;
pub use heads::check as heads;
pub use tool_calls::check as tool_calls;

#[cfg(test)]
mod tests {
    /// Replays the files that the fuzzers keep.
    #[track_caller]
    fn replay(name: &str, check: fn(&[u8])) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/");
        let files: Vec<_> = std::fs::read_dir(format!("{folder}{name}")).unwrap().collect();
        assert!(files.len() >= 5, "{name}");
        for file in files {
            let path = file.unwrap().path();
            println!("{}", path.display());
            check(&std::fs::read(path).unwrap());
        }
    }

    #[test]
    fn dialects_hold_for_the_corpus() {
        replay("dialects", super::dialects);
    }

    #[test]
    fn heads_hold_for_the_corpus() {
        replay("heads", super::heads);
    }

    #[test]
    fn tool_calls_hold_for_the_corpus() {
        replay("tool_calls", super::tool_calls);
    }
}
