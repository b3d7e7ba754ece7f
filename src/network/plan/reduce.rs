//! Terms reduced by one pass over tensors on a processor, and what such passes need of a tensor's memory.

use half::bf16;
use tch::{Device, Kind, Tensor};

use super::site::Reduced;
use crate::error::Result;
use crate::network::kernels::{Element, ImageTerms, interleave, plain_terms, product_terms};
use crate::network::memory;
use crate::network::op::Place;

/// True where passes of our own run: on a processor, in a precision that is stored in f32 or fewer bits.
pub fn fits(place: Place) -> bool {
    place.device == Device::Cpu && matches!(place.kind, Kind::Float | Kind::BFloat16)
}

/// The term grad * bias reduced, for grad (N, C, h, w) and a bias alike or of one number a channel; `None` where no pass fits them.
pub fn term(grad: &Tensor, bias: &Tensor) -> Result<Option<Reduced>> {
    if grad.dim() != 4 || grad.kind() != bias.kind() {
        return Ok(None);
    }
    let (size, bias_size) = (grad.size(), bias.size());
    let per_channel = bias_size == [1, size[1], 1, 1];
    if !per_channel && bias_size != size {
        return Ok(None);
    }
    let grad = memory::channels_last(grad)?;
    let bias = if per_channel { bias.f_to_kind(Kind::Float)?.f_contiguous()? } else { memory::channels_last(bias)? };
    // SAFETY: grad lies channels last without gaps; so does the bias, or it is a plain vector of f32.
    Ok(Some(unsafe {
        match grad.kind() {
            Kind::BFloat16 => reduce::<bf16>(&grad, &bias, per_channel),
            _ => reduce::<f32>(&grad, &bias, per_channel),
        }
    }))
}

/// # Safety
/// `grad` is channels last without gaps and of the storage type E; `bias` too, or (C,) in f32 where it is `per_channel`.
unsafe fn reduce<E: Element>(grad: &Tensor, bias: &Tensor, per_channel: bool) -> Reduced {
    let mut reduced = nothing(grad);
    let (channels, pixels) = (reduced.channels, reduced.size.0 * reduced.size.1);
    let values = unsafe { elements::<E>(grad) };
    let mut maps = std::mem::take(&mut reduced.maps);
    for (image, (grad, map)) in values.chunks_exact(pixels * channels).zip(maps.chunks_exact_mut(pixels)).enumerate() {
        let terms = if per_channel {
            plain_terms(grad, unsafe { elements::<f32>(bias) }, map)
        } else {
            let bias = unsafe { elements::<E>(bias) };
            product_terms(grad, &bias[image * pixels * channels..][..pixels * channels], channels, map)
        };
        push(&mut reduced, terms);
    }
    Reduced { maps, ..reduced }
}

/// Room for the terms of a batch of gradients (N, C, h, w).
pub fn nothing(grad: &Tensor) -> Reduced {
    let size: Vec<usize> = grad.size().iter().map(|&size| size as usize).collect();
    let [batch, channels, rows, columns] = size[..] else { unreachable!("a spatial value has four axes") };
    Reduced {
        size: (rows, columns),
        channels,
        sums: Vec::with_capacity(batch),
        maps: vec![0.0; batch * rows * columns],
        smallest: Vec::with_capacity(batch),
        largest: Vec::with_capacity(batch),
    }
}

/// Adds an image's numbers.
pub fn push(reduced: &mut Reduced, image: ImageTerms) {
    reduced.sums.push(image.sum);
    reduced.smallest.push(image.smallest);
    reduced.largest.push(image.largest);
}

/// A batch (N, C, H, W) in f32, row-major, as the place's kind and channels last, in one pass.
pub fn interleaved(x: &Tensor, place: Place) -> Result<Tensor> {
    let [batch, channels, rows, columns] = x.size()[..] else { unreachable!("a network's input has four axes") };
    let mut pixels = Tensor::f_empty([batch, rows, columns, channels], (place.kind, place.device))?;
    let image = (channels * rows * columns) as usize;
    // SAFETY: the caller's x is row-major in f32; `pixels` is new and of the place's kind.
    unsafe {
        let planes = elements::<f32>(x).chunks_exact(image);
        match place.kind {
            Kind::BFloat16 => {
                planes
                    .zip(elements_mut::<bf16>(&mut pixels).chunks_exact_mut(image))
                    .for_each(|(x, y)| interleave(x, channels as usize, y));
            }
            _ => {
                planes.zip(elements_mut::<f32>(&mut pixels).chunks_exact_mut(image)).for_each(|(x, y)| interleave(x, channels as usize, y));
            }
        }
    }
    Ok(pixels.f_permute([0, 3, 1, 2])?)
}

/// # Safety
/// The tensor lies on the processor without gaps and holds elements of E.
pub unsafe fn elements<E>(tensor: &Tensor) -> &[E] {
    unsafe { std::slice::from_raw_parts(tensor.data_ptr() as *const E, tensor.numel()) }
}

/// # Safety
/// As [`elements`]; nobody else reads or writes the memory meanwhile.
pub unsafe fn elements_mut<E>(tensor: &mut Tensor) -> &mut [E] {
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr() as *mut E, tensor.numel()) }
}
