//! LayerNormalization as (x - mean) / sqrt(mean((x - mean)^2) + epsilon), then a factor and a constant for each element that is normalised
//! or each channel.

use super::Found;
use super::form::{Form, Line};
use crate::network::graph::Constant;
use crate::network::ops::{LayerNorm, Op, Over, ReduceMean};

/// A quotient, or a product of a value and an inverse: the value, what is below it, and the sign of the exponent of the root there.
fn quotients(form: &Form, last: usize) -> Vec<(usize, usize, f64)> {
    let Some(step) = form.step(last) else { return vec![] };
    match (&step.op, &step.inputs[..]) {
        (Op::Divide(_), &[above, below]) => vec![(above, below, 0.5)],
        (Op::Multiply(_), &[a, b]) => vec![(a, b, -0.5), (b, a, -0.5)],
        _ => vec![],
    }
}

/// RMSNormalization, which takes no mean away.
pub fn by_mean_square(form: &Form, last: usize) -> Option<Found> {
    quotients(form, last).into_iter().find_map(|(x, below, exponent)| {
        let (square_mean, root) = root(form, below, exponent)?;
        let sum = with_epsilon(form, square_mean)?;
        let (axes, squares, mean) = mean(form, sum.base)?;
        let (_, square) = square(form, squares).filter(|(base, _)| *base == x)?;
        let op = LayerNorm { over: Over::Axes(axes), centred: false, epsilon: sum.shift, scale: None, shift: None };
        Some(Found { op: op.into(), input: x, gone: [root, sum.steps, vec![mean, square, last]].concat() })
    })
}

/// The quotient, or a product with the root's inverse.
pub fn normalised(form: &Form, last: usize) -> Option<Found> {
    quotients(form, last).into_iter().find_map(|(off, below, exponent)| {
        let (variance, mut gone) = root(form, below, exponent)?;
        let sum = with_epsilon(form, variance)?;
        let (over, squares, mean) = mean(form, sum.base)?;
        let (again, square) = square(form, squares)?;
        let (x, axes, mut centre) = centred(form, off)?;
        let (y, same, other) = centred(form, again)?;
        if x != y || axes != same || axes != over {
            return None;
        }
        gone.extend([sum.steps, vec![mean, square, last]].concat());
        centre.extend(other);
        centre.sort_unstable();
        centre.dedup();
        gone.extend(centre);
        let op = LayerNorm { over: Over::Axes(axes), centred: true, epsilon: sum.shift, scale: None, shift: None };
        Some(Found { op: op.into(), input: x, gone })
    })
}

/// A factor behind a norm that was put together.
pub fn scaled(form: &Form, last: usize) -> Option<Found> {
    let step = form.step(last)?;
    let Op::Scale(factor) = &step.op else { return None };
    let (index, norm, input) = put_together(form, step.inputs[0])?;
    let fits = norm.scale.is_none() && norm.shift.is_none() && varies(form, input, &norm.over, &factor.constant);
    fits.then(|| {
        let op = LayerNorm { scale: Some(factor.constant.clone()), ..norm.clone() };
        Found { op: op.into(), input, gone: vec![index, last] }
    })
}

/// A constant behind a norm that was put together, and has its factor.
pub fn shifted(form: &Form, last: usize) -> Option<Found> {
    let step = form.step(last)?;
    let Op::AddConstant(add) = &step.op else { return None };
    let (index, norm, input) = put_together(form, step.inputs[0])?;
    let alike = norm.scale.as_ref().is_some_and(|scale| scale.elements.len() == add.constant.elements.len());
    let fits = alike && norm.shift.is_none() && add.sign > 0.0 && varies(form, input, &norm.over, &add.constant);
    fits.then(|| {
        let op = LayerNorm { shift: Some(add.constant.clone()), ..norm.clone() };
        Found { op: op.into(), input, gone: vec![index, last] }
    })
}

fn put_together(form: &Form, value: usize) -> Option<(usize, LayerNorm, usize)> {
    let (index, step) = form.maker(value).filter(|(index, _)| form.was_made_here(*index))?;
    match &step.op {
        Op::LayerNorm(norm) => Some((index, norm.clone(), step.inputs[0])),
        _ => None,
    }
}

/// Whether the constant has a number for each normalised element or each channel and no other axis, and stretches nothing.
fn varies(form: &Form, input: usize, over: &Over, constant: &Constant) -> bool {
    let shape = form.shape(input);
    let Some(lead) = shape.len().checked_sub(constant.shape.len()) else { return false };
    let allowed = |axis: usize| match over {
        Over::Axes(axes) => axes.contains(&axis) || (axis == 1 && axes.first() == Some(&2)),
        Over::Groups(_) => axis == 1,
    };
    constant.shape.iter().enumerate().all(|(i, &size)| size == 1 || (size == shape[lead + i] && allowed(lead + i)))
}

/// The variance and epsilon under a root, and the steps of the root; of its inverse for an exponent of -1/2.
fn root(form: &Form, value: usize, exponent: f64) -> Option<(usize, Vec<usize>)> {
    let (index, step) = form.maker(value)?;
    match &step.op {
        Op::Sqrt(_) if exponent > 0.0 => Some((step.inputs[0], vec![index])),
        Op::Power(power) if power.exponent == exponent => Some((step.inputs[0], vec![index])),
        Op::Power(power) if power.exponent == -1.0 && exponent < 0.0 => inverted(form, index, step.inputs[0]),
        Op::Reciprocal(inverse) if exponent < 0.0 && super::form::scalar(&inverse.numerator) == Some(1.0) => {
            inverted(form, index, step.inputs[0])
        }
        _ => None,
    }
}

fn inverted(form: &Form, index: usize, value: usize) -> Option<(usize, Vec<usize>)> {
    let (inner, mut steps) = root(form, value, 0.5)?;
    steps.push(index);
    Some((inner, steps))
}

/// A mean and epsilon, one number that exporters drop where it is nothing beside the mean.
fn with_epsilon(form: &Form, value: usize) -> Option<Line> {
    form.lines(value).into_iter().take(2).find(|line| line.scale == 1.0 && line.shift >= 0.0 && mean(form, line.base).is_some())
}

/// The axes, the input and the step of a mean that keeps its axes.
fn mean(form: &Form, value: usize) -> Option<(Vec<usize>, usize, usize)> {
    let (index, step) = form.maker(value)?;
    match &step.op {
        Op::ReduceMean(ReduceMean { axes, keep: true }) => Some((axes.clone(), step.inputs[0], index)),
        _ => None,
    }
}

/// What is squared, and the step that does it.
pub fn square(form: &Form, value: usize) -> Option<(usize, usize)> {
    let (index, step) = form.maker(value)?;
    match (&step.op, &step.inputs[..]) {
        (Op::Power(power), &[base]) if power.exponent == 2.0 => Some((base, index)),
        (Op::Multiply(_), &[a, b]) if a == b => Some((a, index)),
        _ => None,
    }
}

/// x, the axes and the steps of x - mean(x).
fn centred(form: &Form, value: usize) -> Option<(usize, Vec<usize>, Vec<usize>)> {
    let (index, step) = form.maker(value)?;
    let (Op::Subtract(_), &[x, around]) = (&step.op, &step.inputs[..]) else { return None };
    let (axes, of, mean) = mean(form, around)?;
    (of == x).then(|| (x, axes, vec![index, mean]))
}
