//! Gelu as x (1 + erf(x / sqrt(2))) / 2, or with tanh(sqrt(2 / pi) (x + 0.044715 x^3)) for the error function, the products in any order.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use super::Found;
use super::form::{Form, is};
use super::polynomial::{self, Coefficients};
use crate::network::ops::{Gelu, Op};

/// With the error function.
pub fn by_erf(form: &Form, last: usize) -> Option<Found> {
    let of = |op: &Op| matches!(op, Op::Erf(_));
    spelled(form, last, false, of, |c| is(c[1], FRAC_1_SQRT_2) && c[0] == 0.0 && c[2] == 0.0 && c[3] == 0.0)
}

/// With the hyperbolic tangent.
pub fn by_tanh(form: &Form, last: usize) -> Option<Found> {
    // sqrt(2 / pi).
    let k = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
    let of = |op: &Op| matches!(op, Op::Tanh(_));
    spelled(form, last, true, of, |c| is(c[1], k) && is(c[3], 0.044715 * k) && c[0] == 0.0 && c[2] == 0.0)
}

fn spelled(form: &Form, last: usize, tanh: bool, curve: fn(&Op) -> bool, argument: impl Fn(&Coefficients) -> bool) -> Option<Found> {
    let product = form.product(last)?;
    product.pairs().into_iter().find_map(|(x, gate)| {
        // 1 + erf(.), or 1/2 + erf(.) / 2.
        form.lines(gate).into_iter().skip(1).find_map(|line| {
            let (index, step) = form.maker(line.base).filter(|(_, step)| curve(&step.op))?;
            let half = |number: f64| is(product.factor * number, 0.5);
            let (coefficients, inner) = polynomial::of(form, step.inputs[0], x).filter(|_| half(line.scale) && half(line.shift))?;
            let gone = [&product.steps[..], &line.steps, &[index], &inner].concat();
            argument(&coefficients).then(|| Found { op: Gelu { tanh }.into(), input: x, gone })
        })
    })
}
