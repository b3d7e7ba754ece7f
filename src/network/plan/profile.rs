//! Where a plan's time goes, stage by stage.

use std::time::Duration;

use tch::Tensor;

use super::compile::Plan;
use super::run::Pass;
use super::site::TermSink;
use crate::clock::Stopwatch;
use crate::error::Result;

/// Time of one stage for one batch. On a device that works behind the program's back, the time to hand it the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageTime {
    /// The nodes that it runs, with their operators.
    pub label: String,
    /// Forward.
    pub forward: Duration,
    /// Adjoint and terms; the time in the sink is a part of it.
    pub adjoint: Duration,
}

impl Plan {
    /// The forward pass, with each stage's time. `x` comes from [`Plan::prepare`].
    pub fn forward_timed(&self, x: &Tensor) -> Result<(Pass, Vec<StageTime>)> {
        let each = self.steps.iter().map(|step| StageTime { label: step.label.clone(), forward: Duration::ZERO, adjoint: Duration::ZERO });
        let mut times: Vec<StageTime> = each.collect();
        let watch = Stopwatch::start();
        let mut before = Duration::ZERO;
        let pass = self.run(x, true, &mut |index| {
            let now = watch.elapsed();
            times[index].forward = now - before;
            before = now;
        })?;
        Ok((pass, times))
    }

    /// The adjoint pass as [`Plan::adjoint`]; each stage's time is written to `times`.
    pub fn adjoint_timed(&self, pass: Pass, grad_output: Tensor, terms: &mut dyn TermSink, times: &mut [StageTime]) -> Result<()> {
        let watch = Stopwatch::start();
        let mut before = Duration::ZERO;
        self.run_back(pass, grad_output, terms, &mut |index| {
            let now = watch.elapsed();
            times[index].adjoint = now - before;
            before = now;
        })
    }
}
