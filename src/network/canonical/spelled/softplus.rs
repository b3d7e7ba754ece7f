//! Softplus as log(1 + exp(x)), and with a threshold behind which x itself is taken: y = x where s x > t, else log(1 + exp(s x)) / s.
//! The logarithm of a Sigmoid, torch's LogSigmoid, is a Softplus turned upside down.

use super::form::{Form, is};
use super::{Found, form};
use crate::network::ops::{Jumping, Op, Softplus};

/// What is dropped behind this threshold is under 1e-8.
const LEAST_THRESHOLD: f64 = 18.0;

/// Log of Add 1 of Exp.
pub fn of_logarithm(form: &Form, last: usize) -> Option<Found> {
    let step = form.step(last)?;
    let Op::Log(_) = step.op else { return None };
    let line = form.lines(step.inputs[0]).into_iter().nth(1)?;
    let (exp, inner) = form.maker(line.base)?;
    let fits = matches!(inner.op, Op::Exp(_)) && line.scale == 1.0 && is(line.shift, 1.0);
    fits.then(|| Found { op: Softplus::UPRIGHT.into(), input: inner.inputs[0], gone: [line.steps, vec![exp, last]].concat() })
}

/// Log of Sigmoid.
pub fn of_sigmoid(form: &Form, last: usize) -> Option<Found> {
    let step = form.step(last)?;
    let Op::Log(_) = step.op else { return None };
    let (sigmoid, inner) = form.maker(step.inputs[0]).filter(|(_, step)| matches!(step.op, Op::Sigmoid(_)))?;
    Some(Found { op: Softplus { turned: true }.into(), input: inner.inputs[0], gone: vec![sigmoid, last] })
}

/// Where of a comparison, x, and a Softplus that may stand between factors.
pub fn with_threshold(form: &Form, last: usize) -> Option<Found> {
    let step = form.step(last)?;
    let Op::Where(choice) = &step.op else { return None };
    let &[condition, first, second] = &step.inputs[..] else { return None };
    if choice.operands.constants().next().is_some() {
        return None;
    }
    let (comparison, compared) = form.maker(condition)?;
    let Op::Steps(compare) = &compared.op else { return None };
    let threshold = compare.operands.constants().next().and_then(form::scalar)?;
    let from_left = compare.operands.0.first()?.is_none();
    let above = match (compare.function, from_left) {
        (Jumping::Greater | Jumping::GreaterOrEqual, true) | (Jumping::Less | Jumping::LessOrEqual, false) => true,
        (Jumping::Less | Jumping::LessOrEqual, true) | (Jumping::Greater | Jumping::GreaterOrEqual, false) => false,
        _ => return None,
    };
    let (x, soft) = if above { (first, second) } else { (second, first) };
    let compared = compared.inputs[0];
    let outer = form.lines(soft).into_iter().take(2).find(|line| {
        let inner = form.maker(line.base).filter(|(_, step)| matches!(step.op, Op::Softplus(Softplus::UPRIGHT)));
        let inner = inner.and_then(|(_, step)| form.lines(step.inputs[0]).into_iter().find(|line| line.base == x));
        let scaled = form.lines(compared).into_iter().find(|line| line.base == x);
        line.shift == 0.0
            && inner.is_some_and(|inner| inner.shift == 0.0 && is(inner.scale * line.scale, 1.0))
            && scaled.is_some_and(|scaled| {
                scaled.shift == 0.0 && scaled.scale > 0.0 && threshold / scaled.scale * (1.0 / line.scale) >= LEAST_THRESHOLD
            })
    })?;
    let (made, step) = form.maker(soft)?;
    Some(Found { op: step.op.clone(), input: *step.inputs.first()?, gone: vec![comparison, made, last] }).filter(|_| outer.steps.len() <= 1)
}
