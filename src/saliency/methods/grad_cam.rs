//! Grad-CAM (Selvaraju and others, ICCV 2017): a late layer's channels, weighted by the mean of their gradients.
//!
//! S = upsample(max(0, sum over c of w_c A_c)), w_c = mean over pixels of df/dA_c

use tch::{Kind, Tensor};

use super::{FullGrad, OnePass, Sums};
use crate::error::{Error, Result};
use crate::network::plan::{Point, Reduced, Site, SiteId, Spot, TermSink, bottleneck, spots};
use crate::network::structure::Network;
use crate::saliency::fullgrad::upsample;
use crate::saliency::rescale::Rescale;

/// Names that an error suggests.
const SUGGESTED: usize = 3;

/// Where Grad-CAM looks: at the node of this name, or at the last value that everything passes.
///
/// # Errors
/// Kind::Usage where no node of this name makes a spatial value, with names that are near; or where nothing is said and everything
/// passes no such value.
pub fn spot(network: &Network, node: Option<&str>) -> Result<Spot> {
    let Some(node) = node else {
        return bottleneck(network).ok_or_else(|| {
            Error::usage("grad-cam: the network has no last spatial layer that everything passes; name a node with grad-cam:NODE")
        });
    };
    let mut spots = spots(network);
    if let Some(at) = spots.iter().position(|spot| spot.node == node) {
        return Ok(spots.swap_remove(at));
    }
    let there = network.steps.iter().any(|step| step.name == node);
    let what = if there { "makes no spatial value of more than one pixel" } else { "is no node of the network" };
    let near = near(node, spots.iter().map(|spot| spot.node.as_str()));
    Err(Error::usage(format!("grad-cam:{node}: {what}; perhaps {}; `gradcast inspect` lists all", near.join(", "))))
}

/// The names nearest to `wanted`: those that hold it, then those that share most letter pairs with it; the later node first.
fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = wanted.to_lowercase();
    let pairs = |name: &str| name.as_bytes().windows(2).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let wanted_pairs = pairs(&wanted);
    let mut ranked: Vec<(bool, usize, usize, &str)> = names
        .enumerate()
        .map(|(index, name)| {
            let lower = name.to_lowercase();
            let mut left = pairs(&lower);
            let shared = wanted_pairs.iter().filter(|pair| left.iter().position(|p| p == *pair).map(|at| left.swap_remove(at)).is_some());
            // Letters that the name has beyond what is shared count against it.
            (lower.contains(&wanted), 2 * shared.count() * 1000 / (wanted_pairs.len() + lower.len()).max(1), index, name)
        })
        .collect();
    ranked.sort_unstable_by(|a, b| b.cmp(a));
    ranked.iter().take(SUGGESTED).map(|(.., name)| format!("{name:?}")).collect()
}

/// Weighs the observed value's channels; the terms are counted for completeness.
pub struct GradCam<'a> {
    terms: FullGrad<'a>,
    kind: Kind,
    observed: usize,
    layout: [i64; 4],
    batch: i64,
    /// (N, 1, h, w); `None` where f does not depend on the value.
    cam: Option<Tensor>,
}

impl<'a> GradCam<'a> {
    /// For a batch of `batch` images and the plan's observed value of this index and layout. `kind` is the plan's precision.
    pub fn new(sites: &'a [Site], batch: usize, kind: Kind, observed: usize, layout: [i64; 4]) -> Self {
        let terms = FullGrad::new(sites, batch, kind, Rescale::Node);
        let kind = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        GradCam { terms, kind, observed, layout, batch: batch as i64, cam: None }
    }
}

impl TermSink for GradCam<'_> {
    fn gradient(&mut self, point: Point, value: &Tensor, grad: &Tensor) -> Result<()> {
        if point == Point::Observed(self.observed) {
            let [value, grad] = [value, grad].map(|tensor| tensor.f_permute(self.layout).and_then(|tensor| tensor.f_to_kind(self.kind)));
            let weights = grad?.f_mean_dim([2, 3].as_slice(), true, self.kind)?;
            let sum = value?.f_mul(&weights)?.f_sum_dim_intlist([1].as_slice(), true, self.kind)?;
            self.cam = Some(sum.f_clamp_min(0.0)?);
        }
        Ok(())
    }

    fn takes_reduced(&self) -> bool {
        self.terms.takes_reduced()
    }

    fn dense(&mut self, site: SiteId, grad: &Tensor, bias: &Tensor) -> Result<()> {
        self.terms.dense(site, grad, bias)
    }

    fn reduced(&mut self, site: SiteId, terms: Reduced) -> Result<()> {
        self.terms.reduced(site, terms)
    }
}

impl OnePass for GradCam<'_> {
    fn sums(&self) -> Result<Sums> {
        self.terms.sums()
    }

    fn terms(&self) -> Result<Tensor> {
        self.terms.terms()
    }

    fn map(&self, rows: i64, columns: i64) -> Result<Tensor> {
        match &self.cam {
            Some(cam) => upsample(cam, rows, columns),
            None => Ok(Tensor::f_zeros([self.batch, 1, rows, columns], (self.kind, tch::Device::Cpu))?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let names = ["/features/conv", "/layer1/layer1.0/relu/Relu", "/layer4/layer4.2/relu_2/Relu", "/layer4/layer4.2/conv3/Conv"];
        assert_eq!(near("layer1", names.into_iter())[0], "\"/layer1/layer1.0/relu/Relu\"");
        assert_eq!(near("/layer4/layer4.2/conv4/Conv", names.into_iter())[0], "\"/layer4/layer4.2/conv3/Conv\"");
        assert_eq!(near("features.conv", names.into_iter())[0], "\"/features/conv\"");
    }
}
