//! Constants of the graph as tensors on a device.

use tch::{Kind, Tensor};

use super::graph::{Constant, Elements};
use super::op::Place;
use crate::error::Result;

/// The constant as a tensor of the place's kind, in the constant's shape.
///
/// # Errors
/// Kind::Runtime from libtorch, as when the device has no memory left.
pub fn tensor(constant: &Constant, place: Place) -> Result<Tensor> {
    tensor_of(constant, place, place.kind)
}

/// As [`tensor`] for a convolution: rounded to the place's kind, in the kind that is multiplied.
///
/// # Errors
/// As [`tensor`].
pub fn convolved(constant: &Constant, place: Place) -> Result<Tensor> {
    Ok(tensor(constant, place)?.f_to_kind(place.convolves_in())?)
}

/// As [`tensor`] with a kind of its own.
pub fn tensor_of(constant: &Constant, place: Place, kind: Kind) -> Result<Tensor> {
    let flat = match &constant.elements {
        Elements::F32(v) => Tensor::f_from_slice(v)?,
        Elements::F64(v) => Tensor::f_from_slice(v)?,
        Elements::I8(v) => Tensor::f_from_slice(v)?,
        Elements::U8(v) => Tensor::f_from_slice(v)?,
        Elements::I32(v) => Tensor::f_from_slice(v)?,
        Elements::I64(v) => Tensor::f_from_slice(v)?,
        Elements::Bool(v) => Tensor::f_from_slice(v)?,
    };
    let shape: Vec<i64> = constant.shape.iter().map(|&size| size as i64).collect();
    Ok(flat.f_reshape(shape)?.f_to_device(place.device)?.f_to_kind(kind)?)
}
