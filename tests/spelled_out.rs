//! Operators that exporters spell out: the same operators, map, terms and residual as those of the single one.

#![allow(clippy::unwrap_used)]

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

use gradcast::network::graph::{Attribute, Constant, Graph, ValueId};
use gradcast::network::load::{LoadOptions, load};
use gradcast::network::op::Place;
use gradcast::network::plan::Plan;
use gradcast::network::structure::Network;
use gradcast::saliency::{Explainer, Explanation, Rescale, Target};
use graphs::{Builder, ints};
use tch::{Device, Kind, Tensor};

mod graphs;

const CHANNELS: usize = 6;

/// What stands between two convolutions; writes nodes behind a value (N, 6, 5, 4).
type Layer<'a> = &'a dyn Fn(&mut Builder, ValueId) -> ValueId;

fn graph(layer: Layer) -> Graph {
    let mut b = Builder::new(3, 5, 4);
    let before = b.conv(0, 3, CHANNELS, 3, true);
    let middle = layer(&mut b, before);
    let after = b.conv(middle, CHANNELS, 4, 1, true);
    let relu = b.node("Relu", &[after]);
    // The same weights, however many constants the layer has.
    let mut plain = Builder::new(3, 5, 4);
    let (head, bias) = (plain.weights(&[4, 3]), plain.weights(&[3]));
    let [head, bias] = [head, bias].map(|value| b.constant(plain.graph.constants[&value].clone()));
    let mean = b.node("GlobalAveragePool", &[relu]);
    let rows = b.node("Flatten", &[mean]);
    let output = b.node("Gemm", &[rows, head, bias]);
    b.finish(output)
}

/// The layer's own constants are made from its own numbers, so that the convolution behind it has to be given the same ones.
fn network(layer: Layer) -> Network {
    let mut graph = graph(layer);
    let after = graph.nodes.iter().rposition(|node| node.op_type == "Conv").unwrap();
    let mut fresh = Builder::new(1, 1, 1);
    for (input, shape) in [(1, vec![4, CHANNELS, 1, 1]), (2, vec![4])] {
        let value = fresh.weights(&shape);
        let constant = fresh.graph.constants.remove(&value).unwrap();
        graph.constants.insert(graph.nodes[after].inputs[input].unwrap(), constant);
    }
    load(&graph, &LoadOptions::default()).unwrap()
}

fn operators(network: &Network) -> Vec<&'static str> {
    network.steps.iter().map(|step| step.op.rules().name()).collect()
}

fn explain(network: &Network) -> Explanation {
    let shape = network.input_shape();
    let size = [2, shape[1] as i64, shape[2] as i64, shape[3] as i64];
    let x = (Tensor::arange(size.iter().product::<i64>(), (Kind::Double, Device::Cpu)) * 0.37).sin().reshape(size) * 2.0;
    let plan = Plan::new(network, Place { device: Device::Cpu, kind: Kind::Double }).unwrap();
    Explainer::new(plan, Rescale::Node).explain(&x, &mut |_| Ok(Target::Index(1))).unwrap()
}

/// Holds a spelled-out form against the single operator; gives the notes.
fn hold(what: &str, spelled: Layer, single: Layer, bound: f64) -> Vec<String> {
    let (found, wanted) = (network(spelled), network(single));
    assert_eq!(operators(&found), operators(&wanted), "{what}: {:?}", found.notes);
    let (a, b) = (explain(&found), explain(&wanted));
    for (name, a, b) in [
        ("logits", &a.logits, &b.logits),
        ("map", &a.map, &b.map),
        ("input_term", &a.input_term, &b.input_term),
        ("bias_term_total", &a.bias_term_total, &b.bias_term_total),
    ] {
        let off = (a - b).abs().max().double_value(&[]) / b.abs().max().double_value(&[]);
        assert!(off < bound, "{what}: {name} is off by {off:e}");
    }
    assert!(a.residual.max().double_value(&[]) < 1e-9, "{what}: residual");
    found.notes
}

fn same(what: &str, spelled: Layer, single: Layer) {
    let notes = hold(what, spelled, single, 1e-12);
    assert!(notes.iter().any(|note| note.contains(" put together of ")), "{what}: {notes:?}");
}

