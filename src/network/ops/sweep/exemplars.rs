//! At least one node of a file for every name in [`ONNX`](super::super::ONNX) and every operator, with what it should make.

mod norms;
mod pointwise;
mod structure;

use super::reference::{self, Plain, Sliding};
use crate::network::graph::{Attribute, Constant};
use crate::network::shape_arithmetic::{Dim, Known};

/// An input of an exemplar's node.
pub enum Given {
    /// Depends on the network's input; its shape for a batch of one.
    Activation(Vec<usize>),
    Constant(Constant),
    Known(Known),
    Missing,
}

/// What the activations become; the batch may be of any size.
type Reference = Box<dyn Fn(&[Plain]) -> Vec<Plain>>;

pub struct Exemplar {
    pub op_type: &'static str,
    /// What is special about it.
    pub name: &'static str,
    pub attributes: Vec<(&'static str, Attribute)>,
    pub given: Vec<Given>,
    pub opset: i64,
    pub outputs: usize,
    /// Moves the values of an activation, by its number among them, to where the operator is smooth, and real.
    pub domain: fn(usize, f64) -> f64,
    pub reference: Reference,
}

impl Exemplar {
    fn new(op_type: &'static str, name: &'static str, given: Vec<Given>, reference: impl Fn(&[Plain]) -> Plain + 'static) -> Self {
        let reference: Reference = Box::new(move |x| vec![reference(x)]);
        Exemplar { op_type, name, attributes: Vec::new(), given, opset: 17, outputs: 1, domain: |_, x| x, reference }
    }

    fn int(mut self, name: &'static str, value: i64) -> Self {
        self.attributes.push((name, Attribute::Int(value)));
        self
    }

    fn float(mut self, name: &'static str, value: f32) -> Self {
        self.attributes.push((name, Attribute::Float(value)));
        self
    }

    fn ints(mut self, name: &'static str, values: &[i64]) -> Self {
        self.attributes.push((name, Attribute::Ints(values.to_vec())));
        self
    }

    fn text(mut self, name: &'static str, value: &str) -> Self {
        self.attributes.push((name, Attribute::Text(value.to_owned())));
        self
    }

    fn opset(self, opset: i64) -> Self {
        Exemplar { opset, ..self }
    }

    fn within(self, domain: fn(usize, f64) -> f64) -> Self {
        Exemplar { domain, ..self }
    }

    /// Writes a window's attributes.
    fn sliding(self, window: Sliding) -> Self {
        let signed = |values: &[usize]| values.iter().map(|&v| v as i64).collect::<Vec<_>>();
        self.ints("kernel_shape", &signed(&window.kernel))
            .ints("strides", &signed(&window.strides))
            .ints("pads", &signed(&window.pads))
            .ints_unless_one("dilations", window.dilations)
            .int("ceil_mode", i64::from(window.ceil))
    }

