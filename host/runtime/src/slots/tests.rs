//! Places are given in turn, to no more than there are, and none is lost.

use super::*;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

fn queue(instances: usize, queue: usize) -> Arc<Queue> {
    Arc::new(Queue::new(&limits(instances, queue), crate::budget::MemoryBudget::new(0).open()))
}

fn limits(instances: usize, queue: usize) -> AdapterLimits {
    let (mib, second) = (1 << 20, Duration::from_secs(1));
    AdapterLimits {
        memory_bytes: mib,
        cpu: second,
        instances,
        queue,
        queue_wait: second,
        retries: 0,
        breaker_failures: 1,
        breaker_open: second,
        probe: None,
        connect: second,
        first_token: second,
        idle: second,
        total: second,
        response_bytes: mib as u64,
    }
}

fn alone(name: &str) -> Tenant {
    Tenant { name: name.into(), has_others: false }
}

fn one_of_many(name: &str) -> Tenant {
    Tenant { name: name.into(), has_others: true }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

#[track_caller]
fn check_idle(queue: &Queue) {
    let lines = queue.lock();
    assert_eq!((lines.taken, lines.waiting, lines.lines.len(), lines.turns.len()), (0, 0, 0, 0));
    assert!(lines.held.is_empty());
}

#[tokio::test]
async fn tenants_take_turns() {
    let queue = queue(1, 10);
    let place = queue.enter(&alone("first"), soon()).await.unwrap();
    let (tell, mut order) = mpsc::unbounded_channel();
    for tenant in ["a", "a", "a", "b", "c", "b"] {
        let (queue, tell) = (queue.clone(), tell.clone());
        tokio::spawn(async move {
            let _place = queue.enter(&alone(tenant), soon()).await.unwrap();
            tell.send(tenant).unwrap();
        });
        yield_now().await;
    }
    assert_eq!(queue.lock().waiting, 6);
    drop((place, tell));
    let mut seen = Vec::new();
    while let Some(tenant) = order.recv().await {
        seen.push(tenant);
    }
    assert_eq!(seen, ["a", "b", "c", "a", "b", "a"]);
    check_idle(&queue);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let queue = queue(1, 1);
    let place = queue.enter(&alone("a"), soon()).await.unwrap();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.enter(&alone("a"), soon()).await.map(drop) }
    });
    yield_now().await;
    let refused = queue.enter(&alone("b"), soon()).await.map(drop);
    assert!(matches!(refused, Err(CallError::Busy(Full::Queue { waiting: 1 }))), "{refused:?}");
    drop(place);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_full_queue_keeps_nobody_out_who_has_fewer() {
    let queue = queue(1, 4);
    let place = queue.enter(&alone("first"), soon()).await.unwrap();
    let spawn = |tenant: &'static str| {
        let queue = queue.clone();
        tokio::spawn(async move { queue.enter(&alone(tenant), soon()).await.map(drop) })
    };
    let mut greedy = Vec::new();
    for _ in 0..4 {
        greedy.push(spawn("greedy"));
        yield_now().await;
    }
    let mut others = Vec::new();
    for tenant in ["b", "c"] {
        others.push(spawn(tenant));
        // Who comes, and who is sent away.
        yield_now().await;
        yield_now().await;
        assert_eq!(queue.lock().waiting, 4, "{tenant}");
    }
    // No line is longer than theirs would be.
    for tenant in ["greedy", "b"] {
        let refused = queue.enter(&alone(tenant), soon()).await.map(drop);
        assert!(matches!(refused, Err(CallError::Busy(Full::Queue { waiting: 4 }))), "{tenant}: {refused:?}");
    }
    drop(place);
    for other in others {
        other.await.unwrap().unwrap();
    }
    let (mut served, mut sent_away) = (0, 0);
    for one in greedy {
        match one.await.unwrap() {
            Ok(()) => served += 1,
            Err(CallError::Busy(Full::Queue { waiting: 4 })) => sent_away += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((served, sent_away), (2, 2));
    check_idle(&queue);
}

/// M4: one key held all instances with slow requests, and nobody else had one.
#[tokio::test]
async fn client_has_at_most_half_of_the_places_where_there_are_others() {
    let queue = queue(5, 10);
    let (greedy, modest) = (one_of_many("greedy"), one_of_many("modest"));
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(queue.enter(&greedy, soon()).await.unwrap());
    }
    let late = queue.enter(&greedy, Instant::now()).await.map(drop);
    assert!(matches!(late, Err(CallError::Busy(Full::Client { instances: 3 }))), "{late:?}");
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let (queue, greedy) = (queue.clone(), greedy.clone());
        waiting.push(tokio::spawn(async move { queue.enter(&greedy, soon()).await.unwrap() }));
        yield_now().await;
    }
    check_counts(&queue, 3, 2);
    // Whoever else comes needs not wait, and what others give back is not for the one that has its share.
    drop(queue.enter(&modest, Instant::now()).await.unwrap());
    yield_now().await;
    check_counts(&queue, 3, 2);
    held.pop();
    let first = waiting.remove(0).await.unwrap();
    check_counts(&queue, 3, 1);
    // More places are a larger share.
    queue.set_limits(&limits(7, 10));
    let second = waiting.remove(0).await.unwrap();
    check_counts(&queue, 4, 0);
    drop((held, first, second));
    check_idle(&queue);
}

