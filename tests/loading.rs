//! What a file says about constants, conditions, quantisation and layouts is understood when it is loaded: each network equals one that says
//! the same plainly.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use gradcast::network::graph::{Attribute, Constant, ElementType, Elements, Graph, Guard, InputDim, ValueId};
use gradcast::network::load::{LoadOptions, load};
use gradcast::network::manifest::Layout;
use gradcast::network::onnx::{Limits, read_bytes};
use gradcast::network::op::Place;
use gradcast::network::plan::Plan;
use gradcast::network::structure::Network;
use gradcast::saliency::{Explainer, Rescale, Target};
use graphs::{Builder, ints};
use tch::{Device, Kind, Tensor};

mod graphs;

const F64: Place = Place { device: Device::Cpu, kind: Kind::Double };

fn loaded(graph: &Graph) -> Network {
    load(graph, &LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(graph: &Graph) -> String {
    load(graph, &LoadOptions::default()).expect_err("a network that is refused").to_string()
}

fn picture(batch: i64, network: &Network) -> Tensor {
    let shape: Vec<i64> = network.input_shape()[1..].iter().map(|&size| size as i64).collect();
    let size = [vec![batch], shape].concat();
    let count = size.iter().product::<i64>();
    let values: Vec<f64> = (0..count).map(|i| (i as f64 * 0.7311).sin()).collect();
    Tensor::from_slice(&values).reshape(size)
}

fn infer(network: &Network, x: &Tensor) -> Tensor {
    let plan = Plan::new(network, F64).unwrap();
    plan.infer(&plan.prepare(x).unwrap()).unwrap()
}

#[track_caller]
fn assert_near(a: &Tensor, b: &Tensor) {
    assert_eq!(a.size(), b.size());
    let off = (a - b).abs().max().double_value(&[]);
    assert!(off < 1e-9, "{off}");
}

/// The network says everything: what it explains sums up to what it says.
#[track_caller]
fn assert_complete(network: &Network) {
    let explainer = Explainer::new(Plan::new(network, F64).unwrap(), Rescale::Node);
    let explanation = explainer.explain(&picture(2, network), &mut |_| Ok(Target::Argmax)).unwrap();
    let residual = explanation.residual.abs().max().double_value(&[]);
    assert!(residual < 1e-9, "{residual}");
}

fn int(value: i64) -> Attribute {
    Attribute::Int(value)
}

#[test]
fn weights_may_be_made_by_nodes() {
    let mut b = Builder::new(3, 8, 8);
    let w = b.weights(&[4, 3, 3, 3]);
    let kept = b.graph.constants[&w].clone();
    let axes = [("axes", ints(&[1, 2, 3]))];
    let mean = b.with("ReduceMean", &[w], &axes);
    let centred = b.node("Sub", &[w, mean]);
    let square = b.node("Mul", &[centred, centred]);
    let variance = b.with("ReduceMean", &[square], &axes);
    let scale = b.node("Sqrt", &[variance]);
    let standard = b.node("Div", &[centred, scale]);
    let y = b.with("Conv", &[0, standard], &[("pads", ints(&[1; 4]))]);
    let output = b.classes(y, 4, 5);
    let network = loaded(&b.finish(output));
    assert_eq!(network.steps.iter().map(|step| step.op.rules().name()).collect::<Vec<_>>()[0], "Conv");

    let mut values = kept.floats().unwrap();
    for filter in values.chunks_exact_mut(27) {
        let mean = filter.iter().sum::<f64>() / 27.0;
        let deviation = (filter.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 27.0).sqrt();
        filter.iter_mut().for_each(|v| *v = (*v - mean) / deviation);
    }
    let mut plain = Builder::new(3, 8, 8);
    let same = plain.weights(&[4, 3, 3, 3]);
    plain.graph.constants.insert(same, Constant::from_floats(vec![4, 3, 3, 3], values));
    let y = plain.with("Conv", &[0, same], &[("pads", ints(&[1; 4]))]);
    let output = plain.classes(y, 4, 5);
    let plain = loaded(&plain.finish(output));
    let x = picture(2, &network);
    assert_near(&infer(&network, &x), &infer(&plain, &x));
}

/// A Relu in the one branch, nothing that could be loaded in the other, under a condition made of the input's rows.
fn with_branches(rows: usize, least: i64) -> Graph {
    let mut b = Builder::new(3, rows, 8);
    let shape = b.node("Shape", &[0]);
    let (two, least) = (b.integers(&[2]), b.integers(&[least]));
    let size = b.with("Gather", &[shape, two], &[("axis", int(0))]);
    let condition = b.node("Greater", &[size, least]);
    let then = b.node("Relu", &[0]);
    let other = b.node("Whirl", &[0]);
    let output = b.node("If", &[condition, then, other]);
    let index = |output: ValueId| b.graph.nodes.iter().position(|node| node.outputs == [Some(output)]).unwrap();
    for (value, wanted) in [(then, true), (other, false)] {
        let index = index(value);
        b.graph.guards.insert(index, vec![Guard { condition, wanted }]);
    }
    b.finish(output)
}

#[test]
fn the_branch_whose_condition_holds_is_loaded() {
    assert_eq!(loaded(&with_branches(8, 4)).steps.len(), 1);
    assert!(refused(&with_branches(4, 4)).contains("\"Whirl_4\" (Whirl, domain ai.onnx): has no FullGrad rules"));
    let mut graph = with_branches(8, 4);
    // The picture itself as the condition.
    for guard in graph.guards.values_mut().flatten() {
        guard.condition = 0;
    }
    assert!(refused(&graph).contains("depends on the picture"));
}

/// A condition on the batch size is known where the file fixes it.
#[test]
fn a_condition_on_the_batch_wants_a_fixed_one() {
    let graph = |fixed: bool| {
        let mut b = Builder::new(3, 8, 8);
        if fixed {
            fixed_at_one(&mut b);
        }
        let shape = b.node("Shape", &[0]);
        let (zero, one) = (b.integers(&[0]), b.integers(&[1]));
        let batch = b.with("Gather", &[shape, zero], &[("axis", int(0))]);
        let condition = b.node("Equal", &[batch, one]);
        let (then, other) = (b.node("Relu", &[0]), b.node("Whirl", &[0]));
        let output = b.node("If", &[condition, then, other]);
        b.graph.guards.insert(3, vec![Guard { condition, wanted: true }]);
        b.graph.guards.insert(4, vec![Guard { condition, wanted: false }]);
        b.finish(output)
    };
    assert_eq!(loaded(&graph(true)).steps.len(), 1);
    assert!(refused(&graph(false)).contains("batch size"));
}

/// y = Conv(x), quantised to uint8 and back, and classes. Its zero is at `zero`.
fn quantised(zero: u8, readers: &str) -> Graph {
    let mut b = Builder::new(3, 8, 8);
    let y = b.conv(0, 3, 4, 3, false);
    let scale = b.scalar(0.01);
    let zero = b.constant(Constant { shape: vec![], elements: Elements::U8([zero].into()) });
    let integers = b.node("QuantizeLinear", &[y, scale, zero]);
    let y = b.node(readers, &[integers, scale, zero]);
    let output = b.classes(y, 4, 5);
    b.finish(output)
}

#[test]
fn a_quantised_pair_is_a_clip() {
    let network = loaded(&quantised(100, "DequantizeLinear"));
    assert!(network.notes.iter().any(|note| note.contains("1 pairs of QuantizeLinear and DequantizeLinear")), "{:?}", network.notes);
    let mut b = Builder::new(3, 8, 8);
    let y = b.conv(0, 3, 4, 3, false);
    b.scalar(0.01);
    let (low, high) = (b.scalar(-1.0), b.scalar(1.55));
    let y = b.node("Clip", &[y, low, high]);
    let output = b.classes(y, 4, 5);
    let plain = loaded(&b.finish(output));
    let x = picture(2, &network);
    assert_near(&infer(&network, &x), &infer(&plain, &x));
    assert_complete(&network);
    assert!(refused(&quantised(100, "QLinearConv")).contains("QDQ form"));
}

fn fixed_at_one(b: &mut Builder) {
    if let Some(shape) = &mut b.graph.inputs[0].shape {
        shape[0] = InputDim::Fixed(1);
    }
}

/// The channel shuffle of ShuffleNet v2, through axes before which the batch is one.
#[test]
fn a_batch_of_one_may_be_moved_among_other_axes() {
    let mut b = Builder::new(3, 6, 6);
    fixed_at_one(&mut b);
    let y = b.conv(0, 3, 8, 3, true);
    let target = b.integers(&[4, 2, 36]);
    let y = b.node("Reshape", &[y, target]);
    let y = b.with("Transpose", &[y], &[("perm", ints(&[1, 0, 2]))]);
    let y = b.node("Relu", &[y]);
    let target = b.integers(&[2, -1, 4, 6, 6]);
    let y = b.node("Reshape", &[y, target]);
    let one = b.integers(&[1]);
    let two = b.integers(&[2]);
    let zero = b.integers(&[0]);
    let y = b.node("Slice", &[y, one, two, zero]);
    let y = b.node("Squeeze", &[y, zero]);
    let output = b.classes(y, 4, 5);
    let network = loaded(&b.finish(output));

    // Odd channels.
    let mut b = Builder::new(3, 6, 6);
    let y = b.conv(0, 3, 8, 3, true);
    let target = b.integers(&[0, 4, 2, 36]);
    let y = b.node("Relu", &[y]);
    let y = b.node("Reshape", &[y, target]);
    let (one, two) = (b.integers(&[1]), b.integers(&[2]));
    let y = b.node("Slice", &[y, one, two, two]);
    let target = b.integers(&[0, 4, 6, 6]);
    let y = b.node("Reshape", &[y, target]);
    let output = b.classes(y, 4, 5);
    let plain = loaded(&b.finish(output));
    let x = picture(3, &network);
    assert_near(&infer(&network, &x), &infer(&plain, &x));
    assert_complete(&network);
}

#[test]
fn what_needs_the_moved_batch_is_refused_by_name() {
    let mut b = Builder::new(8, 6, 6);
    fixed_at_one(&mut b);
    let target = b.integers(&[4, 2, 6, 6]);
    let y = b.node("Reshape", &[0, target]);
    let y = b.conv(y, 2, 3, 3, true);
    assert!(refused(&b.finish(y)).contains("moved the batch axis"));
}

fn channels_last(free: bool) -> Builder {
    let side = |size| if free { InputDim::Free("side".to_owned()) } else { InputDim::Fixed(size) };
    Builder::with_input(Some(vec![InputDim::Free("N".to_owned()), side(8), side(10), InputDim::Fixed(3)]))
}

#[test]
fn channels_may_come_last() {
    let plain = {
        let mut b = Builder::new(3, 8, 10);
        let y = b.conv(0, 3, 4, 3, true);
        let output = b.classes(y, 4, 5);
        loaded(&b.finish(output))
    };
    for free in [false, true] {
        let mut b = channels_last(free);
        let y = b.with("Transpose", &[0], &[("perm", ints(&[0, 3, 1, 2]))]);
        let y = b.conv(y, 3, 4, 3, true);
        let output = b.classes(y, 4, 5);
        let network = load(&b.finish(output), &LoadOptions { input_size: Some((8, 10)), ..LoadOptions::default() }).unwrap();
        assert_eq!(network.input_shape(), &[1, 3, 8, 10]);
        assert_eq!(network.steps.len(), plain.steps.len(), "the two transposes are none");
        assert!(network.notes.iter().any(|note| note.contains("(N, H, W, C)")));
        let x = picture(2, &plain);
        assert_near(&infer(&network, &x), &infer(&plain, &x));
    }
    // Without a transpose of the file's own, its axes are as the file has them; and what the sizes tell can be denied.
    let mut b = channels_last(false);
    let output = b.node("Relu", &[0]);
    let graph = b.finish(output);
    let network = loaded(&graph);
    assert_eq!((network.input_shape(), network.output_shape()), (&vec![1, 3, 8, 10], &vec![1, 8, 10, 3]));
    let network = load(&graph, &LoadOptions { layout: Some(Layout::Nchw), ..LoadOptions::default() }).unwrap();
    assert_eq!(network.input_shape(), &[1, 8, 10, 3]);
}

#[test]
fn bytes_may_be_cast() {
    let mut b = Builder::new(3, 8, 8);
    b.graph.inputs[0].element = ElementType::U8;
    let x = b.with("Cast", &[0], &[("to", int(1))]);
    let output = b.classes(x, 3, 5);
    let network = loaded(&b.finish(output));
    assert!(network.notes.iter().any(|note| note.contains("takes bytes")));
    assert_complete(&network);
    let mut b = Builder::new(3, 8, 8);
    b.graph.inputs[0].element = ElementType::U8;
    let output = b.classes(0, 3, 5);
    assert!(refused(&b.finish(output)).contains("bytes of the input"));
}

/// Sizes times scales in floating point, as a Resize gets them; the batch goes through.
#[test]
fn sizes_go_through_floats() {
    let mut b = Builder::new(4, 6, 6);
    let shape = b.node("Shape", &[0]);
    let shape = b.with("Cast", &[shape], &[("to", int(1))]);
    let factors = b.floats(&[1.0, 9.0, 1.0, 1.0]);
    let scaled = b.node("Mul", &[shape, factors]);
    let (zero, two, four) = (b.integers(&[0]), b.integers(&[2]), b.integers(&[4]));
    let front = b.node("Slice", &[scaled, zero, two, zero]);
    let back = b.node("Slice", &[scaled, two, four, zero]);
    let third = b.scalar(0.35);
    let back = b.node("Mul", &[back, third]);
    let back = b.node("Floor", &[back]);
    let target = b.with("Concat", &[front, back], &[("axis", int(0))]);
    let target = b.with("Cast", &[target], &[("to", int(7))]);
    let output = b.node("Reshape", &[0, target]);
    // (N, 36, 2, 2): 0.35 * 6 is 2.1.
    assert_eq!(loaded(&b.finish(output)).output_shape(), &[1, 36, 2, 2]);
}

/// A constant before an activation, as a class token is: where it stands it is a bias.
#[test]
fn constants_may_be_joined_to_activations() {
    let mut b = Builder::new(3, 4, 5);
    let y = b.conv(0, 3, 4, 1, true);
    let (before, behind) = (b.weights(&[1, 2, 4, 5]), b.weights(&[1, 1, 4, 5]));
    let [before_values, behind_values] = [(before, 2), (behind, 1)]
        .map(|(value, channels)| Tensor::from_slice(&b.graph.constants[&value].floats().unwrap()).reshape([1, channels, 4, 5]));
    let joined = b.with("Concat", &[before, y, y, behind], &[("axis", int(1))]);
    let mut alone = b.graph.clone();
    alone.outputs = vec![y];
    let network = loaded(&b.finish(joined));
    let names: Vec<&str> = network.steps.iter().map(|step| step.op.rules().name()).collect();
    assert_eq!(names, ["Conv", "Concat", "Pad", "AddConstant"]);
    let x = picture(2, &network);
    let y = infer(&loaded(&alone), &x);
    let stretched = |constant: Tensor| constant.repeat([2, 1, 1, 1]);
    assert_near(&infer(&network, &x), &Tensor::cat(&[stretched(before_values), y.shallow_clone(), y, stretched(behind_values)], 1));

    let mut b = Builder::new(3, 4, 5);
    let y = b.conv(0, 3, 4, 1, true);
    let token = b.weights(&[1, 1, 4, 5]);
    let tokens = b.with("Concat", &[token, y], &[("axis", int(1))]);
    let output = b.classes(tokens, 5, 3);
    assert_complete(&loaded(&b.finish(output)));
    let mut b = Builder::new(3, 4, 5);
    let y = b.conv(0, 3, 4, 1, true);
    let constant = b.constant(Constant { shape: vec![1, 2, 4, 4], elements: Elements::F32(vec![1.0; 32].into()) });
    let output = b.with("Concat", &[constant, y], &[("axis", int(1))]);
    assert!(refused(&b.finish(output)).contains("[1, 2, 4, 4] cannot be joined"));
    let mut b = Builder::new(3, 4, 5);
    let constant = b.weights(&[1, 2, 4, 5]);
    let output = b.with("Concat", &[0, constant, 0], &[("axis", int(1))]);
    assert!(refused(&b.finish(output)).contains("between two activations"));
}

/// A token that the file repeats for a batch of any size.
#[test]
fn constants_may_be_stretched_to_the_batch() {
    let network = |free: bool| {
        let mut b = Builder::new(3, 4, 5);
        let y = b.conv(0, 3, 4, 1, true);
        let token = b.weights(&[1, 1, 4, 5]);
        let zero = b.integers(&[0]);
        let rest = b.integers(&[1, 4, 5]);
        let shape = b.node("Shape", &[0]);
        let batch = b.with("Gather", &[shape, zero], &[("axis", int(0))]);
        let target = b.with("Concat", &[batch, rest], &[("axis", int(0))]);
        let token = if free { b.node("Expand", &[token, target]) } else { token };
        let tokens = b.with("Concat", &[token, y], &[("axis", int(1))]);
        let output = b.classes(tokens, 5, 3);
        loaded(&b.finish(output))
    };
    let (free, plain) = (network(true), network(false));
    let x = picture(3, &plain);
    assert_near(&infer(&free, &x), &infer(&plain, &x));
    assert_complete(&free);
}

/// Encodings of positions go through a convolution of one pixel.
#[test]
fn constants_may_be_convolved() {
    let mut b = Builder::new(4, 5, 6);
    let (code, weight, bias) = (b.weights(&[1, 2, 5, 6]), b.weights(&[4, 2, 1, 1]), b.weights(&[4]));
    let tensor = |value, shape: &[i64]| Tensor::from_slice(&b.graph.constants[&value].floats().unwrap()).reshape(shape);
    let (code_values, weight_values, bias_values) = (tensor(code, &[1, 2, 5, 6]), tensor(weight, &[4, 2, 1, 1]), tensor(bias, &[4]));
    let made = b.node("Conv", &[code, weight, bias]);
    let output = b.node("Add", &[0, made]);
    let network = loaded(&b.finish(output));
    let x = picture(2, &network);
    assert_near(&infer(&network, &x), &(&x + code_values.conv2d(&weight_values, Some(bias_values), [1, 1], [0, 0], [1, 1], 1)));
    let mut b = Builder::new(4, 5, 6);
    let (code, weight) = (b.weights(&[1, 2, 7, 8]), b.weights(&[4, 2, 3, 3]));
    let made = b.node("Conv", &[code, weight]);
    let output = b.node("Add", &[0, made]);
    assert!(refused(&b.finish(output)).contains("kernel of several pixels"));
}

/// A norm over the last axis of patches that a file has put in the batch's place.
#[test]
fn patches_in_the_batch_s_place_may_be_normalised() {
    let mut b = Builder::new(3, 4, 4);
    fixed_at_one(&mut b);
    let y = b.conv(0, 3, 6, 1, true);
    let (scale, shift) = (b.weights(&[6]), b.weights(&[6]));
    let (patches, back) = (b.integers(&[6, 4, 4]), b.integers(&[1, 6, 4, 4]));
    let turned = b.node("Reshape", &[y, patches]);
    let turned = b.with("Transpose", &[turned], &[("perm", ints(&[1, 2, 0]))]);
    let normed = b.with("LayerNormalization", &[turned, scale, shift], &[("axis", int(-1))]);
    let pads = b.integers(&[0, 1, 0, 0, 0, 0]);
    let padded = b.node("Pad", &[normed, pads]);
    let (ends, starts, axes) = (b.integers(&[5]), b.integers(&[1]), b.integers(&[1]));
    let normed = b.node("Slice", &[padded, starts, ends, axes]);
    let turned = b.with("Transpose", &[normed], &[("perm", ints(&[2, 0, 1]))]);
    let y = b.node("Reshape", &[turned, back]);
    let output = b.classes(y, 6, 3);
    let moved = loaded(&b.finish(output));
    assert_complete(&moved);

    let mut b = Builder::new(3, 4, 4);
    let y = b.conv(0, 3, 6, 1, true);
    let (scale, shift) = (b.weights(&[6]), b.weights(&[6]));
    let turned = b.with("Transpose", &[y], &[("perm", ints(&[0, 2, 3, 1]))]);
    let normed = b.with("LayerNormalization", &[turned, scale, shift], &[("axis", int(-1))]);
    let y = b.with("Transpose", &[normed], &[("perm", ints(&[0, 3, 1, 2]))]);
    let output = b.classes(y, 6, 3);
    let plain = loaded(&b.finish(output));
    let x = picture(3, &plain);
    assert_near(&infer(&moved, &x), &infer(&plain, &x));
}

/// The parts of a split that are taken one by one.
#[test]
fn parts_may_come_as_a_sequence() {
    let mut b = Builder::new(3, 8, 8);
    let y = b.conv(0, 3, 4, 3, true);
    let three = b.constant(Constant { shape: vec![], elements: Elements::I64([3].into()) });
    let parts = b.with("SplitToSequence", &[y, three], &[("axis", int(1))]);
    let (first, last) = (b.constant(index(0)), b.constant(index(-1)));
    let (p, q) = (b.node("SequenceAt", &[parts, first]), b.node("SequenceAt", &[parts, last]));
    let turned = b.node("SequenceConstruct", &[q, p]);
    let y = b.with("ConcatFromSequence", &[turned], &[("axis", int(1))]);
    let output = b.classes(y, 4, 5);
    let network = loaded(&b.finish(output));

    let mut b = Builder::new(3, 8, 8);
    let y = b.conv(0, 3, 4, 3, true);
    let parts = {
        let lengths = b.integers(&[3, 1]);
        b.many("Split", &[y, lengths], &[("axis", int(1))], 2)
    };
    let y = b.with("Concat", &[parts[1], parts[0]], &[("axis", int(1))]);
    let output = b.classes(y, 4, 5);
    let plain = loaded(&b.finish(output));
    let x = picture(2, &network);
    assert_near(&infer(&network, &x), &infer(&plain, &x));
}

/// As torch's as_strided is written: all images on one axis, and places that are worked out from the batch size.
#[test]
fn values_may_be_laid_out_by_places() {
    let laid_out = |turned: bool, step: i64| {
        let mut b = Builder::new(3, 4, 4);
        let conv = b.conv(0, 3, 6, 3, true);
        let mean = b.node("GlobalAveragePool", &[conv]);
        let all = b.integers(&[-1]);
        let flat = b.node("Reshape", &[mean, all]);
        let (sizes, batch) = (b.node("Shape", &[0]), b.constant(index(0)));
        let batch = b.with("Gather", &[sizes, batch], &[("axis", int(0))]);
        let [start, delta, step] = [0, 1, step].map(|number| b.constant(index(number)));
        let images = b.node("Range", &[start, batch, delta]);
        let images = b.node("Mul", &[step, images]);
        let axes = b.integers(&[1, 2, 3]);
        let images = b.node("Unsqueeze", &[images, axes]);
        let within: Vec<i64> = (0..6).map(|c| if turned { 5 - c } else { c }).collect();
        let within = b.constant(Constant { shape: vec![1, 6, 1, 1], elements: Elements::I64(within.into()) });
        let places = b.node("Add", &[images, within]);
        let places = b.with("Cast", &[places], &[("to", int(7))]);
        let pixel = b.with("Gather", &[flat, places], &[("axis", int(0))]);
        let output = b.classes(pixel, 6, 4);
        b.finish(output)
    };
    let plainly = |turned: bool| {
        let mut b = Builder::new(3, 4, 4);
        let conv = b.conv(0, 3, 6, 3, true);
        let mut pixel = b.node("GlobalAveragePool", &[conv]);
        if turned {
            let places = b.integers(&[5, 4, 3, 2, 1, 0]);
            pixel = b.with("Gather", &[pixel, places], &[("axis", int(1))]);
        }
        let output = b.classes(pixel, 6, 4);
        // Both draw the same weights in the same order.
        b.finish(output)
    };
    for turned in [false, true] {
        let (found, wanted) = (loaded(&laid_out(turned, 6)), loaded(&plainly(turned)));
        let x = picture(3, &wanted);
        assert_near(&infer(&found, &x), &infer(&wanted, &x));
        assert_complete(&found);
    }
    assert!(refused(&laid_out(false, 5)).contains("reads places of one image in another"));
}

fn index(value: i64) -> Constant {
    Constant { shape: vec![], elements: Elements::I64([value].into()) }
}

/// Whatever becomes of a file, it is loaded or refused with a sentence.
#[test]
fn damaged_files_are_an_answer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/onnx_read");
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let (mut loads, mut read) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let whole = std::fs::read(entry.unwrap().path()).unwrap();
        for _ in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = if random(2) == 0 { random(256) as u8 } else { *byte ^ (1 << random(8)) };
                }
            }
            let Ok(graph) = read_bytes(bytes, None, &Limits::default()) else { continue };
            read += 1;
            let output = graph.outputs.first().map(|&output| graph.values[output].clone());
            match load(&graph, &LoadOptions { input_size: Some((32, 32)), output, ..LoadOptions::default() }) {
                Ok(network) => {
                    loads += 1;
                    for step in &network.steps {
                        assert!(step.op.rules().shapes(&network.input_shapes(step)).is_ok());
                    }
                }
                Err(error) => assert!(error.to_string().len() > 10, "no sentence: {error}"),
            }
        }
    }
    assert!(loads > 0 && read > loads, "{loads} of {read} are loaded");
}
