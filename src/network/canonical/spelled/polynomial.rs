//! A value as a polynomial of another, whatever sums, products and powers it is written in.

use super::form::{Form, scalar};
use crate::network::ops::Op;

/// Coefficients of 1, x, x^2 and x^3.
pub type Coefficients = [f64; 4];

/// Most steps that a polynomial is followed through.
const MOST_STEPS: usize = 8;

/// The coefficients of `value` as a polynomial of x, and the steps on the way, each once.
pub fn of(form: &Form, value: usize, x: usize) -> Option<(Coefficients, Vec<usize>)> {
    let mut steps = Vec::new();
    let coefficients = follow(form, value, x, &mut steps, MOST_STEPS)?;
    steps.sort_unstable();
    steps.dedup();
    Some((coefficients, steps))
}

fn follow(form: &Form, value: usize, x: usize, steps: &mut Vec<usize>, depth: usize) -> Option<Coefficients> {
    if value == x {
        return Some([0.0, 1.0, 0.0, 0.0]);
    }
    let (index, step) = form.maker(value).filter(|_| depth > 0)?;
    if form.shape(value) != form.shape(x) {
        return None;
    }
    let mut inner = |place: usize| follow(form, step.inputs[place], x, steps, depth - 1);
    let result = match &step.op {
        Op::Scale(scale) => {
            let factor = scalar(&scale.constant)?;
            inner(0)?.map(|c| factor * c)
        }
        Op::AddConstant(add) => {
            let shift = scalar(&add.constant)?;
            let mut sum = inner(0)?.map(|c| add.sign * c);
            sum[0] += shift;
            sum
        }
        Op::Add(_) => {
            let (a, b) = (inner(0)?, inner(1)?);
            std::array::from_fn(|i| a[i] + b[i])
        }
        Op::Multiply(_) => product(&inner(0)?, &inner(1)?)?,
        Op::Power(power) if power.exponent == 2.0 || power.exponent == 3.0 => {
            let base = inner(0)?;
            let square = product(&base, &base)?;
            if power.exponent == 2.0 { square } else { product(&square, &base)? }
        }
        _ => return None,
    };
    steps.push(index);
    Some(result)
}

fn product(a: &Coefficients, b: &Coefficients) -> Option<Coefficients> {
    let mut result = [0.0; 7];
    for (i, a) in a.iter().enumerate() {
        b.iter().enumerate().for_each(|(j, b)| result[i + j] += a * b);
    }
    result[4..].iter().all(|&c| c == 0.0).then(|| std::array::from_fn(|i| result[i]))
}
