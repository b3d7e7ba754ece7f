//! The first per-channel vector added after an affine node without a bias is that node's bias.

use super::absorb::bias_of;
use crate::network::graph::Constant;
use crate::network::ops::{AddConstant, Op};
use crate::network::structure::Step;

/// Merges such a constant.
pub fn merge(step: &Step, shape: &[usize], affine: &mut Step) -> Option<String> {
    let Op::AddConstant(AddConstant { constant, sign }) = &step.op else { return None };
    let axis = match &affine.op {
        Op::Conv(_) | Op::ConvTranspose(_) => 1,
        _ => shape.len() - 1,
    };
    let channels = shape[axis];
    let offset = shape.len() - constant.shape.len();
    let is_vector =
        axis >= offset && constant.shape.iter().enumerate().all(|(i, &size)| size == if i + offset == axis { channels } else { 1 });
    let slot = bias_of(&mut affine.op).filter(|slot| *sign > 0.0 && slot.is_none() && is_vector)?;
    *slot = Some(Constant { shape: vec![channels], elements: constant.elements.clone() });
    Some(format!("constant of {:?} is the bias of {:?}", step.name, affine.name))
}
