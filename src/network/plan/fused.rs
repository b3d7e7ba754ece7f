//! A convolution, what is added to it and the activation behind, as one step: one pass over the gradient makes the activation's mask,
//! both terms and their reductions. On a processor, channels last.

use half::bf16;
use tch::{Kind, Tensor};

use super::cpu_conv::{Addend, CpuConv};
use super::reduce::{self, elements, elements_mut, push};
use super::site::{Reduced, SiteId, TermSink};
use super::stage::{self, Stage};
use crate::error::Result;
use crate::network::kernels::{Bounds, Element, clipped_terms, plain_terms};
use crate::network::memory;
use crate::network::op::{Forward, Gradient, Keeps, Place, Saved};
use crate::network::ops::{Conv, Op};

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

/// y = act(conv(x) + addend); the addend and the activation where there are.
pub struct FusedConv {
    conv: CpuConv,
    /// The convolution's bias, (O,); zeros where it has none.
    bias: Vec<f32>,
    site: Option<SiteId>,
    addend: Option<Second>,
    activation: Option<(Bounds, Option<SiteId>)>,
}

/// What may be done with the addend's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Second {
    /// Somebody else reads it.
    Held,
    /// Nobody reads it any more.
    Last,
}

impl FusedConv {
    /// `input` is x's shape; `addend` tells of the second input, if one is added.
    pub fn new(
        conv: &Conv,
        place: Place,
        input: &[usize],
        site: Option<SiteId>,
        addend: Option<Second>,
        activation: Option<(Bounds, Option<SiteId>)>,
    ) -> Result<Self> {
        let kernel = CpuConv::new(conv, place, input)?;
        let bias = match kernel.bias_vector() {
            // Through the place's precision, since that is what the forward pass adds.
            Some(bias) => Vec::try_from(bias.f_to_kind(Kind::Float)?)?,
            None => vec![0.0; conv.channels()],
        };
        Ok(FusedConv { conv: kernel, bias, site, addend, activation })
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
        let laid_out = inputs.get(1).map(|addend| memory::channels_last(addend)).transpose()?;
        let addend =
            laid_out.as_ref().map(|addend| if self.addend == Some(Second::Last) { Addend::Into(addend) } else { Addend::Apart(addend) });
        Ok(self.conv.run(inputs[0], addend, self.activation.map(|(bounds, _)| bounds))?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: false, outputs: self.activation.is_some() }
    }

    fn backward(
        &self,
        saved: &Saved,
        mut grad_out: Vec<Option<Gradient>>,
        sums: Vec<Option<Gradient>>,
        terms: &mut dyn TermSink,
    ) -> Result<Vec<Option<Gradient>>> {
        let Some(Some(grad)) = grad_out.pop() else { return Ok(sums) };
        let y = saved.outputs.first();
        let (mut grad, shared) = owned(grad, y.is_some())?;
        if !terms.takes_reduced() {
            self.dense(&grad, y, terms)?;
        }
        let mut none = Ignored;
        let terms = if terms.takes_reduced() { terms } else { &mut none };
        match grad.kind() {
            Kind::BFloat16 => self.reduce::<bf16>(&mut grad, y, terms)?,
            _ => self.reduce::<f32>(&mut grad, y, terms)?,
        }
        let mut sums = sums.into_iter();
        let of_x = self.conv.run_adjoint(&grad, sums.next().flatten())?;
        let mut grad_in = vec![Some(of_x.into())];
        if self.addend.is_some() {
            grad_in.push(stage::add(sums.next().flatten(), Some(Gradient { tensor: grad, shared }))?);
        }
        Ok(grad_in)
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

/// The gradient channels last without gaps, in memory of its own where it is written; and whether the memory is shared still.
fn owned(grad: Gradient, written: bool) -> Result<(Tensor, bool)> {
    let laid_out = memory::channels_last(&grad.tensor)?;
    // An axis of one element has any stride, so that the layout may be right as it is.
    let shared = grad.shared && laid_out.data_ptr() == grad.tensor.data_ptr();
    if shared && written {
        return Ok((memory::copied(&laid_out)?, false));
    }
    Ok((laid_out, shared))
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
