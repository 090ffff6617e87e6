//! Work moves when it takes long, brings along what it has open, and ends with whoever waits for it.

use super::*;
use crate::engine::TICK;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::sleep;

fn run(aside: &Aside, consumption: &Arc<Consumption>) -> Run {
    // A busy machine leaves these threads little.
    let deadline = Instant::now() + Duration::from_secs(60);
    Run { aside: aside.handle().unwrap(), consumption: consumption.clone(), meter: Meter::new(), deadline }
}

fn here() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

/// Computes for so long in this poll.
fn compute(meter: &Meter, time: Duration) {
    meter.tick();
    while meter.running() < time {
        std::hint::spin_loop();
    }
}

#[tokio::test]
async fn what_takes_long_moves_and_what_is_quick_stays() {
    let (aside, consumption) = (Aside::start().unwrap(), Arc::<Consumption>::default());
    let own = here();
    let quick = run(&aside, &consumption);
    let places = quick.run(async { (here(), yield_now().await, here()) }).await.unwrap();
    assert_eq!((places.0, places.2), (own.clone(), own.clone()));

    let slow = run(&aside, &consumption);
    let meter = slow.meter.clone();
    let places = slow
        .run(async move {
            let before = here();
            compute(&meter, 2 * TICK);
            yield_now().await;
            let after = here();
            // The clock is the one of the runtime that it comes from, and so would be its sockets.
            sleep(Duration::from_millis(5)).await;
            tokio::spawn(async move { (before, after, here()) }).await.unwrap()
        })
        .await
        .unwrap();
    assert_eq!((places.0, places.1.as_str(), places.2), (own.clone(), "hauski-aside", own.clone()));

    // For a while its adapter begins there; when it has been quick for long enough, it is at home again.
    let mut calls = 0;
    while run(&aside, &consumption).run(async { here() }).await.unwrap() == "hauski-aside" {
        calls += 1;
    }
    assert_eq!(calls, 16);
}

#[tokio::test]
async fn pieces_that_nobody_waits_for_move_as_well() {
    let (aside, consumption, meter) = (Aside::start().unwrap(), Arc::<Consumption>::default(), Meter::new());
    let piece = || {
        let piece = Run { meter: meter.clone(), ..run(&aside, &consumption) };
        let meter = meter.clone();
        piece.run(async move {
            compute(&meter, TICK / 3);
            here()
        })
    };
    let mut at_home = 0;
    while piece().await.unwrap() != "hauski-aside" {
        at_home += 1;
        assert!(at_home < 10);
    }
    assert!(at_home > 2, "{at_home}");
    assert!(consumption.is_slow());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_has_moved_runs_when_nobody_else_wants_to() {
    use thread_priority::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, thread_schedule_policy};
    let (aside, consumption) = (Aside::start().unwrap(), Arc::<Consumption>::default());
    let home = run(&aside, &consumption).run(async { thread_schedule_policy() }).await.unwrap();
    consumption.note_speed(SLOW);
    let moved = run(&aside, &consumption).run(async { thread_schedule_policy() }).await.unwrap();
    let policies = [home, moved].map(|policy| policy.unwrap());
    let expected = [NormalThreadSchedulePolicy::Other, NormalThreadSchedulePolicy::Idle];
    assert_eq!(policies, expected.map(ThreadSchedulePolicy::Normal));
}

#[tokio::test]
async fn what_nobody_waited_for_was_slow_as_well() {
    let (aside, consumption) = (Aside::start().unwrap(), Arc::<Consumption>::default());
    let slow = run(&aside, &consumption);
    let meter = slow.meter.clone();
    let forever = slow.run(async move {
        loop {
            compute(&meter, 2 * TICK);
            yield_now().await;
        }
    });
    let given_up: Result<Option<()>, _> = tokio::time::timeout(Duration::from_millis(50), forever).await;
    assert!(given_up.is_err());
    assert!(consumption.is_slow());
}

#[tokio::test]
async fn what_nobody_waits_for_ends() {
    struct Ends(Arc<AtomicBool>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    let (aside, consumption, ended) = (Aside::start().unwrap(), Arc::<Consumption>::default(), Arc::default());
    consumption.note_speed(SLOW);
    let ends = Ends(Arc::clone(&ended));
    let forever = run(&aside, &consumption).run(async move {
        let _ends = ends;
        loop {
            yield_now().await;
        }
    });
    let given_up: Result<Option<()>, _> = tokio::time::timeout(Duration::from_millis(50), forever).await;
    assert!(given_up.is_err());
    let begin = Instant::now();
    while !ended.load(SeqCst) {
        assert!(begin.elapsed() < Duration::from_secs(60));
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn the_deadline_holds_there_too() {
    let (aside, consumption) = (Aside::start().unwrap(), Arc::<Consumption>::default());
    for is_slow in [false, true] {
        if is_slow {
            consumption.note_speed(SLOW);
        }
        let short = Run { deadline: Instant::now() + Duration::from_millis(50), ..run(&aside, &consumption) };
        assert_eq!(short.run(std::future::pending::<()>()).await, None, "{is_slow}");
    }
}

#[tokio::test]
async fn a_panic_is_its_callers() {
    let (aside, consumption) = (Aside::start().unwrap(), Arc::<Consumption>::default());
    consumption.note_speed(SLOW);
    let run = run(&aside, &consumption);
    let failed = tokio::spawn(run.run(async {
        let broken: Mutex<Option<u8>> = Mutex::default();
        broken.lock().unwrap().expect("a number")
    }));
    assert!(failed.await.unwrap_err().is_panic());
}
