//! Work moves when it takes long, brings along what it has open, and ends with whoever waits for it.

use super::*;
use crate::consumption::SLOW;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::sleep;

fn run(aside: &Aside, consumption: &Arc<Consumption>) -> Run {
    let deadline = Instant::now() + Duration::from_secs(10);
    Run { aside: aside.handle().unwrap(), consumption: consumption.clone(), meter: Meter::new(), deadline }
}

fn here() -> String {
    thread::current().name().unwrap_or_default().to_owned()
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
            let begin = std::time::Instant::now();
            while begin.elapsed() < 3 * SLOW {
                std::hint::spin_loop();
            }
            meter.set_long();
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
        assert!(begin.elapsed() < Duration::from_secs(5));
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
