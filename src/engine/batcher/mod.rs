//! One engine for many streams: images of all of them are put into batches, and answers go back to whose image it was.

mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::answer::FrameAnswer;
use super::choice::Choice;
use super::meters::{Meters, Restart};
use super::pool::{Batch, Engine, Task};
use super::ticket::Ticket;
use crate::clock::{Clock, pause};
use crate::error::{Error, Result};
use waiting::Waiting;

/// Waits before an engine that failed is started again: the first, and the longest.
const RESTART_WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long a batch that the workers have is waited for at the end.
const END_WITHIN: Duration = Duration::from_secs(10);
/// Batches that the workers have at a time where one would keep them busy: the next is there when one is done.
const BATCHES_AHEAD: usize = 2;

/// How batches are made.
#[derive(Debug, Clone, Copy)]
pub struct BatchSettings {
    /// Images of a batch, at most.
    pub max_batch: usize,
    /// How long the oldest image of a batch waits for others.
    pub max_wait: Duration,
}

/// An image to be explained.
#[derive(Debug)]
pub struct Request {
    /// The stream's own number for it; answers carry it.
    pub id: u64,
    /// (C, H, W) row-major, already normalised.
    pub pixels: Vec<f32>,
    /// Media time, for [`Choice::Hold`].
    pub time: Duration,
    /// Index of the method.
    pub method: usize,
    /// What is explained.
    pub choice: Arc<Choice>,
}

/// What became of a request.
#[derive(Debug)]
pub struct Reply {
    /// See [`Request::id`].
    pub id: u64,
    /// The answer, or why there is none.
    pub answer: Result<FrameAnswer>,
}

/// Makes an engine, also anew after one that has lost all its workers.
pub type MakeEngine = Box<dyn Fn() -> Result<Engine> + Send>;

/// The batches of one engine. Dropping it ends the engine; one that hangs is left behind.
pub struct Batcher {
    shared: Arc<Shared>,
    stop: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
    /// Closed when the threads are through.
    done: Receiver<()>,
}

/// A stream's end of a batcher.
pub struct Client {
    shared: Arc<Shared>,
    key: u64,
    replies: Sender<Reply>,
    answers: Receiver<Reply>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    clock: Clock,
    settings: BatchSettings,
    meters: Meters,
    /// Batches that were answered, for who watches that the engine turns.
    turns: AtomicU64,
    alive: AtomicBool,
}

#[derive(Default)]
struct State {
    waiting: Waiting<Waiter>,
    images_away: usize,
    batches_away: usize,
    workers: usize,
    ended: bool,
}

struct Waiter {
    request: Request,
    reply: Sender<Reply>,
}

/// A batch that the workers have.
struct Away {
    ticket: Result<Ticket>,
    waiters: Vec<(u64, Sender<Reply>)>,
}

impl Batcher {
    /// Makes the first engine and starts.
    ///
    /// # Errors
    /// Those of `make`; Kind::Runtime where a thread cannot be started.
    pub fn start(make: MakeEngine, settings: BatchSettings, clock: &Clock, meters: &Meters) -> Result<Self> {
        let engine = make()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State { workers: engine.worker_count(), ..State::default() }),
            changed: Condvar::new(),
            clock: clock.clone(),
            settings,
            meters: meters.clone(),
            turns: AtomicU64::new(0),
            alive: AtomicBool::new(true),
        });
        let (stop, stopped) = bounded(0);
        let (away, coming) = unbounded();
        let (gathers, answers) = (Arc::clone(&shared), Arc::clone(&shared));
        let (through, done) = bounded::<()>(0);
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let through = through.clone();
            let body = move || {
                work();
                drop(through);
            };
            let spawned = thread::Builder::new().name(name.to_owned()).spawn(body);
            spawned.map_err(|error| Error::runtime("cannot start a thread of the engine").with_source(error))
        };
        let threads = vec![
            spawn("engine-batches", Box::new(move || Gatherer { shared: gathers, make, away, stopped }.run(engine)))?,
            spawn("engine-answers", Box::new(move || answers.hand_out(&coming)))?,
        ];
        Ok(Batcher { shared, stop: Some(stop), threads, done })
    }

    /// One more stream. `lossless`: its images all wait until they have their turn; of others only the newest does.
    pub fn client(&self, lossless: bool) -> Client {
        let key = self.shared.lock().waiting.add(lossless);
        let (replies, answers) = unbounded();
        Client { shared: Arc::clone(&self.shared), key, replies, answers }
    }

    /// How many batches were answered so far, and whether anything waits for one: an engine that has work and answers nothing hangs.
    pub fn pulse(&self) -> (u64, bool) {
        let state = self.shared.lock();
        (self.shared.turns.load(Ordering::SeqCst), state.waiting.len() > 0 || state.batches_away > 0)
    }

    /// Whether there is an engine that explains; not while a new one is made.
    pub fn is_turning(&self) -> bool {
        self.shared.alive.load(Ordering::SeqCst)
    }
}

