//! What a random network is made of: a row for each kind of step. Every operator that the loader knows stands in one of them.

use gradcast::network::graph::{Attribute, Constant, Elements, ValueId};

use crate::graphs::{Builder, ints};
use crate::{spelled, structure};

/// A value (N, C, H, W) on the way through the network.
#[derive(Clone, Copy)]
pub struct At {
    pub value: ValueId,
    pub channels: usize,
    pub size: [usize; 2],
}

/// Takes a value one step on, as two numbers choose; `None` where the step does not fit.
type Step = fn(&mut Builder, At, usize, usize) -> Option<At>;

/// The steps, some of them more often.
#[rustfmt::skip]
const STEPS: &[Step] = &[
    convolution, convolution, convolution, convolution, batch_norm, relu, relu, leaky_relu, prelu, clip,
    pool, pool, residual, residual, doubled, constant, constant, split, slice, transposed,
    channel_means, squeeze_and_excite, linear, rows, nothing, averaged,
    smooth, smooth, smooth, smooth, smooth, smooth, above_zero, above_zero, exponential, power,
    product, quotient, difference, staircase, staircase, compared, compared, logic, logic, extreme, extreme, several, several,
    structure::transposed_convolution, structure::blocks, structure::bordered, structure::resized, structure::upsampled, structure::reduced, structure::reduced,
    structure::reduced, structure::normed, structure::normed, structure::weighed, structure::picked, structure::stretched,
    spelled::einsum, spelled::out, spelled::out,
];

/// A step drawn by three numbers; what does not fit is left out.
pub fn draw(b: &mut Builder, at: At, (kind, p, q): (u8, u8, u8)) -> At {
    STEPS[usize::from(kind) % STEPS.len()](b, at, p.into(), q.into()).unwrap_or(at)
}

impl At {
    pub fn same(self, value: ValueId) -> Option<At> {
        Some(At { value, ..self })
    }

    fn pooled(self, kernel: usize, stride: usize, border: usize) -> [usize; 2] {
        self.size.map(|s| (s + 2 * border - kernel) / stride + 1)
    }
}

pub fn chosen(names: &'static [&'static str], number: usize) -> &'static str {
    names[number % names.len()]
}

/// Constants for each channel, column or element, or one number.
pub fn some_constant(b: &mut Builder, at: At, number: usize) -> ValueId {
    match number % 4 {
        0 => b.weights(&[at.channels, 1, 1]),
        1 => b.weights(&[at.size[1]]),
        2 => b.weights(&[1, at.channels, at.size[0], at.size[1]]),
        _ => b.weights(&[]),
    }
}

fn convolution(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    let channels = at.channels;
    let (kernel, stride, groups) = (1 + p % 3, 1 + q % 2, if (p + q).is_multiple_of(3) { channels } else { 1 });
    if at.size.iter().any(|&s| s < 3) {
        return None;
    }
    let border = q % kernel;
    let outputs = if groups == 1 { 1 + p % 9 } else { channels };
    let mut operands = vec![at.value, b.weights(&[outputs, channels / groups, kernel, kernel])];
    if !p.is_multiple_of(4) {
        operands.push(b.weights(&[outputs]));
    }
    let attributes =
        [("pads", ints(&[border as i64; 4])), ("strides", ints(&[stride as i64; 2])), ("group", Attribute::Int(groups as i64))];
    Some(At { value: b.with("Conv", &operands, &attributes), channels: outputs, size: at.pooled(kernel, stride, border) })
}

fn batch_norm(b: &mut Builder, at: At, _: usize, _: usize) -> Option<At> {
    at.same(b.batch_norm(at.value, at.channels))
}

fn relu(b: &mut Builder, at: At, _: usize, _: usize) -> Option<At> {
    at.same(b.node("Relu", &[at.value]))
}

fn leaky_relu(b: &mut Builder, at: At, p: usize, _: usize) -> Option<At> {
    at.same(b.with("LeakyRelu", &[at.value], &[("alpha", Attribute::Float(0.1 + p as f32 / 512.0))]))
}

