//! The canonical cut: the same network comes out, whatever the exporter wrote.

#![allow(clippy::unwrap_used)]

use gradcast::network::graph::{Constant, Graph};
use gradcast::network::load::{LoadOptions, load};
use gradcast::network::op::Place;
use gradcast::network::plan::Plan;
use gradcast::network::structure::Network;
use gradcast::saliency::{Explainer, Explanation, Rescale, Target};
use graphs::{Builder, ints};
use tch::{Device, Kind, Tensor};

mod graphs;

fn network(graph: &Graph) -> Network {
    load(graph, &LoadOptions::default()).unwrap()
}

fn operators(network: &Network) -> Vec<&'static str> {
    network.steps.iter().map(|step| step.op.rules().name()).collect()
}

fn explain(network: &Network) -> Explanation {
    let shape = network.input_shape();
    let size = [2, shape[1] as i64, shape[2] as i64, shape[3] as i64];
    let x = (Tensor::arange(size.iter().product::<i64>(), (Kind::Double, Device::Cpu)) * 0.37).sin().reshape(size);
    let plan = Plan::new(network, Place { device: Device::Cpu, kind: Kind::Double }).unwrap();
    Explainer::new(plan, Rescale::Node).explain(&x, &mut |_| Ok(Target::Index(1))).unwrap()
}

fn assert_same(found: &Explanation, wanted: &Explanation) {
    for (name, a, b) in [
        ("logits", &found.logits, &wanted.logits),
        ("map", &found.map, &wanted.map),
        ("input_term", &found.input_term, &wanted.input_term),
        ("bias_term_total", &found.bias_term_total, &wanted.bias_term_total),
    ] {
        let off = (a - b).abs().max().double_value(&[]) / b.abs().max().double_value(&[]);
        assert!(off < 1e-12, "{name} is off by {off:e}");
    }
    assert!(found.residual.max().double_value(&[]) < 1e-9);
}

/// y = Conv(x) with a BatchNormalization behind it, or with the norm worked into weights and bias by the exporter.
fn normed(folded: bool, bias: bool) -> Graph {
    let mut b = Builder::new(3, 6, 7);
    let conv = b.conv(0, 3, 4, 3, bias);
    let norm = b.batch_norm(conv, 4);
    let relu = b.node("Relu", &[if folded { conv } else { norm }]);
    if folded {
        let nodes = &mut b.graph.nodes;
        let dropped = nodes.remove(1);
        let constant = |b: &Builder, i: usize| b.graph.constants[&dropped.inputs[i].unwrap()].floats().unwrap();
        let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|i| constant(&b, i));
        let scale: Vec<f64> = gamma.iter().zip(&variance).map(|(g, v)| g / (v + f64::from(1e-5f32)).sqrt()).collect();
        let inputs = b.graph.nodes[0].inputs.clone();
        let weight = b.graph.constants.get_mut(&inputs[1].unwrap()).unwrap();
        let scaled = weight.floats().unwrap().iter().enumerate().map(|(i, w)| w * scale[i / 27]).collect();
        *weight = Constant::from_floats(weight.shape.clone(), scaled);
        let old = inputs.get(2).map_or(vec![0.0; 4], |value| b.graph.constants[&value.unwrap()].floats().unwrap());
        let new: Vec<f64> = (0..4).map(|c| scale[c] * (old[c] - mean[c]) + beta[c]).collect();
        let new = b.floats(&new);
        b.graph.nodes[0].inputs.truncate(2);
        b.graph.nodes[0].inputs.push(Some(new));
    }
    let output = b.classes(relu, 4, 3);
    b.finish(output)
}

