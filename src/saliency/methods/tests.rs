//! Methods over noisy copies against the same copies one by one: the noise is known only in here.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::network::load::{LoadOptions, load};
use crate::network::onnx;
use crate::network::op::Place;
use crate::network::plan::{Plan, Point, Reduced, SiteId, TermSink};
use crate::network::structure::Network;
use crate::saliency::fullgrad::upsample;
use crate::saliency::noise::{Noise, noisy};
use crate::saliency::{Explainer, Explanation, Method, Rescale, Sampling, Settings, Target};

const SEED: u64 = 11;
const SHARE: f64 = 0.2;
const F64: Place = Place { device: Device::Cpu, kind: Kind::Double };

fn network(name: &str) -> Network {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/corpus/onnx_read/{name}.onnx"));
    load(&onnx::read_file(&path, &onnx::Limits::default()).expect("a file"), &LoadOptions::default()).expect("a network")
}

fn picture(network: &Network) -> Tensor {
    let size: Vec<i64> = network.input_shape().iter().map(|&size| size as i64).collect();
    (Tensor::arange(size.iter().product::<i64>(), (Kind::Double, Device::Cpu)) * 0.37).sin().reshape(size.as_slice())
}

fn explain(network: &Network, method: Method, samples: usize, x: &Tensor) -> Explanation {
    let samples = NonZeroUsize::new(samples).expect("some");
    let sampling = Sampling { samples, noise: SHARE, seed: SEED, ..Sampling::default() };
    let settings = Settings { methods: vec![method], sampling, ..Settings::default() };
    Explainer::compile(network, F64, settings).expect("a plan").explain(x, &mut |_| Ok(Target::Index(1))).expect("an explanation")
}

/// Adds up signed terms and gradients over passes.
#[derive(Default)]
struct Added {
    terms: BTreeMap<SiteId, Tensor>,
    gradient: Option<Tensor>,
}

impl TermSink for Added {
    fn gradient(&mut self, point: Point, _value: &Tensor, grad: &Tensor) -> Result<()> {
        assert_eq!(point, Point::Input);
        self.gradient = Some(match &self.gradient {
            Some(sum) => sum + grad,
            None => grad.copy(),
        });
        Ok(())
    }

    fn takes_reduced(&self) -> bool {
        false
    }

    fn dense(&mut self, site: SiteId, grad: &Tensor, bias: &Tensor) -> Result<()> {
        let term = grad * bias;
        let sum = match self.terms.remove(&site) {
            Some(sum) => sum + term,
            None => term,
        };
        self.terms.insert(site, sum);
        Ok(())
    }

    fn reduced(&mut self, _site: SiteId, _terms: Reduced) -> Result<()> {
        unreachable!("not taken")
    }
}

fn apart(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    ((a - b).abs().max() / b.abs().max()).double_value(&[])
}

#[test]
fn smooth_methods_average_signed_terms_and_gradients_over_the_copies() {
    for name in ["resnet_relu", "mobile_relu6", "efficient_silu_se", "convnext_gelu_ln"] {
        let network = network(name);
        let x = picture(&network);
        let [_, _, rows, columns] = x.size()[..] else { unreachable!("four axes") };
        let range = (x.max() - x.min()).double_value(&[]);
        let plan = Plan::new(&network, F64).expect("a plan");
        let noise = Noise::new(SEED);
        for samples in [1, 7] {
            let mut added = Added::default();
            let mut value = 0.0;
            for copy in 0..samples {
                let noised = noisy(&noise, &x, SHARE, copy, 1).expect("a copy");
                assert_eq!(noised, &x + noise.copy(copy, &x.size()).expect("noise") * (SHARE * range));
                let pass = plan.forward(&plan.prepare(&noised).expect("an input")).expect("a forward pass");
                let selected = Target::Index(1).select(&pass.output).expect("a class");
                value += selected.value.double_value(&[]) / samples as f64;
                plan.adjoint(pass, selected.grad, &mut added).expect("an adjoint pass");
            }
            let mut map = x.zeros_like().narrow(1, 0, 1);
            for (&site, sum) in &added.terms {
                if let Some(layout) = plan.sites()[site].layout {
                    let mean = sum.permute(layout) / samples as f64;
                    map += upsample(&Rescale::Node.map(&mean).expect("a map"), rows, columns).expect("a map");
                }
            }
            let found = explain(&network, Method::SmoothFullgrad, samples, &x);
            assert!(apart(&found.map, &map) < 1e-10, "{name}, {samples}: {:e}", apart(&found.map, &map));
            let gradient = added.gradient.expect("a gradient") / samples as f64;
            let slope = gradient.abs().amax([1i64].as_slice(), true);
            let smooth = explain(&network, Method::Smoothgrad, samples, &x);
            assert!(apart(&smooth.map, &slope) < 1e-10, "{name}, {samples}: {:e}", apart(&smooth.map, &slope));
            for found in [&found, &smooth] {
                let sum = (&found.input_term + &found.bias_term_total).double_value(&[]);
                assert!((sum - value).abs() < 1e-10 * value.abs().max(1.0), "{name}, {samples}: {sum} and the mean {value}");
                assert!(found.residual.double_value(&[]) < 1e-9, "{name}");
            }
        }
    }
}
