//! LRN, local response normalisation: y = x z^-beta with z = bias + alpha / size * (sum of x^2 over the channels around).
//!
//! With S the sum over the window: dy = z^-beta dx - 2 alpha beta / size x z^(-beta-1) S(x dx). The window of the adjoint is the mirrored
//! one: z^-beta g - 2 alpha beta / size x S'(g x z^(-beta-1)). Bias: y - Dy x = 2 beta x z^(-beta-1) (z - bias).

use tch::Tensor;

use crate::error::Result;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;

/// Over the channels of (N, C, ...).
#[derive(Debug, Clone, PartialEq)]
pub struct Lrn {
    /// Channels of a window.
    pub size: usize,
    /// How many of them stand before the channel itself.
    pub before: usize,
    /// Weight of the mean square.
    pub alpha: f64,
    /// Exponent.
    pub beta: f64,
    /// Added to it.
    pub bias: f64,
}

impl Lrn {
    /// Reads an ONNX LRN.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        reading.activation(0)?;
        let size = reading.int("size", 0)?;
        let size = usize::try_from(size).ok().filter(|size| (1..=4096).contains(size)).ok_or_else(|| format!("attribute size is {size}"))?;
        let number = |name, default| Ok::<_, String>(f64::from(reading.float(name, default)?));
        Ok(Lrn { size, before: (size - 1) / 2, alpha: number("alpha", 1e-4)?, beta: number("beta", 0.75)?, bias: number("bias", 1.0)? })
    }

    /// Sums over the window along axis 1, or over the mirrored window.
    fn sums(&self, x: &Tensor, mirrored: bool) -> Result<Tensor> {
        let behind = self.size - 1 - self.before;
        let (before, behind) = if mirrored { (behind, self.before) } else { (self.before, behind) };
        let mut pads = vec![0; 2 * (x.dim() - 1)];
        let last = pads.len();
        (pads[last - 2], pads[last - 1]) = (before as i64, behind as i64);
        let channels = x.size()[1];
        let padded = x.f_constant_pad_nd(pads)?;
        let mut sum = padded.f_narrow(1, 0, channels)?.f_contiguous()?;
        for offset in 1..self.size {
            sum = sum.f_add(&padded.f_narrow(1, offset as i64, channels)?)?;
        }
        Ok(sum)
    }
}

impl Operator for Lrn {
    fn name(&self) -> &'static str {
        "LRN"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let input = op::only(inputs)?;
        if input.len() < 3 {
            return Err(format!("the input {input:?} has no spatial axes"));
        }
        Ok(vec![input.to_vec()])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn kernel(&self, _place: Place, _inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(LrnKernel(self.clone())))
    }
}

struct LrnKernel(Lrn);

impl LrnKernel {
    /// z - bias.
    fn power(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.0.sums(&x.f_square()?, false)?.f_mul_scalar(self.0.alpha / self.0.size as f64)?)
    }
}

impl Kernel for LrnKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let z = self.power(inputs[0])?.f_add_scalar(self.0.bias)?;
        Ok(inputs[0].f_mul(&z.f_pow_tensor_scalar(-self.0.beta)?)?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: true, outputs: false }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let (x, g, lrn) = (&saved.inputs[0], &grad.tensor, &self.0);
        let z = self.power(x)?.f_add_scalar(lrn.bias)?;
        let inner = lrn.sums(&g.f_mul(x)?.f_mul(&z.f_pow_tensor_scalar(-lrn.beta - 1.0)?)?, true)?;
        let factor = 2.0 * lrn.alpha * lrn.beta / lrn.size as f64;
        let grad_in = g.f_mul(&z.f_pow_tensor_scalar(-lrn.beta)?)?.f_sub(&x.f_mul(&inner)?.f_mul_scalar(factor)?)?;
        Ok(vec![Some(grad_in.into())])
    }

    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>> {
        let x = &saved.inputs[0];
        let power = self.power(x)?;
        let z = power.f_add_scalar(self.0.bias)?;
        Ok(Some(x.f_mul(&z.f_pow_tensor_scalar(-self.0.beta - 1.0)?)?.f_mul(&power)?.f_mul_scalar(2.0 * self.0.beta)?))
    }
}
