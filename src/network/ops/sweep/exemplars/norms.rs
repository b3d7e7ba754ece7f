//! Normalisations.

use super::{Exemplar, activation, constant, weights};
use crate::network::ops::sweep::reference::{self, Plain};

const EPSILON: f32 = 0.02;

pub fn all() -> Vec<Exemplar> {
    let norm = |x: &Plain, axes: &[usize]| {
        let mean = reference::reduce(x, axes, true, |v| v.iter().sum::<f64>() / v.len() as f64);
        let off = Plain::of(&x.shape, |at| x.at(at) - mean.stretched(at));
        let variance = reference::reduce(&off, axes, true, |v| v.iter().map(|x| x * x).sum::<f64>() / v.len() as f64);
        Plain::of(&x.shape, |at| off.at(at) / (variance.stretched(at) + f64::from(EPSILON)).sqrt())
    };
    let scaled = |x: &Plain, scale: &Plain, shift: Option<&Plain>| {
        Plain::of(&x.shape, |at| x.at(at) * scale.stretched(at) + shift.map_or(0.0, |shift| shift.stretched(at)))
    };
    let layer = |name, shape: &'static [usize], axis: usize, shifted: bool| {
        let (scale, shift) = (weights(&shape[axis..]), shifted.then(|| weights(&shape[axis..]).each(|w| w - 0.3)));
        let mut given = vec![activation(shape), constant(&scale)];
        given.extend(shift.as_ref().map(constant));
        let axes: Vec<usize> = (axis..shape.len()).collect();
        let reference = move |x: &[Plain]| scaled(&norm(&x[0], &axes), &scale, shift.as_ref());
        Exemplar::new("LayerNormalization", name, given, reference).int("axis", axis as i64).float("epsilon", EPSILON)
    };
    let root_mean_square = {
        let scale = weights(&[3]);
        let given = vec![activation(&[1, 4, 5, 3]), constant(&scale)];
        let reference = move |x: &[Plain]| {
            let mean = reference::reduce(&x[0], &[3], true, |v| v.iter().map(|x| x * x).sum::<f64>() / v.len() as f64);
            Plain::of(&x[0].shape, |at| x[0].at(at) / (mean.stretched(at) + f64::from(EPSILON)).sqrt() * scale.stretched(at))
        };
        Exemplar::new("RMSNormalization", "", given, reference).float("epsilon", EPSILON).opset(23)
    };
    let per_channel = |values: &Plain, each: usize| {
        let data: Vec<f64> = values.data.iter().flat_map(|&value| vec![value; each]).collect();
        Plain { shape: vec![data.len(), 1, 1], data }
    };
    let instance = {
        let (scale, shift) = (weights(&[3]), weights(&[3]).each(|w| w + 0.4));
        let given = vec![activation(&[1, 3, 4, 5]), constant(&scale), constant(&shift)];
        let reference = move |x: &[Plain]| scaled(&norm(&x[0], &[2, 3]), &per_channel(&scale, 1), Some(&per_channel(&shift, 1)));
        Exemplar::new("InstanceNormalization", "", given, reference).float("epsilon", EPSILON)
    };
    let group = |name, numbers: usize, opset| {
        let (scale, shift) = (weights(&[numbers]), weights(&[numbers]).each(|w| w + 0.4));
        let given = vec![activation(&[1, 6, 3, 2]), constant(&scale), constant(&shift)];
        let reference = move |x: &[Plain]| {
            let batch = x[0].shape[0];
            let grouped = Plain { shape: vec![batch, 2, 18], data: x[0].data.clone() };
            let normed = Plain { shape: x[0].shape.clone(), data: norm(&grouped, &[2]).data };
            scaled(&normed, &per_channel(&scale, 6 / numbers), Some(&per_channel(&shift, 6 / numbers)))
        };
        Exemplar::new("GroupNormalization", name, given, reference).int("num_groups", 2).float("epsilon", EPSILON).opset(opset)
    };
    let local = |size: usize| {
        Exemplar::new("LRN", if size.is_multiple_of(2) { "of an even size" } else { "" }, vec![activation(&[1, 5, 2, 3])], move |x| {
            let x = &x[0];
            Plain::of(&x.shape, |at| {
                let around = at[1].saturating_sub((size - 1) / 2)..(at[1] + size - (size - 1) / 2).min(x.shape[1]);
                let squares: f64 = around.map(|c| x.at(&[at[0], c, at[2], at[3]]).powi(2)).sum();
                x.at(at) / (1.5 + f64::from(0.3f32) / size as f64 * squares).powf(0.75)
            })
        })
        .int("size", size as i64)
        .float("alpha", 0.3)
        .float("bias", 1.5)
    };
    vec![
        layer("over the last axis", &[1, 4, 5, 3], 3, true),
        layer("over two axes", &[1, 2, 3, 4], 2, true),
        layer("without a shift", &[1, 6], 1, false),
        root_mean_square,
        instance,
        group("with a number a group", 2, 18),
        group("with a number a channel", 6, 21),
        local(3),
        local(4),
    ]
}
