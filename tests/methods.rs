//! The attribution methods against plain computations: automatic differentiation, finite differences, and what must hold of them.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use gradcast::error::Kind as ErrorKind;
use gradcast::network::graph::Graph;
use gradcast::network::load::{LoadOptions, load};
use gradcast::network::onnx;
use gradcast::network::op::Place;
use gradcast::network::plan::{Plan, bottleneck, spots};
use gradcast::network::structure::Network;
use gradcast::saliency::{Explainer, Explanation, Method, Rescale, Sampling, Settings, Target};
use graphs::Builder;
use tch::{Device, Kind, Tensor};

mod graphs;

/// Small networks that lie in the repository: rectified, clipped, smooth, normed, branched.
const NETWORKS: [&str; 8] = [
    "squeeze_fire",
    "resnet_relu",
    "mobile_relu6",
    "dense_concat",
    "inception_branches",
    "efficient_silu_se",
    "mobile_hardswish_se",
    "convnext_gelu_ln",
];

fn network(name: &str) -> Network {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/corpus/onnx_read/{name}.onnx"));
    load(&onnx::read_file(&path, &onnx::Limits::default()).unwrap(), &LoadOptions::default()).unwrap()
}

fn input(network: &Network, images: i64) -> Tensor {
    let shape = network.input_shape();
    let size = [images, shape[1] as i64, shape[2] as i64, shape[3] as i64];
    (Tensor::arange(size.iter().product::<i64>(), (Kind::Double, Device::Cpu)) * 0.37).sin().reshape(size)
}

fn explain_with(network: &Network, kind: Kind, settings: Settings, x: &Tensor, target: &[i64]) -> Explanation {
    let explainer = Explainer::compile(network, Place { device: Device::Cpu, kind }, settings).unwrap();
    explainer.explain(x, &mut |_| Ok(Target::Each(target.to_vec()))).unwrap()
}

fn explain(network: &Network, method: Method, x: &Tensor, target: &[i64]) -> Explanation {
    explain_with(network, Kind::Double, Settings { methods: vec![method], ..Settings::default() }, x, target)
}

fn sampled(method: Method, samples: usize, noise: f64, seed: u64) -> Settings {
    let sampling = Sampling { samples: samples.try_into().unwrap(), noise, seed, ..Sampling::default() };
    Settings { methods: vec![method], sampling, ..Settings::default() }
}

fn largest(tensor: &Tensor) -> f64 {
    tensor.to_kind(Kind::Double).abs().max().double_value(&[])
}

/// Largest difference over the largest value of the second.
fn apart(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    largest(&(a.to_kind(Kind::Double) - b.to_kind(Kind::Double))) / largest(b).max(1e-12)
}

/// Two convolutions with a rectifier behind each, the mean of the pixels, four classes; and the constants.
struct Plain {
    network: Network,
    constants: Vec<Tensor>,
}

impl Plain {
    fn new() -> Self {
        let mut b = Builder::new(3, 9, 8);
        let conv = b.conv(0, 3, 5, 3, true);
        let relu = b.node("Relu", &[conv]);
        let conv = b.conv(relu, 5, 6, 3, true);
        let relu = b.node("Relu", &[conv]);
        let output = b.classes(relu, 6, 4);
        let graph: Graph = b.finish(output);
        let tensor = |constant: &gradcast::network::graph::Constant| {
            let shape: Vec<i64> = constant.shape.iter().map(|&size| size as i64).collect();
            Tensor::from_slice(&constant.floats().unwrap()).view(shape.as_slice())
        };
        Plain { network: load(&graph, &LoadOptions::default()).unwrap(), constants: graph.constants.values().map(tensor).collect() }
    }