fn prelu(b: &mut Builder, at: At, p: usize, _: usize) -> Option<At> {
    let slope = b.weights(if p.is_multiple_of(2) { vec![at.channels, 1, 1] } else { vec![1] }.as_slice());
    at.same(b.node("PRelu", &[at.value, slope]))
}

fn clip(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    let (low, high) = (b.scalar(-(p as f64) / 256.0), b.scalar(0.1 + q as f64 / 64.0));
    at.same(b.node("Clip", &[at.value, low, high]))
}

fn pool(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    if at.size.iter().any(|&s| s < 3) {
        return None;
    }
    let (kernel, stride) = (2 + p % 2, 1 + q % 2);
    let border = usize::from(kernel == 3 && q.is_multiple_of(3));
    let attributes =
        [("kernel_shape", ints(&[kernel as i64; 2])), ("strides", ints(&[stride as i64; 2])), ("pads", ints(&[border as i64; 4]))];
    let value = b.with(chosen(&["MaxPool", "AveragePool"], p / 2), &[at.value], &attributes);
    Some(At { value, size: at.pooled(kernel, stride, border), ..at })
}

fn residual(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    let branch = b.conv(at.value, at.channels, at.channels, 1 + 2 * (p % 2), q.is_multiple_of(2));
    let branch = if p.is_multiple_of(3) { b.node("Relu", &[branch]) } else { branch };
    at.same(b.node("Add", &[branch, at.value]))
}

fn doubled(b: &mut Builder, at: At, _: usize, _: usize) -> Option<At> {
    if at.channels > 8 {
        return None;
    }
    let branch = b.conv(at.value, at.channels, 2, 1, true);
    let value = b.with("Concat", &[at.value, branch, at.value], &[("axis", Attribute::Int(1))]);
    Some(At { value, channels: 2 * at.channels + 2, ..at })
}

/// A constant added, subtracted or multiplied, or divided by.
fn constant(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    if q.is_multiple_of(5) {
        let divisor = b.scalar(0.5 + p as f64 / 256.0);
        return at.same(b.node("Div", &[at.value, divisor]));
    }
    let constant = some_constant(b, at, p);
    let operands = if q.is_multiple_of(2) { [at.value, constant] } else { [constant, at.value] };
    at.same(b.node(chosen(&["Add", "Sub", "Mul"], q / 2), &operands))
}

fn split(b: &mut Builder, at: At, _: usize, _: usize) -> Option<At> {
    if at.channels < 2 {
        return None;
    }
    let first = (at.channels / 2) as i64;
    let lengths = b.integers(&[first, at.channels as i64 - first]);
    let parts = b.many("Split", &[at.value, lengths], &[("axis", Attribute::Int(1))], 2);
    at.same(b.with("Concat", &[parts[1], parts[0]], &[("axis", Attribute::Int(1))]))
}

fn slice(b: &mut Builder, at: At, p: usize, _: usize) -> Option<At> {
    if at.channels < 2 {
        return None;
    }
    let [start, end, axis] = [p as i64 % at.channels as i64, i64::MAX, 1].map(|v| b.integers(&[v]));
    Some(At { value: b.node("Slice", &[at.value, start, end, axis]), channels: at.channels - p % at.channels, ..at })
}

fn transposed(b: &mut Builder, at: At, _: usize, _: usize) -> Option<At> {
    let value = b.with("Transpose", &[at.value], &[("perm", ints(&[0, 1, 3, 2]))]);
    Some(At { value, size: [at.size[1], at.size[0]], ..at })
}

/// The mean of each channel, stretched again by the sum.
fn channel_means(b: &mut Builder, at: At, _: usize, _: usize) -> Option<At> {
    let mean = b.node("GlobalAveragePool", &[at.value]);
    let relu = b.node("Relu", &[mean]);
    at.same(b.node("Add", &[at.value, relu]))
}

