//! Operators that work on each element by itself.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::{Exemplar, activation, constant, integers, weights};
use crate::network::graph::{Constant, Elements};
use crate::network::ops::sweep::reference::{self, Plain};

const IMAGE: &[usize] = &[1, 3, 4, 5];

pub fn all() -> Vec<Exemplar> {
    [sigmoids(), rectifiers(), roots(), products(), differences(), jumps(), choices(), sums()].into_iter().flatten().collect()
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

fn bent(x: f64, slope: f64) -> f64 {
    if x > 0.0 { x } else { slope * x }
}

/// A vector of slopes was one for each channel once.
fn early_prelu() -> Exemplar {
    let slope = weights(&[3]);
    Exemplar::new("PRelu", "of an early opset", vec![activation(IMAGE), constant(&slope)], move |x| {
        Plain::of(&x[0].shape, |at| bent(x[0].at(at), slope.data[at[1]]))
    })
    .opset(6)
}

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
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
        unary("Softsign", "", |x| x / (1.0 + x.abs())),
        unary("Sin", "", f64::sin),
        unary("Cos", "", f64::cos),
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
        unary("Abs", "", f64::abs),
        unary("Elu", "", |x| if x > 0.0 { x } else { x.exp_m1() }),
        unary("Elu", "of a depth", |x| if x > 0.0 { x } else { f64::from(0.7f32) * x.exp_m1() }).float("alpha", 0.7),
        unary("Selu", "", |x| f64::from(1.050_701f32) * if x > 0.0 { x } else { f64::from(1.673_263_2f32) * x.exp_m1() }),
        unary("Celu", "", |x| x.max(0.0) + x.min(0.0).exp_m1()).opset(12),
        unary("Celu", "of a depth", |x| x.max(0.0) + 0.5 * (x.min(0.0) / 0.5).exp_m1()).float("alpha", 0.5).opset(12),
        unary("ThresholdedRelu", "", |x| if x > 1.0 { x } else { 0.0 }),
        unary("ThresholdedRelu", "below zero", |x| if x > -0.5 { x } else { 0.0 }).float("alpha", -0.5),
        with("PRelu", "of one slope", IMAGE, &[1], false, bent),
        with("PRelu", "of a slope for each channel", IMAGE, &[3, 1, 1], false, bent),
        with("PRelu", "of a slope for each element", IMAGE, &[3, 4, 5], false, bent),
        with("PRelu", "of a row", &[1, 7], &[7], false, bent),
        early_prelu(),
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
        unary("Log", "", f64::ln).within(positive),
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

fn jumps() -> Vec<Exemplar> {
    let mut true_where = with("And", "with a constant", IMAGE, &[5], false, |a, b| truth(a > 0.5 && b != 0.0));
    true_where.given[1] = super::Given::Constant(Constant { shape: vec![], elements: Elements::Bool([true].into()) });
    vec![
        unary("Ceil", "", f64::ceil),
        unary("Floor", "", f64::floor),
        unary("Round", "", f64::round_ties_even),
        unary("Sign", "", f64::signum),
        unary("Not", "", |x| truth(x <= 0.5)),
        unary("Cast", "to truth", |x| truth(x != 0.0)).int("to", 9),
        pair("Greater", "of two alike", [IMAGE, IMAGE], |a, b| truth(a > b)),
        with("Greater", "than one number", IMAGE, &[], false, |a, b| truth(a > b)).within(|_, x| x + 0.003),
        with("GreaterOrEqual", "from a constant", IMAGE, &[3, 1, 1], true, |a, b| truth(a >= b)).within(|_, x| x + 0.003),
        pair("Less", "stretching both", [&[1, 3, 1, 5], &[1, 1, 4, 5]], |a, b| truth(a < b)),
        with("LessOrEqual", "of a constant that stretches", &[1, 3, 1, 1], IMAGE, false, |a, b| truth(a <= b)).within(|_, x| x + 0.003),
        pair("Equal", "of two alike", [IMAGE, IMAGE], |a, b| truth(a == b)),
        pair("And", "of two alike", [IMAGE, IMAGE], |a, b| truth(a > 0.5 && b > 0.5)),
        true_where,
        pair("Or", "of one pixel", [IMAGE, &[1, 3, 1, 1]], |a, b| truth(a > 0.5 || b > 0.5)),
        pair("Xor", "of two alike", [IMAGE, IMAGE], |a, b| truth((a > 0.5) != (b > 0.5))),
    ]
}

fn choices() -> Vec<Exemplar> {
    let choose = |name, given: Vec<super::Given>, operands: fn(&[Plain]) -> [Plain; 3]| {
        Exemplar::new("Where", name, given, move |x| {
            let [condition, a, b] = operands(x);
            let both = reference::pairwise(&a, &b, |a, _| a);
            let chosen = reference::pairwise(&condition, &both, |_, a| a);
            Plain::of(&chosen.shape, |at| if condition.stretched(at) > 0.5 { a.stretched(at) } else { b.stretched(at) })
        })
    };
    let pattern = || Constant { shape: vec![1, 1, 4, 5], elements: Elements::Bool((0..20).map(|i| i % 3 == 0).collect()) };
    let extreme = |op_type, name, shapes: [&[usize]; 3], pick: fn(f64, f64) -> f64| {
        let given = shapes.iter().map(|shape| activation(shape)).collect();
        Exemplar::new(op_type, name, given, move |x| reference::pairwise(&reference::pairwise(&x[0], &x[1], pick), &x[2], pick))
    };
    vec![
        choose("of three activations", vec![activation(IMAGE), activation(IMAGE), activation(&[1, 3, 1, 1])], |x| {
            [x[0].clone(), x[1].clone(), x[2].clone()]
        }),
        choose("by a constant", vec![super::Given::Constant(pattern()), activation(IMAGE), activation(&[1, 1, 4, 5])], |x| {
            [Plain::of(&[1, 1, 4, 5], |at| truth((at[2] * 5 + at[3]) % 3 == 0)), x[0].clone(), x[1].clone()]
        }),
        choose("of a number or an activation", vec![activation(&[1, 1, 4, 5]), constant(&weights(&[])), activation(IMAGE)], |x| {
            [x[0].clone(), weights(&[]).laid_out(&[1; 4]), x[1].clone()]
        }),
        choose("of two constants", vec![activation(IMAGE), constant(&weights(&[])), constant(&weights(&[5]))], |x| {
            [x[0].clone(), weights(&[]).laid_out(&[1; 4]), weights(&[5]).laid_out(&[1, 1, 1, 5])]
        }),
        choose(
            "of an activation or zero",
            vec![activation(IMAGE), activation(IMAGE), constant(&Plain { shape: vec![], data: vec![0.0] })],
            |x| [x[0].clone(), x[1].clone(), Plain { shape: vec![1; 4], data: vec![0.0] }],
        ),
        pair("Max", "of two alike", [IMAGE, IMAGE], f64::max),
        extreme("Max", "of three", [&[1, 3, 1, 5], &[1, 1, 4, 5], &[1, 3, 4, 1]], f64::max),
        extreme("Min", "of three", [&[1, 1, 1, 5], IMAGE, &[1, 3, 1, 1]], f64::min),
        with("Max", "with one number", IMAGE, &[], false, f64::max).within(|_, x| x + 0.003),
        with("Min", "with one number", IMAGE, &[1], true, f64::min).within(|_, x| x + 0.003),
        with("Min", "with a constant", IMAGE, &[3, 1, 1], false, f64::min).within(|_, x| x + 0.003),
        with("Max", "with a constant that stretches", &[1, 3, 1, 1], IMAGE, true, f64::max).within(|_, x| x + 0.003),
    ]
}

fn sums() -> Vec<Exemplar> {
    let of = |op_type, name, shapes: [&[usize]; 3], factor: f64| {
        let given = shapes.iter().map(|shape| activation(shape)).collect();
        Exemplar::new(op_type, name, given, move |x| reference::add(&reference::add(&x[0], &x[1]), &x[2]).each(|sum| factor * sum))
    };
    vec![
        pair("Sum", "of two", [IMAGE, &[1, 3, 1, 1]], |a, b| a + b),
        of("Sum", "of three", [IMAGE, &[1, 3, 1, 5], &[1, 1, 4, 5]], 1.0),
        with("Sum", "with a constant", IMAGE, &[3, 1, 1], true, |a, b| a + b),
        of("Mean", "of three", [IMAGE, IMAGE, &[1, 1, 4, 5]], 1.0 / 3.0),
        pair("Mean", "of two", [IMAGE, IMAGE], |a, b| (a + b) / 2.0),
        with("Mean", "with a constant that stretches", &[1, 3, 1, 5], IMAGE, false, |a, b| (a + b) / 2.0),
    ]
}
