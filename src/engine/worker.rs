//! A worker: takes parts of batches from the queue, halves those for which there is no memory, and starts anew where its device fails.

use std::any::Any;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use tch::Tensor;

use super::choice::Choice;
use super::compute::Compute;
use super::meters::{Meters, Restart};
use super::pool::Task;
use super::record::{Failure, Record};
use super::ticket;
use crate::clock::Stopwatch;
use crate::error::{Error, Result};
use crate::saliency::{Explanation, Head, Launched, Target};
use crate::telemetry::SecondsCounter;

/// How often a worker is started anew before it is given up: a fault that comes again is not cured by it.
const MOST_RESTARTS: usize = 3;

/// A part of a batch.
pub(super) struct Job {
    pub task: Task,
    pub sequence: u64,
    /// (n, C, H, W).
    pub input: Tensor,
    pub times: Vec<Duration>,
    pub choice: Arc<Choice>,
    pub head: Arc<Head>,
    pub reply: Sender<Result<Explanation>>,
}

impl Job {
    /// Nobody waits where the ticket was dropped.
    fn answer(self, result: Result<Explanation>) {
        let _ = self.reply.send(result);
    }
}

impl Drop for Job {
    /// However a part ends, those behind it do not wait for its choice.
    fn drop(&mut self) {
        self.choice.skip(self.sequence);
    }
}

/// Who works, beside whom.
pub(super) struct Worker<'a> {
    /// Compiles the plan.
    pub make: &'a dyn Fn() -> Result<Box<dyn Compute>>,
    pub queue: &'a Receiver<Job>,
    pub record: &'a Record,
    /// Workers of the engine, this one among them.
    pub workers: usize,
    pub meters: &'a Meters,
    pub busy: &'a SecondsCounter,
}

impl Worker<'_> {
    /// Works until the queue is closed, or the worker has failed too often. `ready` is told when the first plan is there.
    pub fn work(&self, ready: Sender<Result<()>>) {
        let made = caught(self.make);
        let (compute, started) = match made {
            Ok(compute) => (Some(compute), Ok(())),
            Err(error) => (None, Err(error)),
        };
        // Where the engine does not wait any more, another worker could not start.
        let waited = ready.send(started).is_ok();
        drop(ready);
        let Some(compute) = compute.filter(|_| waited) else { return };
        let Err(error) = self.go_on(compute) else { return };
        if self.record.give_up(&error) == self.workers {
            // The last one stays to say so: nobody else takes what is queued.
            self.queue.iter().for_each(|job| job.answer(Err(self.record.no_worker())));
        }
    }

    /// The error for which the worker is given up.
    fn go_on(&self, mut compute: Box<dyn Compute>) -> Result<()> {
        for _ in 0..MOST_RESTARTS {
            let Some(error) = self.serve(&*compute) else { return Ok(()) };
            // What the old plan holds on the device goes first.
            drop(compute);
            self.record.count_restart();
            let panicked = error.to_string().starts_with(PANICKED);
            self.meters.count_restart(if panicked { Restart::Panic } else { Restart::Device });
            compute = caught(self.make).map_err(|error| error.at("the worker cannot be started anew"))?;
        }
        match self.serve(&*compute) {
            None => Ok(()),
            Some(error) => Err(error.at(format!("given up after {MOST_RESTARTS} restarts"))),
        }
    }

    /// Serves until the queue is closed; gives the error after which the worker is in doubt.
    fn serve(&self, compute: &dyn Compute) -> Option<Error> {
        let mut running: Option<(Job, Launched)> = None;
        loop {
            // A device is handed the next batch before this one's results are waited for.
            let next = match running {
                Some(_) => self.queue.try_recv().ok(),
                None => match self.queue.recv() {
                    Ok(job) => Some(job),
                    Err(_) => return None,
                },
            };
            let watch = Stopwatch::start();
            let next = next.map(|job| begin(compute, job, self.record));
            let mut doubt = running.take().and_then(|(job, launched)| settle(job, caught(|| launched.finish())));
            match next {
                Some(Begun::Running(job, launched)) => running = Some((job, launched)),
                Some(Begun::Done(job, result)) => doubt = doubt.or(settle(job, result)),
                None => {}
            }
            self.busy.add(watch.elapsed());
            if doubt.is_some() {
                if let Some((job, launched)) = running.take() {
                    settle(job, caught(|| launched.finish()));
                }
                return doubt;
            }
        }
    }
}

