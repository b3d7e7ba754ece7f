//! A BatchNormalization that alone follows a Conv, ConvTranspose or Linear is folded into it, in f64:
//! W'[o] = scale[o] W[o], b' = scale * b + shift.

use super::absorb::bias_of;
use crate::network::graph::Constant;
use crate::network::ops::{BatchNorm, Op};
use crate::network::structure::Step;

/// Folds it.
pub fn fold(step: &Step, shape: &[usize], affine: &mut Step) -> Option<String> {
    let Op::BatchNorm(norm) = &step.op else { return None };
    // A Linear puts its outputs on the last axis; the norm's channels are axis 1.
    if matches!(affine.op, Op::Linear(_)) && shape.len() != 2 {
        return None;
    }
    scale(&mut affine.op, norm);
    Some(format!("BatchNormalization {:?} folded into {:?}", step.name, affine.name))
}

fn scale(op: &mut Op, norm: &BatchNorm) {
    match op {
        Op::Conv(conv) => {
            let each = conv.weight.elements.len() / norm.scale.len();
            let values = floats(&conv.weight).iter().enumerate().map(|(i, w)| w * norm.scale[i / each]).collect();
            conv.weight = Constant::from_floats(conv.weight.shape.clone(), values);
        }
        Op::ConvTranspose(conv) => {
            // (I, O / groups, kh, kw): the inputs of a group come together.
            let (each, inputs) = (conv.weight.shape[1], conv.weight.shape[0] / conv.groups);
            let pixels = conv.weight.shape[2] * conv.weight.shape[3];
            let output = |i: usize| i / pixels / each / inputs * each + i / pixels % each;
            let values = floats(&conv.weight).iter().enumerate().map(|(i, w)| w * norm.scale[output(i)]).collect();
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
