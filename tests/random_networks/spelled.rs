//! Steps that stand for others: sums of products, and what an exporter spells out.

use gradcast::network::graph::Attribute;

use crate::graphs::{Builder, ints};
use crate::steps::{At, chosen, some_constant};

/// A matrix for the channels, or a value weighed by itself.
pub fn einsum(b: &mut Builder, at: At, p: usize, _: usize) -> Option<At> {
    let equation = |text: &str| [("equation", Attribute::Text(text.to_owned()))];
    if p.is_multiple_of(2) {
        let weight = b.weights(&[at.channels, at.channels]);
        return at.same(b.with("Einsum", &[at.value, weight], &equation("nchw,dc->ndhw")));
    }
    let bounded = b.node("Tanh", &[at.value]);
    at.same(b.with("Einsum", &[bounded, at.value], &equation("n...w,n...w->n...w")))
}

/// What is put together of several nodes, or nearly.
pub fn out(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    let x = at.value;
    let value = match p % 6 {
        0 => {
            let gate = b.node(chosen(&["Sigmoid", "HardSigmoid", "Softsign"], q), &[x]);
            b.node("Mul", &[gate, x])
        }
        1 => {
            let [three, low, high] = [3.0, 0.0, 6.0].map(|number| b.scalar(number));
            let sum = b.node("Add", &[x, three]);
            let gate = b.node("Clip", &[sum, low, high]);
            let product = if q.is_multiple_of(2) { b.node("Mul", &[x, gate]) } else { gate };
            b.node("Div", &[product, high])
        }
        2 => {
            let [root, one, half] = [std::f64::consts::SQRT_2, 1.0, 0.5].map(|number| b.scalar(number));
            let line = b.node("Div", &[x, root]);
            let erf = b.node("Erf", &[line]);
            let sum = b.node("Add", &[erf, one]);
            let product = b.node("Mul", &[x, sum]);
            b.node("Mul", &[product, half])
        }
        3 => {
            let soft = b.node("Softplus", &[x]);
            let gate = b.node("Tanh", &[soft]);
            let product = b.node("Mul", &[x, gate]);
            // The gate may have another reader.
            if q.is_multiple_of(2) { product } else { b.node("Add", &[product, gate]) }
        }
        4 => {
            // One element alone is its mean, and nothing is left of it.
            if at.channels < 2 || at.size[1] < 2 {
                return None;
            }
            let axes = [("axes", ints(if q.is_multiple_of(2) { &[1] } else { &[-1] }))];
            let mean = b.with("ReduceMean", &[x], &axes);
            let off = b.node("Sub", &[x, mean]);
            let square = b.node("Mul", &[off, off]);
            let variance = b.with("ReduceMean", &[square], &axes);
            let least = b.scalar(0.1);
            let sum = b.node("Add", &[variance, least]);
            let root = b.node("Sqrt", &[sum]);
            let normed = b.node("Div", &[off, root]);
            let scale = some_constant(b, at, q);
            let scaled = b.node("Mul", &[normed, scale]);
            b.node("Add", &[x, scaled])
        }
        _ => {
            let square = b.node("Mul", &[x, x]);
            let first = b.integers(&[1]);
            let apart = b.node("Unsqueeze", &[square, first]);
            let pads = b.integers(&[0, 0, 1, 0, 0, 0, 0, 1, 0, 0]);
            let padded = b.node("Pad", &[apart, pads]);
            let mean = b.with("AveragePool", &[padded], &[("kernel_shape", ints(&[3, 1, 1]))]);
            let mean = b.node("Squeeze", &[mean, first]);
            let [factor, bias, exponent] = [0.4, 1.0, 0.75].map(|number| b.scalar(number));
            let scaled = b.node("Mul", &[mean, factor]);
            let sum = b.node("Add", &[scaled, bias]);
            let power = b.node("Pow", &[sum, exponent]);
            b.node("Div", &[x, power])
        }
    };
    at.same(value)
}
