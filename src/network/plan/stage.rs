//! One step of the plan: an operator's kernel, or several operators in one.

use tch::Tensor;

use super::reduce;
use super::site::{SiteId, TermSink};
use crate::error::Result;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Saved};

/// A step of the plan.
pub trait Stage: Send {
    /// The outputs.
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward>;

    /// What [`Stage::backward`] reads again.
    fn keeps(&self) -> Keeps;

    /// Gives the terms of its sites to `terms`, and the gradients of its inputs back, added to what `sums` holds of them already.
    fn backward(
        &self,
        saved: &Saved,
        grad_out: Vec<Option<Gradient>>,
        sums: Vec<Option<Gradient>>,
        terms: &mut dyn TermSink,
    ) -> Result<Vec<Option<Gradient>>>;
}

/// A single operator.
pub struct Single {
    /// Its kernel.
    pub kernel: Box<dyn Kernel>,
    /// Its term, where it can have a bias.
    pub site: Option<SiteId>,
    /// Whether its term may be reduced in one pass.
    pub reduces: bool,
}

impl Stage for Single {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        self.kernel.forward(inputs)
    }

    fn keeps(&self) -> Keeps {
        self.kernel.keeps()
    }

    fn backward(
        &self,
        saved: &Saved,
        grad_out: Vec<Option<Gradient>>,
        sums: Vec<Option<Gradient>>,
        terms: &mut dyn TermSink,
    ) -> Result<Vec<Option<Gradient>>> {
        if let (Some(site), Some(Some(grad))) = (self.site, grad_out.first())
            && let Some(bias) = self.kernel.bias(saved)?
        {
            give(terms, site, &grad.tensor, &bias, self.reduces)?;
        }
        self.kernel.adjoint(saved, grad_out)?.into_iter().zip(sums).map(|(grad, sum)| add(sum, grad)).collect()
    }
}

/// Gives the term grad * bias of a site, reduced where that may be and the sink wants no more.
pub fn give(terms: &mut dyn TermSink, site: SiteId, grad: &Tensor, bias: &Tensor, reduces: bool) -> Result<()> {
    if reduces
        && terms.takes_reduced()
        && let Some(reduced) = reduce::term(grad, bias)?
    {
        return terms.reduced(site, reduced);
    }
    terms.dense(site, grad, bias)
}

/// The sum of two gradients; in place where the memory is nobody else's.
pub fn add(sum: Option<Gradient>, grad: Option<Gradient>) -> Result<Option<Gradient>> {
    Ok(match (sum, grad) {
        (None, one) | (one, None) => one,
        (Some(mut sum), Some(grad)) if !sum.shared => {
            let _ = sum.tensor.f_add_(&grad.tensor)?;
            Some(sum)
        }
        (Some(sum), Some(mut grad)) if !grad.shared => {
            let _ = grad.tensor.f_add_(&sum.tensor)?;
            Some(grad)
        }
        (Some(sum), Some(grad)) => Some(sum.tensor.f_add(&grad.tensor)?.into()),
    })
}
