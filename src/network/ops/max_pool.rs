//! MaxPool: each output takes one input, the first of the largest in row-major order.
//!
//! Adjoint: grad_out goes to that input. Bias: zero (homogeneous).

use tch::Tensor;

use super::window::{self, Window, ints};
use crate::error::Result;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;

/// The largest of each window.
#[derive(Debug, Clone)]
pub struct MaxPool {
    /// Kernel, strides, pads, dilations, ceil mode.
    pub window: Window,
}

impl MaxPool {
    /// Reads an ONNX MaxPool; its second output, the indices, is refused by the loader where something reads it.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let window = Window::read(reading, None, reading.activation(0)?)?;
        if (0..2).any(|i| window.pads_begin[i].max(window.pads_end[i]) >= window.reach(i)) {
            return Err(format!("the border {:?} is as large as the kernel", window.border()));
        }
        Ok(MaxPool { window })
    }
}

impl Operator for MaxPool {
    fn name(&self) -> &'static str {
        "MaxPool"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let shapes = window::pooled(&self.window, inputs)?;
        for (i, name) in ["rows", "columns"].into_iter().enumerate() {
            self.window.check_windows(i, inputs[0][2 + i], shapes[0][2 + i]).map_err(|message| format!("{message} of its {name}"))?;
        }
        Ok(shapes)
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, _place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        let input = [inputs[0][2], inputs[0][3]];
        let output = self.window.output(input).map_err(crate::error::Error::data)?;
        let explicit = explicit_border(&self.window, input, output);
        Ok(Box::new(MaxPoolKernel { window: self.window.clone(), explicit, input }))
    }
}

/// A border (left, right, top, bottom) to be laid on before pooling without one, where libtorch's own border cannot do it:
/// the two sides differ, the border is over half the kernel, or ceil mode reaches past the input.
fn explicit_border(window: &Window, input: [usize; 2], output: [usize; 2]) -> Option<[i64; 4]> {
    let halves = (0..2).all(|i| window.pads_begin[i] * 2 <= window.kernel[i]);
    if window.symmetric() && halves {
        return None;
    }
    let mut border = window.border();
    for i in 0..2 {
        let needed = (output[i] - 1) * window.strides[i] + window.reach(i);
        let have = input[i] + window.pads_begin[i] + window.pads_end[i];
        border[if i == 0 { 3 } else { 1 }] += needed.saturating_sub(have) as i64;
    }
    Some(border)
}

struct MaxPoolKernel {
    window: Window,
    explicit: Option<[i64; 4]>,
    input: [usize; 2],
}

impl MaxPoolKernel {
    fn pads(&self) -> [i64; 2] {
        if self.explicit.is_some() { [0, 0] } else { ints(self.window.pads_begin) }
    }

    fn padded(&self, x: &Tensor) -> Result<Tensor> {
        match self.explicit {
            Some(border) => Ok(x.f_pad(border, "constant", f64::NEG_INFINITY)?),
            None => Ok(x.shallow_clone()),
        }
    }
}

impl Kernel for MaxPoolKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let w = &self.window;
        let ceil = w.ceil && self.explicit.is_none();
        let x = self.padded(inputs[0])?;
        let (y, indices) =
            x.f_max_pool2d_with_indices(ints(w.kernel), ints(w.strides), self.pads(), ints(w.dilations), ceil)?;
        Ok(Forward { outputs: vec![y], extra: vec![indices] })
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: true, outputs: false }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let w = &self.window;
        let x = self.padded(&saved.inputs[0])?;
        let ceil = w.ceil && self.explicit.is_none();
        let grad = x.f_max_pool2d_with_indices_backward(
            &grad.tensor,
            ints(w.kernel),
            ints(w.strides),
            self.pads(),
            ints(w.dilations),
            ceil,
            &saved.extra[0],
        );
        Ok(vec![Some(window::cropped(grad?, self.explicit, self.input)?.into())])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
