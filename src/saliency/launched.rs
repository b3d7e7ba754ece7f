//! An explanation under way: on a processor it is there, on a device it is being computed and comes home in one copy.

use std::time::Duration;

use tch::{Device, Kind, Tensor};

use super::explain::{Explanation, Timing};
use crate::clock::Stopwatch;
use crate::error::Result;
use crate::network::device::{self, Event};

/// An explanation that may still be computed. Dropping it gives the result up, not the work.
pub struct Launched {
    /// With the tensors at home, or without any.
    explanation: Explanation,
    arriving: Option<Arriving>,
}

/// One copy of all results, which is complete when its event has passed.
struct Arriving {
    /// All tensors' elements one behind another, then the classes.
    flat: Tensor,
    sizes: Vec<Vec<i64>>,
    there: Event,
    laps: Laps,
}

impl Launched {
    /// For results as they were computed, where they were computed: `indices` are the classes, (N,). They come home as `kind`.
    ///
    /// # Errors
    /// Kind::Runtime from libtorch.
    pub(super) fn new(mut explanation: Explanation, indices: Tensor, laps: Laps, kind: Kind) -> Result<Self> {
        let Device::Cuda(number) = explanation.logits.device() else {
            let timing = laps.timing()?;
            return Launched::done(explanation, Vec::try_from(indices.f_to_kind(Kind::Int64)?)?, timing, kind);
        };
        let mut sizes = Vec::new();
        let mut parts = Vec::new();
        for tensor in all_tensors(&mut explanation) {
            sizes.push(tensor.size());
            parts.push(tensor.f_to_kind(kind)?.f_reshape([-1])?);
        }
        sizes.push(indices.size());
        // Classes are below 2^24, which f32 holds exactly.
        parts.push(indices.f_to_kind(kind)?);
        let flat = device::copy_home(&Tensor::f_cat(&parts, 0)?, kind)?;
        let arriving = Arriving { flat, sizes, there: Event::record(number)?, laps };
        Ok(Launched { explanation, arriving: Some(arriving) })
    }

    /// For results that are waited for at once.
    ///
    /// # Errors
    /// Kind::Runtime from libtorch.
    pub(super) fn done(mut explanation: Explanation, target: Vec<i64>, timing: Timing, kind: Kind) -> Result<Self> {
        for tensor in tensors(&mut explanation) {
            *tensor = tensor.f_to_device(Device::Cpu)?.f_to_kind(kind)?;
        }
        explanation.terms = explanation.terms.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?;
        Ok(Explanation { target, timing, ..explanation }.into())
    }

    /// True where nothing is waited for any more.
    pub fn is_done(&self) -> bool {
        self.arriving.is_none()
    }

    /// Waits for the results.
    ///
    /// # Errors
    /// Kind::Runtime from libtorch: what fails on a device while it computes comes up here.
    pub fn finish(self) -> Result<Explanation> {
        let mut explanation = self.explanation;
        let Some(Arriving { flat, sizes, there, laps }) = self.arriving else { return Ok(explanation) };
        there.wait()?;
        let mut first = 0;
        let mut next = |size: &[i64]| -> Result<Tensor> {
            let length = size.iter().product::<i64>();
            let part = flat.f_narrow(0, first, length)?.f_view(size)?;
            first += length;
            Ok(part)
        };
        for (tensor, size) in all_tensors(&mut explanation).into_iter().zip(&sizes) {
            *tensor = next(size)?;
        }
        explanation.terms = explanation.terms.f_to_kind(Kind::Double)?;
        let indices = next(sizes.last().expect("the classes' size is the last"))?;
        explanation.target = Vec::try_from(indices.f_to_kind(Kind::Int64)?)?;
        explanation.timing = laps.timing()?;
        Ok(explanation)
    }
}

impl From<Explanation> for Launched {
    /// One that is there.
    fn from(explanation: Explanation) -> Self {
        Launched { explanation, arriving: None }
    }
}

/// All that comes in the plan's kind.
fn tensors(explanation: &mut Explanation) -> impl Iterator<Item = &mut Tensor> {
    let [of_kind @ .., _] = all_tensors(explanation);
    of_kind.into_iter()
}

/// The terms, which end in f64, are the last.
fn all_tensors(explanation: &mut Explanation) -> [&mut Tensor; 7] {
    let Explanation { logits, value, map, input_term, bias_term_total, residual, terms, target: _, timing: _ } = explanation;
    [logits, value, map, input_term, bias_term_total, residual, terms]
}

/// How long the two passes take, measured where they run.
pub(super) struct Laps {
    device: Device,
    watch: Stopwatch,
    host: Vec<Duration>,
    marks: Vec<Event>,
}

impl Laps {
    /// Starts now, or behind what the thread's stream of the device was handed before.
    pub fn start(device: Device) -> Result<Self> {
        let mut laps = Laps { device, watch: Stopwatch::start(), host: Vec::new(), marks: Vec::new() };
        laps.lap()?;
        Ok(laps)
    }

    /// A pass ends here.
    pub fn lap(&mut self) -> Result<()> {
        match self.device {
            Device::Cuda(number) => self.marks.push(Event::record(number)?),
            _ => self.host.push(self.watch.elapsed()),
        }
        Ok(())
    }

    /// The time of both passes; on a device the last mark has passed.
    fn timing(&self) -> Result<Timing> {
        match (&self.host[..], &self.marks[..]) {
            (&[start, middle, end], _) => Ok(Timing { forward: middle - start, adjoint: end - middle }),
            (_, [start, middle, end]) => Ok(Timing { forward: start.until(middle)?, adjoint: middle.until(end)? }),
            _ => unreachable!("there are two passes"),
        }
    }
}
