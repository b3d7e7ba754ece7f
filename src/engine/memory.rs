//! What a network's explanations need of memory, beside what they take.

use tch::Tensor;

use super::compute::images;
use super::devices::Devices;
use super::pool;
use super::settings::Settings;
use crate::error::Result;
use crate::network::blocks::{self, Usage};
use crate::network::device::{self, Stream};
use crate::network::plan::Plan;
use crate::network::structure::Network;

/// Bytes that tensors hold on the devices, of the one that holds the most; `reset` counts the most anew from now on.
///
/// # Errors
/// Kind::Runtime from libtorch.
pub fn usage(devices: &Devices, reset: bool) -> Result<Usage> {
    let Devices::Cuda(numbers) = devices else {
        let usage = blocks::usage();
        if reset {
            blocks::reset_peak();
        }
        return Ok(usage);
    };
    let all: Vec<Usage> = numbers.iter().map(|&number| device::usage(number, reset)).collect::<Result<_>>()?;
    Ok(all.into_iter().max_by_key(|usage| usage.peak_bytes).unwrap_or_default())
}

/// Bytes of the tensors that lie between the forward pass and the adjoint pass of a batch with these pixels, as the engine cuts it: those
/// of all parts that are computed at a time on one device. A plan of its own is run for it; no engine should run beside.
///
/// # Errors
/// Kind::Runtime from libtorch.
pub fn kept_activations_bytes(network: &Network, settings: &Settings, pixels: &[f32]) -> Result<usize> {
    let places = settings.places();
    let place = places[0];
    let side_by_side = places.iter().filter(|other| other.device == place.device).count();
    tch::set_num_threads(settings.threads_each() as i32);
    let before = match place.device {
        tch::Device::Cuda(number) => Some(Stream::take(number)?.enter()?),
        _ => None,
    };
    let plan = Plan::new(network, place)?;
    let mut size: Vec<i64> = network.input_shape().iter().map(|&size| size as i64).collect();
    size[0] = -1;
    let batch = images(pixels, &settings.devices)?.f_view(size.as_slice())?;
    let count = batch.size()[0];
    let parts = pool::parts(count, settings.worker_count(), &settings.devices, i64::MAX);
    let largest = (count - 1) / parts + 1;
    let kept = kept_by(&plan, &batch.f_narrow(0, 0, largest)?, &settings.devices)?;
    if let Some(stream) = before {
        stream.enter()?;
    }
    Ok(kept * side_by_side.min(parts as usize))
}

fn kept_by(plan: &Plan, images: &Tensor, devices: &Devices) -> Result<usize> {
    let before = usage(devices, false)?.in_use_bytes;
    let pass = plan.forward(&plan.prepare(images)?)?;
    let behind = usage(devices, false)?.in_use_bytes;
    drop(pass);
    Ok(behind.saturating_sub(before))
}
