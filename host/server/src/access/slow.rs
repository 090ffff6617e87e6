//! Comparing with hashes by Argon2id, which takes long on purpose.
//!
//! One comparison runs at a time in the whole process, on a thread that serves nobody, and few wait for theirs
//! ([`super::comparison_queue`]). A key that was found
//! is remembered by a digest, so that its holder pays once. After a key that is nobody's the place stays taken for as long again:
//! whoever tries keys has at most half of one core, and the memory of one comparison.

use super::comparison_queue::ComparisonQueue;
use super::fresh::{NoRandom, random};
use super::keyring::{Client, Mark};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64ct::{Base64Unpadded, Encoding};
use hauski_policy::{Argon2id, KeyHash};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

/// The one place for comparisons, and the salt of marks.
pub(super) struct Slow {
    salt: Zeroizing<[u8; 32]>,
    queue: ComparisonQueue,
}

/// Too many wait already, or it took too long.
pub(super) struct Busy;

impl Slow {
    pub(super) fn new() -> Result<Self, NoRandom> {
        Ok(Self { salt: random()?, queue: ComparisonQueue::new() })
    }

    /// What `presented` is known by in this process.
    pub(super) fn mark(&self, presented: &[u8]) -> Zeroizing<Mark> {
        Zeroizing::new(Sha256::new().chain_update(*self.salt).chain_update(presented).finalize().into())
    }

    /// Which of `clients` has the key `presented`, whose mark is `mark`, and which a client at `peer` shows.
    pub(super) async fn find(
        &self,
        clients: Vec<Arc<Client>>,
        presented: &[u8],
        mark: &Mark,
        peer: Option<IpAddr>,
    ) -> Result<Option<Arc<Client>>, Busy> {
        let turn = self.queue.turn(peer).await.ok_or(Busy)?;
        // Who has waited may have been found for somebody else meanwhile.
        if let Some(client) = clients.iter().find(|client| client.is_marked(mark).into()) {
            return Ok(Some(client.clone()));
        }
        let (presented, mark) = (Zeroizing::new(presented.to_vec()), Zeroizing::new(*mark));
        let (tell, told) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let begin = Instant::now();
            let found = clients.into_iter().find(|client| has(client, &presented));
            let pause = if found.is_some() { Duration::ZERO } else { begin.elapsed() };
            if let Some(client) = &found {
                client.remember(&mark);
            }
            drop((presented, mark));
            let _ = tell.send(found);
            thread::sleep(pause);
            // Held to here, also where the client has left.
            drop(turn);
        });
        Ok(told.await.ok().flatten())
    }
}

fn has(client: &Client, presented: &[u8]) -> bool {
    match client.hash() {
        KeyHash::Argon2id(hash) => is_of(hash, presented),
        KeyHash::Sha256(_) => false,
    }
}

/// Whether `hash` is that of `presented`. A hash that can't be computed is nobody's.
fn is_of(hash: &Argon2id, presented: &[u8]) -> bool {
    let (salt, expected) = hash.salt_and_hash();
    let (mut salt_bytes, mut expected_bytes) = ([0; 64], [0; 64]);
    let salt = Base64Unpadded::decode(salt, &mut salt_bytes);
    let expected = Base64Unpadded::decode(expected, &mut expected_bytes);
    let (Ok(salt), Ok(expected)) = (salt, expected) else { return false };
    let params = Params::new(hash.memory_kib(), hash.passes(), hash.lanes(), Some(expected.len()));
    let Ok(params) = params else { return false };
    let mut memory = vec![Block::default(); params.block_count()];
    let mut computed = Zeroizing::new([0; 64]);
    let computed = &mut computed[..expected.len()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(presented, salt, computed, &mut memory).is_ok()
        && computed.ct_eq(expected).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::keyring::{Keyring, Unknown};
    use hauski_policy::Keys;

    /// The test vectors of the reference implementation (`phc-winner-argon2/src/test.c`), for the password `password`.
    #[test]
    fn hashes_of_the_reference() {
        let hashes = [
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        ];
        for hash in hashes {
            let file = format!("keys: [{{ name: a, models: [\"*\"], hash: \"{hash}\" }}]");
            let keys = Keys::parse("keys.yaml", file.as_bytes()).unwrap().value;
            let KeyHash::Argon2id(parsed) = keys.get("a").unwrap().hash.clone() else { panic!("{hash}") };
            assert!(is_of(&parsed, b"password"), "{hash}");
            assert!(!is_of(&parsed, b"passworD") && !is_of(&parsed, b""), "{hash}");
        }
    }

    /// One at a time, and after a wrong key nobody for as long again.
    #[tokio::test]
    async fn the_place_stays_taken_after_a_wrong_key() {
        let hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let file = format!("keys: [{{ name: a, models: [\"*\"], hash: \"{hash}\" }}]");
        let keyring = Keyring::new(&Keys::parse("keys.yaml", file.as_bytes()).unwrap().value, None);
        let slow = Slow::new().unwrap();
        let begin = Instant::now();
        assert!(matches!(keyring.find(b"wrong", &slow, None).await, Err(Unknown::Nobody)));
        tokio::time::sleep(begin.elapsed() / 4).await;
        assert!(!slow.queue.is_free());
        assert!(keyring.find(b"password", &slow, None).await.is_ok());
        // Whoever waits gets it then; and who is known needs no place.
        let _held = slow.queue.turn(None).await.unwrap();
        assert!(keyring.find(b"password", &slow, None).await.is_ok());
        assert!(
            matches!(keyring.find(b"wrong", &slow, None).await, Err(Unknown::Nobody)),
            "there is none left to compare with"
        );
    }
}
