//! What the user sets, and what it means on this machine.

use std::num::NonZeroUsize;
use std::thread;

use tch::{Device, Kind};

use super::cuda;
use super::devices::Devices;
use crate::network::op::Place;
use crate::saliency::{self, Head, Method};

/// Type of the numbers that activations and gradients are computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits.
    F32,
    /// 16 bits with the exponent of f32.
    Bf16,
    /// 16 bits with an exponent of five, as IEEE 754 has them: more digits than bf16, no number above 65504.
    F16,
    /// 64 bits.
    F64,
}

impl Precision {
    /// The one that these devices compute fastest and well: bf16 on cards that multiply it in hardware, and where the processor has tiles
    /// for it (AMX); else f32. Without tiles bf16 gains too little for a residual that is orders of magnitude larger. f16 is as fast on
    /// a card, but ends at 65504, which the activations of some networks pass.
    pub fn fastest(devices: &Devices) -> Self {
        if let Devices::Cuda(numbers) = devices {
            let cards = cuda::cards().unwrap_or_default();
            let multiplies = |&number: &usize| cards.get(number).is_some_and(|card| card.capability >= CAPABILITY_BF16);
            return if numbers.iter().all(multiplies) { Precision::Bf16 } else { Precision::F32 };
        }
        #[cfg(target_arch = "x86_64")]
        {
            /// CPUID leaf 7, register EDX.
            const AMX_BF16: u32 = 1 << 22;
            let most = std::arch::x86_64::__cpuid(0).eax;
            if most >= 7 && std::arch::x86_64::__cpuid_count(7, 0).edx & AMX_BF16 != 0 {
                return Precision::Bf16;
            }
        }
        Precision::F32
    }

    /// As libtorch names it.
    pub fn kind(self) -> Kind {
        match self {
            Precision::F32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
            Precision::F16 => Kind::Half,
            Precision::F64 => Kind::Double,
        }
    }

    /// Largest completeness residual that rounding alone makes. The residual is relative to f, or to a thousandth of the terms' sizes where
    /// f is small against them, and each term is rounded to its precision: the bound is some units of that over a thousandth.
    pub fn usual_max_residual(self) -> f64 {
        match self {
            Precision::F64 => 1e-9,
            Precision::F32 => 1e-3,
            Precision::F16 => 2.0,
            Precision::Bf16 => 16.0,
        }
    }

    /// "f32", "bf16", "f16" or "f64".
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::F16 => "f16",
            Precision::F64 => "f64",
        }
    }
}

/// The first compute capability whose cards multiply bf16.
const CAPABILITY_BF16: (i32, i32) = (8, 0);

/// How the engine computes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Type of the numbers.
    pub precision: Precision,
    /// Where it computes.
    pub devices: Devices,
    /// Workers side by side, on each device; `None` for one a thread of the processor, or one a CUDA device.
    pub workers: Option<NonZeroUsize>,
    /// Threads in all; `None` for one a processor core.
    pub threads: Option<NonZeroUsize>,
    /// The methods; [`Task::Explain`](super::Task::Explain) is by the first.
    pub attribution: saliency::Settings,
    /// What the output means.
    pub head: Head,
    /// Largest completeness residual that is no fault; `None` for [`Precision::usual_max_residual`], and for none where the residual is not
    /// that of rounding alone.
    pub max_residual: Option<f64>,
}

impl Settings {
    /// Device and kind of each worker. Neighbours are on different devices, so that few batches are spread over all.
    pub(super) fn places(&self) -> Vec<Place> {
        let devices = match &self.devices {
            Devices::Cpu => vec![Device::Cpu],
            Devices::Cuda(numbers) => numbers.iter().map(|&number| Device::Cuda(number)).collect(),
        };
        let kind = self.precision.kind();
        devices.iter().cycle().take(self.worker_count()).map(|&device| Place { device, kind }).collect()
    }

    /// Threads in all.
    pub fn thread_count(&self) -> usize {
        self.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
    }

    /// Largest completeness residual that is no fault, of each method.
    pub fn max_residuals(&self) -> Vec<f64> {
        let of_method = |method: &Method| match method {
            // Their residual is that of their steps.
            Method::IntegratedGradients => f64::INFINITY,
            _ => self.precision.usual_max_residual(),
        };
        self.attribution.methods.iter().map(|method| self.max_residual.unwrap_or_else(|| of_method(method))).collect()
    }

    /// Workers in all: on a processor one a thread, so that no step of a network waits for the slowest thread; else one a device.
    pub fn worker_count(&self) -> usize {
        match &self.devices {
            Devices::Cpu => self.workers.map_or(self.thread_count(), NonZeroUsize::get),
            Devices::Cuda(numbers) => numbers.len() * self.workers.map_or(1, NonZeroUsize::get),
        }
    }

    /// Threads that libtorch uses inside one worker.
    pub fn threads_each(&self) -> usize {
        (self.thread_count() / self.worker_count()).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_spread_over_devices() {
        let two = NonZeroUsize::new(2);
        let devices = Devices::Cuda(vec![3, 1]);
        let settings = Settings {
            precision: Precision::F32,
            devices,
            workers: two,
            threads: two,
            attribution: Default::default(),
            head: Default::default(),
            max_residual: None,
        };
        let devices: Vec<Device> = settings.places().iter().map(|place| place.device).collect();
        assert_eq!(devices, [3, 1, 3, 1].map(Device::Cuda));
        assert_eq!(settings.threads_each(), 1);
        let settings = Settings { devices: Devices::Cpu, workers: None, ..settings };
        assert_eq!(settings.places().iter().map(|place| place.device).collect::<Vec<_>>(), [Device::Cpu; 2]);
    }
}
