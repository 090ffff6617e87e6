//! The keys of `keys.yaml` in their valid form: who may ask for what. The keys themselves are never here, only their hashes.

use crate::model_names::ModelNames;
use jiff::civil::Date;
use std::fmt;

/// All keys, in the file's order; their names and their hashes are distinct. An empty list lets nobody in.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    pub(crate) list: Vec<Key>,
}

impl Keys {
    /// The keys, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.list.iter()
    }

    /// The key with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Key> {
        self.list.iter().find(|key| &*key.name == name)
    }
}

/// A key and what its holder may.
#[derive(Clone, Debug)]
pub struct Key {
    /// The name, for listings, logs and metrics.
    pub name: Box<str>,
    /// What the key is recognised by.
    pub hash: KeyHash,
    /// The public names of models that may be asked.
    pub models: ModelNames,
    /// The most requests in a minute; no limit, where it is not given.
    pub requests_per_minute: Option<u32>,
    /// The most requests at once, streams until their end included; no limit, where it is not given.
    pub concurrent: Option<u32>,
    /// True if each request is local-only.
    pub local_only: bool,
    /// Whether its holder may see the console.
    pub operator: bool,
    /// The last day on which it holds, in UTC.
    pub expires: Option<Date>,
}

impl Key {
    /// Whether the key still holds on the day `today` (UTC).
    #[must_use]
    pub fn holds_on(&self, today: Date) -> bool {
        self.expires.is_none_or(|last| today <= last)
    }
}

/// What a key is recognised by. `Debug` shows which kind it is, and no more.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum KeyHash {
    /// The SHA-256 of a key so long and random that nobody can guess it.
    Sha256([u8; 32]),
    /// What Argon2id makes of a key that people chose.
    Argon2id(Argon2id),
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256(_) => "Sha256(***)",
            Self::Argon2id(_) => "Argon2id(***)",
        })
    }
}

/// A hash by Argon2id as a PHC string, whose form and bounds were checked. Only the parser makes one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Argon2id {
    phc: Box<str>,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// RFC 9106, section 3.1, and what a request may cost at most: 256 MiB and ten passes.
const MOST_MEMORY_KIB: u32 = 262_144;
const MOST_PASSES: u32 = 10;
const MOST_LANES: u32 = 8;
/// Characters of base64: salts of 8 to 48 bytes, hashes of 16 to 64.
const SALT_CHARS: std::ops::RangeInclusive<usize> = 11..=64;
const HASH_CHARS: std::ops::RangeInclusive<usize> = 22..=86;

impl Argon2id {
    /// Checks `$argon2id$v=19$m=65536,t=3,p=4$salt$hash`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("$argon2id$v=19$")?;
        let [parameters, salt, hash] = *rest.split('$').collect::<Vec<_>>() else { return None };
        let [memory, passes, lanes] = *parameters.split(',').collect::<Vec<_>>() else { return None };
        let memory_kib = number(memory.strip_prefix("m=")?, MOST_MEMORY_KIB)?;
        let passes = number(passes.strip_prefix("t=")?, MOST_PASSES)?;
        let lanes = number(lanes.strip_prefix("p=")?, MOST_LANES)?;
        let ok = passes >= 1
            && lanes >= 1
            && memory_kib >= 8 * lanes
            && SALT_CHARS.contains(&salt.len())
            && HASH_CHARS.contains(&hash.len())
            && is_base64(salt)
            && is_base64(hash);
        ok.then(|| Self { phc: text.into(), memory_kib, passes, lanes })
    }

    /// The PHC string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.phc
    }

    /// How much memory a comparison takes, in KiB.
    #[must_use]
    pub fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// How often a comparison passes over that memory.
    #[must_use]
    pub fn passes(&self) -> u32 {
        self.passes
    }

    /// In how many lanes that memory is laid out.
    #[must_use]
    pub fn lanes(&self) -> u32 {
        self.lanes
    }

    /// The salt and the hash, each as base64 without padding.
    #[must_use]
    pub fn salt_and_hash(&self) -> (&str, &str) {
        let mut parts = self.phc.rsplitn(3, '$');
        let (hash, salt) = (parts.next(), parts.next());
        (salt.unwrap_or_default(), hash.unwrap_or_default())
    }
}

impl fmt::Debug for Argon2id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Argon2id(***)")
    }
}

/// A decimal number up to `most`, as PHC strings write it: without sign and leading zeros.
fn number(text: &str, most: u32) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|number| plain && *number <= most)
}

/// Base64 without padding, whose last character has no bits that no byte has: each hash has one text.
fn is_base64(text: &str) -> bool {
    let value = |b: u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let last = text.bytes().last().and_then(value).unwrap_or_default();
    let spare = match text.len() % 4 {
        0 => 0,
        2 => last & 0b1111,
        3 => last & 0b11,
        _ => return false,
    };
    spare == 0 && text.bytes().all(|b| value(b).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &str = "c2FsdHNhbHRzYWx0c2FsdA";
    const HASH: &str = "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";

    #[track_caller]
    fn check(text: &str, expected: bool) {
        assert_eq!(Argon2id::parse(text).is_some(), expected, "{text:?}");
    }

    #[test]
    fn phc_strings() {
        let with = |parameters: &str| format!("$argon2id$v=19${parameters}${SALT}${HASH}");
        let good = with("m=65536,t=3,p=4");
        check(&good, true);
        let parsed = Argon2id::parse(&good).unwrap();
        assert_eq!((parsed.as_str(), parsed.memory_kib()), (&*good, 65536));
        assert_eq!((parsed.passes(), parsed.lanes(), parsed.salt_and_hash()), (3, 4, (SALT, HASH)));
        for parameters in ["m=262144,t=10,p=8", "m=8,t=1,p=1", "m=64,t=1,p=8"] {
            check(&with(parameters), true);
        }
        for parameters in [
            "m=262145,t=3,p=4",
            "m=65536,t=11,p=4",
            "m=65536,t=3,p=9",
            "m=65536,t=0,p=4",
            "m=65536,t=3,p=0",
            "m=63,t=1,p=8",
            "m=0,t=1,p=1",
            "m=065536,t=3,p=4",
            "m=+65536,t=3,p=4",
            "m=99999999999,t=3,p=4",
            "m=,t=3,p=4",
            "t=3,m=65536,p=4",
            "m=65536,t=3",
            "m=65536,t=3,p=4,data=x",
            "",
        ] {
            check(&with(parameters), false);
        }
        for (part, by) in [
            ("argon2id", "argon2i"),
            ("v=19", "v=16"),
            ("v=19$", ""),
            ("$argon2id", "argon2id"),
            (SALT, "c2FsdA"),
            (SALT, "c2FsdHNhbHRzYWx0c2FsdB"),
            (SALT, "c2FsdHNhbHRzYWx0c2FsdA=="),
            (SALT, "c2FsdHNhbHRzYWx0c2Fsd-"),
            (HASH, "aGFzaA"),
            (HASH, ""),
            (HASH, "aGFzaGhhc2hoYXNoaGFza"),
        ] {
            check(&good.replace(part, by), false);
        }
        check(&format!("{good}$"), false);
        check(&format!("{good} "), false);
        check(&format!("{good}{HASH}{HASH}"), false);
    }

    #[test]
    fn no_hash_is_shown() {
        let hash = KeyHash::Argon2id(Argon2id::parse(&format!("$argon2id$v=19$m=8,t=1,p=1${SALT}${HASH}")).unwrap());
        assert_eq!(format!("{hash:?} {:?}", KeyHash::Sha256([171; 32])), "Argon2id(***) Sha256(***)");
    }
}
