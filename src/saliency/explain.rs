//! A batch in, its explanation out.

use std::time::Duration;

use tch::{Kind, Tensor};

use super::fullgrad::FullGrad;
use super::launched::{Laps, Launched};
use super::rescale::Rescale;
use super::target::Target;
use crate::error::Result;
use crate::network::plan::Plan;

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

/// A plan with the method's settings.
pub struct Explainer {
    plan: Plan,
    rescale: Rescale,
}

impl Explainer {
    /// Explains with this plan.
    pub fn new(plan: Plan, rescale: Rescale) -> Self {
        Explainer { plan, rescale }
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
            residual: nothing()?,
            target: Vec::new(),
            timing: Timing::default(),
            logits,
        };
        Launched::new(explanation, nothing()?, laps, self.kind())
    }

    /// FullGrad of a batch (N, C, H, W), already normalised. `target` chooses what is explained when the logits are known.
    ///
    /// # Errors
    /// Those of `target`, and Kind::Runtime from libtorch.
    pub fn explain(&self, x: &Tensor, target: &mut dyn FnMut(&Tensor) -> Result<Target>) -> Result<Explanation> {
        self.launch(x, target)?.finish()
    }

    /// As [`Explainer::explain`]; a device may still be at it. Nothing waits for the device unless `target` does: the logits that it is
    /// given lie where they were computed.
    ///
    /// # Errors
    /// Those of `target`, and Kind::Runtime from libtorch.
    pub fn launch(&self, x: &Tensor, target: &mut dyn FnMut(&Tensor) -> Result<Target>) -> Result<Launched> {
        let _no_grad = tch::no_grad_guard();
        let mut laps = Laps::start(self.plan.place().device)?;
        let pass = self.plan.forward(&self.plan.prepare(x)?)?;
        let kind = self.kind();
        let logits = pass.output.f_to_kind(kind)?;
        let selected = target(&logits)?.select(&pass.output)?;
        laps.lap()?;
        let [batch, _, rows, columns] = x.size()[..] else { unreachable!("the plan's input has four axes") };
        let mut terms = FullGrad::new(self.plan.sites(), batch as usize, kind, self.rescale);
        self.plan.adjoint(pass, selected.grad, &mut terms)?;
        let sums = terms.sums()?;
        let value = selected.value.f_to_kind(Kind::Double)?;
        let off = value.f_sub(&sums.input_term)?.f_sub(&sums.bias_term_total)?.f_abs()?;
        let scale = value.f_abs()?.f_maximum(&sums.magnitude.f_mul_scalar(1e-3)?)?.f_clamp_min(1e-12)?;
        let explanation = Explanation {
            logits,
            target: Vec::new(),
            value,
            map: terms.map(rows, columns)?,
            input_term: sums.input_term,
            bias_term_total: sums.bias_term_total,
            residual: off.f_div(&scale)?,
            timing: Timing::default(),
        };
        laps.lap()?;
        Launched::new(explanation, selected.indices, laps, kind)
    }

    /// Of the results: f64 where the plan is, else f32.
    fn kind(&self) -> Kind {
        if self.plan.place().kind == Kind::Double { Kind::Double } else { Kind::Float }
    }
}
