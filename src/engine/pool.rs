//! The worker pool. A batch is cut into parts of a few images, so that memory does not grow with it; whichever worker is free takes the
//! next.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use tch::Device;

use super::answer::TermSite;
use super::choice::Choice;
use super::compute::{Compute, OnDevice, images};
use super::devices::Devices;
use super::meters::Meters;
use super::record::Record;
use super::settings::Settings;
use super::ticket::Ticket;
use super::worker::{Job, Worker};
use crate::error::{Error, Result};
use crate::network::blocks;
use crate::network::op::Place;
use crate::network::plan;
use crate::network::structure::Network;
use crate::saliency::{Explainer, Head};

/// Images of a part: with fewer, what each step costs besides its arithmetic weighs more; with more, memory grows.
const PART_IMAGES: i64 = 4;

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

impl Task {
    /// Index of the method.
    fn method(self) -> usize {
        match self {
            Task::Explain | Task::Infer => 0,
            Task::ExplainBy(method) => method,
        }
    }
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
    max_residuals: Vec<f64>,
    devices: Devices,
    jobs: Option<Sender<Job>>,
    workers: Vec<JoinHandle<()>>,
    record: Arc<Record>,
    next_part: u64,
}

impl Engine {
    /// Starts the workers, each of which compiles a plan.
    ///
    /// # Errors
    /// Kind::Usage where a method cannot be used on this network; Kind::Runtime from libtorch or where a thread cannot be started.
    pub fn start(network: &Network, settings: &Settings) -> Result<Self> {
        Engine::metered(network, settings, &Meters::unregistered())
    }

    /// As [`Engine::start`]; the workers' times and restarts are metered.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn metered(network: &Network, settings: &Settings, meters: &Meters) -> Result<Self> {
        let sites = plan::sites(network).iter().map(TermSite::of).chain(settings.head.has_bias().then(TermSite::target)).collect();
        let (input_shape, attribution) = (network.input_shape().clone(), settings.attribution.clone());
        // Constants are shared.
        let network = Arc::new(network.clone());
        let make = move |place: Place| -> Result<Box<dyn Compute>> {
            let explainer = || Explainer::compile(&network, place, attribution.clone());
            match place.device {
                Device::Cuda(number) => Ok(Box::new(OnDevice::new(number, explainer)?)),
                _ => Ok(Box::new(explainer()?)),
            }
        };
        let mut engine = Engine::with(make, &input_shape, settings, meters)?;
        engine.sites = sites;
        Ok(engine)
    }

    /// As [`Engine::start`] with workers of another make, of which no sites are known.
    pub(super) fn with<M>(make: M, input_shape: &[usize], settings: &Settings, meters: &Meters) -> Result<Self>
    where
        M: Fn(Place) -> Result<Box<dyn Compute>> + Clone + Send + 'static,
    {
        let threads = settings.threads_each() as i32;
        tch::set_num_threads(threads);
        let places = settings.places();
        let record = Arc::new(Record::default());
        let count = places.len();
        let (jobs, queue) = bounded::<Job>(2 * count);
        let (ready, started) = bounded(count);
        let mut workers = Vec::with_capacity(count);
        for (index, place) in places.into_iter().enumerate() {
            let (make, queue, record, ready) = (make.clone(), queue.clone(), record.clone(), ready.clone());
            let (meters, busy) = (meters.clone(), meters.busy.with(&[&index.to_string()]));
            let worker = thread::Builder::new().name(format!("engine-{index}")).spawn(move || {
                tch::set_num_threads(threads);
                Worker { make: &|| make(place), queue: &queue, record: &record, workers: count, meters: &meters, busy: &busy }.work(ready);
            });
            workers.push(worker.map_err(|error| Error::runtime("cannot start a worker thread").with_source(error))?);
        }
        drop(ready);
        started.iter().collect::<Result<()>>()?;
        // Batches need other blocks than compiling did.
        blocks::release();
        Ok(Engine {
            input_shape: input_shape.to_vec(),
            sites: Vec::new(),
            head: Arc::new(settings.head.clone()),
            max_residuals: settings.max_residuals(),
            devices: settings.devices.clone(),
            jobs: Some(jobs),
            workers,
            record,
            next_part: 0,
        })
    }

    /// Where terms come from, the input first, the target's own last where it has one: what the terms of answers belong to.
    pub fn sites(&self) -> &[TermSite] {
        &self.sites
    }

    /// Workers in all.
    pub fn worker_count(&self) -> usize {
        self.workers.len()
    }

    /// Whether every worker has been given up: nothing is explained any more.
    pub fn is_dead(&self) -> bool {
        self.record.given_up() == self.workers.len()
    }

    /// How the workers fare; it stays when the engine has ended.
    pub fn record(&self) -> Arc<Record> {
        self.record.clone()
    }

    /// Hands a batch to the workers; blocks while they are busy with the ones before.
    ///
    /// # Errors
    /// Kind::Runtime where the workers have ended or there is no memory.
    pub fn submit(&mut self, task: Task, batch: &Batch, choice: &Arc<Choice>) -> Result<Ticket> {
        let mut size: Vec<i64> = self.input_shape.iter().map(|&size| size as i64).collect();
        size[0] = -1;
        let input = images(&batch.pixels, &self.devices)?.f_view(size.as_slice())?;
        let count = input.size()[0];
        let parts = parts(count, self.workers.len(), &self.devices, self.record.most_images());
        let mut tickets = Vec::with_capacity(parts as usize);
        let mut first = 0;
        for part in 0..parts {
            let length = count / parts + i64::from(part < count % parts);
            let (reply, result) = bounded(1);
            let range = first as usize..(first + length) as usize;
            let job = Job {
                task,
                sequence: self.next_part,
                input: input.f_narrow(0, first, length)?,
                times: batch.times.get(range.clone()).unwrap_or_default().to_vec(),
                choice: choice.part(range),
                head: self.head.clone(),
                reply,
            };
            self.next_part += 1;
            first += length;
            let jobs = self.jobs.as_ref().expect("the queue is open until the engine is dropped");
            jobs.send(job).map_err(|_| self.record.no_worker())?;
            tickets.push(result);
        }
        Ok(Ticket {
            parts: tickets,
            choice: choice.clone(),
            head: self.head.clone(),
            max_residual: self.max_residuals[task.method()],
            record: self.record.clone(),
        })
    }
}

/// Parts of a batch of so many images. On the processor every worker gets some; a device takes the batch whole, since it has much to do
/// at a time and memory of its own. Neither gets more than `most`, what was found to fit.
pub(super) fn parts(count: i64, workers: usize, devices: &Devices, most: i64) -> i64 {
    let wanted = match devices {
        Devices::Cpu => (workers as i64).max(count / PART_IMAGES),
        Devices::Cuda(_) => 1,
    };
    let fitting = (count - 1) / most + 1;
    wanted.max(fitting).min(count)
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.jobs = None;
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_cut_for_workers_and_memory() {
        let cpu = |count, most| parts(count, 2, &Devices::Cpu, most);
        assert_eq!([1, 2, 7, 8, 32].map(|count| cpu(count, i64::MAX)), [1, 2, 2, 2, 8]);
        assert_eq!([1, 7, 8, 32].map(|count| cpu(count, 3)), [1, 3, 3, 11]);
        assert_eq!(cpu(5, 1), 5);
        let cuda = |count, most| parts(count, 2, &Devices::Cuda(vec![0]), most);
        assert_eq!([cuda(64, i64::MAX), cuda(64, 16), cuda(65, 16)], [1, 4, 5]);
    }
}