    fn ints_unless_one(self, name: &'static str, values: [usize; 2]) -> Self {
        if values == [1, 1] { self } else { self.ints(name, &values.map(|v| v as i64)) }
    }
}

fn activation(shape: &[usize]) -> Given {
    Given::Activation(shape.to_vec())
}

fn integers(values: &[i64]) -> Given {
    Given::Known(Known::vector(values.iter().copied().map(Dim::of).collect()))
}

fn constant(plain: &Plain) -> Given {
    Given::Constant(Constant::from_floats(plain.shape.clone(), plain.data.clone()))
}

/// Weights from -1 to 1, others for each shape.
fn weights(shape: &[usize]) -> Plain {
    let mut random = super::Random::new(shape.iter().fold(7, |seed, &size| seed * 31 + size as u64));
    Plain::of(shape, |_| random.next())
}

pub fn all() -> Vec<Exemplar> {
    [sums(), affine(), convolutions(), pools(), rectifiers(), shapes(), pointwise::all(), structure::all(), norms::all()]
        .into_iter()
        .flatten()
        .collect()
}

fn sums() -> Vec<Exemplar> {
    let two =
        |name, a: &[usize], b: &[usize]| Exemplar::new("Add", name, vec![activation(a), activation(b)], |x| reference::add(&x[0], &x[1]));
    let with = |op_type, name, shape: &[usize]| {
        let c = weights(shape);
        let sign = if op_type == "Sub" { -1.0 } else { 1.0 };
        let given = vec![activation(&[1, 3, 4, 5]), constant(&c)];
        Exemplar::new(op_type, name, given, move |x| Plain::of(&x[0].shape, |at| x[0].at(at) + sign * c.stretched(at)))
    };
    let c = weights(&[3, 1, 1]);
    let from = vec![constant(&c), activation(&[1, 3, 4, 5])];
    vec![
        two("of two alike", &[1, 3, 4, 5], &[1, 3, 4, 5]),
        two("stretching one pixel", &[1, 3, 4, 5], &[1, 3, 1, 1]),
        two("stretching both", &[1, 3, 1, 5], &[1, 1, 4, 5]),
        with("Add", "of a constant for each channel", &[3, 1, 1]),
        with("Add", "of one number", &[]),
        with("Add", "of a constant for each element", &[1, 3, 4, 5]),
        with("Sub", "of a constant", &[5]),
        Exemplar::new("Sub", "from a constant", from, move |x| Plain::of(&x[0].shape, |at| c.stretched(at) - x[0].at(at))),
    ]
}

fn affine() -> Vec<Exemplar> {
    let norm = |name, shape: &[usize]| {
        let channels = shape[1];
        let [gamma, beta, mean] = [1.5, 0.25, -0.5].map(|shift| weights(&[channels]).each(|w| w + shift));
        let variance = weights(&[channels]).each(|w| w * w + 0.1);
        let given = vec![activation(shape), constant(&gamma), constant(&beta), constant(&mean), constant(&variance)];
        let reference = move |x: &[Plain]| reference::batch_norm(&x[0], [&gamma, &beta, &mean, &variance], f64::from(1e-3f32));
        Exemplar::new("BatchNormalization", name, given, reference).float("epsilon", 1e-3)
    };
    let gemm = |name, turned: bool, bias: Option<&[usize]>, alpha: f32, beta: f32| {
        let weight = weights(&[6, 4]);
        let bias = bias.map(weights);
        let written = if turned { reference::transpose(&weight, &[1, 0]) } else { weight.clone() };
        let given = vec![activation(&[1, 6]), constant(&written), bias.as_ref().map_or(Given::Missing, constant)];
        let reference = move |x: &[Plain]| {
            let y = reference::matmul(&x[0], &weight).each(|v| f64::from(alpha) * v);
            match &bias {
                Some(bias) => Plain::of(&y.shape, |at| y.at(at) + f64::from(beta) * bias.stretched(at)),
                None => y,
            }
        };
        Exemplar::new("Gemm", name, given, reference).int("transB", i64::from(turned)).float("alpha", alpha).float("beta", beta)
    };
    let matmul = |name, shape: &[usize]| {
        let weight = weights(&[shape[shape.len() - 1], 4]);
        Exemplar::new("MatMul", name, vec![activation(shape), constant(&weight)], move |x| reference::matmul(&x[0], &weight))
    };
    vec![
        norm("of pixels", &[1, 3, 4, 5]),
        norm("of rows", &[1, 7]),
        gemm("with a turned matrix", true, Some(&[4]), 1.0, 1.0),
        gemm("with factors", false, Some(&[1, 4]), 0.5, 2.0),
        gemm("with one number as bias", false, Some(&[]), 1.0, 1.0),
        gemm("without bias", true, None, 1.0, 1.0),
        matmul("of a row", &[1, 6]),
        matmul("of a table", &[1, 3, 6]),
        matmul("of pixels on the last axis", &[1, 3, 4, 6]),
    ]
}

fn convolution(name: &'static str, input: &[usize], weight: &[usize], groups: usize, bias: bool, window: Sliding) -> Exemplar {
    let weight = weights(weight);
    let bias = bias.then(|| weights(&weight.shape[..1]));
    let given = vec![activation(input), constant(&weight), bias.as_ref().map_or(Given::Missing, constant)];
    let reference = move |x: &[Plain]| reference::conv(&x[0], &weight, bias.as_ref(), groups, window);
    Exemplar::new("Conv", name, given, reference).int("group", groups as i64).sliding(window)
}

fn convolutions() -> Vec<Exemplar> {
    let (one, three) = (Sliding::new([1, 1]), Sliding::new([3, 3]));
    let same = |name, mode, stride: usize, kernel: usize, pads| {
        let window = Sliding { strides: [stride; 2], pads, ..Sliding::new([kernel; 2]) };
        let mut exemplar = convolution(name, &[1, 3, 8, 7], &[4, 3, kernel, kernel], 1, true, window);
        exemplar.attributes.retain(|(name, _)| *name != "pads");
        exemplar.text("auto_pad", mode)
    };
    let along = |name, groups: usize, pads: Vec<i64>, strides: Vec<i64>| {
        let (weight, bias) = (weights(&[4, 4 / groups, 3]), weights(&[4]));
        let given = vec![activation(&[1, 4, 9]), constant(&weight), constant(&bias)];
        let border = [0, pads[0] as usize, 0, pads[1] as usize];
        let window = Sliding { strides: [1, strides[0] as usize], pads: border, ..Sliding::new([1, 3]) };
        let rows = weight.laid_out(&[4, 4 / groups, 1, 3]);
        let reference = move |x: &[Plain]| {
            let y = reference::conv(&x[0].reshaped(&[4, 1, 9]), &rows, Some(&bias), groups, window);
            let columns = y.shape[3];
            y.reshaped(&[4, columns])
        };
        Exemplar::new("Conv", name, given, reference).ints("pads", &pads).ints("strides", &strides).int("group", groups as i64)
    };
    vec![
        convolution("of three by three", &[1, 3, 6, 7], &[8, 3, 3, 3], 1, true, Sliding { pads: [1; 4], ..three }),
        convolution("without border and bias", &[1, 3, 6, 7], &[5, 3, 3, 3], 1, false, three),
        convolution("of one pixel", &[1, 6, 4, 5], &[7, 6, 1, 1], 1, true, one),
        convolution("of one pixel in strides", &[1, 6, 5, 6], &[4, 6, 1, 1], 1, true, Sliding { strides: [2, 2], ..one }),
        convolution("of one pixel with a border", &[1, 2, 3, 4], &[3, 2, 1, 1], 1, true, Sliding { pads: [1; 4], ..one }),
        convolution("in groups", &[1, 6, 5, 6], &[8, 3, 3, 3], 2, true, Sliding { pads: [1; 4], ..three }),
        convolution("in groups and strides", &[1, 6, 7, 8], &[4, 3, 3, 3], 2, true, Sliding { strides: [2, 2], pads: [1; 4], ..three }),
        convolution("of each channel", &[1, 8, 6, 5], &[8, 1, 3, 3], 8, true, Sliding { pads: [1; 4], ..three }),
        convolution("of each channel in strides", &[1, 8, 7, 8], &[16, 1, 5, 5], 8, true, {
            Sliding { strides: [2, 2], pads: [1, 2, 2, 2], ..Sliding::new([5, 5]) }
        }),
        convolution("with holes", &[1, 3, 9, 8], &[4, 3, 3, 2], 1, true, {
            Sliding { dilations: [2, 3], pads: [2, 1, 2, 1], ..Sliding::new([3, 2]) }
        }),
        convolution(
            "with holes in strides",
            &[1, 3, 9, 8],
            &[4, 3, 3, 3],
            1,
            true,
            Sliding { dilations: [2, 2], strides: [2, 3], ..three },
        ),
        convolution("in strides that leave a rest", &[1, 3, 9, 11], &[4, 3, 2, 3], 1, true, {
            Sliding { strides: [4, 5], ..Sliding::new([2, 3]) }
        }),
        convolution("with more border at the end", &[1, 3, 6, 6], &[4, 3, 3, 3], 1, true, Sliding { pads: [0, 1, 2, 3], ..three }),
        convolution("with more border at the beginning", &[1, 3, 6, 6], &[4, 3, 3, 3], 1, true, Sliding { pads: [3, 2, 0, 1], ..three }),
        convolution("with more border at the beginning in strides", &[1, 3, 6, 7], &[4, 3, 3, 3], 1, true, {
            Sliding { pads: [3, 3, 0, 0], strides: [2, 2], ..three }
        }),
        convolution(
            "with a border over the kernel",
            &[1, 2, 3, 3],
            &[3, 2, 2, 2],
            1,
            true,
            Sliding { pads: [3; 4], ..Sliding::new([2, 2]) },
        ),
        along("over one axis", 1, vec![1, 1], vec![1]),
        along("over one axis in strides and groups, with more border at the end", 2, vec![0, 2], vec![2]),
        convolution("of a picture to one pixel", &[1, 3, 4, 5], &[6, 3, 4, 5], 1, true, Sliding::new([4, 5])),
        same("SAME_UPPER in strides", "SAME_UPPER", 2, 3, [0, 1, 1, 1]),
        same("SAME_LOWER of an even kernel", "SAME_LOWER", 1, 4, [2, 2, 1, 1]),
        same("SAME_UPPER of an even kernel", "SAME_UPPER", 1, 4, [1, 1, 2, 2]),
    ]
}

fn pools() -> Vec<Exemplar> {
    let max = |name, window: Sliding| {
        Exemplar::new("MaxPool", name, vec![activation(&[1, 3, 8, 7])], move |x| reference::max_pool(&x[0], window)).sliding(window)
    };
    let average = |name, count_border: bool, window: Sliding| {
        let reference = move |x: &[Plain]| reference::average_pool(&x[0], window, count_border);
        let exemplar = Exemplar::new("AveragePool", name, vec![activation(&[1, 3, 8, 7])], reference);
        exemplar.sliding(window).int("count_include_pad", i64::from(count_border))
    };
    let mean = |op_type, name, axes: &'static [usize], keep: bool| {
        let reference = move |x: &[Plain]| {
            let y = reference::mean(&x[0], axes);
            let left: Vec<usize> = (1..4).filter(|axis| keep || !axes.contains(axis)).map(|axis| y.shape[axis]).collect();
            y.reshaped(&left)
        };
        Exemplar::new(op_type, name, vec![activation(&[1, 3, 4, 5])], reference)
    };
    let along = |name, shape: &'static [usize], axis: usize, size: usize| {
        let mut kernel = vec![1; shape.len() - 2];
        kernel[axis] = size as i64;
        let reference = move |x: &[Plain]| {
            let mut made = x[0].shape.clone();
            made[axis + 2] -= size - 1;
            let element = |at: &[usize], offset: usize| {
                let mut at = at.to_vec();
                at[axis + 2] += offset;
                x[0].at(&at)
            };
            Plain::of(&made, |at| (0..size).map(|offset| element(at, offset)).sum::<f64>() / size as f64)
        };
        Exemplar::new("AveragePool", name, vec![activation(shape)], reference).ints("kernel_shape", &kernel)
    };
    let (two, three) = (Sliding::new([2, 2]), Sliding::new([3, 3]));
    let mut by_input = mean("ReduceMean", "over axes given as an input", &[2, 3], true).int("keepdims", 1).opset(18);
    by_input.given.push(integers(&[-1, 2]));
    vec![
        max("of two by two", Sliding { strides: [2, 2], ..two }),
        max("that overlaps, with a border", Sliding { strides: [2, 2], pads: [1; 4], ..three }),
        max("that rounds up", Sliding { strides: [2, 2], ceil: true, ..three }),
        max("that rounds up, with a border", Sliding { strides: [3, 2], pads: [1; 4], ceil: true, ..three }),
        max("with holes", Sliding { dilations: [2, 2], ..three }),
        max("with more border at the end", Sliding { strides: [2, 2], pads: [0, 0, 1, 1], ..three }),
        max("with more border at the beginning", Sliding { strides: [2, 2], pads: [1, 2, 0, 0], ..three }),
        max("with more border at the end, rounding up", Sliding { strides: [3, 3], pads: [0, 0, 1, 1], ceil: true, ..three }),
        max("with a border over half the kernel", Sliding { pads: [2; 4], ..three }),
        average("of two by two", false, Sliding { strides: [2, 2], ..two }),
        average("with a border that does not count", false, Sliding { strides: [2, 2], pads: [1; 4], ..three }),
        average("with a border that counts", true, Sliding { strides: [2, 2], pads: [1; 4], ..three }),
        average("with more border at the end", true, Sliding { strides: [2, 2], pads: [0, 0, 1, 1], ..three }),
        average("that rounds up", false, Sliding { strides: [3, 2], ceil: true, ..two }),
        average("that rounds up, with a border that counts", true, Sliding { strides: [3, 2], pads: [1; 4], ceil: true, ..three }),
        along("along channels that stand apart", &[1, 1, 6, 2, 3], 0, 3),
        along("along rows", &[1, 2, 7], 0, 2),
        mean("GlobalAveragePool", "", &[2, 3], true),
        mean("ReduceMean", "that keeps its axes", &[2, 3], true).ints("axes", &[2, 3]),
        mean("ReduceMean", "that drops its axes", &[2, 3], false).ints("axes", &[-2, -1]).int("keepdims", 0),
        mean("ReduceMean", "over channels", &[1], true).ints("axes", &[1]).int("keepdims", 1),
        by_input,
    ]
}

