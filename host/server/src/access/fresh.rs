//! A new key: 256 bits at random, as text that no shell, header or form changes.

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// So that a key that is found somewhere can be told from others.
const PREFIX: &str = "hk-";

/// A key that nobody has yet. It is wiped when it is dropped.
pub struct FreshKey(Zeroizing<String>);

/// This machine gives no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers, so no key can be made or kept")]
pub struct NoRandom;

impl FreshKey {
    /// Makes one.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn make() -> Result<Self, NoRandom> {
        let mut text = Zeroizing::new([0; 43]);
        let bytes = random()?;
        let text = Base64UrlUnpadded::encode(&*bytes, &mut *text).map_err(|_| NoRandom)?;
        // Of its full size from the start: growing would leave copies behind.
        let mut key = Zeroizing::new(String::with_capacity(PREFIX.len() + text.len()));
        key.push_str(PREFIX);
        key.push_str(text);
        Ok(Self(key))
    }

    /// The key itself, to be shown once.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What stands at `hash` in `keys.yaml`.
    #[must_use]
    pub fn hash(&self) -> String {
        format!("sha256:{:x}", Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for FreshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FreshKey(***)")
    }
}

/// 256 bits that nobody can guess.
pub(super) fn random() -> Result<Zeroizing<[u8; 32]>, NoRandom> {
    let mut bytes = Zeroizing::new([0; 32]);
    rustls::crypto::ring::default_provider().secure_random.fill(&mut *bytes).map_err(|_| NoRandom)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hauski_policy::{KeyHash, Keys};

    #[test]
    fn a_key_and_its_hash() {
        let (key, other) = (FreshKey::make().unwrap(), FreshKey::make().unwrap());
        assert!(key.text() != other.text() && key.hash() != other.hash());
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        assert!(key.text().len() == 46 && key.text().starts_with("hk-") && key.text().bytes().all(plain));
        let file = format!("keys: [{{ name: a, models: [\"*\"], hash: \"{}\" }}]", key.hash());
        let keys = Keys::parse("keys.yaml", file.as_bytes()).unwrap().value;
        assert_eq!(keys.get("a").unwrap().hash, KeyHash::Sha256(Sha256::digest(key.text()).into()));
        assert_eq!(format!("{key:?}"), "FreshKey(***)");
    }
}
