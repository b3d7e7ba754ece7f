//! A convolution with a clipping activation and the depthwise convolution that alone reads it, as one step. What lies between them is
//! the largest value of a mobile block; backwards its gradient is made, masked and used a band of rows at a time, so that it stays in
//! the processor's nearest cache.

use half::bf16;
use tch::{Kind, Tensor};

use super::cpu_conv::depthwise;
use super::fused::{FusedConv, Gathered, owned};
use super::reduce::{elements, elements_mut};
use super::site::TermSink;
use super::stage::Stage;
use crate::error::{Error, Result};
use crate::network::kernels::{Depthwise, Element};
use crate::network::memory;
use crate::network::op::{Forward, Gradient, Keeps, Saved, Shape};
use crate::network::ops::Conv;

/// Bytes of a band; the same part of the activation is read beside it, and both stay in a second-level cache of a megabyte.
const BAND_BYTES: usize = 3 << 17;

/// y = act2(depthwise(act1(conv(x)))).
pub struct Pair {
    first: FusedConv,
    second: FusedConv,
    /// The second's adjoint.
    kernel: Depthwise,
    /// Of x.
    input: Shape,
    /// Of what lies between the two.
    between: Shape,
}

/// Where the masked gradient between the two goes.
enum Out<'a> {
    /// To memory, (N, C, h, w), channels last.
    Between(&'a mut Tensor),
    /// Through the first convolution's adjoint, a band at a time, to the gradient of x, (N, C, H, W), channels last.
    OfX(&'a Tensor),
}

impl Pair {
    /// `conv` is the depthwise convolution; `input` and `between` are the shapes of what the two read.
    ///
    /// # Errors
    /// Kind::Data where the convolution does not fit its input.
    pub fn new(first: FusedConv, second: FusedConv, conv: &Conv, input: &[usize], between: &[usize]) -> Result<Self> {
        let size = [between[2], between[3]];
        let output = conv.window.output(size).map_err(Error::data)?;
        Ok(Pair { first, second, kernel: depthwise(conv, size, output), input: input.to_vec(), between: between.to_vec() })
    }

    /// From grad, the gradient of the depthwise convolution's output, with what lies between the two, `y`, both channels last.
    fn run_back<E: Element>(&self, grad: &Tensor, y: &Tensor, mut out: Out, gathered: &mut Gathered) -> Result<()> {
        let &[_, channels, rows, columns] = &self.between[..] else { unreachable!("a convolution's input has four axes") };
        let row = columns * channels;
        let band_rows = (BAND_BYTES / (row * size_of::<E>())).clamp(1, rows);
        let mut band = Tensor::f_empty([1, band_rows as i64, columns as i64, channels as i64], (grad.kind(), grad.device()))?;
        // SAFETY: both are channels last without gaps and of the storage type E.
        let (grads, activations) = unsafe { (elements::<E>(grad), elements::<E>(y)) };
        let of_image = grads.len() / grad.size()[0] as usize;
        for (image, grad) in grads.chunks_exact(of_image).enumerate() {
            for first in (0..rows).step_by(band_rows) {
                let last = (first + band_rows).min(rows);
                let at = (image * rows + first) * row..(image * rows + last) * row;
                // SAFETY: both are channels last without gaps and of the storage type E, and nobody else has their memory.
                let part = unsafe {
                    match &mut out {
                        Out::Between(between) => &mut elements_mut::<E>(between)[at.clone()],
                        Out::OfX(_) => &mut elements_mut::<E>(&mut band)[..at.len()],
                    }
                };
                self.kernel.adjoint_rows(grad, first..last, part);
                self.first.mask(part, Some(&activations[at.clone()]), at.start / channels..at.end / channels, gathered);
                if let Out::OfX(of_x) = out {
                    let count = (last - first) as i64;
                    let masked = band.f_narrow(1, 0, count)?.f_permute([0, 3, 1, 2])?;
                    let sum = of_x.f_narrow(0, image as i64, 1)?.f_narrow(2, first as i64, count)?;
                    self.first.conv().add_adjoint(&masked, &sum)?;
                }
            }
            gathered.end_image();
        }
        Ok(())
    }

    /// What the gradient of x is added to, channels last, in memory of its own.
    fn start(&self, sum: Option<Gradient>, like: &Tensor) -> Result<Tensor> {
        let Some(sum) = sum else {
            let [channels, rows, columns] = [1, 2, 3].map(|axis| self.input[axis] as i64);
            let zeros = Tensor::f_zeros([like.size()[0], rows, columns, channels], (like.kind(), like.device()))?;
            return Ok(zeros.f_permute([0, 3, 1, 2])?);
        };
        Ok(owned(sum, true)?.0)
    }
}

impl Stage for Pair {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let between = self.first.forward(inputs)?.outputs.remove(0);
        let made = self.second.forward(&[&between])?;
        Ok(Forward { outputs: made.outputs, extra: vec![between] })
    }

    fn keeps(&self) -> Keeps {
        self.second.keeps()
    }

    fn backward(
        &self,
        saved: &Saved,
        mut grad_out: Vec<Option<Gradient>>,
        sums: Vec<Option<Gradient>>,
        terms: &mut dyn TermSink,
    ) -> Result<Vec<Option<Gradient>>> {
        let between = &saved.extra[0];
        if !terms.takes_reduced() {
            let grad_between = self.second.backward(saved, grad_out, vec![None], terms)?;
            let saved_first = Saved { outputs: vec![between.shallow_clone()], ..Saved::default() };
            return self.first.backward(&saved_first, grad_between, sums, terms);
        }
        let Some(Some(grad)) = grad_out.pop() else { return Ok(sums) };
        let y = saved.outputs.first();
        let (mut grad, _) = owned(grad, y.is_some())?;
        self.second.reduce(&mut grad, y, terms)?;
        let mut gathered = Gathered::of(between);
        let run = |out: Out, gathered: &mut Gathered| match between.kind() {
            Kind::BFloat16 => self.run_back::<bf16>(&grad, between, out, gathered),
            _ => self.run_back::<f32>(&grad, between, out, gathered),
        };
        let sum = sums.into_iter().next().flatten();
        let of_x = if self.first.conv().is_pixelwise() {
            let of_x = self.start(sum, between)?;
            run(Out::OfX(&of_x), &mut gathered)?;
            of_x
        } else {
            let mut masked = memory::channels_last(&between.f_empty_like()?)?;
            run(Out::Between(&mut masked), &mut gathered)?;
            self.first.conv().run_adjoint(&masked, sum)?
        };
        self.first.give(gathered, terms)?;
        Ok(vec![Some(of_x.into())])
    }
}