fn rectifiers() -> Vec<Exemplar> {
    let on = |op_type, name, shape: &[usize], value: fn(f64) -> f64| {
        Exemplar::new(op_type, name, vec![activation(shape)], move |x| vec![x[0].each(value)].remove(0))
    };
    let clip = |name, bounds: [Option<f64>; 2]| {
        let [low, high] = [bounds[0].unwrap_or(f64::NEG_INFINITY), bounds[1].unwrap_or(f64::INFINITY)];
        let bound = |bound: Option<f64>| bound.map_or(Given::Missing, |b| constant(&Plain { shape: vec![], data: vec![b] }));
        let given = vec![activation(&[1, 8, 5, 7]), bound(bounds[0]), bound(bounds[1])];
        Exemplar::new("Clip", name, given, move |x| x[0].each(|v| v.max(low).min(high)))
    };
    vec![
        on("Relu", "of pixels", &[1, 8, 5, 7], |v| v.max(0.0)),
        on("Relu", "of a row", &[1, 11], |v| v.max(0.0)),
        on("LeakyRelu", "", &[1, 8, 5, 7], |v| if v > 0.0 { v } else { v * f64::from(0.1f32) }).float("alpha", 0.1),
        on("LeakyRelu", "without a slope", &[1, 8, 5, 7], |v| v.max(0.0)).float("alpha", 0.0),
        clip("to 0 and 6", [Some(0.0), Some(6.0)]),
        clip("to -1 and 1", [Some(-1.0), Some(1.0)]),
        clip("to bounds on one side of zero", [Some(0.5), Some(1.5)]),
        clip("from below", [Some(0.5), None]),
        clip("from above", [None, Some(0.25)]),
        clip("to one value", [Some(2.0), Some(2.0)]),
        on("Clip", "by attributes", &[1, 8, 5, 7], |v| v.clamp(0.0, 6.0)).opset(10).float("min", 0.0).float("max", 6.0),
    ]
}

