//! Looks at the daemon once a second, whatever happens to it meanwhile.

use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::process::{Reading, reading};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// An answer that takes longer counts as a deadlock.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// Frames of a stream that are on their way at most: those that wait for the stream, for the engine and for the encoder,
/// and those of sources and outputs that are being taken down.
const ON_THEIR_WAY: u64 = 3 + 32 + 2 + 8;

#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub at: Duration,
    pub reading: Reading,
    /// Of all streams that are there.
    pub explained: u64,
}

/// A thread that looks.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    samples: Vec<Sample>,
    slowest: Duration,
    fault: Option<String>,
}

impl Watch {
    pub fn start(pid: u32, http_port: u16) -> Watch {
        let seen = Arc::<Mutex<Seen>>::default();
        let (stop, stopped) = mpsc::channel();
        let writes = Arc::clone(&seen);
        let began = Instant::now();
        let settings = ureq::Agent::config_builder().timeout_global(Some(ANSWERS_WITHIN));
        let agent: ureq::Agent = settings.build().into();
        let look = move || {
            while stopped.recv_timeout(EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                let asked = Instant::now();
                let answer = agent.get(format!("http://127.0.0.1:{http_port}/api/v1/streams")).call();
                let took = asked.elapsed();
                let states = answer
                    .map_err(|error| error.to_string())
                    .and_then(|mut answer| answer.body_mut().read_json::<Value>().map_err(|error| error.to_string()));
                let mut seen = writes.lock().unwrap();
                seen.slowest = seen.slowest.max(took);
                match states.and_then(|states| explained(&states)) {
                    Ok(explained) => seen.samples.push(Sample { at: began.elapsed(), reading: reading(pid), explained }),
                    Err(fault) => drop(seen.fault.get_or_insert(fault)),
                }
            }
        };
        let thread = thread::Builder::new().name("watch".into()).spawn(look).unwrap();
        Watch { seen, stop: Some(stop), thread: Some(thread) }
    }

    /// Fails where something was wrong.
    pub fn check(&self) {
        let fault = self.seen.lock().unwrap().fault.clone();
        assert_eq!(fault, None);
    }

    pub fn samples(&self) -> Vec<Sample> {
        self.seen.lock().unwrap().samples.clone()
    }

    /// How long the slowest answer took.
    pub fn end(&mut self) -> Duration {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.check();
        self.seen.lock().unwrap().slowest
    }
}

/// Explained frames of all streams, if what became of each stream's frames adds up.
fn explained(states: &Value) -> Result<u64, String> {
    let states = states.as_array().ok_or_else(|| format!("no list of streams: {states}"))?;
    let mut sum = 0;
    for state in states {
        let frames = &state["frames"];
        let count = |key: &str| frames[key].as_u64().unwrap_or(0);
        let dropped: u64 = frames["dropped"].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum();
        let known = count("explained") + count("held") + count("late") + dropped;
        match count("decoded").checked_sub(known) {
            Some(0..=ON_THEIR_WAY) => sum += count("explained"),
            _ => return Err(format!("{} decoded, and {known} accounted for: {}", count("decoded"), state["name"])),
        }
    }
    Ok(sum)
}