#[tokio::test]
async fn client_that_has_its_share_keeps_its_turn_and_holds_up_nobody() {
    let queue = queue(2, 10);
    let (greedy, modest) = (one_of_many("greedy"), one_of_many("modest"));
    let own = queue.enter(&greedy, soon()).await.unwrap();
    let other = queue.enter(&modest, soon()).await.unwrap();
    let spawn = |tenant: &Tenant| {
        let (queue, tenant) = (queue.clone(), tenant.clone());
        tokio::spawn(async move { queue.enter(&tenant, soon()).await.unwrap() })
    };
    let (first, second) = (spawn(&greedy), spawn(&modest));
    yield_now().await;
    check_counts(&queue, 2, 2);
    drop(other);
    let second = second.await.unwrap();
    check_counts(&queue, 2, 1);
    drop(own);
    drop((first.await.unwrap(), second));
    check_idle(&queue);
}

#[tokio::test]
async fn client_has_all_places_where_there_are_no_others() {
    let queue = queue(4, 0);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(queue.enter(&alone("a"), soon()).await.unwrap());
    }
    drop(held);
    check_idle(&queue);
}

#[tokio::test]
async fn who_waits_too_long_is_told() {
    let queue = queue(1, 1);
    let _place = queue.enter(&alone("a"), soon()).await.unwrap();
    let late = queue.enter(&alone("a"), Instant::now() + Duration::from_millis(10)).await.map(drop);
    assert!(matches!(late, Err(CallError::Busy(Full::Adapter { instances: 1 }))), "{late:?}");
    assert_eq!(queue.lock().waiting, 0);
}

#[tokio::test]
async fn who_leaves_is_passed_over() {
    let queue = queue(1, 10);
    let place = queue.enter(&alone("a"), soon()).await.unwrap();
    let spawn = |tenant| {
        let queue = queue.clone();
        tokio::spawn(async move { queue.enter(&alone(tenant), soon()).await })
    };
    let (gone, also_gone, stays) = (spawn("a"), spawn("b"), spawn("a"));
    yield_now().await;
    gone.abort();
    also_gone.abort();
    yield_now().await;
    assert_eq!(queue.lock().waiting, 1);
    drop(place);
    drop(stays.await.unwrap().unwrap());
    check_idle(&queue);
}

#[tokio::test]
async fn those_who_left_do_not_pile_up() {
    let queue = queue(1, 10);
    let _place = queue.enter(&alone("a"), soon()).await.unwrap();
    for _ in 0..100 {
        let _ = queue.enter(&alone("a"), Instant::now()).await.map(drop);
    }
    assert!(queue.lock().lines[&alone("a")].len() <= 1);
}

/// Waits in the background for a place, and keeps it until something is sent.
fn wait_for_place(
    queue: &Arc<Queue>,
    tenant: &'static str,
) -> (tokio::task::JoinHandle<Result<(), CallError>>, oneshot::Sender<()>) {
    let (give_back, told) = oneshot::channel();
    let queue = queue.clone();
    let task = tokio::spawn(async move {
        let _place = queue.enter(&alone(tenant), soon()).await?;
        let _ = told.await;
        Ok(())
    });
    (task, give_back)
}

#[track_caller]
fn check_counts(queue: &Queue, taken: usize, waiting: usize) {
    let lines = queue.lock();
    assert_eq!((lines.taken, lines.waiting), (taken, waiting));
}

#[tokio::test]
async fn queue_serves_waiting_requests_in_turn_when_it_grows() {
    let queue = queue(1, 10);
    let first = queue.enter(&alone("first"), soon()).await.unwrap();
    let mut waiting = Vec::new();
    for tenant in ["a", "a", "b"] {
        waiting.push(wait_for_place(&queue, tenant));
        yield_now().await;
    }
    check_counts(&queue, 1, 3);
    queue.set_limits(&limits(3, 10));
    yield_now().await;
    yield_now().await;
    check_counts(&queue, 3, 1);
    // One of each client: the second of `a` still waits.
    drop(first);
    yield_now().await;
    check_counts(&queue, 3, 0);
    for (task, give_back) in waiting {
        give_back.send(()).unwrap();
        task.await.unwrap().unwrap();
    }
    check_idle(&queue);
    let places = [
        queue.enter(&alone("a"), soon()).await,
        queue.enter(&alone("a"), soon()).await,
        queue.enter(&alone("a"), soon()).await,
    ];
    assert!(places.iter().all(Result::is_ok));
    assert!(queue.enter(&alone("a"), Instant::now()).await.is_err(), "there are three places");
}