    /// The input, both convolutions' outputs and the last rectifier's, and df/d of each, f being the sum of the targets' logits.
    fn autograd(&self, x: &Tensor, target: &[i64]) -> [(Tensor, Tensor); 4] {
        let [w1, b1, w2, b2, weight, bias] = &self.constants[..] else { panic!("six constants") };
        let x = x.copy().set_requires_grad(true);
        let y1 = x.conv2d(w1, Some(b1), [1, 1], [1, 1], [1, 1], 1);
        let y2 = y1.relu().conv2d(w2, Some(b2), [1, 1], [1, 1], [1, 1], 1);
        let last = y2.relu();
        let logits = last.mean_dim([2i64, 3].as_slice(), false, Kind::Double).matmul(weight) + bias;
        let f = logits.gather(1, &Tensor::from_slice(target).unsqueeze(1), false).sum(Kind::Double);
        let grads = Tensor::run_backward(&[f], &[&x, &y1, &y2, &last], false, false);
        let mut grads = grads.into_iter();
        [&x, &y1, &y2, &last].map(|value| (value.detach(), grads.next().unwrap()))
    }
}

/// psi without its upsampling, which these pictures need none of: rescaled over each image, channels summed.
fn psi(term: &Tensor) -> Tensor {
    let size = term.abs();
    let (low, high) = (size.amin([1i64, 2, 3].as_slice(), true), size.amax([1i64, 2, 3].as_slice(), true));
    ((size - &low) / (high - low + 1e-6)).sum_dim_intlist([1i64].as_slice(), true, Kind::Double)
}

#[test]
fn one_pass_methods_are_what_automatic_differentiation_makes_of_their_formulas() {
    let plain = Plain::new();
    let (x, target) = (input(&plain.network, 3), [2, 0, 3]);
    let [(x_value, gx), (_, g1), (_, g2), (a, ga)] = plain.autograd(&x, &target);
    let weights = ga.mean_dim([2i64, 3].as_slice(), true, Kind::Double);
    let product = &x_value * &gx;
    let expected = [
        (Method::Gradient, gx.abs().amax([1i64].as_slice(), true)),
        (Method::InputXGradient, product.sum_dim_intlist([1i64].as_slice(), true, Kind::Double).abs()),
        (Method::SimpleFullgrad, psi(&product) + psi(&g1) + psi(&g2)),
        (Method::GradCam(None), (a * weights).sum_dim_intlist([1i64].as_slice(), true, Kind::Double).relu()),
    ];
    for (method, map) in expected {
        assert!(largest(&map) > 0.0);
        let found = explain(&plain.network, method.clone(), &x, &target);
        assert!(apart(&found.map, &map) < 1e-10, "{method}: {:e}", apart(&found.map, &map));
        // In f32 the steps are fused.
        let fused = explain_with(
            &plain.network,
            Kind::Float,
            Settings { methods: vec![method.clone()], ..Settings::default() },
            &x.to_kind(Kind::Float),
            &target,
        );
        assert!(apart(&fused.map, &map) < 1e-4, "{method} in f32: {:e}", apart(&fused.map, &map));
        assert!(apart(&found.input_term, &product.sum_dim_intlist([1i64, 2, 3].as_slice(), false, Kind::Double)) < 1e-10);
    }
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    for name in NETWORKS {
        let network = network(name);
        let (x, target, step) = (input(&network, 1), 1, 1e-6);
        let [_, channels, rows, columns] = x.size()[..] else { panic!("four axes") };
        let map = explain(&network, Method::Gradient, &x, &[target]).map;
        let plan = Plan::new(&network, Place { device: Device::Cpu, kind: Kind::Double }).unwrap();
        for at in 0..12 {
            let (row, column) = ((at * 7) % rows, (at * 11) % columns);
            let moved = |by: f64| {
                let copies: Vec<Tensor> = (0..channels)
                    .map(|channel| {
                        let copy = x.copy();
                        let _ = copy.narrow(1, channel, 1).narrow(2, row, 1).narrow(3, column, 1).g_add_scalar_(by);
                        copy
                    })
                    .collect();
                plan.infer(&plan.prepare(&Tensor::cat(&copies, 0)).unwrap()).unwrap().select(1, target)
            };
            let difference = largest(&((moved(step) - moved(-step)) / (2.0 * step)));
            let found = map.double_value(&[0, 0, row, column]);
            assert!((found - difference).abs() < 1e-5 * largest(&map), "{name} at {row}, {column}: {found} and {difference}");
        }
    }
}

