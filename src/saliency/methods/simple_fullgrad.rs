//! Simple FullGrad, after the public code of FullGrad's authors (idiap/fullgrad-saliency, `simple_fullgrad.py`): as FullGrad, but at an
//! affine node with a bias the gradient itself stands for the bias term, and biases of other nodes are left out.
//!
//! S = sum over c of psi(x * df/dx) + sum over affine nodes with a bias, sum over c of psi(df/dy)

use tch::{Kind, Tensor};

use super::{FullGrad, OnePass, Sums};
use crate::error::Result;
use crate::network::plan::{Reduced, Site, SiteId, TermSink};
use crate::saliency::rescale::Rescale;

/// Operators that are affine in their input, with a bias that is a parameter: for these, as layers, the authors' code takes gradients.
const AFFINE: [&str; 5] = ["Conv", "ConvTranspose", "Linear", "BatchNormalization", "AddConstant"];

/// Takes the terms of one batch.
pub struct SimpleFullGrad<'a> {
    sites: &'a [Site],
    /// Counts the terms, and keeps the map.
    shown: FullGrad<'a>,
}

impl<'a> SimpleFullGrad<'a> {
    /// As [`FullGrad::new`].
    pub fn new(sites: &'a [Site], batch: usize, kind: Kind, rescale: Rescale) -> Self {
        SimpleFullGrad { sites, shown: FullGrad::new(sites, batch, kind, rescale) }
    }
}

impl TermSink for SimpleFullGrad<'_> {
    fn takes_reduced(&self) -> bool {
        false
    }

    fn dense(&mut self, site: SiteId, grad: &Tensor, bias: &Tensor) -> Result<()> {
        let term = self.shown.product(grad, bias)?;
        self.shown.count(site, &term)?;
        if site == 0 {
            return self.shown.show(site, &term);
        }
        if AFFINE.contains(&self.sites[site].op) { self.shown.show(site, grad) } else { Ok(()) }
    }

    fn reduced(&mut self, _site: SiteId, _terms: Reduced) -> Result<()> {
        unreachable!("reduced terms are not taken")
    }
}

impl OnePass for SimpleFullGrad<'_> {
    fn sums(&self) -> Result<Sums> {
        self.shown.sums()
    }

    fn terms(&self) -> Result<Tensor> {
        self.shown.terms()
    }

    fn map(&self, rows: i64, columns: i64) -> Result<Tensor> {
        self.shown.map(rows, columns)
    }
}