enum Begun {
    Running(Job, Launched),
    Done(Job, Result<Explanation>),
}

fn begin(compute: &dyn Compute, job: Job, record: &Record) -> Begun {
    let mut chosen = None;
    let launched = caught(|| {
        compute.begin(job.task, &job.input, &mut |logits| {
            let target = job.choice.choose(&job.head, job.sequence, logits, &job.times)?;
            chosen = Some(target.clone());
            Ok(target)
        })
    });
    match launched {
        Ok(launched) if launched.is_done() => {
            let result = caught(|| launched.finish());
            Begun::Done(job, result)
        }
        Ok(launched) => Begun::Running(job, launched),
        Err(error) if Failure::of(&error) == Failure::OutOfMemory => {
            record.count_out_of_memory();
            let result = caught(|| in_pieces(compute, &job, chosen, error, record));
            Begun::Done(job, result)
        }
        Err(error) => Begun::Done(job, Err(error)),
    }
}

/// Replies; gives what puts the worker in doubt.
fn settle(job: Job, result: Result<Explanation>) -> Option<Error> {
    let doubt = result.as_ref().err().filter(|error| Failure::of(error) == Failure::Device || error.to_string().starts_with(PANICKED));
    let doubt = doubt.map(|error| Error::runtime(error.to_string()));
    job.answer(result);
    doubt
}

/// A part for which there was no memory, in halves, and halves of halves where they do not fit either. What is explained is chosen once
/// for the part, as without halving: a choice may look back at the frames before.
fn in_pieces(compute: &dyn Compute, job: &Job, chosen: Option<Target>, error: Error, record: &Record) -> Result<Explanation> {
    let count = job.input.size()[0];
    if count == 1 {
        return Err(single(error));
    }
    if job.task == Task::Infer {
        return ticket::join(halved(count, record, &mut |range| infer(compute, job, range))?);
    }
    let target = match chosen {
        Some(target) => target,
        None => {
            let logits = halved(count, record, &mut |range| infer(compute, job, range))?;
            let logits: Vec<Tensor> = logits.into_iter().map(|part| part.logits).collect();
            job.choice.choose(&job.head, job.sequence, &Tensor::f_cat(&logits, 0)?, &job.times)?
        }
    };
    ticket::join(halved(count, record, &mut |range| {
        let target = target.part(range.start as usize..range.end as usize);
        compute.run(job.task, &images(job, range)?, &mut |_| Ok(target.clone()))
    })?)
}

fn images(job: &Job, range: Range<i64>) -> Result<Tensor> {
    Ok(job.input.f_narrow(0, range.start, range.end - range.start)?)
}

fn infer(compute: &dyn Compute, job: &Job, range: Range<i64>) -> Result<Explanation> {
    compute.run(Task::Infer, &images(job, range)?, &mut |_| Err(Error::runtime("nothing is explained")))
}

/// Runs `act` on pieces of `count` images, in order, from halves on down to single ones; the largest size that fits is remembered.
fn halved(count: i64, record: &Record, act: &mut dyn FnMut(Range<i64>) -> Result<Explanation>) -> Result<Vec<Explanation>> {
    let mut length = (count + 1) / 2;
    let (mut first, mut done) = (0, Vec::new());
    while first < count {
        match act(first..(first + length).min(count)) {
            Ok(part) => {
                first += length;
                done.push(part);
            }
            Err(error) if Failure::of(&error) == Failure::OutOfMemory => {
                record.count_out_of_memory();
                if length == 1 {
                    return Err(single(error));
                }
                length = (length + 1) / 2;
            }
            Err(error) => return Err(error),
        }
    }
    record.limit(length);
    Ok(done)
}

fn single(error: Error) -> Error {
    error.at("there is no memory for a single image: give a smaller --input-size, or fewer --workers")
}

const PANICKED: &str = "a worker panicked";

/// The result, a panic as an error. A build that ends the process on a panic does so here too.
fn caught<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|payload| Err(Error::runtime(format!("{PANICKED}: {}", words(&*payload)))))
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".to_owned())
}

#[cfg(test)]
pub(crate) mod tests;
