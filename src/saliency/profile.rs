//! Where the time of an explanation goes.

use tch::Tensor;

use super::explain::Explainer;
use super::fullgrad::FullGrad;
use super::rescale::Rescale;
use super::target::Target;
use crate::error::Result;
use crate::network::plan::StageTime;

impl Explainer {
    /// FullGrad of each image's leading class for a batch (N, C, H, W): the least time that each stage took in so many rounds.
    ///
    /// # Errors
    /// As [`Explainer::explain`].
    pub fn profile(&self, x: &Tensor, rounds: usize) -> Result<Vec<StageTime>> {
        let _no_grad = tch::no_grad_guard();
        let plan = self.plan();
        let x = plan.prepare(x)?;
        let mut least: Vec<StageTime> = Vec::new();
        for _ in 0..rounds {
            let (pass, mut times) = plan.forward_timed(&x)?;
            let grad = Target::Argmax.select(&pass.output)?.grad;
            let mut terms = FullGrad::new(plan.sites(), x.size()[0] as usize, plan.place().kind, Rescale::Node);
            plan.adjoint_timed(pass, grad, &mut terms, &mut times)?;
            if least.is_empty() {
                least = times;
                continue;
            }
            for (least, time) in least.iter_mut().zip(times) {
                least.forward = least.forward.min(time.forward);
                least.adjoint = least.adjoint.min(time.adjoint);
            }
        }
        Ok(least)
    }
}
