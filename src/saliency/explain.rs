//! A batch in, its explanation out.

use std::time::Duration;

use tch::{Device, Kind, Tensor};

use super::fullgrad::FullGrad;
use super::rescale::Rescale;
use super::target::Target;
use crate::clock::Stopwatch;
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
        let watch = Stopwatch::start();
        let kind = if self.plan.place().kind == Kind::Double { Kind::Double } else { Kind::Float };
        let output = self.plan.infer(&self.plan.prepare(x)?)?;
        let nothing = || Tensor::f_empty([0], (kind, Device::Cpu));
        Ok(Explanation {
            logits: output.f_to_kind(kind)?.f_to_device(Device::Cpu)?,
            target: Vec::new(),
            value: nothing()?,
            map: nothing()?,
            input_term: nothing()?,
            bias_term_total: nothing()?,
            terms: nothing()?,
            residual: nothing()?,
            timing: Timing { forward: watch.elapsed(), adjoint: Duration::ZERO },
        })
    }

    /// FullGrad of a batch (N, C, H, W), already normalised. `target` chooses what is explained when the logits are known.
    ///
    /// # Errors
    /// Those of `target`, and Kind::Runtime from libtorch.
    pub fn explain(&self, x: &Tensor, target: &mut dyn FnMut(&Tensor) -> Result<Target>) -> Result<Explanation> {
        let _no_grad = tch::no_grad_guard();
        let watch = Stopwatch::start();
        let pass = self.plan.forward(&self.plan.prepare(x)?)?;
        let kind = if self.plan.place().kind == Kind::Double { Kind::Double } else { Kind::Float };
        let logits = pass.output.f_to_kind(kind)?.f_to_device(Device::Cpu)?;
        let selected = target(&logits)?.select(&pass.output)?;
        let forward = watch.elapsed();
        let [batch, _, rows, columns] = x.size()[..] else { unreachable!("the plan's input has four axes") };
        let mut terms = FullGrad::new(self.plan.sites(), batch as usize, kind, self.rescale);
        self.plan.adjoint(pass, selected.grad, &mut terms)?;
        let mut sums = terms.sums()?;
        let mut each = terms.terms()?;
        if let Some(bias) = selected.bias {
            let bias = bias.f_to_kind(Kind::Double)?.f_to_device(sums.magnitude.device())?;
            sums.bias_term_total = sums.bias_term_total.f_add(&bias)?;
            sums.magnitude = sums.magnitude.f_add(&bias.f_abs()?)?;
            each = Tensor::f_cat(&[each, bias.f_to_device(Device::Cpu)?.f_unsqueeze(1)?], 1)?;
        }
        let value = selected.value.f_to_kind(Kind::Double)?;
        let off = value.f_sub(&sums.input_term)?.f_sub(&sums.bias_term_total)?.f_abs()?;
        let scale = value.f_abs()?.f_maximum(&sums.magnitude.f_mul_scalar(1e-3)?)?.f_clamp_min(1e-12)?;
        let home = |tensor: Tensor| -> Result<Tensor> { Ok(tensor.f_to_kind(kind)?.f_to_device(Device::Cpu)?) };
        Ok(Explanation {
            logits,
            target: selected.indices,
            value: home(value)?,
            map: home(terms.map(rows, columns)?)?,
            input_term: home(sums.input_term)?,
            bias_term_total: home(sums.bias_term_total)?,
            terms: each,
            residual: home(off.f_div(&scale)?)?,
            timing: Timing { forward, adjoint: watch.elapsed() - forward },
        })
    }
}
