//! The engine against golden answers: small networks and EfficientNet-Lite0, each with the float64 decomposition of a slow reference.
//!
//! The files lie in a folder beside the project and are not part of it; without them these tests say so and end.

#![allow(clippy::print_stdout)] // what was found beside its bound is shown with --nocapture

use std::fs;
use std::path::{Path, PathBuf};

use gradcast::network::load::{LoadOptions, load};
use gradcast::network::onnx;
use gradcast::network::op::Place;
use gradcast::network::plan::Plan;
use gradcast::network::structure::Network;
use gradcast::saliency::{Explainer, Explanation, Rescale, Target};
use safetensors::SafeTensors;
use tch::{Device, Kind, Tensor};

fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if !folder.join("golden").is_dir() {
        eprintln!("skipped: no golden files in {}", folder.display());
        return None;
    }
    Some(folder)
}

struct Golden {
    input: Tensor,
    target: Vec<i64>,
    logits: Tensor,
    value: Tensor,
    map: Tensor,
    input_term: Tensor,
    bias_term_total: Tensor,
}

impl Golden {
    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).expect("the golden file");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let tensor = |name: &str| {
            let view = file.tensor(name).expect(name);
            let kind = match view.dtype() {
                safetensors::Dtype::F32 => Kind::Float,
                safetensors::Dtype::F64 => Kind::Double,
                safetensors::Dtype::I64 => Kind::Int64,
                other => panic!("{name} is {other:?}"),
            };
            let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
            Tensor::from_data_size(view.data(), &shape, kind)
        };
        Golden {
            input: tensor("input"),
            target: Vec::try_from(tensor("target")).expect("target"),
            logits: tensor("logits"),
            value: tensor("value"),
            map: tensor("map"),
            input_term: tensor("input_term"),
            bias_term_total: tensor("bias_term_total"),
        }
    }
}

fn network(path: &Path) -> Network {
    let graph = onnx::read_file(path, &onnx::Limits::default()).expect("the network's file");
    load(&graph, &LoadOptions::default()).expect("a network with rules for all")
}

fn explain(network: &Network, kind: Kind, input: &Tensor, target: Target) -> Explanation {
    let plan = Plan::new(network, Place { device: Device::Cpu, kind }).expect("a plan");
    Explainer::new(plan, Rescale::Node).explain(input, &mut |_| Ok(target.clone())).expect("an explanation")
}

/// Largest difference over the largest golden value, of the worst image.
fn relative_error(found: &Tensor, golden: &Tensor) -> f64 {
    let batch = golden.size()[0];
    let (found, golden) = (found.to_kind(Kind::Double).view([batch, -1]), golden.to_kind(Kind::Double).view([batch, -1]));
    let error = (&found - &golden).abs().amax([1], false) / golden.abs().amax([1], false);
    error.max().double_value(&[])
}

/// |found - golden| / max(|f|, |golden|), of the worst image.
fn term_error(found: &Tensor, golden: &Tensor, value: &Tensor) -> f64 {
    let scale = value.abs().maximum(&golden.abs());
    ((found.to_kind(Kind::Double) - golden).abs() / scale).max().double_value(&[])
}

struct Bounds {
    map: f64,
    logits: f64,
    residual: f64,
    terms: f64,
}

fn hold(name: &str, found: &Explanation, golden: &Golden, bounds: &Bounds) {
    assert_eq!(found.target, golden.target, "{name}: target");
    let errors = [
        ("map", relative_error(&found.map, &golden.map), bounds.map),
        ("logits", relative_error(&found.logits, &golden.logits), bounds.logits),
        ("residual", found.residual.max().double_value(&[]), bounds.residual),
        ("input_term", term_error(&found.input_term, &golden.input_term, &golden.value), bounds.terms),
        ("bias_term_total", term_error(&found.bias_term_total, &golden.bias_term_total, &golden.value), bounds.terms),
    ];
    for (what, error, bound) in errors {
        eprintln!("{name:24} {what:16} {error:9.2e} of {bound:.0e}");
    }
    for (what, error, bound) in errors {
        assert!(error <= bound, "{name}: {what} is off by {error:e}, the bound is {bound:e}");
    }
}

