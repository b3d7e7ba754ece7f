//! Running a plan: forward once, then the adjoint steps backwards with the terms between.

use tch::{Kind, Tensor};

use super::compile::Plan;
use super::site::{Point, TermSink};
use super::{reduce, stage};
use crate::error::Result;
use crate::network::memory;
use crate::network::op::{Gradient, Saved};

/// What a forward pass leaves: the output, and all that the adjoint pass reads again.
pub struct Pass {
    /// The network's output, (N, ...), in the plan's precision.
    pub output: Tensor,
    input: Tensor,
    observed: Vec<Tensor>,
    saved: Vec<Saved>,
}

impl Plan {
    /// The input as the plan's steps want it: on the device, in the precision, in the memory format. `x` is (N, C, H, W).
    pub fn prepare(&self, x: &Tensor) -> Result<Tensor> {
        if reduce::fits(self.place) && x.kind() == Kind::Float && x.device() == self.place.device && x.is_contiguous() {
            return reduce::interleaved(x, self.place);
        }
        let x = x.f_to_device(self.place.device)?.f_to_kind(self.place.kind)?;
        if self.place.channels_last() { memory::channels_last(&x) } else { Ok(x.f_contiguous()?) }
    }

    /// The output alone; nothing is kept. `x` comes from [`Plan::prepare`].
    pub fn infer(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.run(x, false, &mut |_| ())?.output)
    }

    /// The forward pass. `x` comes from [`Plan::prepare`].
    pub fn forward(&self, x: &Tensor) -> Result<Pass> {
        self.run(x, true, &mut |_| ())
    }

    /// `done` is told the index of each step behind it.
    pub(super) fn run(&self, x: &Tensor, keep: bool, done: &mut dyn FnMut(usize)) -> Result<Pass> {
        let _no_grad = tch::no_grad_guard();
        let mut values: Vec<Option<Tensor>> = (0..self.values).map(|_| None).collect();
        values[0] = Some(x.shallow_clone());
        let mut saved = Vec::with_capacity(self.steps.len());
        for (index, step) in self.steps.iter().enumerate() {
            let inputs: Vec<&Tensor> =
                step.inputs.iter().map(|&value| values[value].as_ref().expect("a step reads values made before it")).collect();
            let made = step.stage.forward(&inputs)?;
            if keep {
                let mut save = Saved { extra: made.extra, ..Saved::default() };
                if step.keeps.inputs {
                    save.inputs = inputs.iter().map(|input| input.shallow_clone()).collect();
                }
                if step.keeps.outputs {
                    save.outputs = made.outputs.iter().map(Tensor::shallow_clone).collect();
                }
                saved.push(save);
            }
            for (&value, tensor) in step.outputs.iter().zip(made.outputs) {
                values[value] = Some(tensor);
            }
            for &value in &step.last_reads {
                values[value] = None;
            }
            done(index);
        }
        let made = |value: usize| values[value].as_ref().expect("a value that is kept is made by a step").shallow_clone();
        let observed = self.observed.iter().map(|&value| made(value)).collect();
        Ok(Pass { output: made(self.output), input: x.shallow_clone(), observed, saved })
    }

    /// The adjoint pass from `grad_output` = df/d output, (N, ...), to the input; every term goes to `terms`, the input's last.
    pub fn adjoint(&self, pass: Pass, grad_output: Tensor, terms: &mut dyn TermSink) -> Result<()> {
        self.run_back(pass, grad_output, terms, &mut |_| ())
    }

    /// As [`Plan::adjoint`]; `done` is told the index of each step behind it.
    pub(super) fn run_back(&self, pass: Pass, grad_output: Tensor, terms: &mut dyn TermSink, done: &mut dyn FnMut(usize)) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        let mut grads: Vec<Option<Gradient>> = (0..self.values).map(|_| None).collect();
        grads[self.output] = Some(grad_output.into());
        for ((index, step), saved) in self.steps.iter().enumerate().zip(pass.saved).rev() {
            let grad_out: Vec<Option<Gradient>> = step.outputs.iter().map(|&value| grads[value].take()).collect();
            if grad_out.iter().all(Option::is_none) {
                continue;
            }
            for (at, observed) in self.observed.iter().enumerate() {
                let made = step.outputs.iter().position(|value| value == observed);
                if let Some(grad) = made.and_then(|output| grad_out[output].as_ref()) {
                    terms.gradient(Point::Observed(at), &pass.observed[at], &grad.tensor)?;
                }
            }
            let sums = step.inputs.iter().map(|&value| grads[value].take()).collect();
            let grad_in = step.stage.backward(&saved, grad_out, sums, terms)?;
            drop(saved);
            // A value that the step reads twice comes twice.
            for (&value, grad) in step.inputs.iter().zip(grad_in) {
                grads[value] = stage::add(grads[value].take(), grad)?;
            }
            done(index);
        }
        if let Some(grad) = grads[0].take() {
            terms.gradient(Point::Input, &pass.input, &grad.tensor)?;
            let reduces = reduce::fits(self.place) && self.sites[0].layout == Some([0, 1, 2, 3]);
            stage::give(terms, 0, &grad.tensor, &pass.input, reduces)?;
        }
        Ok(())
    }
}
