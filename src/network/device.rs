//! Streams, events and page-locked memory of CUDA devices, by way of a small shim in C++ (`device.cpp`).
//!
//! A device works behind the program's back: what is handed to a stream runs in order, and the call returns before it is done. Work of
//! two streams runs side by side unless an [`Event`] holds one back.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::time::Duration;

use tch::{Device, Kind, Tensor};

use super::blocks::Usage;
use crate::error::{Error, Result};

unsafe extern "C" {
    fn gradcast_cuda_devices() -> c_int;
    fn gradcast_cuda_settings(message: *mut c_char, room: usize) -> c_int;
    fn gradcast_stream_take(device: c_int, id: *mut i64, message: *mut c_char, room: usize) -> c_int;
    fn gradcast_stream_use(device: c_int, id: i64, before: *mut i64, message: *mut c_char, room: usize) -> c_int;
    fn gradcast_event_record(device: c_int, message: *mut c_char, room: usize) -> *mut c_void;
    fn gradcast_event_elapsed(from: *const c_void, to: *const c_void, ms: *mut f64, message: *mut c_char, room: usize) -> c_int;
    fn gradcast_event_block(event: *const c_void, device: c_int, id: i64, message: *mut c_char, room: usize) -> c_int;
    fn gradcast_event_wait(event: *const c_void, message: *mut c_char, room: usize) -> c_int;
    fn gradcast_event_free(event: *mut c_void);
    fn gradcast_stream_holds(device: c_int, id: i64, tensor: *const c_void, message: *mut c_char, room: usize) -> c_int;
    fn gradcast_pinned(length: i64, message: *mut c_char, room: usize) -> *mut c_void;
    fn gradcast_device_usage(
        device: c_int,
        now: *mut i64,
        peak: *mut i64,
        kept: *mut i64,
        reset: c_int,
        message: *mut c_char,
        room: usize,
    ) -> c_int;
}

/// CUDA devices that libtorch sees; 0 until its CUDA part is opened.
pub fn cuda_devices() -> usize {
    // SAFETY: reads a table of libtorch's; its count of devices never throws.
    usize::try_from(unsafe { gradcast_cuda_devices() }).unwrap_or(0)
}

/// Sets for the whole process how CUDA devices compute: f32 in f32, not in TF32, whose ten bits of fraction no bound of ours allows for.
///
/// # Errors
/// Kind::Runtime with libtorch's message.
pub fn set_up_cuda() -> Result<()> {
    // SAFETY: sets flags of libtorch's context.
    done(|message, room| unsafe { gradcast_cuda_settings(message, room) })
}

/// A stream of a CUDA device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    device: usize,
    id: i64,
}

impl Stream {
    /// One from the device's pool.
    ///
    /// # Errors
    /// Kind::Runtime with libtorch's message, as where the device is not there.
    pub fn take(device: usize) -> Result<Self> {
        let mut id = 0;
        // SAFETY: the number is written before the call returns.
        done(|message, room| unsafe { gradcast_stream_take(device as c_int, &raw mut id, message, room) })?;
        Ok(Stream { device, id })
    }

    /// Makes the stream and its device the calling thread's own; gives the stream that was before.
    ///
    /// # Errors
    /// Kind::Runtime with libtorch's message.
    pub fn enter(self) -> Result<Self> {
        let mut before = 0;
        // SAFETY: the number is written before the call returns.
        done(|message, room| unsafe { gradcast_stream_use(self.device as c_int, self.id, &raw mut before, message, room) })?;
        Ok(Stream { device: self.device, id: before })
    }

    /// Does `act` with this stream as the thread's own, and goes back to the one before.
    ///
    /// # Errors
    /// Those of `act`, and Kind::Runtime with libtorch's message.
    pub fn within<T>(self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        let before = self.enter()?;
        let result = act();
        before.enter()?;
        result
    }

    /// Holds back what the stream is handed from now on until the event has passed.
    ///
    /// # Errors
    /// Kind::Runtime with libtorch's message.
    pub fn wait_for(self, event: &Event) -> Result<()> {
        // SAFETY: the event lives.
        done(|message, room| unsafe { gradcast_event_block(event.0, self.device as c_int, self.id, message, room) })
    }

    /// Keeps a tensor's memory, made on another stream, from being handed out again before this stream is done with it.
    ///
    /// # Errors
    /// Kind::Runtime with libtorch's message.
    pub fn holds(self, tensor: &Tensor) -> Result<()> {
        // SAFETY: the tensor outlives the call.
        done(|message, room| unsafe { gradcast_stream_holds(self.device as c_int, self.id, tensor.as_ptr().cast(), message, room) })
    }
}

/// A mark in a stream.
#[derive(Debug)]
pub struct Event(*mut c_void);

// SAFETY: an event is a handle of the driver's, which any thread may use; it is not shared.
unsafe impl Send for Event {}

impl Event {
    /// A mark behind all that the thread's stream of the device was handed.
    ///
    /// # Errors
    /// Kind::Runtime with libtorch's message.
    pub fn record(device: usize) -> Result<Self> {
        // SAFETY: the event is freed by its owner alone.
        told(|message, room| unsafe { gradcast_event_record(device as c_int, message, room) }).map(Event)
    }

