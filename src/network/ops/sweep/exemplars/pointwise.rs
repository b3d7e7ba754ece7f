//! Operators that work on each element by itself.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::{Exemplar, activation, constant, integers, weights};
use crate::network::graph::Constant;
use crate::network::ops::sweep::reference::{self, Plain};

const IMAGE: &[usize] = &[1, 3, 4, 5];

pub fn all() -> Vec<Exemplar> {
    [sigmoids(), rectifiers(), roots(), products(), differences()].into_iter().flatten().collect()
}

/// A function of one number.
fn unary(op_type: &'static str, name: &'static str, function: fn(f64) -> f64) -> Exemplar {
    Exemplar::new(op_type, name, vec![activation(IMAGE)], move |x| x[0].each(function))
}

/// An operator of two activations.
fn pair(op_type: &'static str, name: &'static str, [a, b]: [&[usize]; 2], function: fn(f64, f64) -> f64) -> Exemplar {
    Exemplar::new(op_type, name, vec![activation(a), activation(b)], move |x| reference::pairwise(&x[0], &x[1], function))
}

/// An operator of an activation and a constant of these shapes; the constant is the first or the second input.
fn with(op_type: &'static str, name: &'static str, x: &[usize], c: &[usize], first: bool, function: fn(f64, f64) -> f64) -> Exemplar {
    // Away from zero, so that it can divide.
    let c = weights(c).each(|w| w + 0.2 * w.signum());
    let given = if first { vec![constant(&c), activation(x)] } else { vec![activation(x), constant(&c)] };
    Exemplar::new(op_type, name, given, move |x| {
        let c = Plain { shape: [vec![1; x[0].shape.len() - c.shape.len()], c.shape.clone()].concat(), data: c.data.clone() };
        if first { reference::pairwise(&c, &x[0], function) } else { reference::pairwise(&x[0], &c, function) }
    })
}

/// From -infinity to infinity onto what is above zero.
fn positive(_: usize, x: f64) -> f64 {
    (x + (x * x + 1.0).sqrt()) / 2.0
}

fn away_from_zero(_: usize, x: f64) -> f64 {
    x + 0.5 * x.signum()
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn gelu_by_tanh(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
}

fn sigmoids() -> Vec<Exemplar> {
    vec![
        unary("Sigmoid", "", logistic),
        unary("HardSigmoid", "", |x| (f64::from(0.2f32) * x + 0.5).clamp(0.0, 1.0)),
        unary("HardSigmoid", "of a sixth", |x| (f64::from(0.16f32) * x + f64::from(0.4f32)).clamp(0.0, 1.0))
            .float("alpha", 0.16)
            .float("beta", 0.4),
        unary("Tanh", "", f64::tanh),
        unary("Erf", "", reference::erf),
        unary("Softplus", "", softplus),
    ]
}

fn rectifiers() -> Vec<Exemplar> {
    vec![
        unary("Swish", "", |x| x * logistic(x)).opset(24),
        unary("Swish", "with a factor", |x| x * logistic(f64::from(1.7f32) * x)).float("alpha", 1.7).opset(24),
        unary("Swish", "with a factor of zero", |x| x / 2.0).float("alpha", 0.0).opset(24),
        unary("HardSwish", "", |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        unary("Mish", "", |x| x * softplus(x).tanh()).opset(18),
        unary("Gelu", "", |x| 0.5 * x * (1.0 + reference::erf(x * FRAC_1_SQRT_2))).opset(20),
        unary("Gelu", "by tanh", gelu_by_tanh).text("approximate", "tanh").opset(20),
    ]
}

fn roots() -> Vec<Exemplar> {
    let pow = |name, exponent: f64, function: fn(f64) -> f64| {
        let given = vec![activation(IMAGE), constant(&Plain { shape: vec![], data: vec![exponent] })];
        Exemplar::new("Pow", name, given, move |x| x[0].each(function))
    };
    let mut cube = unary("Pow", "of an integer", |x| x * x * x);
    cube.given.push(integers(&[3]));
    let mut alike = unary("Pow", "of many exponents alike", |x| x * x);
    alike.given.push(super::Given::Constant(Constant::from_floats(vec![5], vec![2.0; 5])));
    vec![
        pow("of two", 2.0, |x| x * x),
        pow("of a half", 0.5, f64::sqrt).within(positive),
        pow("of -1.5", -1.5, |x| x.powf(-1.5)).within(|i, x| 0.2 + positive(i, x)),
        pow("of one", 1.0, |x| x),
        pow("of zero", 0.0, |_| 1.0),
        cube,
        alike,
        unary("Sqrt", "", f64::sqrt).within(positive),
        unary("Reciprocal", "", |x| 1.0 / x).within(away_from_zero),
        unary("Exp", "", f64::exp),
    ]
}

fn products() -> Vec<Exemplar> {
    let product = |a, b| a * b;
    let quotient = |a, b| a / b;
    vec![
        pair("Mul", "of two alike", [IMAGE, IMAGE], product),
        pair("Mul", "by one pixel", [IMAGE, &[1, 3, 1, 1]], product),
        pair("Mul", "of one channel by all", [&[1, 1, 4, 5], IMAGE], product),
        pair("Mul", "stretching both", [&[1, 3, 1, 5], &[1, 1, 4, 5]], product),
        with("Mul", "by one number", IMAGE, &[], false, product),
        with("Mul", "by a list of one number", IMAGE, &[1], true, product),
        with("Mul", "by a number for each channel", IMAGE, &[3, 1, 1], true, product),
        with("Mul", "by a number for each column", IMAGE, &[5], false, product),
        with("Mul", "by a constant that stretches", &[1, 3, 1, 1], &[3, 4, 5], false, product),
        unary("Neg", "", |x| -x),
        pair("Div", "of two alike", [IMAGE, IMAGE], quotient).within(|i, x| if i == 1 { away_from_zero(i, x) } else { x }),
        pair("Div", "by one pixel", [IMAGE, &[1, 3, 1, 1]], quotient).within(|i, x| if i == 1 { away_from_zero(i, x) } else { x }),
        with("Div", "by one number", IMAGE, &[1], false, quotient),
        with("Div", "by a number for each channel", IMAGE, &[3, 1, 1], false, quotient),
        with("Div", "of one number", IMAGE, &[], true, quotient).within(away_from_zero),
        with("Div", "of a constant that stretches", &[1, 3, 1, 5], &[1, 3, 4, 5], true, quotient).within(away_from_zero),
    ]
}

fn differences() -> Vec<Exemplar> {
    let (sum, difference) = (|a, b| a + b, |a, b| a - b);
    vec![
        with("Add", "of a constant that stretches", &[1, 3, 1, 5], IMAGE, false, sum),
        with("Sub", "from a constant that stretches", &[1, 1, 4, 5], &[3, 1, 1], true, difference),
        pair("Sub", "of two alike", [IMAGE, IMAGE], difference),
        pair("Sub", "stretching the second", [IMAGE, &[1, 3, 1, 1]], difference),
        pair("Sub", "stretching both", [&[1, 1, 4, 5], &[1, 3, 4, 1]], difference),
    ]
}
