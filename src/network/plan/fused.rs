//! A convolution, with the activation that alone reads it, as one step: one pass over the gradient makes the activation's mask, both
//! terms and their reductions. On a processor, channels last.

use half::bf16;
use tch::{Kind, Tensor};

use super::cpu_conv::CpuConv;
use super::reduce::{self, elements, elements_mut, push};
use super::site::{Reduced, SiteId, TermSink};
use super::stage::Stage;
use crate::error::Result;
use crate::network::kernels::{Bounds, Element, clipped_terms, plain_terms};
use crate::network::memory;
use crate::network::op::{Forward, Gradient, Keeps, Place, Saved};
use crate::network::ops::{Conv, Op, Relu};
use crate::network::structure::Network;

/// The step after `index` that is fused with it: the activation that alone reads a convolution.
pub fn partner(network: &Network, readers: &[usize], index: usize) -> Option<usize> {
    let step = &network.steps[index];
    let next = network.steps.get(index + 1)?;
    let fused =
        matches!(&next.op, Op::Clip(_) | Op::Relu(Relu { slope: 0.0 })) && next.inputs == step.outputs && readers[step.outputs[0]] == 1;
    fused.then_some(index + 1)
}

/// The bounds of an activation that clips.
pub fn bounds(op: &Op, place: Place) -> Option<Bounds> {
    match op {
        Op::Clip(clip) => {
            let clip = clip.rounded(place);
            Some(Bounds { low: clip.low as f32, high: clip.high as f32 })
        }
        Op::Relu(relu) if relu.slope == 0.0 => Some(Bounds { low: 0.0, high: f32::INFINITY }),
        _ => None,
    }
}

/// A convolution and, where there is one, its clipping activation.
pub struct FusedConv {
    conv: CpuConv,
    /// The convolution's bias, (O,); zeros where it has none.
    bias: Vec<f32>,
    site: Option<SiteId>,
    activation: Option<(Bounds, Option<SiteId>)>,
}

impl FusedConv {
    /// `input` is x's shape.
    pub fn new(
        conv: &Conv,
        place: Place,
        input: &[usize],
        site: Option<SiteId>,
        activation: Option<(Bounds, Option<SiteId>)>,
    ) -> Result<Self> {
        let kernel = CpuConv::new(conv, place, input)?;
        let bias = match kernel.bias_vector() {
            // Through the place's precision, since that is what the forward pass adds.
            Some(bias) => Vec::try_from(bias.f_to_kind(Kind::Float)?)?,
            None => vec![0.0; conv.channels()],
        };
        Ok(FusedConv { conv: kernel, bias, site, activation })
    }

    /// Terms of this step by one pass over grad (N, C, h, w), which becomes the gradient of the convolution's output.
    fn reduce<E: Element>(&self, grad: &mut Tensor, y: Option<&Tensor>, terms: &mut dyn TermSink) -> Result<()> {
        let (mut affine, mut clip) = (reduce::nothing(grad), reduce::nothing(grad));
        let (batch, channels, pixels) = (grad.size()[0] as usize, affine.channels, affine.size.0 * affine.size.1);
        // SAFETY: both tensors are channels last without gaps (checked by the caller), of the storage type E, and stay alive; grad's
        // memory belongs to this gradient alone.
        let (grad, y) = unsafe { (elements_mut::<E>(grad), y.map(|y| elements::<E>(y))) };
        for image in 0..batch {
            let (range, map) = (image * pixels * channels..(image + 1) * pixels * channels, image * pixels..(image + 1) * pixels);
            match (self.activation, y) {
                (Some((bounds, _)), Some(y)) => {
                    let (a, c) = clipped_terms(
                        &mut grad[range.clone()],
                        &y[range],
                        &self.bias,
                        bounds,
                        &mut affine.maps[map.clone()],
                        &mut clip.maps[map],
                    );
                    push(&mut affine, a);
                    push(&mut clip, c);
                }
                _ => {
                    let image = plain_terms(&grad[range], &self.bias, &mut affine.maps[map]);
                    push(&mut affine, image);
                }
            }
        }
        if let Some((_, Some(site))) = self.activation {
            terms.reduced(site, clip)?;
        }
        if let Some(site) = self.site {
            terms.reduced(site, affine)?;
        }
        Ok(())
    }
}

impl Stage for FusedConv {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(self.conv.run(inputs[0], self.activation.map(|(bounds, _)| bounds))?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: false, outputs: self.activation.is_some() }
    }

    fn backward(&self, saved: &Saved, mut grad_out: Vec<Option<Gradient>>, terms: &mut dyn TermSink) -> Result<Vec<Option<Gradient>>> {
        let Some(Some(grad)) = grad_out.pop() else { return Ok(vec![None]) };
        let y = saved.outputs.first();
        let mut grad = owned(grad, y.is_some())?;
        if !terms.takes_reduced() {
            self.dense(&grad, y, terms)?;
        }
        let mut none = Ignored;
        let terms = if terms.takes_reduced() { terms } else { &mut none };
        match grad.kind() {
            Kind::BFloat16 => self.reduce::<bf16>(&mut grad, y, terms)?,
            _ => self.reduce::<f32>(&mut grad, y, terms)?,
        }
        Ok(vec![Some(self.conv.run_adjoint(&grad)?.into())])
    }
}

impl FusedConv {
    /// The terms themselves, for a sink that wants more than their reductions.
    fn dense(&self, grad: &Tensor, y: Option<&Tensor>, terms: &mut dyn TermSink) -> Result<()> {
        let mut passed = grad.shallow_clone();
        if let (Some((bounds, site)), Some(y)) = (self.activation, y) {
            let inside = y.f_gt(f64::from(bounds.low))?.f_logical_and(&y.f_lt(f64::from(bounds.high))?)?;
            if let Some(site) = site {
                let outside = y.f_masked_fill(&inside, 0.0)?;
                terms.dense(site, grad, &outside)?;
            }
            passed = grad.f_mul(&inside.f_to_kind(grad.kind())?)?;
        }
        match (self.site, self.conv.bias_vector()) {
            (Some(site), Some(bias)) => terms.dense(site, &passed, &bias.f_view([1, -1, 1, 1])?),
            _ => Ok(()),
        }
    }
}

/// The gradient channels last without gaps, and, where it is written, in memory of its own.
fn owned(grad: Gradient, written: bool) -> Result<Tensor> {
    let laid_out = memory::channels_last(&grad.tensor)?;
    // An axis of one element has any stride, so that the layout may be right as it is.
    if grad.shared && written && laid_out.data_ptr() == grad.tensor.data_ptr() {
        let mut copy = laid_out.f_empty_like()?;
        copy.f_copy_(&laid_out)?;
        return Ok(copy);
    }
    Ok(laid_out)
}

/// Takes reductions that nobody wants, where the pass runs only for its mask.
struct Ignored;

impl TermSink for Ignored {
    fn takes_reduced(&self) -> bool {
        true
    }

    fn dense(&mut self, _site: SiteId, _grad: &Tensor, _bias: &Tensor) -> Result<()> {
        Ok(())
    }

    fn reduced(&mut self, _site: SiteId, _terms: Reduced) -> Result<()> {
        Ok(())
    }
}
