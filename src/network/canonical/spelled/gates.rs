//! Activations that are the input times a gate: Silu = x Sigmoid(x), HardSwish = x HardSigmoid(x), Mish = x Tanh(Softplus(x)); and
//! HardSigmoid itself, as Clip of a line. Softsign = x / (1 + |x|).

use super::Found;
use super::form::{Form, Line, is};
use crate::network::ops::{HardSigmoid, HardSwish, Mish, Op, Silu, Softplus, Softsign};

const SIXTH: f64 = 1.0 / 6.0;
/// Slopes of a HardSigmoid: torch's and Keras's.
const SLOPES: [f64; 2] = [SIXTH, 0.2];

/// x times a gate of x.
pub fn silu(form: &Form, last: usize) -> Option<Found> {
    let Op::Multiply(_) = form.step(last)?.op else { return None };
    gated(form, last, 1.0, |form, gate| {
        let (index, step) = form.maker(gate)?;
        matches!(step.op, Op::Sigmoid(_)).then(|| (Silu { alpha: 1.0 }.into(), step.inputs[0], vec![index]))
    })
}

/// x times the hyperbolic tangent of its Softplus.
pub fn mish(form: &Form, last: usize) -> Option<Found> {
    gated(form, last, 1.0, |form, gate| {
        let (tanh, outer) = form.maker(gate).filter(|(_, step)| matches!(step.op, Op::Tanh(_)))?;
        let (softplus, inner) = form.maker(outer.inputs[0]).filter(|(_, step)| matches!(step.op, Op::Softplus(Softplus::UPRIGHT)))?;
        Some((Mish.into(), inner.inputs[0], vec![tanh, softplus]))
    })
}

/// x times a HardSigmoid, or times Clip(x + 3, 0, 6), over 6.
pub fn hard_swish(form: &Form, last: usize) -> Option<Found> {
    let by_line = gated(form, last, 1.0, |form, gate| {
        let (index, step) = form.maker(gate)?;
        let Op::HardSigmoid(HardSigmoid { alpha, beta }) = &step.op else { return None };
        (is(*alpha, SIXTH) && is(*beta, 0.5)).then(|| (HardSwish.into(), step.inputs[0], vec![index]))
    });
    by_line.or_else(|| {
        gated(form, last, SIXTH, |form, gate| {
            let (index, step) = form.maker(gate)?;
            let Op::Clip(clip) = &step.op else { return None };
            let line = form.lines(step.inputs[0]).into_iter().nth(1)?;
            let fits = clip.low == 0.0 && is(clip.high, 6.0) && is(line.scale, 1.0) && is(line.shift, 3.0);
            fits.then(|| (HardSwish.into(), line.base, [vec![index], line.steps].concat()))
        })
    })
}

/// The product of x and a gate that reads x, and one number.
pub fn gated(form: &Form, last: usize, factor: f64, gate_of: impl Fn(&Form, usize) -> Option<(Op, usize, Vec<usize>)>) -> Option<Found> {
    let product = form.product(last).filter(|product| is(product.factor, factor))?;
    product.pairs().into_iter().find_map(|(x, gate)| {
        let (op, input, steps) = gate_of(form, gate)?;
        (input == x).then(|| Found { op, input, gone: [&product.steps[..], &steps].concat() })
    })
}

/// x over one more than its size.
pub fn softsign(form: &Form, last: usize) -> Option<Found> {
    let step = form.step(last)?;
    let (Op::Divide(_), &[x, below]) = (&step.op, &step.inputs[..]) else { return None };
    let line = form.lines(below).into_iter().nth(1).filter(|line| line.scale == 1.0 && is(line.shift, 1.0))?;
    let (size, inner) = form.maker(line.base).filter(|(_, step)| matches!(step.op, Op::Abs(_)))?;
    (inner.inputs[0] == x).then(|| Found { op: Softsign.into(), input: x, gone: [line.steps, vec![size, last]].concat() })
}

/// A multiple of Clip(x + 3, 0, 6) that ends at 1, or Clip(alpha x + beta, 0, 1).
pub fn hard_sigmoid(form: &Form, last: usize) -> Option<Found> {
    let step = form.step(last)?;
    let (factor, clip, bounded) = match &step.op {
        Op::Clip(_) => (1.0, last, step),
        Op::Scale(_) => {
            let line = form.lines(step.outputs[0]).into_iter().nth(1)?;
            let (index, clipped) = form.maker(line.base)?;
            (line.scale, index, clipped)
        }
        _ => return None,
    };
    let Op::Clip(bounds) = &bounded.op else { return None };
    if bounds.low != 0.0 || !is(bounds.high * factor, 1.0) {
        return None;
    }
    let lines = form.lines(bounded.inputs[0]).into_iter().filter(|line| matches!(line.steps.len(), 1 | 2));
    let slope = |line: &Line| SLOPES.into_iter().find(|&slope| is(line.scale * factor, slope));
    let (line, alpha) = lines.filter(|line| is(line.shift * factor, 0.5)).find_map(|line| slope(&line).map(|alpha| (line, alpha)))?;
    let gone = [if clip == last { vec![last] } else { vec![clip, last] }, line.steps].concat();
    Some(Found { op: HardSigmoid { alpha, beta: 0.5 }.into(), input: line.base, gone })
}
