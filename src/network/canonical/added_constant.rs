//! The first per-channel vector added after an affine node without a bias is that node's bias.

use super::{bias_of, lone_affine};
use crate::network::graph::Constant;
use crate::network::ops::{AddConstant, Op};
use crate::network::structure::Network;

/// Merges such constants.
pub fn merge(network: &mut Network) {
    let mut index = 0;
    while index < network.steps.len() {
        match target(network, index) {
            Some((affine, bias)) => {
                let (name, into) = (network.steps[index].name.clone(), network.steps[affine].name.clone());
                if let Some(slot) = bias_of(&mut network.steps[affine].op) {
                    *slot = Some(bias);
                }
                network.bypass(index);
                network.notes.push(format!("constant of {name:?} is the bias of {into:?}"));
            }
            None => index += 1,
        }
    }
}

/// The affine step before an added constant, and the constant as its bias vector.
fn target(network: &Network, index: usize) -> Option<(usize, Constant)> {
    let step = &network.steps[index];
    let Op::AddConstant(AddConstant { constant, sign }) = &step.op else { return None };
    let affine = lone_affine(network, step.inputs[0])?;
    let shape = &network.values[step.inputs[0]].shape;
    let (axis, free) = match &network.steps[affine].op {
        Op::Conv(conv) => (1, conv.bias.is_none()),
        Op::Linear(linear) => (shape.len() - 1, linear.bias.is_none()),
        _ => return None,
    };
    let offset = shape.len() - constant.shape.len();
    let channels = shape[axis];
    let is_vector =
        axis >= offset && constant.shape.iter().enumerate().all(|(i, &size)| size == if i + offset == axis { channels } else { 1 });
    (*sign > 0.0 && free && is_vector)
        .then(|| Constant { shape: vec![channels], elements: constant.elements.clone() })
        .map(|bias| (affine, bias))
}