/// Whether the form is left in its own operators.
fn left_alone(what: &str, layer: Layer) {
    let found = network(layer);
    assert!(found.notes.is_empty(), "{what}: {:?}", found.notes);
    assert!(explain(&found).residual.max().double_value(&[]) < 1e-9, "{what}: residual");
}

fn add(b: &mut Builder, x: ValueId, number: f64) -> ValueId {
    let number = b.scalar(number);
    b.node("Add", &[x, number])
}

fn mul(b: &mut Builder, x: ValueId, number: f64) -> ValueId {
    let number = b.scalar(number);
    b.node("Mul", &[number, x])
}

fn div(b: &mut Builder, x: ValueId, number: f64) -> ValueId {
    let number = b.constant(Constant::from_floats(vec![1], vec![number]));
    b.node("Div", &[x, number])
}

fn pow(b: &mut Builder, x: ValueId, exponent: f64) -> ValueId {
    let exponent = b.scalar(exponent);
    b.node("Pow", &[x, exponent])
}

fn clip(b: &mut Builder, x: ValueId, low: f64, high: f64) -> ValueId {
    let bounds = [low, high].map(|bound| b.scalar(bound));
    b.node("Clip", &[x, bounds[0], bounds[1]])
}

/// Six times HardSigmoid.
fn relu6_line(b: &mut Builder, x: ValueId) -> ValueId {
    let line = add(b, x, 3.0);
    clip(b, line, 0.0, 6.0)
}

fn hard_sigmoid(b: &mut Builder, x: ValueId) -> ValueId {
    b.with("HardSigmoid", &[x], &[("alpha", Attribute::Float(1.0 / 6.0))])
}

#[test]
fn silu_and_mish() {
    for turned in [false, true] {
        let pair = |a, b| if turned { [b, a] } else { [a, b] };
        same(
            "Silu",
            &|b, x| {
                let gate = b.node("Sigmoid", &[x]);
                b.node("Mul", &pair(x, gate))
            },
            &|b, x| b.node("Swish", &[x]),
        );
        same(
            "Mish",
            &|b, x| {
                let soft = b.node("Softplus", &[x]);
                let gate = b.node("Tanh", &[soft]);
                b.node("Mul", &pair(x, gate))
            },
            &|b, x| b.node("Mish", &[x]),
        );
    }
}

#[test]
fn a_gate_that_another_reads_or_of_another_value_stays() {
    left_alone("a Sigmoid of another value", &|b, x| {
        let other = b.node("Neg", &[x]);
        let gate = b.node("Sigmoid", &[other]);
        b.node("Mul", &[x, gate])
    });
    left_alone("a Sigmoid that is read twice", &|b, x| {
        let gate = b.node("Sigmoid", &[x]);
        let product = b.node("Mul", &[x, gate]);
        b.node("Add", &[product, gate])
    });
    left_alone("squeeze and excite", &|b, x| {
        let mean = b.node("GlobalAveragePool", &[x]);
        let gate = b.node("Sigmoid", &[mean]);
        b.node("Mul", &[x, gate])
    });
}

#[test]
fn hard_sigmoid_and_hard_swish() {
    type Step = fn(&mut Builder, ValueId) -> ValueId;
    let sixths: [(&str, Step); 2] = [("Div 6", |b, x| div(b, x, 6.0)), ("Mul 1/6", |b, x| mul(b, x, f64::from(1.0f32 / 6.0)))];
    // A sixth in f32 is off by 1.5e-8 of itself.
    let bound = 1e-6;
    for (name, sixth) in sixths {
        let single = |b: &mut Builder, x| hard_sigmoid(b, x);
        let spelled = |b: &mut Builder, x| {
            let bounded = relu6_line(b, x);
            sixth(b, bounded)
        };
        hold(&format!("HardSigmoid, {name}"), &spelled, &single, bound);
        let line = |b: &mut Builder, x| {
            let scaled = sixth(b, x);
            let line = add(b, scaled, 0.5);
            clip(b, line, 0.0, 1.0)
        };
        hold(&format!("HardSigmoid as a line, {name}"), &line, &single, bound);
        let swish = |b: &mut Builder, x| b.node("HardSwish", &[x]);
        let behind = |b: &mut Builder, x| {
            let bounded = relu6_line(b, x);
            let product = b.node("Mul", &[x, bounded]);
            sixth(b, product)
        };
        same(&format!("HardSwish, {name} behind"), &behind, &swish);
        let before = |b: &mut Builder, x| {
            let bounded = relu6_line(b, x);
            let gate = sixth(b, bounded);
            b.node("Mul", &[gate, x])
        };
        same(&format!("HardSwish, {name} before"), &before, &swish);
    }
    same(
        "HardSwish by HardSigmoid",
        &|b, x| {
            let gate = hard_sigmoid(b, x);
            b.node("Mul", &[x, gate])
        },
        &|b, x| b.node("HardSwish", &[x]),
    );
    left_alone("a Clip of another line", &|b, x| {
        let line = add(b, x, 2.0);
        let bounded = clip(b, line, 0.0, 6.0);
        let product = b.node("Mul", &[x, bounded]);
        div(b, product, 6.0)
    });
}

