//! A BatchNormalization that alone follows a Conv or Linear is folded into it, in f64:
//! W'[o] = scale[o] W[o], b' = scale * b + shift.

use super::{bias_of, lone_affine};
use crate::network::graph::Constant;
use crate::network::ops::{BatchNorm, Op};
use crate::network::structure::Network;

/// Folds them all.
pub fn fold(network: &mut Network) {
    let mut index = 0;
    while index < network.steps.len() {
        let affine = match &network.steps[index].op {
            Op::BatchNorm(_) => lone_affine(network, network.steps[index].inputs[0]),
            _ => None,
        };
        let Some(affine) = affine.filter(|&affine| per_channel(network, affine)) else {
            index += 1;
            continue;
        };
        let Op::BatchNorm(norm) = network.steps[index].op.clone() else { unreachable!("matched above") };
        let (name, into) = (network.steps[index].name.clone(), network.steps[affine].name.clone());
        scale(&mut network.steps[affine].op, &norm);
        network.bypass(index);
        network.notes.push(format!("BatchNormalization {name:?} folded into {into:?}"));
    }
}

/// A Linear puts its outputs on the last axis; the norm's channels are axis 1.
fn per_channel(network: &Network, affine: usize) -> bool {
    match &network.steps[affine].op {
        Op::Linear(_) => network.values[network.steps[affine].outputs[0]].shape.len() == 2,
        _ => true,
    }
}

fn scale(op: &mut Op, norm: &BatchNorm) {
    match op {
        Op::Conv(conv) => {
            let each = conv.weight.elements.len() / norm.scale.len();
            let values = floats(&conv.weight).iter().enumerate().map(|(i, w)| w * norm.scale[i / each]).collect();
            conv.weight = Constant::from_floats(conv.weight.shape.clone(), values);
        }
        Op::Linear(linear) => {
            let outputs = norm.scale.len();
            let values = floats(&linear.weight).iter().enumerate().map(|(i, w)| w * norm.scale[i % outputs]).collect();
            linear.weight = Constant::from_floats(linear.weight.shape.clone(), values);
        }
        _ => {}
    }
    if let Some(slot) = bias_of(op) {
        let before = slot.as_ref().map_or_else(|| vec![0.0; norm.scale.len()], floats);
        let after: Vec<f64> = before.iter().zip(&norm.scale).zip(&norm.shift).map(|((b, s), t)| s * b + t).collect();
        *slot = Some(Constant::from_floats(vec![after.len()], after));
    }
}

fn floats(constant: &Constant) -> Vec<f64> {
    constant.floats().expect("an affine operator's weights are floating point")
}