fn shapes() -> Vec<Exemplar> {
    let image = || activation(&[1, 4, 3, 6]);
    let reshape = |op_type, name, target: Vec<Dim>, to: &'static [usize]| {
        Exemplar::new(op_type, name, vec![image(), Given::Known(Known::vector(target))], move |x| x[0].reshaped(to))
    };
    let fixed = |sizes: &[i64]| sizes.iter().copied().map(Dim::of).collect::<Vec<_>>();
    let by_attribute = |op_type, name, from: &[usize], to: &'static [usize]| {
        Exemplar::new(op_type, name, vec![activation(from)], move |x| x[0].reshaped(to))
    };
    let cut = |name, given: Vec<Given>, axis: usize, range: std::ops::Range<usize>| {
        Exemplar::new("Slice", name, given, move |x| reference::slice(&x[0], axis, range.clone()))
    };
    let join = |name, axis: usize, shapes: &[&[usize]]| {
        let given = shapes.iter().map(|shape| activation(shape)).collect();
        Exemplar::new("Concat", name, given, move |x| reference::concat(x, axis))
    };
    let split = |name, given: Vec<Given>, axis: usize, lengths: &'static [usize]| {
        let mut exemplar = Exemplar::new("Split", name, given, |x| x[0].clone()).int("axis", axis as i64);
        exemplar.outputs = lengths.len();
        exemplar.reference = Box::new(move |x| {
            let mut first = 0;
            let ranges = lengths.iter().map(|length| {
                first..{
                    first += length;
                    first
                }
            });
            ranges.map(|range| reference::slice(&x[0], axis, range)).collect()
        });
        exemplar
    };
    let turn = |name, perm: &'static [usize]| {
        Exemplar::new("Transpose", name, vec![image()], move |x| reference::transpose(&x[0], perm))
            .ints("perm", &perm.iter().map(|&axis| axis as i64).collect::<Vec<_>>())
    };
    vec![
        Exemplar::new("Identity", "", vec![image()], |x| x[0].clone()),
        Exemplar::new("Cast", "to f16", vec![image()], |x| x[0].clone()).int("to", 10),
        Exemplar::new("CastLike", "", vec![image(), constant(&weights(&[]))], |x| x[0].clone()),
        Exemplar::new("Dropout", "", vec![image()], |x| x[0].clone()),
        reshape("Reshape", "to rows", fixed(&[0, -1]), &[72]),
        reshape("Reshape", "with an open batch", fixed(&[-1, 72]), &[72]),
        reshape("Reshape", "with the batch worked out", [vec![Dim::BATCH], fixed(&[2, 2, 3, 6])].concat(), &[2, 2, 3, 6]),
        reshape("Reshape", "traced with one image", fixed(&[1, 4, -1]), &[4, 18]),
        reshape("Reshape", "to its own shape", fixed(&[0, 0, 3, 6]), &[4, 3, 6]),
        by_attribute("Flatten", "", &[1, 4, 3, 6], &[72]),
        by_attribute("Flatten", "behind axes of one", &[1, 1, 3, 6], &[18]).int("axis", -2),
        by_attribute("Squeeze", "by an attribute", &[1, 4, 1, 1], &[4]).ints("axes", &[2, 3]).opset(11),
        Exemplar::new("Squeeze", "by an input", vec![activation(&[1, 4, 1, 3]), integers(&[-2])], |x| x[0].reshaped(&[4, 3])),
        by_attribute("Unsqueeze", "by an attribute", &[1, 4, 3], &[4, 3, 1]).ints("axes", &[3]).opset(11),
        Exemplar::new("Unsqueeze", "by an input", vec![activation(&[1, 4]), integers(&[-1, 2])], |x| x[0].reshaped(&[4, 1, 1])),
        cut("of channels", vec![image(), integers(&[1]), integers(&[3]), integers(&[1])], 1, 1..3),
        cut("from the end", vec![image(), integers(&[-4]), integers(&[i64::MAX]), integers(&[-1]), integers(&[1])], 3, 2..6),
        cut("of everything", vec![image(), integers(&[0]), integers(&[3]), integers(&[2])], 2, 0..3),
        join("of channels", 1, &[&[1, 2, 3, 4], &[1, 5, 3, 4], &[1, 1, 3, 4]]),
        join("of rows", 2, &[&[1, 2, 3, 4], &[1, 2, 5, 4]]).int("axis", -2),
        join("of one", 1, &[&[1, 2, 3, 4]]),
        split("in two", vec![image()], 1, &[2, 2]),
        split("with a smaller last part", vec![activation(&[1, 7])], 1, &[3, 3, 1]),
        split("by an input", vec![image(), integers(&[1, 5])], 3, &[1, 5]),
        split("by an attribute", vec![image()], 1, &[1, 1, 2]).ints("split", &[1, 1, 2]).opset(11),
        turn("to channels last", &[0, 2, 3, 1]),
        turn("of rows and columns", &[0, 1, 3, 2]),
    ]
}
