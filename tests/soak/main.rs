//! Four streams, their viewers, and a fault every ten seconds: nothing grows, nothing hangs, and the numbers add up.
//!
//! `GRADCAST_SOAK_MINUTES` [1] says for how long, `GRADCAST_SOAK_REPORT` where a report is written; `make soak` sets both.

#![allow(clippy::unwrap_used)]

#[path = "../cameras/mod.rs"]
mod cameras;
#[path = "../daemon/mod.rs"]
mod daemon;

mod faults;
mod ledger;
mod process;
mod report;
mod stage;
mod viewers;
mod watch;

use std::thread;
use std::time::{Duration, Instant};

use faults::FAULTS;
use report::{Incident, Report};
use stage::{STREAMS, Stage};

/// From the beginning of one fault to that of the next, where it is over by then.
const FAULT_EVERY: Duration = Duration::from_secs(10);
/// Memory, descriptors and threads are compared after so long: caches are full then, and every viewer is there.
const WARM_UP: Duration = Duration::from_secs(15);
/// In shorter runs one third of the time has too few faults to be compared with another.
const LONG: Duration = Duration::from_secs(300);

#[test]
fn nothing_grows_nothing_hangs_and_the_numbers_add_up() {
    let minutes: f64 = std::env::var("GRADCAST_SOAK_MINUTES").map_or(1.0, |text| text.parse().expect("minutes, as a number"));
    let span = Duration::from_secs_f64(minutes * 60.0);
    // A short run is for builds that are not optimised, on machines that have other work.
    let mut stage = Stage::set_up(if span >= LONG { 5.0 } else { 0.5 });
    let began = Instant::now();
    while began.elapsed() < WARM_UP.min(span / 4) {
        thread::sleep(Duration::from_millis(200));
        stage.check();
    }
    let mut warm = stage.watch.samples().len();
    let mut incidents = Vec::new();
    for fault in FAULTS.iter().cycle() {
        let slot = Instant::now();
        if began.elapsed() >= span {
            break;
        }
        let before: Vec<_> = STREAMS.iter().map(|stream| stage.standing(stream)).collect();
        let again = (fault.make)(&mut stage);
        for (stream, before) in STREAMS.iter().zip(before).filter(|(stream, _)| !fault.hits.contains(stream)) {
            let what = format!("{stream}, which has nothing to do with it: {}", fault.name);
            stage.daemon.wait_for(&format!("frames of {what}"), |daemon| stage::standing(daemon, stream).shown > before.shown);
            assert_eq!(stage.standing(stream).reconnects, before.reconnects, "{what}");
        }
        incidents.push(Incident { name: fault.name, again });
        while slot.elapsed() < FAULT_EVERY && began.elapsed() < span {
            thread::sleep(Duration::from_millis(200));
            stage.check();
        }
        // Each fault needs memory of its own the first time: another method's, a larger batch's.
        if span >= LONG && incidents.len() == FAULTS.len() {
            warm = stage.watch.samples().len();
        }
    }
    let samples = stage.watch.samples();
    let ended = stage.end();
    let report = Report { span: began.elapsed(), incidents, samples: samples[warm.min(samples.len())..].to_vec(), ended };
    println!("{report}");
    if let Some(path) = std::env::var_os("GRADCAST_SOAK_REPORT") {
        std::fs::write(&path, report.to_string()).expect("the report");
    }
    for account in &report.ended.accounts {
        assert_eq!(account.decoded, account.explained + account.held + account.late + account.dropped, "{account:?}");
    }
    let [memory, descriptors, threads] = report.trends();
    let share = if span >= LONG { 0.1 } else { 0.5 };
    assert!(memory.last <= memory.first * (1.0 + share), "memory grows: {memory:?}");
    assert!(memory.slope_per_hour * report.span.as_secs_f64() / 3600.0 <= memory.first * share, "memory grows: {memory:?}");
    if span >= LONG {
        assert!(descriptors.last <= descriptors.first + 10.0, "descriptors grow: {descriptors:?}");
        assert!(threads.last <= threads.first + 10.0, "threads grow: {threads:?}");
    }
}
