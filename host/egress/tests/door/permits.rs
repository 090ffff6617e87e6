//! What a permit is, and that each one is accounted for. What is denied is a table of its own (`attacks`).

use crate::world::{Answer, World};
use std::time::Duration;

#[tokio::test]
async fn a_permit_that_is_not_used_is_accounted_for() {
    let world = World::new(&[r#"{ url: "https://api.allowed.test/v1/", adapters: [a], methods: [POST] }"#]);
    world.resolver.set("api.allowed.test", &["1.1.1.1"]);
    let permit = world.permit(&world.caller("a"), "POST https://API.allowed.test/v1/chat?key=x").await.unwrap();
    assert_eq!(permit.addresses(), ["1.1.1.1:443".parse().unwrap()]);
    assert_eq!(world.resolver.asked(), 1);
    assert_eq!(world.log.decided(), ["a: POST https://api.allowed.test/v1/chat: line 4"]);
    assert!(world.log.finished().is_empty());
    drop(permit);
    assert_eq!(world.log.ends(), ["dropped"]);
}

/// Its name may have been asked for by then, and what was asked for is told.
#[tokio::test]
async fn a_question_that_is_given_up_is_told() {
    let world = World::new(&[r#"{ url: "http://slow.test/", adapters: [a] }"#]);
    world.resolver.set_raw("slow.test", vec![Answer::Hangs]);
    let caller = world.caller("a");
    {
        let asking = world.permit(&caller, "GET http://slow.test/x");
        assert!(tokio::time::timeout(Duration::from_millis(20), asking).await.is_err());
    }
    assert_eq!(world.resolver.asked(), 1);
    assert_eq!(world.log.decided(), ["a: GET http://slow.test/x: abandoned"]);
}