const SMALL: [&str; 13] = [
    "activations",
    "convnext_gelu_ln",
    "dense_concat",
    "efficient_silu_se",
    "inception_branches",
    "mobile_hardswish_se",
    "mobile_relu6",
    "resnet_relu",
    "shuffle_split",
    "squeeze_fire",
    "transposed_bn",
    "transposed_upsample",
    "vgg_bn_bias",
];

const F64: Bounds = Bounds { map: 1e-4, logits: 1e-4, residual: 1e-9, terms: 1e-4 };
const F32: Bounds = Bounds { map: 2e-3, logits: 2e-3, residual: 1e-4, terms: 2e-3 };

fn small_networks(kind: Kind, bounds: &Bounds) {
    let Some(shared) = shared() else { return };
    for name in SMALL {
        let golden = Golden::read(&shared.join(format!("golden/{name}.safetensors")));
        let network = network(&shared.join(format!("golden/{name}.onnx")));
        hold(name, &explain(&network, kind, &golden.input, Target::Argmax), &golden, bounds);
    }
}

#[test]
fn small_networks_in_f64() {
    small_networks(Kind::Double, &F64);
}

#[test]
fn small_networks_in_f32() {
    small_networks(Kind::Float, &F32);
}

fn default_network() -> Network {
    network(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/efficientnet_lite0.onnx"))
}

#[test]
fn default_network_in_f64_and_f32() {
    let Some(shared) = shared() else { return };
    let golden = Golden::read(&shared.join("golden/efficientnet_lite0.safetensors"));
    let network = default_network();
    let bounds = Bounds { map: 1e-3, terms: 1e-3, ..F64 };
    hold("efficientnet_lite0 f64", &explain(&network, Kind::Double, &golden.input, Target::Argmax), &golden, &bounds);
    hold("efficientnet_lite0 f32", &explain(&network, Kind::Float, &golden.input, Target::Argmax), &golden, &F32);
}

/// Spearman's rank correlation of two maps.
fn rank_correlation(a: &Tensor, b: &Tensor) -> f64 {
    let ranks = |map: &Tensor| map.flatten(0, -1).argsort(0, false).argsort(0, false).to_kind(Kind::Double);
    let (a, b) = (ranks(a), ranks(b));
    let (a, b) = (&a - a.mean(Kind::Double), &b - b.mean(Kind::Double));
    ((&a * &b).sum(Kind::Double) / (a.square().sum(Kind::Double) * b.square().sum(Kind::Double)).sqrt()).double_value(&[])
}

/// With golden's targets passed in: 16 bits can flip a close arg-max.
fn default_network_ranks_pixels_alike(kind: Kind, bound: f64) {
    let Some(shared) = shared() else { return };
    let golden = Golden::read(&shared.join("golden/efficientnet_lite0.safetensors"));
    let found = explain(&default_network(), kind, &golden.input, Target::Each(golden.target.clone()));
    for image in 0..golden.target.len() as i64 {
        let correlation = rank_correlation(&found.map.get(image), &golden.map.get(image));
        eprintln!("image {image} in {kind:?}: rank correlation {correlation:.5}");
        assert!(correlation >= bound, "image {image} in {kind:?}: rank correlation {correlation}");
    }
}

#[test]
fn default_network_in_bf16_ranks_pixels_alike() {
    default_network_ranks_pixels_alike(Kind::BFloat16, 0.99);
}

#[test]
fn default_network_in_f16_ranks_pixels_alike() {
    default_network_ranks_pixels_alike(Kind::Half, 0.998);
}

#[test]
fn an_image_s_map_does_not_depend_on_its_neighbours() {
    let Some(shared) = shared() else { return };
    for (kind, bound) in [(Kind::Double, 1e-9), (Kind::Float, 2e-3)] {
        for name in SMALL {
            let golden = Golden::read(&shared.join(format!("golden/{name}.safetensors")));
            let network = network(&shared.join(format!("golden/{name}.onnx")));
            let together = explain(&network, kind, &golden.input, Target::Argmax);
            let alone: Vec<Tensor> = (0..golden.target.len() as i64)
                .map(|image| explain(&network, kind, &golden.input.narrow(0, image, 1), Target::Argmax).map)
                .collect();
            let error = relative_error(&together.map, &Tensor::cat(&alone, 0));
            assert!(error <= bound, "{name}: batch and single differ by {error:e}");
        }
    }
}
