//! A convolution on a processor, channels last, in f32 or bf16: which way each direction takes is decided when the plan is made.
//!
//! Forward and, for strides of one, adjoint go to oneDNN with weights laid out for it, the activation in the same call. Strided depthwise
//! convolutions go to a kernel of our own, which needs no copy for a border that differs by side. What is left (strided adjoints) goes
//! to libtorch's transposed convolution.

use half::bf16;
use tch::{Kind, Tensor};

use super::phases::Phases;
use super::stage;
use crate::error::Result;
use crate::network::graph::Constant;
use crate::network::kernels::{Bounds, Depthwise, Element, MAX_TAPS, Span};
use crate::network::onednn::{self, Activation, Geometry};
use crate::network::op::{Gradient, Place};
use crate::network::ops::{Conv, ConvKernel, flipped_weight};
use crate::network::{memory, weights};

/// Images for which oneDNN chooses the weights' layout.
const TYPICAL_BATCH: i64 = 4;

/// What is added to a convolution.
#[derive(Debug, Clone, Copy)]
pub enum Addend<'a> {
    /// Read only.
    Apart(&'a Tensor),
    /// Its memory may take the sum.
    Into(&'a Tensor),
}

/// Weights laid out for one geometry.
struct Prepared {
    weight: Tensor,
    geometry: Geometry,
}

impl Prepared {
    fn new(weight: &Tensor, geometry: Geometry, input: [i64; 4]) -> Result<Self> {
        Ok(Prepared { weight: onednn::reorder_weight(weight, &geometry, input)?, geometry })
    }

    fn run(&self, x: &Tensor, bias: Option<&Tensor>, activation: Activation) -> Result<Tensor> {
        onednn::convolution(x, &self.weight, bias, &self.geometry, activation)
    }

    /// oneDNN adds in place at no cost, and apart by a slow way: a copy is the cheaper.
    fn run_add(&self, x: &Tensor, addend: Addend, bias: Option<&Tensor>, rectified: bool) -> Result<Tensor> {
        let copy;
        let into = match addend {
            Addend::Into(into) => into,
            Addend::Apart(apart) => {
                copy = memory::copied(apart)?;
                &copy
            }
        };
        onednn::convolution_add(x, into, &self.weight, bias, &self.geometry, rectified)
    }
}

enum Way {
    OneDnn {
        forward: Prepared,
        /// Laid around x first where the two sides differ: left, right, top, bottom.
        border: Option<[i64; 4]>,
        adjoint: Adjoint,
    },
    Depthwise {
        kernel: Depthwise,
        input: [usize; 2],
        output: [usize; 2],
    },
}

enum Adjoint {
    Flipped(Prepared),
    Phases { conv: Prepared, phases: Phases },
    Transposed(Box<ConvKernel>),
}

/// A convolution with its weights laid out.
pub struct CpuConv {
    way: Way,
    bias: Option<Tensor>,
}

impl CpuConv {
    /// `input` is x's shape.
    pub fn new(conv: &Conv, place: Place, input: &[usize]) -> Result<Self> {
        let size = [input[2], input[3]];
        let bias = conv.bias.as_ref().map(|bias| weights::tensor(bias, place)).transpose()?;
        let output = conv.window.output(size).map_err(crate::error::Error::data)?;
        if is_strided_depthwise(conv) {
            let kernel = depthwise(conv, size, output);
            return Ok(CpuConv { way: Way::Depthwise { kernel, input: size, output }, bias });
        }
        let w = &conv.window;
        let weight = weights::tensor(&conv.weight, place)?;
        let border = (!w.symmetric()).then(|| w.border());
        let ints = |pair: [usize; 2]| pair.map(|v| v as i64);
        let geometry = Geometry {
            padding: if border.is_some() { [0, 0] } else { ints(w.pads_begin) },
            stride: ints(w.strides),
            dilation: ints(w.dilations),
            groups: conv.groups as i64,
        };
        let [rows, columns] = [0, 1].map(|i| size[i] + if border.is_some() { w.pads_begin[i] + w.pads_end[i] } else { 0 });
        let forward = Prepared::new(&weight, geometry, [TYPICAL_BATCH, input[1] as i64, rows as i64, columns as i64])?;
        let fits = (0..2).all(|i| w.reach(i) > w.pads_begin[i]);
        let adjoint = if w.strides == [1, 1] && w.symmetric() && fits {
            let turned = flipped_weight(&weight, conv.groups)?;
            let padding = [0, 1].map(|i| (w.reach(i) - 1 - w.pads_begin[i]) as i64);
            let back = [TYPICAL_BATCH, conv.channels() as i64, output[0] as i64, output[1] as i64];
            Adjoint::Flipped(Prepared::new(&turned, Geometry { padding, ..geometry }, back)?)
        } else if let Some(phases) = Phases::of(conv, size, output) {
            let weight = weights::tensor(&phases.weight(conv), place)?;
            let geometry = Geometry { padding: phases.padding(), stride: [1, 1], ..geometry };
            let back = [TYPICAL_BATCH, conv.channels() as i64, output[0] as i64, output[1] as i64];
            Adjoint::Phases { conv: Prepared::new(&weight, geometry, back)?, phases }
        } else {
            Adjoint::Transposed(Box::new(ConvKernel::new(conv, place, size)?))
        };
        Ok(CpuConv { way: Way::OneDnn { forward, border, adjoint }, bias })
    }

    /// The bias (O,).
    pub fn bias_vector(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// y for x (N, C, H, W), with the addend, in y's shape and channels last, added, then clipped where `bounds` are given; channels last without gaps.
    pub fn run(&self, x: &Tensor, addend: Option<Addend>, bounds: Option<Bounds>) -> Result<Tensor> {
        match &self.way {
            Way::Depthwise { kernel, output, .. } => {
                let inner = bounds.filter(|_| addend.is_none());
                let mut y = match x.kind() {
                    Kind::BFloat16 => by_image::<bf16>(x, *output, |x, y| kernel.forward(x, y, inner))?,
                    _ => by_image::<f32>(x, *output, |x, y| kernel.forward(x, y, inner))?,
                };
                if let Some(Addend::Apart(addend) | Addend::Into(addend)) = addend {
                    let _ = y.f_add_(addend)?;
                    clip(&mut y, bounds)?;
                }
                Ok(y)
            }
            Way::OneDnn { forward, border, .. } => {
                let padded = border.map(|border| x.f_constant_pad_nd(border)).transpose()?;
                let x = padded.as_ref().unwrap_or(x);
                let (activation, mut rest) = in_one_call(bounds);
                let mut y = match addend {
                    None => forward.run(x, self.bias.as_ref(), activation)?,
                    Some(addend) => {
                        let rectified = activation == Activation::Relu;
                        if !rectified {
                            rest = bounds;
                        }
                        forward.run_add(x, addend, self.bias.as_ref(), rectified)?
                    }
                };
                clip(&mut y, rest)?;
                memory::channels_last(&y)
            }
        }
    }

    /// grad_in for grad_out, channels last, added to `sum` where there is one.
    pub fn run_adjoint(&self, grad: &Tensor, sum: Option<Gradient>) -> Result<Tensor> {
        let (alone, sum) = match (&self.way, sum) {
            (Way::OneDnn { adjoint: Adjoint::Flipped(flipped), .. }, None) => return flipped.run(grad, None, Activation::None),
            (Way::OneDnn { adjoint: Adjoint::Flipped(flipped), .. }, Some(sum)) => {
                let laid_out = memory::channels_last(&sum.tensor)?;
                let ours = !sum.shared || laid_out.data_ptr() != sum.tensor.data_ptr();
                let addend = if ours { Addend::Into(&laid_out) } else { Addend::Apart(&laid_out) };
                return flipped.run_add(grad, addend, None, false);
            }
            (Way::OneDnn { adjoint: Adjoint::Phases { conv, phases }, .. }, sum) => {
                return phases.gather(&conv.run(grad, None, Activation::None)?, sum);
            }
            (Way::OneDnn { adjoint: Adjoint::Transposed(conv), .. }, sum) => (conv.run_adjoint(grad)?, sum),
            (Way::Depthwise { kernel, input, .. }, sum) => match grad.kind() {
                Kind::BFloat16 => (by_image::<bf16>(grad, *input, |g, out| kernel.adjoint(g, out))?, sum),
                _ => (by_image::<f32>(grad, *input, |g, out| kernel.adjoint(g, out))?, sum),
            },
        };
        Ok(stage::add(sum, Some(alone.into()))?.expect("a gradient is there").tensor)
    }
}

/// Clips in place.
fn clip(y: &mut Tensor, bounds: Option<Bounds>) -> Result<()> {
    if let Some(bounds) = bounds {
        let _ = y.f_clamp_(f64::from(bounds.low), f64::from(bounds.high))?;
    }
    Ok(())
}

fn is_strided_depthwise(conv: &Conv) -> bool {
    let one_each = conv.groups == conv.channels() && conv.weight.shape[1] == 1;
    one_each && conv.window.strides != [1, 1] && conv.window.kernel[0] * conv.window.kernel[1] <= MAX_TAPS
}

fn depthwise(conv: &Conv, input: [usize; 2], output: [usize; 2]) -> Depthwise {
    let floats = |constant: &Constant| -> Vec<f32> {
        constant.floats().expect("a convolution's weights are floating point").iter().map(|&v| v as f32).collect()
    };
    let w = &conv.window;
    let span = |i: usize| Span {
        input: input[i],
        output: output[i],
        kernel: w.kernel[i],
        stride: w.strides[i],
        dilation: w.dilations[i],
        pad: w.pads_begin[i],
    };
    let bias = conv.bias.as_ref().map_or_else(|| vec![0.0; conv.channels()], floats);
    Depthwise::new(&floats(&conv.weight), &bias, span(0), span(1))
}

/// What oneDNN clips in the same call, and what is left to do.
fn in_one_call(bounds: Option<Bounds>) -> (Activation, Option<Bounds>) {
    match bounds {
        None => (Activation::None, None),
        Some(Bounds { low: 0.0, high: f32::INFINITY }) => (Activation::Relu, None),
        Some(Bounds { low, high }) if low.is_finite() && high.is_finite() => {
            (Activation::Clip { low: f64::from(low), high: f64::from(high) }, None)
        }
        Some(bounds) => (Activation::None, Some(bounds)),
    }
}

/// Runs `each` on the pixels of every image: source (N, C, h, w) to a new tensor (N, C, rows, columns), both channels last.
fn by_image<E: Element>(source: &Tensor, [rows, columns]: [usize; 2], each: impl Fn(&[E], &mut [E])) -> Result<Tensor> {
    let source = if memory::is_channels_last(source) { source.shallow_clone() } else { memory::channels_last(source)? };
    let [batch, channels, h, w] = source.size()[..] else { unreachable!("a convolution's input has four axes") };
    let target = Tensor::f_empty([batch, rows as i64, columns as i64, channels], (source.kind(), source.device()))?;
    let (from, to) = ((h * w * channels) as usize, rows * columns * channels as usize);
    // SAFETY: both lie on the processor without gaps and hold elements of E, as the caller has looked up; target is new.
    let (read, written) = unsafe {
        (
            std::slice::from_raw_parts(source.data_ptr() as *const E, source.numel()),
            std::slice::from_raw_parts_mut(target.data_ptr() as *mut E, target.numel()),
        )
    };
    for (image, out) in read.chunks_exact(from).zip(written.chunks_exact_mut(to)) {
        each(image, out);
    }
    Ok(target.f_permute([0, 3, 1, 2])?)
}
