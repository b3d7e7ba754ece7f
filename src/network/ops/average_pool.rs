//! AveragePool: the mean of each window.
//!
//! Linear. Adjoint: grad_out spread evenly over its window. Bias: zero.

use tch::Tensor;

use super::window::{self, Window, ints};
use crate::error::Result;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;

/// The mean of each window.
#[derive(Debug, Clone)]
pub struct AveragePool {
    /// Kernel, strides, pads, ceil mode.
    pub window: Window,
    /// Whether the border's zeros count in the mean.
    pub count_border: bool,
}

impl AveragePool {
    /// Reads an ONNX AveragePool.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let window = Window::read(reading, None, reading.activation(0)?)?;
        let count_border = reading.int("count_include_pad", 0)? != 0;
        if window.dilations != [1, 1] {
            return Err("dilations other than 1 are not supported".to_owned());
        }
        if !window.symmetric() && (!count_border || window.ceil) {
            return Err("a border that differs by side is supported only with count_include_pad and without ceil_mode".to_owned());
        }
        if window.symmetric() && (0..2).any(|i| window.pads_begin[i] * 2 > window.kernel[i]) {
            return Err(format!("the border {:?} is over half the kernel {:?}", window.border(), window.kernel));
        }
        Ok(AveragePool { window, count_border })
    }
}

impl Operator for AveragePool {
    fn name(&self) -> &'static str {
        "AveragePool"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        window::pooled(&self.window, inputs)
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, _place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        let explicit = (!self.window.symmetric()).then(|| self.window.border());
        Ok(Box::new(AveragePoolKernel { op: self.clone(), explicit, input: [inputs[0][2], inputs[0][3]] }))
    }
}

struct AveragePoolKernel {
    op: AveragePool,
    explicit: Option<[i64; 4]>,
    input: [usize; 2],
}

impl AveragePoolKernel {
    fn pads(&self) -> [i64; 2] {
        if self.explicit.is_some() { [0, 0] } else { ints(self.op.window.pads_begin) }
    }
}

impl Kernel for AveragePoolKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let w = &self.op.window;
        let x = match self.explicit {
            Some(border) => inputs[0].f_constant_pad_nd(border)?,
            None => inputs[0].shallow_clone(),
        };
        let y = x.f_avg_pool2d(ints(w.kernel), ints(w.strides), self.pads(), w.ceil, self.op.count_border, None)?;
        Ok(y.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: true, outputs: false }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let w = &self.op.window;
        let x = match self.explicit {
            Some(border) => saved.inputs[0].f_constant_pad_nd(border)?,
            None => saved.inputs[0].shallow_clone(),
        };
        let (kernel, strides) = (ints(w.kernel), ints(w.strides));
        let grad = x.f_avg_pool2d_backward(&grad.tensor, kernel, strides, self.pads(), w.ceil, self.op.count_border, None)?;
        Ok(vec![Some(window::cropped(grad, self.explicit, self.input)?.into())])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
