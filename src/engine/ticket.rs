//! A batch that the workers have: its explanation, when it is done.

use std::sync::Arc;

use crossbeam_channel::Receiver;
use tch::Tensor;

use super::answer::{self, FrameAnswer, Numbers};
use super::choice::Choice;
use super::record::Record;
use crate::error::Result;
use crate::saliency::{Explanation, Head, Timing};

/// Stands for a submitted batch. Dropping it leaves the work to be thrown away.
#[derive(Debug)]
pub struct Ticket {
    pub(super) parts: Vec<Receiver<Result<Explanation>>>,
    pub(super) choice: Arc<Choice>,
    pub(super) head: Arc<Head>,
    /// Residuals above it are faults.
    pub(super) max_residual: f64,
    pub(super) record: Arc<Record>,
}

impl Ticket {
    /// Waits for the batch's numbers, in the order in which the images were submitted.
    ///
    /// # Errors
    /// The first part's that failed.
    pub fn numbers(self) -> Result<Numbers> {
        let max_residual = self.max_residual;
        answer::numbers(self.wait()?, max_residual)
    }

    /// Waits for one answer a frame, in the order in which they were submitted, and tells where the time went.
    ///
    /// # Errors
    /// The first part's that failed.
    pub fn frames(self) -> Result<(Vec<FrameAnswer>, Timing)> {
        let (choice, head, max_residual) = (self.choice.clone(), self.head.clone(), self.max_residual);
        let explanation = self.wait()?;
        Ok((answer::frames(&explanation, &choice, &head, max_residual)?, explanation.timing))
    }

    fn wait(self) -> Result<Explanation> {
        let lost = |_| self.record.no_worker();
        let parts: Vec<Explanation> = self.parts.into_iter().map(|part| part.recv().map_err(lost)?).collect::<Result<_>>()?;
        join(parts)
    }
}

/// Parts of a batch as one, in order.
pub(super) fn join(mut parts: Vec<Explanation>) -> Result<Explanation> {
    if parts.len() == 1 {
        return Ok(parts.remove(0));
    }
    let cat = |part: fn(&Explanation) -> &Tensor| -> Result<Tensor> { Ok(Tensor::f_cat(&parts.iter().map(part).collect::<Vec<_>>(), 0)?) };
    Ok(Explanation {
        logits: cat(|e| &e.logits)?,
        target: parts.iter().flat_map(|e| e.target.iter().copied()).collect(),
        value: cat(|e| &e.value)?,
        map: cat(|e| &e.map)?,
        input_term: cat(|e| &e.input_term)?,
        bias_term_total: cat(|e| &e.bias_term_total)?,
        terms: cat(|e| &e.terms)?,
        residual: cat(|e| &e.residual)?,
        timing: Timing { forward: parts.iter().map(|e| e.timing.forward).sum(), adjoint: parts.iter().map(|e| e.timing.adjoint).sum() },
    })
}
