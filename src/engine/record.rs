//! What a fault of a batch means for its worker, and how often it came.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use crate::error::{Error, Kind};

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// A batch of half the size may fit.
    OutOfMemory,
    /// The device, or what the worker keeps on it, is in doubt.
    Device,
    /// The batch's own.
    Batch,
}

/// In libtorch's messages: of c10::OutOfMemoryError (CUDA's allocator, the processor's), of cudaErrorMemoryAllocation, and of cuBLAS and
/// cuDNN where they find no memory.
const MEMORY: [&str; 5] =
    ["CUDA out of memory", "CUDA error: out of memory", "can't allocate memory", "_ALLOC_FAILED", "_DEVICE_ALLOCATION_FAILED"];
/// Beginnings of what libtorch says of the device: c10::AcceleratorError, cuBLAS (as "CUDA error"), cuDNN, the driver.
const DEVICE: [&str; 4] = ["CUDA error", "cuDNN error", "CUDA driver error", "CUDNN_STATUS"];

impl Failure {
    /// Judged by libtorch's message: its C interface tells no more of an exception.
    pub fn of(error: &Error) -> Self {
        let text = error.to_string();
        let tells = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
        match error.kind() {
            Kind::Runtime if tells(&MEMORY) => Failure::OutOfMemory,
            Kind::Runtime if tells(&DEVICE) => Failure::Device,
            _ => Failure::Batch,
        }
    }
}

/// What the workers of an engine came upon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Parts of batches for which there was no memory; each was halved, or given up as a single image.
    pub out_of_memory: u64,
    /// Workers that were started anew.
    pub restarts: u64,
}

/// What an engine's workers share, and who asks how they fare.
#[derive(Debug)]
pub struct Record {
    out_of_memory: AtomicU64,
    restarts: AtomicU64,
    most_images: AtomicI64,
    given_up: AtomicUsize,
    last: Mutex<Option<String>>,
}

impl Default for Record {
    fn default() -> Self {
        Record {
            out_of_memory: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            most_images: AtomicI64::new(i64::MAX),
            given_up: AtomicUsize::new(0),
            last: Mutex::new(None),
        }
    }
}

impl Record {
    /// The counts so far.
    pub fn counts(&self) -> Counts {
        Counts { out_of_memory: self.out_of_memory.load(Ordering::Relaxed), restarts: self.restarts.load(Ordering::Relaxed) }
    }

    /// Images of a part for which there is memory, as far as is known.
    pub(super) fn most_images(&self) -> i64 {
        self.most_images.load(Ordering::Relaxed)
    }

    pub(super) fn count_out_of_memory(&self) {
        self.out_of_memory.fetch_add(1, Ordering::Relaxed);
    }

    /// Parts are not larger from now on.
    pub(super) fn limit(&self, images: i64) {
        self.most_images.fetch_min(images, Ordering::Relaxed);
    }

    pub(super) fn count_restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// A worker is given up for this; tells how many are by now.
    pub(super) fn give_up(&self, error: &Error) -> usize {
        *self.last.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(error.to_string());
        self.given_up.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Workers that were given up.
    pub(super) fn given_up(&self) -> usize {
        self.given_up.load(Ordering::Relaxed)
    }

    /// The error of a batch that no worker is left for.
    pub(super) fn no_worker(&self) -> Error {
        let last = self.last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let why = last.as_deref().unwrap_or("a worker ended before it gave its result");
        Error::runtime(format!("no worker is left to compute: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::blocks;
    use tch::{Device, Kind as Type, Tensor};

    #[test]
    fn messages_of_libtorch_are_told_apart() {
        // As the format strings of libtorch 2.11 make them.
        for (text, fault) in [
            ("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB", Failure::OutOfMemory),
            ("CUDA error: out of memory", Failure::OutOfMemory),
            ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", Failure::OutOfMemory),
            ("CUDA error: an illegal memory access was encountered", Failure::Device),
            ("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`", Failure::Device),
            ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", Failure::Device),
            ("shape '[2]' is invalid for input of size 3", Failure::Batch),
        ] {
            assert_eq!(Failure::of(&Error::runtime(format!("libtorch: {text}"))), fault, "{text}");
        }
        assert_eq!(Failure::of(&Error::data("CUDA out of memory")), Failure::Batch);
    }

    #[test]
    fn the_processor_s_own_message_is_one_of_memory() {
        blocks::install();
        let error = Error::from(Tensor::f_empty([1i64 << 60], (Type::Float, Device::Cpu)).expect_err("2^62 bytes"));
        assert_eq!(Failure::of(&error), Failure::OutOfMemory, "{error}");
    }
}
