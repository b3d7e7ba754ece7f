//! Random small networks: the terms sum up to the output, and an image's explanation does not depend on its batch.

#![allow(clippy::unwrap_used)]

use gradcast::network::graph::{Attribute, Graph, ValueId};
use gradcast::network::load::{LoadOptions, load};
use gradcast::network::op::Place;
use gradcast::network::plan::Plan;
use gradcast::network::structure::Network;
use gradcast::saliency::{Explainer, Explanation, Rescale, Target};
use graphs::{Builder, ints};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tch::{Device, Kind, Tensor};

mod graphs;

/// A value (N, C, H, W) on the way through the network.
#[derive(Clone, Copy)]
struct At {
    value: ValueId,
    channels: usize,
    size: [usize; 2],
}

/// One step drawn by three numbers; what does not fit is left out.
fn step(b: &mut Builder, at: At, (kind, p, q): (u8, u8, u8)) -> At {
    let At { value: x, channels, size } = at;
    let (p, q) = (usize::from(p), usize::from(q));
    let same = |value| At { value, ..at };
    let pooled = |kernel: usize, stride: usize, border: usize| size.map(|s| (s + 2 * border - kernel) / stride + 1);
    match kind % 16 {
        0 | 1 => {
            let (kernel, stride, groups) = (1 + p % 3, 1 + q % 2, if (p + q) % 3 == 0 { channels } else { 1 });
            if size.iter().any(|&s| s < 3) {
                return at;
            }
            let border = q % kernel;
            let outputs = if groups == 1 { 1 + p % 9 } else { channels };
            let mut operands = vec![x, b.weights(&[outputs, channels / groups, kernel, kernel])];
            if p % 4 > 0 {
                operands.push(b.weights(&[outputs]));
            }
            let border_i64 = [border as i64; 4];
            let attributes =
                [("pads", ints(&border_i64)), ("strides", ints(&[stride as i64; 2])), ("group", Attribute::Int(groups as i64))];
            At { value: b.with("Conv", &operands, &attributes), channels: outputs, size: pooled(kernel, stride, border) }
        }
        2 => same(b.batch_norm(x, channels)),
        3 | 4 => same(b.node("Relu", &[x])),
        5 => same(b.with("LeakyRelu", &[x], &[("alpha", Attribute::Float(0.1 + p as f32 / 512.0))])),
        6 => {
            let (low, high) = (b.scalar(-(p as f64) / 256.0), b.scalar(0.1 + q as f64 / 64.0));
            same(b.node("Clip", &[x, low, high]))
        }
        7 | 8 if size.iter().all(|&s| s >= 3) => {
            let (kernel, stride) = (2 + p % 2, 1 + q % 2);
            let border = usize::from(kernel == 3 && q % 3 == 0);
            let attributes =
                [("kernel_shape", ints(&[kernel as i64; 2])), ("strides", ints(&[stride as i64; 2])), ("pads", ints(&[border as i64; 4]))];
            let op = if kind % 16 == 7 { "MaxPool" } else { "AveragePool" };
            At { value: b.with(op, &[x], &attributes), channels, size: pooled(kernel, stride, border) }
        }
        9 => {
            let branch = b.conv(x, channels, channels, 1 + 2 * (p % 2), q % 2 == 0);
            let branch = if p % 3 == 0 { b.node("Relu", &[branch]) } else { branch };
            same(b.node("Add", &[branch, x]))
        }
        10 if channels <= 8 => {
            let branch = b.conv(x, channels, 2, 1, true);
            At { value: b.with("Concat", &[x, branch, x], &[("axis", Attribute::Int(1))]), channels: 2 * channels + 2, size }
        }
        11 => {
            let constant = b.weights(if p % 2 == 0 { vec![channels, 1, 1] } else { vec![size[1]] }.as_slice());
            let operands = if q % 2 == 0 { [x, constant] } else { [constant, x] };
            same(b.node(if q % 4 < 2 { "Add" } else { "Sub" }, &operands))
        }
        12 if channels >= 2 => {
            let first = (channels / 2) as i64;
            let lengths = b.integers(&[first, channels as i64 - first]);
            let parts = b.many("Split", &[x, lengths], &[("axis", Attribute::Int(1))], 2);
            same(b.with("Concat", &[parts[1], parts[0]], &[("axis", Attribute::Int(1))]))
        }
        13 if channels >= 2 => {
            let [start, end, axis] = [p as i64 % channels as i64, i64::MAX, 1].map(|v| b.integers(&[v]));
            At { value: b.node("Slice", &[x, start, end, axis]), channels: channels - p % channels, size }
        }
        14 => {
            let turned = b.with("Transpose", &[x], &[("perm", ints(&[0, 1, 3, 2]))]);
            At { value: turned, channels, size: [size[1], size[0]] }
        }
        15 => {
            // The mean of each channel, stretched again by the sum.
            let mean = b.node("GlobalAveragePool", &[x]);
            let relu = b.node("Relu", &[mean]);
            same(b.node("Add", &[x, relu]))
        }
        _ => at,
    }
}

type Recipe = (usize, [usize; 2], Vec<(u8, u8, u8)>, bool);

fn graph((channels, size, steps, mean): &Recipe) -> Graph {
    let mut b = Builder::new(*channels, size[0], size[1]);
    let mut at = At { value: 0, channels: *channels, size: *size };
    for &numbers in steps {
        at = step(&mut b, at, numbers);
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

/// Largest difference of two tensors over the second's largest value.
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    largest(&(a.to_kind(Kind::Double) - b.to_kind(Kind::Double))) / largest(b).max(1e-6)
}

#[test]
fn every_network_is_complete_and_every_image_its_own() {
    let config = Config { cases: 80, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let steps = prop::collection::vec(any::<(u8, u8, u8)>(), 1..14);
    let recipes = (1usize..4, [5usize..12, 5usize..12], steps, any::<bool>());
    let outcome = runner.run(&recipes, |recipe| {
        let network = load(&graph(&recipe), &LoadOptions::default()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let (target, size) = ([1i64, 3, 0], recipe.1.map(|s| s as i64));
        let count = 3 * recipe.0 as i64 * size[0] * size[1];
        let x = (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 0.73).sin().reshape([3, recipe.0 as i64, size[0], size[1]]);
        for rescale in [Rescale::Node, Rescale::Channel] {
            let found = explain(&network, Kind::Double, rescale, &x, &target);
            prop_assert!(largest(&found.residual) <= 1e-9, "residual {:e}", largest(&found.residual));
            prop_assert!(bool::try_from(found.map.isfinite().all()).unwrap() && found.map.min().double_value(&[]) >= 0.0);
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
            // In f32, fused and reduced, the same but for rounding.
            let single = explain(&network, Kind::Float, rescale, &x, &target);
            prop_assert!(distance(&single.logits, &found.logits) <= 1e-4, "f32 logits: {:e}", distance(&single.logits, &found.logits));
            prop_assert!(distance(&single.map, &found.map) <= 2e-3, "f32 map: {:e}", distance(&single.map, &found.map));
            prop_assert!(largest(&single.residual) <= 1e-3, "f32 residual: {:e}", largest(&single.residual));
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
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
