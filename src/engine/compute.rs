//! What a worker computes with: on the processor a batch is done when the call returns, on a device it is under way.

use tch::Tensor;

use super::devices::Devices;
use super::pool::Task;
use crate::error::Result;
use crate::network::device::{self, Event, Stream};
use crate::saliency::{Explainer, Explanation, Launched, Target};

/// Chooses what is explained when the logits are known.
pub(super) type Choose<'a> = &'a mut dyn FnMut(&Tensor) -> Result<Target>;

/// A worker's own plan on its own device.
pub(super) trait Compute {
    /// Begins with images (n, C, H, W).
    fn begin(&self, task: Task, input: &Tensor, choose: Choose) -> Result<Launched>;

    /// Both steps at once.
    fn run(&self, task: Task, input: &Tensor, choose: Choose) -> Result<Explanation> {
        self.begin(task, input, choose)?.finish()
    }
}

impl Compute for Explainer {
    fn begin(&self, task: Task, input: &Tensor, choose: Choose) -> Result<Launched> {
        match task {
            Task::Infer => self.launch_inference(input),
            Task::Explain => self.launch_by(0, input, choose),
            Task::ExplainBy(method) => self.launch_by(method, input, choose),
        }
    }
}

/// An explainer on a CUDA device, with a stream to compute in and one to bring images in by: those of the next batch come while this one
/// is computed.
pub(super) struct OnDevice {
    explainer: Explainer,
    device: usize,
    computing: Stream,
    bringing: Stream,
}

impl OnDevice {
    /// Takes the calling thread to the device; `make` compiles the plan there.
    pub fn new(device: usize, make: impl FnOnce() -> Result<Explainer>) -> Result<Self> {
        let (computing, bringing) = (Stream::take(device)?, Stream::take(device)?);
        computing.enter()?;
        Ok(OnDevice { explainer: make()?, device, computing, bringing })
    }

    /// The images on the device; the computing stream waits for them, the program does not.
    fn bring(&self, input: &Tensor) -> Result<Tensor> {
        let (images, there) = self.bringing.within(|| Ok((device::copy_out(input, self.device)?, Event::record(self.device)?)))?;
        self.computing.wait_for(&there)?;
        self.computing.holds(&images)?;
        Ok(images)
    }
}

impl Compute for OnDevice {
    fn begin(&self, task: Task, input: &Tensor, choose: Choose) -> Result<Launched> {
        self.explainer.begin(task, &self.bring(input)?, choose)
    }
}

/// Images as the workers want them: page-locked where a device copies them.
pub(super) fn images(pixels: &[f32], devices: &Devices) -> Result<Tensor> {
    match devices {
        Devices::Cpu => Ok(Tensor::f_from_slice(pixels)?),
        Devices::Cuda(_) => device::pinned(pixels),
    }
}