#[test]
fn softplus() {
    let single: Layer = &|b, x| b.node("Softplus", &[x]);
    same(
        "the logarithm",
        &|b, x| {
            let exp = b.node("Exp", &[x]);
            let sum = add(b, exp, 1.0);
            b.node("Log", &[sum])
        },
        single,
    );
    for (name, compare, limit_first, x_first) in
        [("Greater", "Greater", false, true), ("Less", "Less", true, true), ("LessOrEqual", "LessOrEqual", false, false)]
    {
        let spelled = |b: &mut Builder, x| {
            let (soft, limit) = (b.node("Softplus", &[x]), b.scalar(20.0));
            let above = b.node(compare, &if limit_first { [limit, x] } else { [x, limit] });
            b.node("Where", &if x_first { [above, x, soft] } else { [above, soft, x] })
        };
        same(name, &spelled, single);
    }
    same(
        "with a factor",
        &|b, x| {
            let (twice, limit) = (mul(b, x, 2.0), b.scalar(40.0));
            let soft = b.node("Softplus", &[twice]);
            let (half, above) = (div(b, soft, 2.0), b.node("Greater", &[twice, limit]));
            b.node("Where", &[above, x, half])
        },
        &|b, x| {
            let twice = mul(b, x, 2.0);
            let soft = b.node("Softplus", &[twice]);
            div(b, soft, 2.0)
        },
    );
    left_alone("a threshold that cuts", &|b, x| {
        let (soft, limit) = (b.node("Softplus", &[x]), b.scalar(1.0));
        let above = b.node("Greater", &[x, limit]);
        b.node("Where", &[above, x, soft])
    });
}