#[tokio::test]
async fn queue_lets_running_requests_end_when_it_shrinks() {
    let queue = queue(3, 10);
    let mut running = Vec::new();
    for _ in 0..3 {
        running.push(queue.enter(&alone("a"), soon()).await.unwrap());
    }
    let (waiting, give_back) = wait_for_place(&queue, "b");
    yield_now().await;
    queue.set_limits(&limits(1, 0));
    check_counts(&queue, 3, 1);
    let refused = queue.enter(&alone("b"), soon()).await.map(drop);
    assert!(matches!(refused, Err(CallError::Busy(Full::Queue { waiting: 0 }))), "{refused:?}");
    // Places above the limit are not given again; the request that waits keeps its turn.
    for taken in [2, 1] {
        running.pop();
        yield_now().await;
        check_counts(&queue, taken, 1);
    }
    running.pop();
    yield_now().await;
    check_counts(&queue, 1, 0);
    give_back.send(()).unwrap();
    waiting.await.unwrap().unwrap();
    check_idle(&queue);
}

#[tokio::test]
async fn queue_loses_no_place_when_it_grows_for_requests_that_have_left() {
    let queue = queue(1, 10);
    let first = queue.enter(&alone("a"), soon()).await.unwrap();
    let (gone, _) = wait_for_place(&queue, "a");
    yield_now().await;
    gone.abort();
    queue.set_limits(&limits(2, 10));
    yield_now().await;
    yield_now().await;
    check_counts(&queue, 1, 0);
    drop(first);
    check_idle(&queue);
}

#[test]
fn queues_of_all_adapters_follow_the_limits() {
    let limits = |instances: usize| {
        let text = include_str!("../../../../policies/limits.yaml");
        let text = text.replace("instances: 256", &format!("instances: {instances}"));
        let text = text.replace("overrides: {}", "overrides: { b: { instances: 9 } }");
        Arc::new(Limits::parse("limits.yaml", text.as_bytes()).unwrap().value)
    };
    let queues = Queues::new(limits(1));
    let places = |id: &str| queues.of(&id.parse().unwrap()).lock().places;
    assert_eq!((places("a"), places("b")), (1, 9));
    queues.set_limits(limits(5));
    assert_eq!((places("a"), places("b"), places("c")), (5, 9, 5));
    assert_eq!(queues.limits().adapter(&"a".parse().unwrap()).instances, 5);
}

fn slots(pool: &Pool, queue: Arc<Queue>, weight: u32) -> Slots {
    Slots { pool: pool.clone(), queue, weight }
}

/// H5: one adapter with heavy instances, all of which hang, left no place for the others.
#[tokio::test]
async fn adapter_has_its_share_beside_others_that_take_all_common_slots() {
    let all = Arc::new(Queues::new(Arc::new(Limits::parse("l", LIMITS).unwrap().value)));
    let pool = Pool::new();
    let (heavy, light) = (all.of(&"heavy".parse().unwrap()), all.of(&"light".parse().unwrap()));
    let (heavy, light) = (slots(&pool, heavy, 8), slots(&pool, light, 1));
    let now = Duration::ZERO;
    let mut taken = Vec::new();
    while let Ok(slot) = heavy.acquire(&alone("t"), soon(), now).await {
        taken.push(slot);
    }
    assert_eq!(taken.len(), (SLOTS - (MAX_RESERVATIONS - 1) * RESERVED_SLOTS) as usize / 8);
    // One that waits for many slots holds up nobody who wants one.
    let waits = tokio::spawn({
        let heavy = heavy.clone();
        async move { heavy.acquire(&alone("t"), soon(), Duration::from_secs(5)).await.is_ok() }
    });
    yield_now().await;
    let mut own = Vec::new();
    for _ in 0..RESERVED_SLOTS {
        own.push(light.acquire(&alone("t"), soon(), now).await.unwrap());
    }
    assert!(matches!(light.acquire(&alone("t"), soon(), now).await, Err(CallError::Busy(Full::Pool))));
    drop(own.pop());
    assert!(light.acquire(&alone("t"), soon(), now).await.is_ok());
    drop(taken.pop());
    assert!(waits.await.unwrap());
}

#[test]
fn reservation_of_an_adapter_that_is_gone_is_given_to_another() {
    let all = Queues::new(Arc::new(Limits::parse("l", LIMITS).unwrap().value));
    let id = |number: u32| format!("a{number}").parse::<AdapterId>().unwrap();
    let mut held: Vec<_> = (0..MAX_RESERVATIONS).map(|number| all.of(&id(number))).collect();
    assert!(held.iter().all(|queue| queue.has_reservation()));
    let late = all.of(&id(100));
    assert!(!late.has_reservation());
    drop(held.pop());
    assert!(all.of(&id(100)).has_reservation());
    assert_eq!(all.lock().queues.values().filter(|queue| queue.has_reservation()).count(), MAX_RESERVATIONS as usize);
}

const LIMITS: &[u8] = include_bytes!("../../../../policies/limits.yaml");
