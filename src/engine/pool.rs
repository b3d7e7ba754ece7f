//! The worker pool. A batch is cut into parts of a few images, so that memory does not grow with it; whichever worker is free takes the
//! next.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use tch::Tensor;

use super::answer::TermSite;
use super::choice::Choice;
use super::settings::Settings;
use super::ticket::Ticket;
use crate::error::{Error, Result};
use crate::network::structure::Network;
use crate::saliency::{Explainer, Explanation, Head};

/// Images of a part: with fewer, what each step costs besides its arithmetic weighs more; with more, memory grows.
const PART_IMAGES: i64 = 4;

struct Job {
    task: Task,
    sequence: u64,
    /// (n, C, H, W).
    input: Tensor,
    times: Vec<Duration>,
    choice: Arc<Choice>,
    head: Arc<Head>,
    reply: Sender<Result<Explanation>>,
}

/// What is done with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// The whole explanation, by the first method.
    Explain,
    /// The same by the method of this index.
    ExplainBy(usize),
    /// The output alone: every other tensor of the result is empty.
    Infer,
}

/// Images that are explained together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// (N, C, H, W) row-major, already normalised.
    pub pixels: Vec<f32>,
    /// Media times of the images, N of them, for [`Choice::Hold`]; empty otherwise.
    pub times: Vec<Duration>,
}

/// A pool of workers that explain batches.
pub struct Engine {
    input_shape: Vec<usize>,
    sites: Vec<TermSite>,
    head: Arc<Head>,
    max_residual: f64,
    jobs: Option<Sender<Job>>,
    workers: Vec<JoinHandle<()>>,
    next_part: u64,
}

impl Engine {
    /// Compiles a plan for each worker and starts them.
    ///
    /// # Errors
    /// Kind::Usage where a method cannot be used on this network; Kind::Runtime from libtorch or where a thread cannot be started.
    pub fn start(network: &Network, settings: &Settings) -> Result<Self> {
        tch::set_num_threads(settings.threads_each() as i32);
        let count = settings.worker_count();
        let (jobs, queue) = bounded::<Job>(2 * count);
        let mut workers = Vec::with_capacity(count);
        let mut sites = Vec::new();
        for index in 0..count {
            let explainer = Explainer::compile(network, settings.place(), settings.attribution.clone())?;
            sites = explainer.plan().sites().iter().map(TermSite::of).collect();
            let (queue, threads) = (queue.clone(), settings.threads_each() as i32);
            let worker = thread::Builder::new().name(format!("engine-{index}")).spawn(move || {
                tch::set_num_threads(threads);
                work(&explainer, &queue);
            });
            workers.push(worker.map_err(|error| Error::runtime("cannot start a worker thread").with_source(error))?);
        }
        Ok(Engine {
            input_shape: network.input_shape().clone(),
            sites: sites.into_iter().chain(settings.head.has_bias().then(TermSite::target)).collect(),
            head: Arc::new(settings.head.clone()),
            max_residual: settings.max_residual(),
            jobs: Some(jobs),
            workers,
            next_part: 0,
        })
    }

    /// Where terms come from, the input first, the target's own last where it has one: what the terms of answers belong to.
    pub fn sites(&self) -> &[TermSite] {
        &self.sites
    }

    /// Hands a batch to the workers; blocks while they are busy with the ones before.
    ///
    /// # Errors
    /// Kind::Runtime where the workers have ended or there is no memory.
    pub fn submit(&mut self, task: Task, batch: &Batch, choice: &Arc<Choice>) -> Result<Ticket> {
        let mut size: Vec<i64> = self.input_shape.iter().map(|&size| size as i64).collect();
        size[0] = -1;
        let input = Tensor::f_from_slice(&batch.pixels)?.f_view(size.as_slice())?;
        let count = input.size()[0];
        let workers = self.workers.len() as i64;
        let parts = workers.max(count.div_euclid(PART_IMAGES)).min(count);
        let mut tickets = Vec::with_capacity(parts as usize);
        let mut first = 0;
        for part in 0..parts {
            let length = count / parts + i64::from(part < count % parts);
            let (reply, result) = bounded(1);
            let range = first as usize..(first + length) as usize;
            let part_choice = match &**choice {
                Choice::Fixed(target) => Arc::new(Choice::Fixed(target.part(range.clone()))),
                Choice::Hold(_) => choice.clone(),
            };
            let job = Job {
                task,
                sequence: self.next_part,
                input: input.f_narrow(0, first, length)?,
                times: batch.times.get(range).unwrap_or_default().to_vec(),
                choice: part_choice,
                head: self.head.clone(),
                reply,
            };
            self.next_part += 1;
            first += length;
            let jobs = self.jobs.as_ref().expect("the queue is open until the engine is dropped");
            jobs.send(job).map_err(|_| Error::runtime("the workers have ended"))?;
            tickets.push(result);
        }
        Ok(Ticket { parts: tickets, choice: choice.clone(), head: self.head.clone(), max_residual: self.max_residual })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.jobs = None;
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

fn work(explainer: &Explainer, queue: &Receiver<Job>) {
    for job in queue {
        let mut choose = |logits: &Tensor| job.choice.choose(&job.head, job.sequence, logits, &job.times);
        let result = match job.task {
            Task::Infer => explainer.infer(&job.input),
            Task::Explain => explainer.explain(&job.input, &mut choose),
            Task::ExplainBy(method) => explainer.explain_by(method, &job.input, &mut choose),
        };
        if result.is_err() {
            job.choice.skip(job.sequence);
        }
        // Nobody waits where the ticket was dropped.
        let _ = job.reply.send(result);
    }
}