#[test]
fn gelu_by_the_error_function() {
    let single: Layer = &|b, x| b.node("Gelu", &[x]);
    type Step = fn(&mut Builder, ValueId) -> ValueId;
    let arguments: [Step; 2] = [|b, x| div(b, x, SQRT_2), |b, x| mul(b, x, FRAC_1_SQRT_2)];
    for argument in arguments {
        let sum = |b: &mut Builder, x| {
            let argument = argument(b, x);
            let erf = b.node("Erf", &[argument]);
            add(b, erf, 1.0)
        };
        let half_last = |b: &mut Builder, x| {
            let sum = sum(b, x);
            let product = b.node("Mul", &[x, sum]);
            mul(b, product, 0.5)
        };
        let half_x = |b: &mut Builder, x| {
            let (sum, half) = (sum(b, x), mul(b, x, 0.5));
            b.node("Mul", &[half, sum])
        };
        let half_sum = |b: &mut Builder, x| {
            let sum = sum(b, x);
            let half = div(b, sum, 2.0);
            b.node("Mul", &[half, x])
        };
        let halves = |b: &mut Builder, x| {
            let argument = argument(b, x);
            let erf = b.node("Erf", &[argument]);
            let half = mul(b, erf, 0.5);
            let sum = add(b, half, 0.5);
            b.node("Mul", &[x, sum])
        };
        same("half of the product", &half_last, single);
        same("half of x", &half_x, single);
        same("half of the sum", &half_sum, single);
        same("half and half", &halves, single);
    }
    // As files hold it.
    let notes = hold(
        "in f32",
        &|b, x| {
            let argument = div(b, x, f64::from(SQRT_2 as f32));
            let erf = b.node("Erf", &[argument]);
            let sum = add(b, erf, 1.0);
            let product = b.node("Mul", &[x, sum]);
            mul(b, product, 0.5)
        },
        single,
        1e-12,
    );
    assert_eq!(notes, [r#"Gelu "Div_1" put together of Scale, Erf, AddConstant, Mul, Scale"#]);
}

#[test]
fn gelu_by_the_hyperbolic_tangent() {
    let single: Layer = &|b, x| b.with("Gelu", &[x], &[("approximate", Attribute::Text("tanh".to_owned()))]);
    type Cube = fn(&mut Builder, ValueId) -> ValueId;
    let cubes: [(&str, Cube); 2] = [
        ("Pow", |b, x| pow(b, x, 3.0)),
        ("Mul", |b, x| {
            let square = b.node("Mul", &[x, x]);
            b.node("Mul", &[x, square])
        }),
    ];
    for (name, cube) in cubes {
        let spelled = |b: &mut Builder, x| {
            let cube = cube(b, x);
            let part = mul(b, cube, 0.044715);
            let sum = b.node("Add", &[x, part]);
            let inner = mul(b, sum, 0.797_884_560_802_865_4);
            let tanh = b.node("Tanh", &[inner]);
            let (one, half) = (add(b, tanh, 1.0), mul(b, x, 0.5));
            b.node("Mul", &[half, one])
        };
        same(name, &spelled, single);
    }
    let factored = |b: &mut Builder, x| {
        let square = pow(b, x, 2.0);
        let part = mul(b, square, 0.044715);
        let one = add(b, part, 1.0);
        let scaled = mul(b, x, 0.797_884_560_802_865_4);
        let inner = b.node("Mul", &[scaled, one]);
        let tanh = b.node("Tanh", &[inner]);
        let (one, half) = (add(b, tanh, 1.0), mul(b, x, 0.5));
        b.node("Mul", &[half, one])
    };
    same("factored", &factored, single);
}

/// Vectors that are the same wherever they stand.
fn vector(b: &mut Builder, shape: &[usize], from: f64) -> ValueId {
    let count: usize = shape.iter().product();
    b.constant(Constant::from_floats(shape.to_vec(), (0..count).map(|i| from + 0.1 * (i as f64).sin()).collect()))
}

fn channels_last(layer: Layer) -> impl Fn(&mut Builder, ValueId) -> ValueId {
    move |b, x| {
        let turned = b.with("Transpose", &[x], &[("perm", ints(&[0, 2, 3, 1]))]);
        let made = layer(b, turned);
        b.with("Transpose", &[made], &[("perm", ints(&[0, 3, 1, 2]))])
    }
}

#[test]
fn layer_norm() {
    let epsilon = f64::from(1e-3f32);
    let single: Layer = &|b, x| {
        let (scale, shift) = (vector(b, &[CHANNELS], 1.0), vector(b, &[CHANNELS], 0.3));
        b.with("LayerNormalization", &[x, scale, shift], &[("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(1e-3))])
    };
    for square in ["Pow", "Mul"] {
        for root in ["Div", "Reciprocal", "Pow"] {
            for twice in [false, true] {
                let spelled = |b: &mut Builder, x| {
                    let axes = [("axes", ints(&[-1]))];
                    let mean = b.with("ReduceMean", &[x], &axes);
                    let off = b.node("Sub", &[x, mean]);
                    let again = if twice { b.node("Sub", &[x, mean]) } else { off };
                    let squared = if square == "Pow" { pow(b, again, 2.0) } else { b.node("Mul", &[again, again]) };
                    let variance = b.with("ReduceMean", &[squared], &axes);
                    let sum = add(b, variance, epsilon);
                    let normed = match root {
                        "Div" => {
                            let root = b.node("Sqrt", &[sum]);
                            b.node("Div", &[off, root])
                        }
                        "Reciprocal" => {
                            let root = b.node("Sqrt", &[sum]);
                            let inverse = b.node("Reciprocal", &[root]);
                            b.node("Mul", &[off, inverse])
                        }
                        _ => {
                            let inverse = pow(b, sum, -0.5);
                            b.node("Mul", &[inverse, off])
                        }
                    };
                    let (scale, shift) = (vector(b, &[CHANNELS], 1.0), vector(b, &[CHANNELS], 0.3));
                    let scaled = b.node("Mul", &[normed, scale]);
                    b.node("Add", &[shift, scaled])
                };
                same(&format!("{square}, {root}, {twice}"), &channels_last(&spelled), &channels_last(single));
            }
        }
    }
}

#[test]
fn root_mean_square_norm() {
    let single: Layer = &|b, x| {
        let scale = vector(b, &[CHANNELS], 1.0);
        b.with("RMSNormalization", &[x, scale], &[("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(1e-3))])
    };
    for inverse in [false, true] {
        let spelled = |b: &mut Builder, x| {
            let square = pow(b, x, 2.0);
            let mean = b.with("ReduceMean", &[square], &[("axes", ints(&[-1]))]);
            let sum = add(b, mean, f64::from(1e-3f32));
            let root = b.node("Sqrt", &[sum]);
            let normed = if inverse {
                let inverse = b.node("Reciprocal", &[root]);
                b.node("Mul", &[x, inverse])
            } else {
                b.node("Div", &[x, root])
            };
            let scale = vector(b, &[CHANNELS], 1.0);
            b.node("Mul", &[normed, scale])
        };
        same("RMSNormalization", &channels_last(&spelled), &channels_last(single));
    }
}

#[test]
fn a_norm_without_epsilon() {
    let spelled = |b: &mut Builder, x| {
        let square = pow(b, x, 2.0);
        let mean = b.with("ReduceMean", &[square], &[("axes", ints(&[-1]))]);
        let root = b.node("Sqrt", &[mean]);
        b.node("Div", &[x, root])
    };
    let single = |b: &mut Builder, x| {
        let scale = b.constant(Constant::from_floats(vec![1], vec![1.0]));
        b.with("RMSNormalization", &[x, scale], &[("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(0.0))])
    };
    same("without epsilon", &channels_last(&spelled), &channels_last(&single));
}

#[test]
fn softsign_and_the_logarithm_of_a_sigmoid() {
    same(
        "Softsign",
        &|b, x| {
            let size = b.node("Abs", &[x]);
            let sum = add(b, size, 1.0);
            b.node("Div", &[x, sum])
        },
        &|b, x| b.node("Softsign", &[x]),
    );
    let (found, wanted) = (
        network(&|b, x| {
            let sigmoid = b.node("Sigmoid", &[x]);
            b.node("Log", &[sigmoid])
        }),
        network(&|b, x| {
            let turned = b.node("Neg", &[x]);
            let soft = b.node("Softplus", &[turned]);
            b.node("Neg", &[soft])
        }),
    );
    assert_eq!(operators(&found)[1], "LogSigmoid");
    let (found, wanted) = (explain(&found), explain(&wanted));
    for (a, b) in [(&found.map, &wanted.map), (&found.logits, &wanted.logits), (&found.bias_term_total, &wanted.bias_term_total)] {
        assert!((a - b).abs().max().double_value(&[]) <= 1e-12 * b.abs().max().double_value(&[]));
    }
    assert!(found.residual.max().double_value(&[]) < 1e-9);
}

#[test]
fn what_is_behind_a_layer_norm_of_the_file_stays() {
    let found = network(&|b, x| {
        let scale = vector(b, &[4], 1.0);
        let normed = b.with("LayerNormalization", &[x, scale], &[("axis", Attribute::Int(-1))]);
        let shift = vector(b, &[4], 0.3);
        b.node("Add", &[normed, shift])
    });
    assert_eq!(operators(&found)[1..3], ["LayerNormalization", "AddConstant"]);
}

#[test]
fn group_norm() {
    for (groups, flat) in [(2usize, true), (3, false), (1, true)] {
        let single = |b: &mut Builder, x| {
            let (scale, shift) = (vector(b, &[CHANNELS], 1.0), vector(b, &[CHANNELS], 0.3));
            let attributes = [("num_groups", Attribute::Int(groups as i64)), ("epsilon", Attribute::Float(1e-5))];
            b.with("GroupNormalization", &[x, scale, shift], &attributes)
        };
        let spelled = |b: &mut Builder, x| {
            let shape = if flat { vec![0, groups as i64, -1] } else { vec![0, groups as i64, (CHANNELS / groups) as i64, 5, 4] };
            let shape = b.integers(&shape);
            let apart = b.node("Reshape", &[x, shape]);
            let [ones, zeros] = [1.0, 0.0].map(|number| b.constant(Constant::from_floats(vec![groups], vec![number; groups])));
            let normed = b.with("InstanceNormalization", &[apart, ones, zeros], &[("epsilon", Attribute::Float(1e-5))]);
            let shape = b.node("Shape", &[x]);
            let back = b.node("Reshape", &[normed, shape]);
            let (scale, shift) = (vector(b, &[CHANNELS, 1, 1], 1.0), vector(b, &[CHANNELS, 1, 1], 0.3));
            let scaled = b.node("Mul", &[back, scale]);
            b.node("Add", &[scaled, shift])
        };
        let single = |b: &mut Builder, x| {
            b.graph.opset = 21;
            single(b, x)
        };
        same(&format!("{groups} groups"), &spelled, &single);
    }
}

#[test]
fn local_response_norm() {
    let single: Layer = &|b, x| {
        let numbers = [("alpha", Attribute::Float(0.5)), ("beta", Attribute::Float(0.75)), ("bias", Attribute::Float(1.5))];
        b.with("LRN", &[x], &[&numbers[..], &[("size", Attribute::Int(3))]].concat())
    };
    for (name, apart, back, pads, kernel) in [
        ("planes", [0, 1, 6, 5, 4], vec![0i64, 6, 5, 4], vec![0, 0, 1, 0, 0, 0, 0, 1, 0, 0], vec![3i64, 1, 1]),
        ("rows", [0, 1, 6, 20, 0], vec![0, 6, 5, 4], vec![0, 0, 1, 0, 0, 0, 1, 0], vec![3, 1]),
    ] {
        let spelled = |b: &mut Builder, x| {
            let square = b.node("Mul", &[x, x]);
            let shape = b.integers(&apart[..2 + kernel.len()]);
            let apart = b.node("Reshape", &[square, shape]);
            let pads = b.integers(&pads);
            let padded = b.node("Pad", &[apart, pads]);
            let strides = vec![1; kernel.len()];
            let mean = b.with("AveragePool", &[padded], &[("kernel_shape", ints(&kernel)), ("strides", ints(&strides))]);
            let shape = b.integers(&back);
            let back = b.node("Reshape", &[mean, shape]);
            let scaled = mul(b, back, 0.5);
            let sum = add(b, scaled, 1.5);
            let power = pow(b, sum, 0.75);
            b.node("Div", &[x, power])
        };
        same(name, &spelled, single);
    }
}

#[test]
fn a_square_is_the_same_as_a_product_of_a_value_with_itself() {
    let terms = |layer: Layer| {
        let found = explain(&network(layer));
        (found.map, found.bias_term_total)
    };
    let (product, power) = (terms(&|b, x| b.node("Mul", &[x, x])), terms(&|b, x| pow(b, x, 2.0)));
    for (a, b) in [(product.0, power.0), (product.1, power.1)] {
        assert!((&a - &b).abs().max().double_value(&[]) <= 1e-12 * b.abs().max().double_value(&[]));
    }
}

#[test]
fn a_norm_behind_a_transposed_convolution_is_folded() {
    for groups in [1usize, 2, 3] {
        let layer = |shifted: bool| {
            move |b: &mut Builder, x: ValueId| {
                let weight = b.weights(&[CHANNELS, CHANNELS / groups, 2, 3]);
                let bias = b.weights(&[CHANNELS]);
                let conv = b.with("ConvTranspose", &[x, weight, bias], &[("group", Attribute::Int(groups as i64))]);
                // Something that makes the norm stay, and changes nothing.
                let conv = if shifted { b.with("Transpose", &[conv], &[("perm", ints(&[0, 1, 3, 2]))]) } else { conv };
                let norm = b.batch_norm(conv, CHANNELS);
                if shifted { b.with("Transpose", &[norm], &[("perm", ints(&[0, 1, 3, 2]))]) } else { norm }
            }
        };
        let (folded, apart) = (network(&layer(false)), network(&layer(true)));
        assert_eq!(operators(&folded)[..3], ["Conv", "ConvTranspose", "Conv"]);
        let (a, b) = (explain(&folded), explain(&apart));
        assert!((&a.logits - &b.logits).abs().max().double_value(&[]) < 1e-12);
        assert!((&a.input_term - &b.input_term).abs().max().double_value(&[]) < 1e-12);
        assert!((&a.bias_term_total - &b.bias_term_total).abs().max().double_value(&[]) < 1e-12);
        assert!(a.residual.max().double_value(&[]) < 1e-9);
    }
}