fn squeeze_and_excite(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    let mean = b.with("ReduceMean", &[at.value], &[("axes", ints(&[2, 3]))]);
    let scores = b.conv(mean, at.channels, at.channels, 1, true);
    let gate = b.node(chosen(&["Sigmoid", "HardSigmoid"], p), &[scores]);
    at.same(b.node("Mul", &if q.is_multiple_of(2) { [at.value, gate] } else { [gate, at.value] }))
}

/// A matrix along the rows.
fn linear(b: &mut Builder, at: At, _: usize, _: usize) -> Option<At> {
    let weight = b.weights(&[at.size[1], at.size[1]]);
    at.same(b.node("MatMul", &[at.value, weight]))
}

/// To rows and back, where the value is no picture any more.
fn rows(b: &mut Builder, at: At, p: usize, _: usize) -> Option<At> {
    let to = [at.channels as i64, at.size[0] as i64, at.size[1] as i64];
    let back = b.integers(&[&[-1], &to[..]].concat());
    let flat = match p % 3 {
        0 => b.node("Flatten", &[at.value]),
        1 => {
            let first = b.integers(&[1]);
            let taller = b.node("Unsqueeze", &[at.value, first]);
            b.node("Squeeze", &[taller, first])
        }
        _ => {
            let shape = b.integers(&[0, to[0], -1]);
            b.node("Reshape", &[at.value, shape])
        }
    };
    at.same(b.node("Reshape", &[flat, back]))
}

/// What vanishes, or almost.
fn nothing(b: &mut Builder, at: At, p: usize, _: usize) -> Option<At> {
    let value = match p % 4 {
        0 => b.with("Cast", &[at.value], &[("to", Attribute::Int(10))]),
        1 => {
            let like = b.scalar(1.0);
            b.node("CastLike", &[at.value, like])
        }
        2 => b.node("Dropout", &[at.value]),
        _ => b.node("Identity", &[at.value]),
    };
    at.same(value)
}

/// Around the mean over channels.
fn averaged(b: &mut Builder, at: At, _: usize, _: usize) -> Option<At> {
    if at.channels < 2 {
        return None;
    }
    let mean = b.with("ReduceMean", &[at.value], &[("axes", ints(&[1]))]);
    at.same(b.node("Sub", &[at.value, mean]))
}

/// A function of one number that takes any.
fn smooth(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    const NAMES: &[&str] = &[
        "Abs",
        "Celu",
        "Cos",
        "Elu",
        "Erf",
        "Gelu",
        "HardSigmoid",
        "HardSwish",
        "Mish",
        "Neg",
        "Selu",
        "Sigmoid",
        "Sin",
        "Softplus",
        "Softsign",
        "Swish",
        "Tanh",
        "ThresholdedRelu",
    ];
    let name = chosen(NAMES, p);
    let attributes = match name {
        "Gelu" if q.is_multiple_of(2) => vec![("approximate", Attribute::Text("tanh".to_owned()))],
        "Celu" | "Elu" | "Swish" | "ThresholdedRelu" => vec![("alpha", Attribute::Float(0.25 + q as f32 / 256.0))],
        _ => vec![],
    };
    at.same(b.with(name, &[at.value], &attributes))
}

/// A function of what is above zero.
fn above_zero(b: &mut Builder, at: At, p: usize, _: usize) -> Option<At> {
    let (above, least) = (b.node("Softplus", &[at.value]), b.scalar(0.5));
    let above = b.node("Add", &[above, least]);
    let value = match chosen(&["Log", "Reciprocal", "Sqrt", "Pow", "Div"], p) {
        "Pow" => {
            let exponent = b.scalar(0.75);
            b.node("Pow", &[above, exponent])
        }
        "Div" => {
            let numerators = some_constant(b, at, p / 5);
            b.node("Div", &[numerators, above])
        }
        name => b.node(name, &[above]),
    };
    at.same(value)
}

fn exponential(b: &mut Builder, at: At, _: usize, _: usize) -> Option<At> {
    let bounded = b.node("Tanh", &[at.value]);
    at.same(b.node("Exp", &[bounded]))
}