#[test]
fn integrated_gradients_add_up_to_the_way_from_the_baseline() {
    for name in NETWORKS {
        let network = network(name);
        let (x, target) = (input(&network, 1), [1]);
        let at = |steps: usize| {
            let sampling = Sampling { steps: steps.try_into().unwrap(), ..Sampling::default() };
            let settings = Settings { methods: vec![Method::IntegratedGradients], sampling, ..Settings::default() };
            explain_with(&network, Kind::Double, settings, &x, &target)
        };
        // Relative to what is attributed; the residual is relative to f, which may be close to zero.
        let off = |found: &Explanation| {
            let way = &found.value - &found.bias_term_total;
            largest(&((&way - &found.input_term) / &way))
        };
        // A rectified network bends on the way, and the error goes with one over the steps: how many are enough depends on the network.
        let coarse = at(4);
        let fine = [100, 400, 1600].into_iter().map(at).find(|found| off(found) < 1e-3);
        let fine = fine.unwrap_or_else(|| panic!("{name}: 1600 steps are not complete"));
        assert!(off(&fine) < off(&coarse), "{name}: {:e} of {:e}", off(&fine), off(&coarse));
        // The bias total is f of the baseline.
        let plan = Plan::new(&network, Place { device: Device::Cpu, kind: Kind::Double }).unwrap();
        let zero = plan.infer(&plan.prepare(&x.zeros_like()).unwrap()).unwrap();
        let f0 = zero.gather(1, &Tensor::from_slice(&target).unsqueeze(1), false).squeeze_dim(1);
        assert!(apart(&fine.bias_term_total, &f0) < 1e-10, "{name}");
        let off = (&fine.value - &fine.input_term - &fine.bias_term_total).abs() / fine.value.abs();
        assert!(apart(&fine.residual, &off) < 1e-6, "{name}: the residual is relative to f");
    }
}

#[test]
fn without_noise_smooth_methods_are_their_plain_ones() {
    for name in NETWORKS {
        let network = network(name);
        let (x, target) = (input(&network, 2), [1, 0]);
        for rescale in [Rescale::Node, Rescale::Channel] {
            for (smooth, plain) in [(Method::SmoothFullgrad, Method::Fullgrad), (Method::Smoothgrad, Method::Gradient)] {
                let smooth = explain_with(&network, Kind::Double, Settings { rescale, ..sampled(smooth, 6, 0.0, 0) }, &x, &target);
                let plain = Settings { methods: vec![plain], rescale, ..Settings::default() };
                let plain = explain_with(&network, Kind::Double, plain, &x, &target);
                for (what, a, b) in [
                    ("map", &smooth.map, &plain.map),
                    ("input_term", &smooth.input_term, &plain.input_term),
                    ("bias_term_total", &smooth.bias_term_total, &plain.bias_term_total),
                    ("value", &smooth.value, &plain.value),
                ] {
                    assert!(apart(a, b) < 1e-12, "{name} {rescale:?}: {what} is off by {:e}", apart(a, b));
                }
            }
        }
    }
}