    /// Waits until the device has passed the mark.
    ///
    /// # Errors
    /// Kind::Runtime with libtorch's message: faults of anything before the mark come up here.
    pub fn wait(&self) -> Result<()> {
        // SAFETY: the event lives.
        done(|message, room| unsafe { gradcast_event_wait(self.0, message, room) })
    }

    /// The device's time from this mark to a later one; it has passed both.
    ///
    /// # Errors
    /// Kind::Runtime with libtorch's message.
    pub fn until(&self, later: &Event) -> Result<Duration> {
        let mut milliseconds = 0.0;
        // SAFETY: both events live; the number is written before the call returns.
        done(|message, room| unsafe { gradcast_event_elapsed(self.0, later.0, &raw mut milliseconds, message, room) })?;
        Ok(Duration::try_from_secs_f64(milliseconds / 1e3).unwrap_or_default())
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: nobody else has it.
        unsafe { gradcast_event_free(self.0) }
    }
}

/// A tensor (N,) f32 with these values, in page-locked memory, from which a device copies while the program goes on.
///
/// # Errors
/// Kind::Runtime with libtorch's message, as where no device is there.
pub fn pinned(values: &[f32]) -> Result<Tensor> {
    // SAFETY: the shim gives a tensor of its own making, which the Tensor frees: a vector of as many f32 that nobody else has.
    unsafe {
        let tensor = Tensor::from_ptr(told(|message, room| gradcast_pinned(values.len() as i64, message, room))?.cast());
        std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), values.len()).copy_from_slice(values);
        Ok(tensor)
    }
}

/// A tensor on its way to the processor: the copy runs in the thread's stream while the program goes on.
///
/// # Errors
/// Kind::Runtime with libtorch's message.
pub fn copy_home(tensor: &Tensor, kind: Kind) -> Result<Tensor> {
    Ok(tensor.f_internal_to_copy((kind, Device::Cpu), true)?)
}

/// A copy on the device of a tensor in page-locked memory: the copy runs in the thread's stream while the program goes on.
///
/// # Errors
/// Kind::Runtime with libtorch's message.
pub fn copy_out(tensor: &Tensor, device: usize) -> Result<Tensor> {
    Ok(tensor.f_internal_to_copy((tensor.kind(), Device::Cuda(device)), true)?)
}

/// What tensors hold on a device; `reset` counts the most anew from now on.
///
/// # Errors
/// Kind::Runtime with libtorch's message.
pub fn usage(device: usize, reset: bool) -> Result<Usage> {
    let (mut now, mut peak, mut kept) = (0, 0, 0);
    // SAFETY: the numbers are written before the call returns.
    done(|message, room| unsafe {
        gradcast_device_usage(device as c_int, &raw mut now, &raw mut peak, &raw mut kept, c_int::from(reset), message, room)
    })?;
    let bytes = |number: i64| usize::try_from(number).unwrap_or(0);
    Ok(Usage { in_use_bytes: bytes(now), peak_bytes: bytes(peak), kept_bytes: bytes(kept) })
}

const MESSAGE_BYTES: usize = 1024;

fn fault(message: &[c_char; MESSAGE_BYTES]) -> Error {
    // SAFETY: the shim ends its message with a zero.
    let text = unsafe { CStr::from_ptr(message.as_ptr()) }.to_string_lossy();
    Error::runtime(format!("libtorch: {}", text.lines().next().unwrap_or("unknown")))
}

/// The result of a call that gives 0 or leaves a message.
fn done(call: impl FnOnce(*mut c_char, usize) -> c_int) -> Result<()> {
    let mut message = [0; MESSAGE_BYTES];
    match call(message.as_mut_ptr(), message.len()) {
        0 => Ok(()),
        _ => Err(fault(&message)),
    }
}

/// The result of a call that gives an address, or null and a message.
fn told(call: impl FnOnce(*mut c_char, usize) -> *mut c_void) -> Result<*mut c_void> {
    let mut message = [0; MESSAGE_BYTES];
    let address = call(message.as_mut_ptr(), message.len());
    if address.is_null() { Err(fault(&message)) } else { Ok(address) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests run where libtorch's CUDA part is not open: every way in says so and nothing ends the process.
    #[test]
    fn without_cuda_s_part_there_are_no_devices_and_no_streams() {
        assert_eq!(cuda_devices(), 0);
        let faults = [
            Stream::take(0).map(|_| ()),
            Stream { device: 0, id: 0 }.enter().map(|_| ()),
            Event::record(0).map(|_| ()),
            pinned(&[1.0]).map(|_| ()),
            usage(0, true).map(|_| ()),
        ];
        for result in faults {
            let message = result.expect_err("no device is there").to_string();
            assert!(message.starts_with("libtorch: ") && message.len() > 20, "{message}");
        }
    }

    #[test]
    fn a_copy_home_of_what_is_at_home_is_a_copy() {
        let x = Tensor::from_slice(&[1.5f64, -2.0]);
        let copy = copy_home(&x, Kind::Float).expect("a copy");
        assert_eq!(Vec::<f32>::try_from(copy).expect("values"), [1.5, -2.0]);
    }
}