fn power(b: &mut Builder, at: At, p: usize, _: usize) -> Option<At> {
    let (bounded, exponent) = (b.node("Softsign", &[at.value]), b.scalar((2 + p % 2) as f64));
    at.same(b.node("Pow", &[bounded, exponent]))
}

/// A value by itself, or by a gate.
fn product(b: &mut Builder, at: At, p: usize, _: usize) -> Option<At> {
    let bounded = b.node("Tanh", &[at.value]);
    let other = if p.is_multiple_of(2) { bounded } else { at.value };
    at.same(b.node("Mul", &[bounded, other]))
}

fn quotient(b: &mut Builder, at: At, p: usize, _: usize) -> Option<At> {
    let below = if p.is_multiple_of(2) { b.with("ReduceMean", &[at.value], &[("axes", ints(&[1]))]) } else { at.value };
    let below = b.node("Abs", &[below]);
    let least = b.scalar(1.0);
    let below = b.node("Add", &[below, least]);
    at.same(b.node("Div", &[at.value, below]))
}

fn difference(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    let branch = b.conv(at.value, at.channels, at.channels, 1, p.is_multiple_of(2));
    at.same(b.node("Sub", &if q.is_multiple_of(2) { [at.value, branch] } else { [branch, at.value] }))
}

/// A value with its steps beside it, so that something goes back. The steps are taken of another line: whole numbers and zero, which
/// earlier steps make, would lie on a jump.
fn staircase(b: &mut Builder, at: At, p: usize, _: usize) -> Option<At> {
    let (factor, offset) = (b.scalar(1.7), b.scalar(0.31));
    let line = b.node("Mul", &[at.value, factor]);
    let line = b.node("Add", &[line, offset]);
    let steps = b.node(chosen(&["Ceil", "Floor", "Round", "Sign"], p), &[line]);
    let truth = b.with("Cast", &[steps], &[("to", Attribute::Int(9))]);
    at.same(b.node("Sum", &[at.value, steps, truth]))
}

/// One of two values, as a comparison chooses.
fn compared(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    let (bounded, constant) = (b.node("Cos", &[at.value]), some_constant(b, at, q));
    let other = if q.is_multiple_of(2) { bounded } else { constant };
    let condition = b.node(chosen(&["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"], p), &[at.value, other]);
    at.same(b.node("Where", &if p.is_multiple_of(2) { [condition, constant, at.value] } else { [condition, at.value, bounded] }))
}

/// A value where some truth holds, by a product.
fn logic(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    let (low, high) = (b.scalar(-0.513), b.scalar(0.261 + q as f64 / 256.0));
    let (above, below) = (b.node("Greater", &[at.value, low]), b.node("Less", &[at.value, high]));
    let truth = match chosen(&["And", "Or", "Xor", "Not", "pattern"], p) {
        "Not" => b.node("Not", &[above]),
        "pattern" => {
            let pattern = Elements::Bool((0..at.size[1]).map(|i| i % 3 == 0).collect());
            let pattern = b.constant(Constant { shape: vec![at.size[1]], elements: pattern });
            b.node("Or", &[above, pattern])
        }
        name => b.node(name, &[above, below]),
    };
    let factor = b.with("Cast", &[truth], &[("to", Attribute::Int(1))]);
    at.same(b.node("Mul", &[at.value, factor]))
}

fn extreme(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    let (wave, constant) = (b.node("Cos", &[at.value]), some_constant(b, at, q));
    let operands = match q % 3 {
        0 => vec![at.value, constant],
        1 => vec![wave, at.value],
        _ => vec![constant, at.value, wave],
    };
    at.same(b.node(chosen(&["Max", "Min"], p), &operands))
}

fn several(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    let (wave, constant) = (b.node("Sin", &[at.value]), some_constant(b, at, q));
    let operands = match q % 3 {
        0 => vec![at.value, constant],
        1 => vec![wave, at.value],
        _ => vec![constant, at.value, wave],
    };
    at.same(b.node(chosen(&["Mean", "Sum"], p), &operands))
}