impl Drop for Batcher {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
        self.stop = None;
        // Nothing is ever sent.
        if self.done.recv_timeout(END_WITHIN) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the engine hangs and is left behind");
            return;
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Client {
    /// Hands an image over. Of a live stream an image that waits still gives way: its number comes back, and no reply will come for it.
    /// Never waits: a lossless stream bounds what it offers by itself.
    pub fn offer(&self, request: Request) -> Option<u64> {
        let mut state = self.shared.lock();
        let waiter = Waiter { request, reply: self.replies.clone() };
        let gave_way = state.waiting.offer(self.key, waiter, self.shared.clock.now());
        self.shared.measure(&state);
        drop(state);
        self.shared.changed.notify_all();
        gave_way.map(|waiter| waiter.request.id)
    }

    /// Where replies come, in no particular order.
    pub fn replies(&self) -> &Receiver<Reply> {
        &self.answers
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.waiting.remove(self.key);
        self.shared.measure(&state);
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn measure(&self, state: &State) {
        self.meters.waiting.set(state.waiting.len() as f64);
    }

    /// The next batch, when it is full or its oldest image has waited long enough, and the workers have room. `None` at the end.
    fn gather(&self) -> Option<Vec<Waiter>> {
        let BatchSettings { max_batch, max_wait } = self.settings;
        let mut state = self.lock();
        loop {
            if state.ended {
                return None;
            }
            let room = state.images_away < state.workers || state.batches_away < BATCHES_AHEAD;
            let now = self.clock.now();
            let wait = match state.waiting.oldest() {
                Some(came) if room => (came + max_wait).saturating_sub(now),
                // Something else has to happen first.
                _ => Duration::MAX,
            };
            if wait.is_zero() || (wait < Duration::MAX && state.waiting.is_full(max_batch, max_wait, now)) {
                let waited = now.saturating_sub(state.waiting.oldest().unwrap_or(now));
                let batch = state.waiting.take(max_batch);
                state.images_away += batch.len();
                self.measure(&state);
                self.meters.batch_size.observe(batch.len() as f64);
                self.meters.batch_wait.observe_span(waited);
                return Some(batch);
            }
            state = match wait {
                Duration::MAX => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                wait => self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// Waits for batches in the order in which they went, and gives each image's answer to whose it is.
    fn hand_out(&self, coming: &Receiver<Away>) {
        for Away { ticket, waiters } in coming {
            let count = waiters.len();
            match ticket.and_then(Ticket::frames) {
                Ok((answers, timing)) => {
                    self.meters.forward.observe_span(timing.forward);
                    self.meters.adjoint.observe_span(timing.adjoint);
                    // A stream that has gone takes no reply.
                    waiters.into_iter().zip(answers).for_each(|((id, reply), answer)| drop(reply.send(Reply { id, answer: Ok(answer) })));
                }
                Err(error) => {
                    let text = error.to_string();
                    for (id, reply) in waiters {
                        let _ = reply.send(Reply { id, answer: Err(Error::new(error.kind(), text.clone())) });
                    }
                }
            }
            self.turns.fetch_add(1, Ordering::SeqCst);
            let mut state = self.lock();
            state.images_away -= count;
            state.batches_away -= 1;
            drop(state);
            self.changed.notify_all();
        }
    }
}

/// Puts images into batches and hands them to the engine, a new one where it has lost its workers.
struct Gatherer {
    shared: Arc<Shared>,
    make: MakeEngine,
    away: Sender<Away>,
    stopped: Receiver<()>,
}

impl Gatherer {
    fn run(self, engine: Engine) {
        let mut engine = engine;
        while let Some(waiters) = self.shared.gather() {
            for (method, group) in by_method(waiters) {
                self.submit(&mut engine, method, group);
            }
            if engine.is_dead() {
                self.shared.alive.store(false, Ordering::SeqCst);
                drop(engine);
                let Some(new) = self.make_anew() else { return };
                engine = new;
                self.shared.alive.store(true, Ordering::SeqCst);
            }
        }
    }

    fn submit(&self, engine: &mut Engine, method: usize, group: Vec<Waiter>) {
        let mut batch = Batch::default();
        let (mut choices, mut waiters) = (Vec::new(), Vec::new());
        for Waiter { request, reply } in group {
            batch.pixels.extend_from_slice(&request.pixels);
            batch.times.push(request.time);
            let turn = request.choice.turn();
            choices.push((request.choice, turn));
            waiters.push((request.id, reply));
        }
        self.shared.lock().batches_away += 1;
        let choice = Arc::new(Choice::Each(choices));
        let ticket = engine.submit(Task::ExplainBy(method), &batch, &choice);
        if ticket.is_err() {
            choice.skip(0);
        }
        // The other thread lives as long as this one.
        let _ = self.away.send(Away { ticket, waiters });
    }

    /// `None` at the end.
    fn make_anew(&self) -> Option<Engine> {
        let (mut wait, longest) = RESTART_WAITS;
        loop {
            tracing::error!(wait_seconds = wait.as_secs(), "the engine has lost all its workers and is started anew");
            if !pause(wait, &self.stopped) {
                return None;
            }
            self.shared.meters.count_restart(Restart::Engine);
            match (self.make)() {
                Ok(engine) => return Some(engine),
                Err(error) => tracing::error!("the engine cannot be started: {error}"),
            }
            wait = (wait * 2).min(longest);
        }
    }
}

/// One batch a method, in order.
fn by_method(waiters: Vec<Waiter>) -> Vec<(usize, Vec<Waiter>)> {
    let mut groups: Vec<(usize, Vec<Waiter>)> = Vec::new();
    for waiter in waiters {
        let method = waiter.request.method;
        match groups.iter_mut().find(|(known, _)| *known == method) {
            Some((_, group)) => group.push(waiter),
            None => groups.push((method, vec![waiter])),
        }
    }
    groups
}

#[cfg(test)]
mod tests;
