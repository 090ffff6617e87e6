//! Keys that are recognised by Argon2id, which takes long: once for each, and never at others' cost.

use super::{chat, check, echo, get, refused};
use futures_util::future::join_all;
use http::StatusCode;
use std::time::{Duration, Instant};

/// Vectors of the reference implementation, for `password`: one that is quick, and one that takes 64 MiB.
const QUICK: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
const SLOW: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

fn keys(hashes: &[(&str, &str)]) -> String {
    let entry = |(name, hash): &(&str, &str)| format!("  - {{ name: {name}, models: [\"*\"], hash: \"{hash}\" }}\n");
    format!("keys:\n{}", hashes.iter().map(entry).collect::<String>())
}

#[tokio::test]
async fn passwords() {
    let host = echo().keys(&keys(&[("person", QUICK)])).start().await;
    for _ in 0..3 {
        refused(&chat(&host, "Password", "echo").await);
        refused(&host.client().chat("echo", "hello").await);
        assert_eq!(chat(&host, "password", "echo").await.content(), "hello");
    }
}

/// Once a key is known, what it takes is a digest. That holds over reloads, as long as the hash is the same.
#[tokio::test]
async fn a_key_is_compared_slowly_once() {
    let host = echo().keys(&keys(&[("person", SLOW)])).start().await;
    let timed = async || {
        let begin = Instant::now();
        assert_eq!(get(&host, "/v1/models", "password").await.status, StatusCode::OK);
        begin.elapsed()
    };
    let best_of_five = async || {
        let mut best = Duration::MAX;
        for _ in 0..5 {
            best = best.min(timed().await);
        }
        best
    };
    let (first, later) = (timed().await, best_of_five().await);
    assert!(later * 4 < first, "{first:?}, then {later:?}");
    host.set_keys(&(keys(&[("person", SLOW)]) + "# touched\n"));
    host.reload();
    super::opening::until_metric(&host, "password", "hauski_policy_generation 2").await;
    assert!(best_of_five().await * 4 < first);
}

/// Wrong keys wait for each other, some are sent away, and who is known waits for none of them.
#[tokio::test]
async fn wrong_keys_take_one_place() {
    let host = echo().keys(&keys(&[("known", QUICK), ("person", SLOW)])).start().await;
    assert_eq!(get(&host, "/v1/models", "password").await.status, StatusCode::OK);
    let wrong: Vec<_> = (0..24).map(|at| format!("wrong-{at}")).collect();
    let known = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let begin = Instant::now();
        assert_eq!(get(&host, "/v1/models", "password").await.status, StatusCode::OK);
        begin.elapsed()
    };
    let begin = Instant::now();
    let all = join_all(wrong.iter().map(async |key| (get(&host, "/v1/models", key).await, begin.elapsed())));
    let (answers, known) = tokio::join!(all, known);
    let took = begin.elapsed();
    let (mut nobody, mut busy) = (0, 0);
    for (answer, after) in answers {
        if answer.status == StatusCode::UNAUTHORIZED {
            nobody += 1;
        } else {
            check(&answer, 503, "comparing_keys");
            assert_eq!(answer.headers["retry-after"], "1");
            // At once, and not only when they have waited for long enough.
            busy += usize::from(after < Duration::from_secs(8));
        }
    }
    // One is compared, and sixteen wait.
    assert!(nobody >= 1 && busy >= 24 - 17, "{nobody} {busy}");
    assert!(known * 4 < took, "{known:?} of {took:?}");
}
