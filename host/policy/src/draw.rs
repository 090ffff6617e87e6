//! Draws: a number that a text has on every machine and in every version, as evenly spread as dice.
//!
//! In go what is drawn for and who asks, out comes a number. Routing rests on it: the same key gets the same model again.

use sha2::{Digest as _, Sha256};

/// What is drawn for. Its name is part of what is hashed, so that a model named `canary` draws apart from the canaries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Which canary a request falls to, if any.
    Canary,
    /// In which order candidates are asked.
    Weight,
}

/// The first 8 bytes, big-endian, of the SHA-256 of these parts: the purpose's name (`canary` or `weight`) and each of `parts`;
/// of each first its length in bytes, as 8 bytes big-endian, then its bytes as UTF-8.
///
/// The layout must not change: each request would be asked of another model than before, which has none of its cache.
pub(crate) fn draw(purpose: Purpose, parts: &[&str]) -> u64 {
    let name = match purpose {
        Purpose::Canary => "canary",
        Purpose::Weight => "weight",
    };
    let mut hash = Sha256::new();
    for part in std::iter::once(&name).chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The draw as hundredths of a percent: 0 to 9999.
pub(crate) fn hundredths(draw: u64) -> u32 {
    // Below 10,000, so it fits.
    ((u128::from(draw) * 10_000) >> 64) as u32
}

/// The draw as a time until something happens whose rate is `weight`: of several the earliest is each with the share of its weight
/// (weighted rendezvous hashing).
pub(crate) fn arrival(draw: u64, weight: u32) -> f64 {
    // 52 bits and a half: neither 0, of which there is no logarithm, nor 1, which would come first whatever its weight.
    let unit = ((draw >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    -unit.ln() / f64::from(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by another program from the layout above.
    #[test]
    fn draws_never_change() {
        for (purpose, parts, expected) in [
            (Purpose::Canary, &["chat", "key-1"][..], 0x98e3_6e5a_c2b1_316f),
            (Purpose::Weight, &["chat", "llama3", "key-1"][..], 0x3997_2867_4f74_ab91),
            (Purpose::Weight, &["chat", "llama3", ""][..], 0x6f1d_b69b_c74e_d49a),
            (Purpose::Canary, &["", "ä"][..], 0x8d95_8f94_10e1_7be8),
        ] {
            assert_eq!(draw(purpose, parts), expected, "{purpose:?} {parts:?}");
        }
    }

    #[test]
    fn parts_are_apart() {
        assert_ne!(draw(Purpose::Weight, &["ab", "c"]), draw(Purpose::Weight, &["a", "bc"]));
        assert_ne!(draw(Purpose::Weight, &["a", ""]), draw(Purpose::Weight, &["", "a"]));
        assert_ne!(draw(Purpose::Weight, &["a"]), draw(Purpose::Canary, &["a"]));
    }

    #[test]
    fn the_ends_of_the_range() {
        assert_eq!((hundredths(0), hundredths(u64::MAX), hundredths(1 << 63)), (0, 9999, 5000));
        for weight in [1, 1000] {
            assert!(arrival(0, weight).is_finite() && arrival(u64::MAX, weight) > 0.0);
        }
        assert!(arrival(u64::MAX, 1000) < arrival(u64::MAX, 1));
    }
}
