//! GroupNormalization as a Reshape to (N, G, ...), an InstanceNormalization, and a Reshape back; a factor and a constant for each channel
//! behind it are put together as a LayerNormalization's are.

use super::Found;
use super::form::Form;
use crate::network::graph::Constant;
use crate::network::ops::{LayerNorm, Op, Over};

/// Of (N, C, ...) with the C channels in G groups.
pub fn of_groups(form: &Form, last: usize) -> Option<Found> {
    let (norm, inner, first) = (form.step(last)?.inputs[0], form.step(last)?, form.step(last)?.outputs[0]);
    let Op::Reshape(_) = inner.op else { return None };
    let (middle, instance) = form.maker(norm)?;
    let Op::LayerNorm(LayerNorm { over: Over::Axes(axes), centred: true, epsilon, scale, shift }) = &instance.op else { return None };
    let (before, reshape) = form.maker(instance.inputs[0])?;
    let Op::Reshape(_) = reshape.op else { return None };
    let x = reshape.inputs[0];
    let (shape, grouped) = (form.shape(x), form.shape(norm));
    let whole = axes.iter().copied().eq(2..grouped.len());
    if !whole || shape != form.shape(first) || shape.len() < 3 || !shape[1].is_multiple_of(grouped[1]) {
        return None;
    }
    // One number a group, 1 for all where there is nothing to scale.
    let each = |constant: &Option<Constant>, nothing: f64| -> Option<Option<Constant>> {
        let Some(constant) = constant else { return Some(None) };
        let values = constant.floats().filter(|values| values.len() == grouped[1])?;
        if values.iter().all(|&value| value == nothing) {
            return Some(None);
        }
        let values = values.iter().flat_map(|&value| std::iter::repeat_n(value, shape[1] / grouped[1])).collect();
        Some(Some(Constant::from_floats([vec![shape[1]], vec![1; shape.len() - 2]].concat(), values)))
    };
    let over = Over::Groups(grouped[1]);
    let op = LayerNorm { over, centred: true, epsilon: *epsilon, scale: each(scale, 1.0)?, shift: each(shift, 0.0)? };
    Some(Found { op: op.into(), input: x, gone: vec![before, middle, last] })
}
