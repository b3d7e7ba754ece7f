//! A batch in, its explanation out.

use std::time::Duration;

use tch::{Kind, Tensor};

use super::aim::{self, Aim};
use super::fullgrad::FullGrad;
use super::launched::{Laps, Launched};
use super::method::{Method, Settings};
use super::methods::{self, Copies, Found, GradCam, InputGradient, OnePass, SimpleFullGrad};
use super::noise::Noise;
use super::rescale::Rescale;
use super::target::Target;
use crate::clock::Stopwatch;
use crate::error::Result;
use crate::network::op::Place;
use crate::network::plan::Plan;
use crate::network::structure::Network;

/// What a network saw in a batch of N images, on the CPU. In f64 where the plan is, else in f32.
#[derive(Debug)]
pub struct Explanation {
    /// The output, (N, ...).
    pub logits: Tensor,
    /// The class explained, (N,); -1 where it is no single one.
    pub target: Vec<i64>,
    /// f, (N,).
    pub value: Tensor,
    /// S, (N, 1, H, W), not normalised.
    pub map: Tensor,
    /// <df/dx, x>, (N,).
    pub input_term: Tensor,
    /// Sum of the bias terms, (N,).
    pub bias_term_total: Tensor,
    /// Each term's sum, (N, sites) in f64, by the plan's sites, the input's first; after them the target's own, where it has one.
    pub terms: Tensor,
    /// |f - all terms| over max(|f|, 1e-3 of the terms' magnitudes, 1e-12), (N,).
    pub residual: Tensor,
    /// Where the time went.
    pub timing: Timing,
}

/// Time of a batch's passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// Forward pass, with the transfer to the device.
    pub forward: Duration,
    /// Adjoint pass, terms and map.
    pub adjoint: Duration,
}

/// A plan with the methods' settings.
pub struct Explainer {
    plan: Plan,
    settings: Settings,
    /// For each method, where Grad-CAM looks: the place among the plan's observed values, and the layout.
    spots: Vec<Option<(usize, [i64; 4])>>,
    noise: Noise,
}

impl Explainer {
    /// Explains with this plan, by FullGrad.
    pub fn new(plan: Plan, rescale: Rescale) -> Self {
        let settings = Settings { rescale, ..Settings::default() };
        Explainer { plan, noise: Noise::new(settings.sampling.seed), settings, spots: vec![None] }
    }

    /// Compiles a network for these methods.
    ///
    /// # Errors
    /// Kind::Usage where Grad-CAM's node is not there, else those of [`Plan::new`].
    pub fn compile(network: &Network, place: Place, settings: Settings) -> Result<Self> {
        let (mut observed, mut spots) = (Vec::new(), Vec::new());
        for method in &settings.methods {
            let Method::GradCam(node) = method else {
                spots.push(None);
                continue;
            };
            let spot = methods::spot(network, node.as_deref())?;
            let at = observed.iter().position(|&value| value == spot.value).unwrap_or(observed.len());
            if at == observed.len() {
                observed.push(spot.value);
            }
            spots.push(Some((at, spot.layout)));
        }
        let plan = Plan::observing(network, place, &observed)?;
        Ok(Explainer { plan, noise: Noise::new(settings.sampling.seed), settings, spots })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The output of a batch (N, C, H, W) alone; the other tensors are empty.
    pub fn infer(&self, x: &Tensor) -> Result<Explanation> {
        self.launch_inference(x)?.finish()
    }

    /// As [`Explainer::infer`]; a device may still be at it.
    pub fn launch_inference(&self, x: &Tensor) -> Result<Launched> {
        let mut laps = Laps::start(self.plan.place().device)?;
        let logits = self.plan.infer(&self.plan.prepare(x)?)?;
        laps.lap()?;
        laps.lap()?;
        let device = logits.device();
        let nothing = || Tensor::f_empty([0], (Kind::Float, device));
        let explanation = Explanation {
            value: nothing()?,
            map: nothing()?,
            input_term: nothing()?,
            bias_term_total: nothing()?,
            terms: nothing()?,
            residual: nothing()?,
            target: Vec::new(),
            timing: Timing::default(),
            logits,
        };
        Launched::new(explanation, nothing()?, laps, self.kind())
    }

    /// Explains a batch (N, C, H, W), already normalised, by the first method. `target` chooses what is explained when the logits are
    /// known.
    ///
    /// # Errors
    /// Those of `target`, and Kind::Runtime from libtorch.
    pub fn explain(&self, x: &Tensor, target: &mut dyn FnMut(&Tensor) -> Result<Target>) -> Result<Explanation> {
        self.explain_by(0, x, target)
    }

    /// As [`Explainer::explain`], by the method of this index.
    ///
    /// # Errors
    /// As [`Explainer::explain`].
    ///
    /// # Panics
    /// Where there are not so many methods.
    pub fn explain_by(&self, method: usize, x: &Tensor, target: &mut dyn FnMut(&Tensor) -> Result<Target>) -> Result<Explanation> {
        self.launch_by(method, x, target)?.finish()
    }

    /// As [`Explainer::explain_by`]; a device may still be at it. With methods of one pass nothing waits for the device unless `target`
    /// does: the logits that it is given lie where they were computed.
    ///
    /// # Errors
    /// As [`Explainer::explain`].
    ///
    /// # Panics
    /// As [`Explainer::explain_by`].
    pub fn launch_by(&self, method: usize, x: &Tensor, target: &mut dyn FnMut(&Tensor) -> Result<Target>) -> Result<Launched> {
        let _no_grad = tch::no_grad_guard();
        let (sites, batch, place) = (self.plan.sites(), x.size()[0] as usize, self.plan.place().kind);
        let mut one_pass: Box<dyn OnePass + '_> = match (&self.settings.methods[method], self.spots[method]) {
            (Method::Fullgrad, _) => Box::new(FullGrad::new(sites, batch, place, self.settings.rescale)),
            (Method::SimpleFullgrad, _) => Box::new(SimpleFullGrad::new(sites, batch, place, self.settings.rescale)),
            (Method::Gradient, _) => Box::new(InputGradient::new(sites, batch, place, false)),
            (Method::InputXGradient, _) => Box::new(InputGradient::new(sites, batch, place, true)),
            (Method::GradCam(_), Some((observed, layout))) => Box::new(GradCam::new(sites, batch, place, observed, layout)),
            (method, _) => return self.by_copies(method, x, target),
        };
        let [_, _, rows, columns] = x.size()[..] else { unreachable!("the plan's input has four axes") };
        let mut laps = Laps::start(self.plan.place().device)?;
        let pass = self.plan.forward(&self.plan.prepare(x)?)?;
        let logits = pass.output.f_to_kind(self.kind())?;
        let selected = aim::choose(&target(&logits)?, &pass.output)?;
        laps.lap()?;
        self.plan.adjoint(pass, selected.grad, &mut *one_pass)?;
        let (map, sums, terms) = (one_pass.map(rows, columns)?, one_pass.sums()?, one_pass.terms()?);
        let found = Found { map, sums, terms, whole: selected.value.shallow_clone() }.with_target(selected.bias)?;
        let explanation = explanation(logits, selected.value, found)?;
        laps.lap()?;
        Launched::new(explanation, selected.indices, laps, self.kind())
    }

