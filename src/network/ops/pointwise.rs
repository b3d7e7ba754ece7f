//! Functions of one number at work on each element: y = eta(u).
//!
//! The derivative is a diagonal. Adjoint: eta'(u) * grad_out. Bias: eta(u) - eta'(u) u, which each function has in a form that does not
//! cancel where u is large.

use std::fmt;

use tch::{Kind, Tensor};

use super::{Op, Read};
use crate::error::Result;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;

/// A function of one number, at work on tensors of any shape. What it gives in f32 for 16-bit tensors is narrowed behind it.
pub trait Pointwise: fmt::Debug + Clone + Send + Sync + 'static {
    /// The canonical name, as "Sigmoid".
    fn name(&self) -> &'static str;

    /// eta(u).
    fn value(&self, u: &Tensor) -> Result<Tensor>;

    /// eta'(u) * grad.
    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor>;

    /// False where the function is homogeneous, so that [`Pointwise::bias`] is zero everywhere.
    fn has_bias(&self) -> bool;

    /// eta(u) - eta'(u) u, for u in f32 or f64.
    fn bias(&self, u: &Tensor) -> Result<Tensor>;
}

/// Reads a node whose only input is an activation.
pub fn read(reading: &Reading, function: impl Into<Op>) -> Result<Read, String> {
    reading.activation(0)?;
    Ok(Read::Op(function.into()))
}

/// 16-bit numbers as f32: a formula of several steps would lose what they hold.
pub fn wide(tensor: &Tensor) -> Result<Tensor> {
    Ok(match tensor.kind() {
        Kind::BFloat16 | Kind::Half => tensor.f_to_kind(Kind::Float)?,
        _ => tensor.shallow_clone(),
    })
}

impl<F: Pointwise> Operator for F {
    fn name(&self) -> &'static str {
        Pointwise::name(self)
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        Ok(vec![op::only(inputs)?.to_vec()])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        Pointwise::has_bias(self)
    }

    fn kernel(&self, _place: Place, _inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(PointwiseKernel(self.clone())))
    }
}

struct PointwiseKernel<F>(F);

impl<F: Pointwise> Kernel for PointwiseKernel<F> {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(self.0.value(inputs[0])?.f_to_kind(inputs[0].kind())?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: true, outputs: false }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let grad_in = self.0.adjoint(&saved.inputs[0], &grad.tensor)?;
        Ok(vec![Some(grad_in.f_to_kind(grad.tensor.kind())?.into())])
    }

    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>> {
        if !Pointwise::has_bias(&self.0) {
            return Ok(None);
        }
        let u = &saved.inputs[0];
        Ok(Some(self.0.bias(&wide(u)?)?.f_to_kind(u.kind())?))
    }
}
