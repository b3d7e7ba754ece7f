//! Passes over copies of one picture.

use tch::Tensor;

use crate::clock::Stopwatch;
use crate::error::Result;
use crate::network::memory;
use crate::network::plan::{Plan, TermSink};
use crate::saliency::aim::Aim;
use crate::saliency::explain::Timing;

/// Copies of a picture in one pass: as many as the images of a part, so that memory does not grow with their number. A picture's
/// copies stand alone in their pass, so that neither its neighbours nor the cut of a batch can change a bit of it.
pub const PASS_COPIES: usize = 4;

/// Runs the copies of one picture.
pub struct Copies<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What is explained.
    pub aim: &'a Aim,
    /// The picture's place in the batch.
    pub image: usize,
    /// Time is added here.
    pub timing: &'a mut Timing,
}

impl Copies<'_> {
    /// One pass over copies (k, C, H, W); gives f, (k,) in f64, and what f itself adds to the bias terms.
    pub fn pass(&mut self, x: &Tensor, terms: &mut dyn TermSink) -> Result<(Tensor, Option<Tensor>)> {
        let watch = Stopwatch::start();
        let pass = self.plan.forward(&self.plan.prepare(x)?)?;
        let selected = self.aim.copies(self.image, &pass.output)?;
        let forward = watch.elapsed();
        self.plan.adjoint(pass, selected.grad, terms)?;
        self.timing.forward += forward;
        self.timing.adjoint += watch.elapsed() - forward;
        Ok((selected.value, selected.bias))
    }

    /// f alone, (k,) in f64, for (k, C, H, W).
    pub fn value(&mut self, x: &Tensor) -> Result<Tensor> {
        let watch = Stopwatch::start();
        let value = self.aim.copies(self.image, &self.plan.infer(&self.plan.prepare(x)?)?)?.value;
        self.timing.forward += watch.elapsed();
        Ok(value)
    }
}

/// Adds the rows of (k, ...) one after the other to a sum (1, ...), so that the result does not depend on how they are grouped.
pub fn accumulate(sum: Option<Tensor>, rows: &Tensor) -> Result<Option<Tensor>> {
    (0..rows.size()[0]).try_fold(sum, |sum, row| {
        let row = rows.f_narrow(0, row, 1)?;
        Ok(Some(match sum {
            Some(mut sum) => sum.f_add_(&row)?,
            // Memory of its own, since it is added to.
            None => memory::copied(&row)?,
        }))
    })
}

/// `count` in groups of at most [`PASS_COPIES`]: the first of each and how many.
pub fn groups(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).step_by(PASS_COPIES).map(move |first| (first, PASS_COPIES.min(count - first)))
}
