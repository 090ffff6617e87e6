//! Work moves when it takes long, brings along what it has open, and ends with whoever waits for it.

use super::*;
use crate::consumption::SLOW;
use crate::engine::TICK;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::sleep;

/// The run of a request of its own.
fn run(aside: &Aside, consumption: &Arc<Consumption>) -> Run {
    // A busy machine leaves these threads little.
    let deadline = Instant::now() + Duration::from_secs(60);
    let (consumption, meter) = (consumption.clone(), Meter::new(consumption.clone()));
    Run { aside: aside.places(), consumption, meter, deadline, cpu: Duration::MAX }
}

/// What an adapter has done that is slow.
fn slow() -> Arc<Consumption> {
    let consumption = Arc::<Consumption>::default();
    (0..SLOW).for_each(|_| consumption.note_speed(true));
    consumption
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

/// At a stop the threads end before the requests: the deadline ends these.
#[tokio::test]
async fn call_ends_at_its_deadline_when_the_threads_are_gone() {
    let (aside, consumption) = (Aside::start().unwrap(), slow());
    let run = Run { deadline: Instant::now() + Duration::from_millis(200), ..run(&aside, &consumption) };
    drop(aside);
    assert!(run.run(std::future::pending::<()>()).await.is_none());
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
}

#[tokio::test]
async fn an_adapter_begins_aside_while_it_is_slow_each_time() {
    let (aside, consumption) = (Aside::start().unwrap(), Arc::<Consumption>::default());
    let request = async |is_slow: bool| {
        let run = run(&aside, &consumption);
        let meter = run.meter.clone();
        let work = async move {
            let begun = here();
            if is_slow {
                compute(&meter, 2 * TICK);
                yield_now().await;
            }
            begun == "hauski-aside"
        };
        let began_aside = run.run(work).await.unwrap();
        // What it has left behind is gone a moment later.
        sleep(Duration::from_millis(20)).await;
        began_aside
    };
    // A large request among small ones.
    for is_slow in [true, true, false, true, true, false] {
        assert!(!request(is_slow).await);
    }
    for began_aside in [false, false, false, true, true] {
        assert_eq!(request(true).await, began_aside);
    }
    // One that is quick is enough.
    assert_eq!((request(false).await, request(false).await), (true, false));
}

#[tokio::test]
async fn pieces_that_nobody_waits_for_move_as_well() {
    let (aside, consumption) = (Aside::start().unwrap(), Arc::<Consumption>::default());
    let meter = Meter::new(consumption.clone());
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
}

/// A core is left to those who are quick, and no other program goes first.
#[tokio::test]
async fn pool_has_a_thread_less_than_cores_and_the_priority_of_any_program() {
    let (aside, consumption) = (Aside::start().unwrap(), slow());
    let nice = || rustix::process::getpriority_process(None).unwrap();
    let cores = thread::available_parallelism().unwrap().get();
    let seen = (0..8 * cores).map(|_| {
        let slow = run(&aside, &consumption);
        let meter = slow.meter.clone();
        tokio::spawn(slow.run(async move {
            compute(&meter, 2 * TICK);
            yield_now().await;
            (thread::current().id(), nice())
        }))
    });
    let mut threads = std::collections::HashSet::new();
    for one in seen.collect::<Vec<_>>() {
        let (thread, its_nice) = one.await.unwrap().unwrap();
        threads.insert(thread);
        assert_eq!(its_nice, nice());
    }
    assert!((1..=(cores - 1).max(1)).contains(&threads.len()), "{} threads", threads.len());
}

#[tokio::test]
async fn what_nobody_waited_for_was_slow_as_well() {
    let (aside, consumption) = (Aside::start().unwrap(), Arc::<Consumption>::default());
    for _ in 0..SLOW {
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
    }
    let begin = Instant::now();
    while !consumption.is_slow() {
        assert!(begin.elapsed() < Duration::from_secs(60));
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn what_nobody_waits_for_ends() {
    struct Ends(Arc<AtomicBool>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    let (aside, consumption, ended) = (Aside::start().unwrap(), slow(), Arc::default());
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
    let aside = Aside::start().unwrap();
    for consumption in [Arc::default(), slow()] {
        let short = Run { deadline: Instant::now() + Duration::from_millis(50), ..run(&aside, &consumption) };
        assert_eq!(short.run(std::future::pending::<()>()).await, None);
    }
}

#[tokio::test]
async fn a_panic_is_its_callers() {
    let (aside, consumption) = (Aside::start().unwrap(), slow());
    let run = run(&aside, &consumption);
    let failed = tokio::spawn(run.run(async {
        let broken: Mutex<Option<u8>> = Mutex::default();
        broken.lock().unwrap().expect("a number")
    }));
    assert!(failed.await.unwrap_err().is_panic());
}