#[test]
fn sums_are_complete_and_maps_not_negative() {
    for name in NETWORKS {
        let network = network(name);
        let (x, target) = (input(&network, 2), [1, 0]);
        let plain = explain(&network, Method::Fullgrad, &x, &target);
        for method in Method::ALL {
            let found = explain(&network, method.clone(), &x, &target);
            assert_eq!(found.map.size(), [2, 1, x.size()[2], x.size()[3]], "{name} {method}");
            assert!(found.map.min().double_value(&[]) >= 0.0 && largest(&found.map) > 0.0, "{name} {method}");
            assert!(found.logits.equal(&plain.logits) && found.value.equal(&plain.value), "{name} {method}");
            // Integrated gradients are complete but for their steps; another test has that.
            if method != Method::IntegratedGradients {
                assert!(largest(&found.residual) < 1e-9, "{name} {method}: {:e}", largest(&found.residual));
            }
            if matches!(method, Method::SimpleFullgrad | Method::InputXGradient | Method::Gradient | Method::GradCam(_)) {
                assert!(apart(&found.input_term, &plain.input_term) < 1e-12, "{name} {method}");
                assert!(apart(&found.bias_term_total, &plain.bias_term_total) < 1e-12, "{name} {method}");
            }
        }
    }
}

#[test]
fn a_picture_s_map_does_not_depend_on_its_neighbours() {
    for name in ["squeeze_fire", "resnet_relu", "efficient_silu_se"] {
        let network = network(name);
        let (x, target) = (input(&network, 3), [1, 0, 2]);
        for method in Method::ALL {
            for kind in [Kind::Double, Kind::Float] {
                let settings = sampled(method.clone(), 6, 0.15, 3);
                let together = explain_with(&network, kind, settings.clone(), &x.to_kind(kind), &target);
                for image in 0..3 {
                    let alone = x.narrow(0, image, 1).to_kind(kind);
                    let alone = explain_with(&network, kind, settings.clone(), &alone, &target[image as usize..][..1]);
                    let map = together.map.narrow(0, image, 1);
                    if matches!(method, Method::SmoothFullgrad | Method::Smoothgrad | Method::IntegratedGradients) {
                        assert!(alone.map.equal(&map), "{name} {method} in {kind:?}: bit for bit");
                    } else if kind == Kind::Double {
                        assert!(apart(&alone.map, &map) < 1e-9, "{name} {method}");
                    }
                }
            }
        }
    }
}

#[test]
fn copies_are_explained_for_what_their_picture_is() {
    let network = network("resnet_relu");
    let x = input(&network, 2);
    let explained = |settings: Settings, target: Target| {
        let explainer = Explainer::compile(&network, Place { device: Device::Cpu, kind: Kind::Double }, settings).unwrap();
        explainer.explain(&x, &mut |_| Ok(target.clone())).unwrap()
    };
    // So much noise that copies would have other leading classes.
    let noisy = |target| explained(sampled(Method::Smoothgrad, 32, 2.0, 1), target);
    let leading = noisy(Target::Argmax);
    assert!(leading.map.equal(&noisy(Target::Each(leading.target.clone())).map));
    // A sum of the largest has no class to hold.
    let plain = explained(Settings { methods: vec![Method::Gradient], ..Settings::default() }, Target::Top(2));
    let smooth = explained(sampled(Method::Smoothgrad, 3, 0.0, 0), Target::Top(2));
    assert_eq!((&smooth.target, apart(&smooth.map, &plain.map) < 1e-12), (&plain.target, true));
    assert!(smooth.value.equal(&plain.value));
}

#[test]
fn seeds_decide_the_noise_and_more_copies_come_nearer_to_the_mean() {
    let network = network("resnet_relu");
    let (x, target) = (input(&network, 1), [1]);
    for method in [Method::Smoothgrad, Method::SmoothFullgrad] {
        let map = |samples, seed| explain_with(&network, Kind::Double, sampled(method.clone(), samples, 0.2, seed), &x, &target).map;
        assert!(map(5, 7).equal(&map(5, 7)), "{method}");
        assert!(apart(&map(5, 7), &map(5, 8)) > 1e-3, "{method}");
        let (few, many) = (apart(&map(8, 1), &map(8, 2)), apart(&map(512, 1), &map(512, 2)));
        assert!(many < few / 2.0, "{method}: {few} with 8 copies, {many} with 512");
    }
}

