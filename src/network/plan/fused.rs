//! A convolution and the activation that alone reads it, as one step. One pass over the gradient makes the activation's mask, both terms
//! and their reductions.

use tch::Tensor;

use super::site::{SiteId, TermSink};
use super::stage::Stage;
use crate::error::Result;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Place, Saved};
use crate::network::ops::{Clip, ConvKernel, Op};
use crate::network::structure::Network;

/// The step after `index` that is fused with it: the activation that alone reads a convolution, where the place has kernels for it.
pub fn partner(network: &Network, index: usize, place: Place) -> Option<usize> {
    let step = &network.steps[index];
    let next = network.steps.get(index + 1)?;
    let fits = matches!(step.op, Op::Conv(_)) && matches!(next.op, Op::Clip(_)) && place.channels_last();
    (fits && next.inputs == step.outputs && network.readers(step.outputs[0]) == 1).then_some(index + 1)
}

/// The two as one stage; `input` is x's shape.
pub fn stage(
    conv: &Op,
    activation: &Op,
    place: Place,
    input: &[usize],
    conv_site: Option<SiteId>,
    activation_site: Option<SiteId>,
) -> Result<Box<dyn Stage>> {
    match (conv, activation) {
        (Op::Conv(conv), Op::Clip(clip)) => Ok(Box::new(ConvClip {
            conv: ConvKernel::new(conv, place, [input[2], input[3]])?,
            clip: clip.clone(),
            conv_site,
            activation_site,
        })),
        _ => unreachable!("partner chose them"),
    }
}

struct ConvClip {
    conv: ConvKernel,
    clip: Clip,
    conv_site: Option<SiteId>,
    activation_site: Option<SiteId>,
}

impl Stage for ConvClip {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let mut y = self.conv.run(inputs[0])?;
        let _ = y.f_clamp_(self.clip.low, self.clip.high)?;
        Ok(y.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: false, outputs: true }
    }

    fn backward(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>, terms: &mut dyn TermSink) -> Result<Vec<Option<Gradient>>> {
        if let (Some(site), Some(Some(grad))) = (self.activation_site, grad_out.first())
            && let Some(bias) = self.clip.bias(saved)?
        {
            terms.dense(site, &grad.tensor, &bias)?;
        }
        let grad = self.clip.adjoint(saved, grad_out)?;
        if let (Some(site), Some(Some(grad))) = (self.conv_site, grad.first())
            && let Some(bias) = Kernel::bias(&self.conv, saved)?
        {
            terms.dense(site, &grad.tensor, &bias)?;
        }
        self.conv.adjoint(saved, grad)
    }
}