#[test]
fn a_norm_behind_a_convolution_is_folded_and_the_map_is_that_of_folded_weights() {
    for bias in [false, true] {
        let (unfolded, folded) = (network(&normed(false, bias)), network(&normed(true, bias)));
        assert_eq!(operators(&unfolded), ["Conv", "Relu", "ReduceMean", "Reshape", "Linear"]);
        assert_eq!(operators(&unfolded), operators(&folded));
        assert_eq!(unfolded.notes, [r#"BatchNormalization "BatchNormalization_1" folded into "Conv_0""#]);
        assert_same(&explain(&unfolded), &explain(&folded));
    }
}

#[test]
fn a_norm_stays_where_the_convolution_has_another_reader() {
    let mut b = Builder::new(3, 6, 7);
    let conv = b.conv(0, 3, 4, 3, true);
    let norm = b.batch_norm(conv, 4);
    let sum = b.node("Add", &[conv, norm]);
    let output = b.classes(sum, 4, 3);
    let found = network(&b.finish(output));
    assert_eq!(operators(&found), ["Conv", "BatchNormalization", "Add", "ReduceMean", "Reshape", "Linear"]);
    assert!(found.notes.is_empty());
    assert!(explain(&found).residual.max().double_value(&[]) < 1e-9);
}

#[test]
fn a_norm_stays_where_the_convolution_is_the_output() {
    let mut b = Builder::new(3, 6, 7);
    let conv = b.conv(0, 3, 4, 3, true);
    b.batch_norm(conv, 4);
    assert_eq!(operators(&network(&b.finish(conv))), ["Conv"]);
}

#[test]
fn norms_one_after_the_other_are_all_folded() {
    let mut b = Builder::new(3, 6, 7);
    let mut x = b.conv(0, 3, 4, 3, false);
    for _ in 0..3 {
        x = b.batch_norm(x, 4);
    }
    let relu = b.node("Relu", &[x]);
    let norm = b.batch_norm(relu, 4);
    let output = b.classes(norm, 4, 3);
    let found = network(&b.finish(output));
    assert_eq!(operators(&found), ["Conv", "Relu", "BatchNormalization", "ReduceMean", "Reshape", "Linear"]);
    assert_eq!(found.notes.len(), 3);
    assert!(explain(&found).residual.max().double_value(&[]) < 1e-9);
}

#[test]
fn a_norm_behind_rows_is_folded_into_their_matrix() {
    let mut b = Builder::new(3, 6, 7);
    let rows = b.node("Flatten", &[0]);
    let weight = b.weights(&[126, 5]);
    let product = b.node("MatMul", &[rows, weight]);
    let norm = b.batch_norm(product, 5);
    assert_eq!(operators(&network(&b.finish(norm))), ["Reshape", "Linear"]);

    // Of a table, the norm's axis is not that of the matrix.
    let mut b = Builder::new(5, 6, 7);
    let weight = b.weights(&[7, 4]);
    let product = b.node("MatMul", &[0, weight]);
    let norm = b.batch_norm(product, 5);
    assert_eq!(operators(&network(&b.finish(norm))), ["Linear", "BatchNormalization"]);
}

/// Conv without or with a bias, then these (operator, constant's shape, constant first).
fn added(bias: bool, added: &[(&str, &[usize], bool)]) -> Network {
    let mut b = Builder::new(3, 6, 7);
    let mut x = b.conv(0, 3, 4, 3, bias);
    for (op, shape, first) in added {
        let constant = b.weights(shape);
        x = b.node(op, &if *first { [constant, x] } else { [x, constant] });
    }
    let output = b.classes(x, 4, 3);
    let found = network(&b.finish(output));
    assert!(explain(&found).residual.max().double_value(&[]) < 1e-9);
    found
}

#[test]
fn the_first_vector_added_to_a_convolution_without_bias_is_its_bias() {
    let vector: &[usize] = &[4, 1, 1];
    for first in [false, true] {
        for (op, merged) in [("Add", true), ("Sub", !first)] {
            let found = added(false, &[(op, vector, first)]);
            let kept = !operators(&found).contains(&"AddConstant");
            assert_eq!(kept, merged, "{op}, constant first: {first}");
            assert_eq!(found.notes.len(), usize::from(merged));
        }
    }
    assert_eq!(operators(&added(false, &[("Add", &[1, 4, 1, 1], false)]))[1], "ReduceMean");
}

#[test]
fn other_constants_are_nodes_of_their_own() {
    let vector: &[usize] = &[4, 1, 1];
    for (bias, constants) in [
        // A second one, whichever made the bias.
        (false, vec![("Add", vector, false), ("Add", vector, false)]),
        (true, vec![("Add", vector, false)]),
        // Of other shapes.
        (false, vec![("Add", &[7][..], false)]),
        (false, vec![("Add", &[], false)]),
        (false, vec![("Add", &[1, 4, 6, 7], false)]),
        (false, vec![("Add", &[6, 7], false)]),
    ] {
        let found = added(bias, &constants);
        assert_eq!(operators(&found).iter().filter(|op| **op == "AddConstant").count(), 1, "{constants:?}");
    }
}

#[test]
fn a_constant_between_a_convolution_and_its_norm_is_folded_with_it() {
    let mut b = Builder::new(3, 6, 7);
    let conv = b.conv(0, 3, 4, 3, false);
    let vector = b.weights(&[4, 1, 1]);
    let sum = b.node("Add", &[conv, vector]);
    let norm = b.batch_norm(sum, 4);
    let output = b.classes(norm, 4, 3);
    let found = network(&b.finish(output));
    assert_eq!(operators(&found), ["Conv", "ReduceMean", "Reshape", "Linear"]);
    assert!(explain(&found).residual.max().double_value(&[]) < 1e-9);
}

#[test]
fn a_final_softmax_is_taken_off_and_one_in_the_middle_is_not() {
    let plain = |softmax: Option<&str>| {
        let mut b = Builder::new(3, 6, 7);
        let conv = b.conv(0, 3, 4, 3, true);
        let mut output = b.classes(conv, 4, 3);
        if let Some(op) = softmax {
            output = b.with(op, &[output], &[("axis", gradcast::network::graph::Attribute::Int(-1))]);
        }
        b.finish(output)
    };
    let wanted = explain(&network(&plain(None)));
    for op in ["Softmax", "LogSoftmax"] {
        let found = network(&plain(Some(op)));
        assert_eq!(found.notes, [format!("final {op} \"{op}_4\" taken off: its input is explained")]);
        assert_same(&explain(&found), &wanted);
    }
    let mut b = Builder::new(3, 6, 7);
    let softmax = b.node("Softmax", &[0]);
    let output = b.classes(softmax, 3, 2);
    match load(&b.finish(output), &LoadOptions::default()) {
        Ok(network) => assert!(network.notes.is_empty()),
        Err(error) => assert!(error.to_string().contains("\"Softmax_0\""), "{error}"),
    }
}

#[test]
fn identities_and_dropouts_vanish_on_activations_and_on_weights() {
    let mut b = Builder::new(3, 6, 7);
    let x = b.node("Identity", &[0]);
    let weight = b.weights(&[4, 3, 3, 3]);
    let weight = b.node("Identity", &[weight]);
    let weight = b.node("Identity", &[weight]);
    let conv = b.with("Conv", &[x, weight], &[("pads", ints(&[1; 4]))]);
    let ratio = b.scalar(0.5);
    let dropout = b.many("Dropout", &[conv, ratio], &[], 2)[0];
    let relu = b.node("Relu", &[dropout]);
    let output = b.classes(relu, 4, 3);
    let output = b.node("Identity", &[output]);
    let found = network(&b.finish(output));
    assert_eq!(operators(&found), ["Conv", "Relu", "ReduceMean", "Reshape", "Linear"]);
    assert!(explain(&found).residual.max().double_value(&[]) < 1e-9);
}

#[test]
fn a_norm_is_folded_through_an_identity() {
    let mut b = Builder::new(3, 6, 7);
    let conv = b.conv(0, 3, 4, 3, true);
    let same = b.node("Identity", &[conv]);
    let norm = b.batch_norm(same, 4);
    assert_eq!(operators(&network(&b.finish(norm))), ["Conv"]);
}