    /// Methods that look at several copies of each picture.
    fn by_copies(&self, method: &Method, x: &Tensor, target: &mut dyn FnMut(&Tensor) -> Result<Target>) -> Result<Launched> {
        let watch = Stopwatch::start();
        let output = self.plan.infer(&self.plan.prepare(x)?)?;
        let logits = output.f_to_kind(self.kind())?;
        let (aim, selected) = Aim::take(target(&logits)?, &output)?;
        let value = selected.value;
        let mut timing = Timing { forward: watch.elapsed(), adjoint: Duration::ZERO };
        let sampling = &self.settings.sampling;
        let found: Vec<Found> = (0..x.size()[0])
            .map(|image| {
                let picture = x.f_narrow(0, image, 1)?;
                let copies = Copies { plan: &self.plan, aim: &aim, image: image as usize, timing: &mut timing };
                match method {
                    Method::Smoothgrad => methods::smoothgrad(copies, &picture, sampling, &self.noise),
                    Method::SmoothFullgrad => methods::smooth_fullgrad(copies, &picture, sampling, &self.noise, self.settings.rescale),
                    Method::IntegratedGradients => methods::integrated_gradients(copies, &picture, &value.f_narrow(0, image, 1)?, sampling),
                    _ => unreachable!("the other methods need one pass"),
                }
            })
            .collect::<Result<_>>()?;
        let explanation = explanation(logits, value, Found::join(&found)?)?;
        Launched::done(explanation, aim.indices, timing, self.kind())
    }

    /// Of the results: f64 where the plan is, else f32.
    fn kind(&self) -> Kind {
        if self.plan.place().kind == Kind::Double { Kind::Double } else { Kind::Float }
    }
}

/// What was found, with its residual, where it was computed; target and timing are yet to come.
fn explanation(logits: Tensor, value: Tensor, found: Found) -> Result<Explanation> {
    let Found { map, sums, terms, whole } = found;
    let off = whole.f_sub(&sums.input_term)?.f_sub(&sums.bias_term_total)?.f_abs()?;
    let scale = whole.f_abs()?.f_maximum(&sums.magnitude.f_mul_scalar(1e-3)?)?.f_clamp_min(1e-12)?;
    Ok(Explanation {
        logits,
        target: Vec::new(),
        value,
        map,
        input_term: sums.input_term,
        bias_term_total: sums.bias_term_total,
        terms,
        residual: off.f_div(&scale)?,
        timing: Timing::default(),
    })
}
