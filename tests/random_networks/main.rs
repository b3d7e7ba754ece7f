//! Random small networks: the terms sum up to the output, and an image's explanation does not depend on its batch.

#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::BTreeSet;

use gradcast::network::graph::{Attribute, Graph};
use gradcast::network::load::{LoadOptions, load};
use gradcast::network::op::Place;
use gradcast::network::ops::ONNX;
use gradcast::network::plan::Plan;
use gradcast::network::structure::Network;
use gradcast::saliency::{Explainer, Explanation, Rescale, Target};
use graphs::{Builder, ints};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tch::{Device, Kind, Tensor};

#[path = "../graphs/mod.rs"]
mod graphs;
mod spelled;
mod steps;
mod structure;

use steps::At;

type Recipe = (usize, [usize; 2], Vec<(u8, u8, u8)>, bool);

fn graph((channels, size, steps, mean): &Recipe) -> Graph {
    let mut b = Builder::new(*channels, size[0], size[1]);
    let mut at = At { value: 0, channels: *channels, size: *size };
    for &numbers in steps {
        at = steps::draw(&mut b, at, numbers);
    }
    let output = if *mean {
        b.classes(at.value, at.channels, 4)
    } else {
        let rows = b.node("Flatten", &[at.value]);
        let weight = b.weights(&[at.channels * at.size[0] * at.size[1], 4]);
        b.node("MatMul", &[rows, weight])
    };
    b.finish(output)
}

fn explain(network: &Network, kind: Kind, rescale: Rescale, x: &Tensor, target: &[i64]) -> Explanation {
    let plan = Plan::new(network, Place { device: Device::Cpu, kind }).unwrap();
    Explainer::new(plan, rescale).explain(x, &mut |_| Ok(Target::Each(target.to_vec()))).unwrap()
}

fn largest(tensor: &Tensor) -> f64 {
    tensor.to_kind(Kind::Double).abs().max().double_value(&[])
}

/// The largest residual of images whose output is more than what rounding leaves where values of about 1 cancel.
fn residual(found: &Explanation, exact: &Explanation) -> f64 {
    let least = if found.residual.kind() == Kind::Double { 1e-6 } else { 1e-2 };
    largest(&found.residual.masked_fill(&exact.value.abs().le(least), 0.0))
}

/// Largest difference of two tensors over the second's largest value.
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    apart(a, b, 1e-6)
}

/// As [`distance`] for one in f32: values on the way are about 1, so that where they cancel to less than `0.01` digits are gone.
fn distance_f32(a: &Tensor, b: &Tensor) -> f64 {
    apart(a, b, 1e-2)
}

fn apart(a: &Tensor, b: &Tensor, least: f64) -> f64 {
    largest(&(a.to_kind(Kind::Double) - b.to_kind(Kind::Double))) / largest(b).max(least)
}

