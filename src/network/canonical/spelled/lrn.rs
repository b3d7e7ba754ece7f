//! LRN as x / (k + alpha * mean of x^2 over the channels around)^beta. The mean is a Pad and an AveragePool over channels that stand on an
//! axis of their own: a Reshape or an Unsqueeze goes before it and one back behind it.

use super::Found;
use super::form::Form;
use super::layer_norm::square;
use crate::network::ops::{Border, Lrn, Op};

/// The quotient, or a product with the inverse power.
pub fn over_channels(form: &Form, last: usize) -> Option<Found> {
    let step = form.step(last)?;
    let &[first, second] = &step.inputs[..] else { return None };
    let pairs = match step.op {
        Op::Divide(_) => vec![(first, second, 1.0)],
        Op::Multiply(_) => vec![(first, second, -1.0), (second, first, -1.0)],
        _ => return None,
    };
    pairs.into_iter().find_map(|(x, below, sign)| {
        let (power, step) = form.maker(below)?;
        let beta = match &step.op {
            Op::Power(power) => sign * power.exponent,
            Op::Sqrt(_) if sign > 0.0 => 0.5,
            _ => return None,
        };
        form.lines(step.inputs[0]).into_iter().skip(1).find_map(|line| {
            let (squares, size, before, steps) = mean_around(form, line.base, x)?;
            let (base, square) = square(form, squares).filter(|(base, _)| *base == x)?;
            let gone = [vec![power, square, last], line.steps, steps].concat();
            let op = Lrn { size, before, alpha: line.scale, beta, bias: line.shift };
            Some(Found { op: op.into(), input: base, gone })
        })
    })
}

/// What is averaged over `size` neighbouring channels, `before` of them before, and the steps.
fn mean_around(form: &Form, value: usize, x: usize) -> Option<(usize, usize, usize, Vec<usize>)> {
    let (averaged, back) = reshaped(form, value)?;
    let (pool, pooled) = form.maker(averaged)?;
    let (axis, size) = match &pooled.op {
        Op::AverageAlong(average) => (average.axis, average.size),
        Op::AveragePool(average) => {
            let w = &average.window;
            let plain = w.strides == [1, 1] && w.pads_begin == [0, 0] && w.pads_end == [0, 0] && w.kernel[1] == 1;
            plain.then_some((2, w.kernel[0]))?
        }
        _ => return None,
    };
    let (pad, padded) = form.maker(pooled.inputs[0])?;
    let Op::Pad(border) = &padded.op else { return None };
    let (squares, out) = reshaped(form, padded.inputs[0])?;
    let (shape, apart) = (form.shape(x), form.shape(padded.inputs[0]));
    // All axes before the channels' own are of size one.
    let own = apart.get(axis) == Some(&shape[1]) && apart[..axis].iter().all(|&size| size == 1);
    let [before, behind] = *border.pads.get(axis)?;
    let others = border.pads.iter().enumerate().all(|(i, pads)| i == axis || *pads == [0, 0]);
    let whole = before >= 0 && behind >= 0 && before + behind + 1 == size as i64 && border.border == Border::Constant(0.0);
    let fits = own && others && whole && form.shape(value) == shape && form.shape(squares) == shape;
    fits.then(|| (squares, size, before as usize, [vec![pool, pad], back, out].concat()))
}

/// What stands before one Reshape or several, and those steps.
fn reshaped(form: &Form, mut value: usize) -> Option<(usize, Vec<usize>)> {
    let mut steps = Vec::new();
    while let Some((index, step)) = form.maker(value)
        && let Op::Reshape(_) = step.op
    {
        steps.push(index);
        value = step.inputs[0];
    }
    (!steps.is_empty()).then_some((value, steps))
}