#[test]
fn grad_cam_at_a_node_is_the_mean_of_the_gradient_there() {
    // A value that a convolution and its rectifier would be fused over, and one behind a sum.
    let plain = Plain::new();
    let (x, target) = (input(&plain.network, 2), [2, 1]);
    let values = plain.autograd(&x, &target);
    for (node, at) in [("Conv_0", 1), ("Conv_2", 2), ("Relu_3", 3)] {
        let (a, g) = &values[at];
        let wanted =
            (a * g.mean_dim([2i64, 3].as_slice(), true, Kind::Double)).sum_dim_intlist([1i64].as_slice(), true, Kind::Double).relu();
        for (kind, bound) in [(Kind::Double, 1e-10), (Kind::Float, 1e-4)] {
            let settings = Settings { methods: vec![Method::GradCam(Some(node.to_owned()))], ..Settings::default() };
            let found = explain_with(&plain.network, kind, settings, &x.to_kind(kind), &target);
            assert!(apart(&found.map, &wanted) < bound, "{node} in {kind:?}: {:e}", apart(&found.map, &wanted));
        }
    }
}

#[test]
fn several_methods_share_a_plan() {
    let network = network("dense_concat");
    let (x, target) = (input(&network, 2), [1, 0]);
    let nodes: Vec<String> = spots(&network).into_iter().map(|spot| spot.node).collect();
    let methods: Vec<Method> = Method::ALL.into_iter().chain(nodes.iter().map(|node| Method::GradCam(Some(node.clone())))).collect();
    let place = Place { device: Device::Cpu, kind: Kind::Double };
    let shared = Explainer::compile(&network, place, Settings { methods: methods.clone(), ..Settings::default() }).unwrap();
    for (index, method) in methods.into_iter().enumerate() {
        let found = shared.explain_by(index, &x, &mut |_| Ok(Target::Each(target.to_vec()))).unwrap();
        let alone = explain(&network, method.clone(), &x, &target);
        assert!(found.map.equal(&alone.map), "{method}");
    }
}

#[test]
fn the_last_layer_is_the_one_that_all_goes_through() {
    for (name, op) in [
        ("squeeze_fire", "Relu"),
        ("resnet_relu", "Relu"),
        ("mobile_relu6", "Conv"),
        ("dense_concat", "Relu"),
        ("inception_branches", "Concat"),
        ("efficient_silu_se", "Conv"),
    ] {
        let network = network(name);
        let spot = bottleneck(&network).unwrap();
        let step = network.steps.iter().find(|step| step.outputs[0] == spot.value).unwrap();
        let shape = &network.values[spot.value].shape;
        assert!(shape[2] * shape[3] > 1, "{name}");
        assert_eq!(step.op.rules().name(), op, "{name}: {}", step.name);
    }
    let mut b = Builder::new(2, 4, 4);
    let conv = b.conv(0, 2, 3, 3, true);
    let output = b.node("Relu", &[conv]);
    let graph = b.finish(output);
    let network = load(&graph, &LoadOptions::default()).unwrap();
    assert_eq!(bottleneck(&network).unwrap().node, "Conv_0", "not the output itself");
}

#[test]
fn nodes_that_are_not_there_are_refused_with_names_that_are() {
    let plain = Plain::new();
    let compile = |node: &str| {
        let settings = Settings { methods: vec![Method::GradCam(Some(node.to_owned()))], ..Settings::default() };
        Explainer::compile(&plain.network, Place { device: Device::Cpu, kind: Kind::Double }, settings).map(|_| ())
    };
    let error = compile("conv_2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().starts_with("grad-cam:conv_2: is no node of the network; perhaps \"Conv_2\", "), "{error}");
    let error = compile("Gemm_6").unwrap_err();
    assert!(error.to_string().contains("Gemm_6: makes no spatial value"), "{error}");
    assert!(compile("Conv_2").is_ok());
}
