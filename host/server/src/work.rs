//! A counter of the bytes that conversions visit: a bound on their work that does not depend on a clock.
//!
//! Tests and fuzzers read it. Builds without them count nothing.

#[cfg(any(test, feature = "fuzzing"))]
use std::cell::Cell;

#[cfg(any(test, feature = "fuzzing"))]
thread_local! {
    /// Bytes that this thread has visited.
    static VISITED: Cell<usize> = const { Cell::new(0) };
}

/// Counts bytes that are read, compared, moved or written; of a list that is searched, its elements.
#[inline]
pub(crate) fn visit(bytes: usize) {
    #[cfg(any(test, feature = "fuzzing"))]
    VISITED.with(|visited| visited.set(visited.get() + bytes));
    #[cfg(not(any(test, feature = "fuzzing")))]
    let _ = bytes;
}

/// Returns what `convert` returns, and how many bytes it has visited.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn counted<T>(convert: impl FnOnce() -> T) -> (T, usize) {
    let before = VISITED.with(Cell::get);
    let converted = convert();
    (converted, VISITED.with(Cell::get) - before)
}