#[test]
fn every_network_is_complete_and_every_image_its_own() {
    let config = Config { cases: 160, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let steps = prop::collection::vec(any::<(u8, u8, u8)>(), 1..14);
    let recipes = (1usize..4, [5usize..12, 5usize..12], steps, any::<bool>());
    let drawn = RefCell::new(BTreeSet::new());
    let outcome = runner.run(&recipes, |recipe| {
        let graph = graph(&recipe);
        drawn.borrow_mut().extend(graph.nodes.iter().map(|node| node.op_type.clone()));
        let network = load(&graph, &LoadOptions::default()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let (target, size) = ([1i64, 3, 0], recipe.1.map(|s| s as i64));
        let count = 3 * recipe.0 as i64 * size[0] * size[1];
        let x = (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 0.73).sin().reshape([3, recipe.0 as i64, size[0], size[1]]);
        for rescale in [Rescale::Node, Rescale::Channel] {
            let found = explain(&network, Kind::Double, rescale, &x, &target);
            prop_assert!(residual(&found, &found) <= 1e-9, "residual {:e}", residual(&found, &found));
            prop_assert!(bool::try_from(found.map.isfinite().all()).unwrap() && found.map.min().double_value(&[]) >= 0.0);
            // Where everything cancels, what is left is rounding, and rounding differs.
            if largest(&found.logits) < 1e-9 || largest(&found.map) < 1e-3 {
                continue;
            }
            for image in 0..3 {
                let alone = explain(&network, Kind::Double, rescale, &x.narrow(0, image, 1), &target[image as usize..][..1]);
                for (name, a, b) in [
                    ("logits", alone.logits, &found.logits),
                    ("map", alone.map, &found.map),
                    ("input_term", alone.input_term, &found.input_term),
                    ("bias_term_total", alone.bias_term_total, &found.bias_term_total),
                ] {
                    let off = distance(&a, &b.narrow(0, image, 1));
                    prop_assert!(off <= 1e-9, "image {image} alone: {name} is off by {off:e}");
                }
            }
            // In f32, fused and reduced, the same but for rounding: the bounds of golden answers.
            let single = explain(&network, Kind::Float, rescale, &x, &target);
            prop_assert!(
                distance_f32(&single.logits, &found.logits) <= 2e-3,
                "f32 logits: {:e}",
                distance_f32(&single.logits, &found.logits)
            );
            prop_assert!(distance_f32(&single.map, &found.map) <= 2e-3, "f32 map: {:e}", distance_f32(&single.map, &found.map));
            prop_assert!(residual(&single, &found) <= 1e-3, "f32 residual: {:e}", residual(&single, &found));
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let missing: Vec<&str> = ONNX.iter().map(|(name, _)| *name).filter(|name| !drawn.borrow().contains(*name)).collect();
    assert!(missing.is_empty(), "no network had {missing:?}; give each a row in tests/random_networks");
}

/// Attributes of a convolution or pool, any that a file could hold.
#[derive(Debug, Clone)]
struct Sliding {
    op: usize,
    size: [usize; 2],
    kernel: [usize; 2],
    strides: [i64; 2],
    dilations: [i64; 2],
    pads: [i64; 4],
    auto_pad: usize,
    ceil: bool,
    count_border: bool,
    groups: usize,
}

fn sliding() -> impl Strategy<Value = Sliding> {
    let window = (any::<[u8; 2]>(), any::<[u8; 2]>(), any::<[u8; 2]>(), any::<[u8; 4]>());
    let rest = (0usize..3, 0usize..5, any::<(bool, bool)>(), 0usize..3, [1usize..10, 1usize..10]);
    (window, rest).prop_map(|((kernel, strides, dilations, pads), (op, auto_pad, (ceil, count_border), groups, size))| Sliding {
        op,
        size,
        kernel: kernel.map(|k| 1 + usize::from(k % 5)),
        strides: strides.map(|s| 1 + i64::from(s % 4)),
        // Mostly none.
        dilations: dilations.map(|d| 1 + i64::from(d.saturating_sub(180) % 3)),
        pads: if pads[0] < 100 { [i64::from(pads[1] % 4); 4] } else { pads.map(|p| i64::from(p % 4)) },
        auto_pad,
        ceil,
        count_border,
        groups: [1, 2, 4][groups],
    })
}

/// The window's output as it is, or as a row of so many values with four scores behind it.
fn sliding_graph(s: &Sliding, row: Option<usize>) -> Graph {
    let mut b = Builder::new(4, s.size[0], s.size[1]);
    let op = ["Conv", "MaxPool", "AveragePool"][s.op];
    let kernel = s.kernel.map(|k| k as i64);
    let mut attributes = vec![("kernel_shape", ints(&kernel)), ("strides", ints(&s.strides)), ("dilations", ints(&s.dilations))];
    match ["NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"][s.auto_pad] {
        "NOTSET" => attributes.push(("pads", ints(&s.pads))),
        auto => attributes.push(("auto_pad", Attribute::Text(auto.to_owned()))),
    }
    attributes.push(("ceil_mode", Attribute::Int(s.ceil.into())));
    attributes.push(("count_include_pad", Attribute::Int(s.count_border.into())));
    attributes.push(("group", Attribute::Int(s.groups as i64)));
    let x = b.node("Relu", &[0]);
    let y = if op == "Conv" {
        let operands = [x, b.weights(&[4, 4 / s.groups, s.kernel[0], s.kernel[1]]), b.weights(&[4])];
        b.with(op, &operands, &attributes)
    } else {
        b.with(op, &[x], &attributes)
    };
    let Some(row) = row else { return b.finish(y) };
    let y = b.node("Relu", &[y]);
    let flat = b.node("Flatten", &[y]);
    let weight = b.weights(&[row, 4]);
    let output = b.node("MatMul", &[flat, weight]);
    b.finish(output)
}

#[test]
fn what_is_loaded_can_be_run() {
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let loaded = std::cell::Cell::new([0; 3]);
    let outcome = runner.run(&sliding(), |sliding| {
        let Ok(window) = load(&sliding_graph(&sliding, None), &LoadOptions::default()) else { return Ok(()) };
        let row = window.output_shape().iter().product();
        let network = load(&sliding_graph(&sliding, Some(row)), &LoadOptions::default()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let mut counts = loaded.get();
        counts[sliding.op] += 1;
        loaded.set(counts);
        let size = [2, 4, sliding.size[0] as i64, sliding.size[1] as i64];
        let x = (Tensor::arange(size.iter().product::<i64>(), (Kind::Double, Device::Cpu)) * 0.73).sin().reshape(size);
        let found = explain(&network, Kind::Double, Rescale::Node, &x, &[1, 2]);
        prop_assert!(largest(&found.residual) <= 1e-9, "residual {:e}", largest(&found.residual));
        let single = explain(&network, Kind::Float, Rescale::Node, &x, &[1, 2]);
        prop_assert!(distance(&single.logits, &found.logits) <= 1e-4, "f32 logits: {:e}", distance(&single.logits, &found.logits));
        prop_assert!(distance(&single.map, &found.map) <= 2e-3, "f32 map: {:e}", distance(&single.map, &found.map));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    println!("loaded: {:?}", loaded.get());
    assert!(loaded.get().iter().all(|&count| count >= 20), "{:?}", loaded.get());
}
