//! Methods that look at the input's gradient alone.
//!
//! gradient: max over c of |df/dx_c| (Simonyan, Vedaldi and Zisserman, 2013).
//! input x gradient: |sum over c of x_c df/dx_c|: the channels of a pixel are one place, whose share of the input term this is.

use tch::{Kind, Tensor};

use super::{FullGrad, OnePass, Sums};
use crate::error::Result;
use crate::network::memory;
use crate::network::plan::{Point, Reduced, Site, SiteId, TermSink};
use crate::saliency::rescale::Rescale;

/// Keeps the input's gradient; the terms are counted for completeness.
pub struct InputGradient<'a> {
    terms: FullGrad<'a>,
    kind: Kind,
    times_input: bool,
    /// (N, C, H, W): df/dx, or x * df/dx; `None` where f does not depend on x.
    attribution: Option<Tensor>,
    batch: i64,
}

impl<'a> InputGradient<'a> {
    /// For a batch of `batch` images; with `times_input` the gradient is multiplied with the input. `kind` is the plan's precision.
    pub fn new(sites: &'a [Site], batch: usize, kind: Kind, times_input: bool) -> Self {
        let terms = FullGrad::new(sites, batch, kind, Rescale::Node);
        let kind = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        InputGradient { terms, kind, times_input, attribution: None, batch: batch as i64 }
    }

    /// Signed, (N, C, H, W), in f64 where the plan is, else in f32.
    pub fn attribution(&self) -> Option<&Tensor> {
        self.attribution.as_ref()
    }
}

impl TermSink for InputGradient<'_> {
    fn gradient(&mut self, point: Point, value: &Tensor, grad: &Tensor) -> Result<()> {
        if point == Point::Input {
            let grad = grad.f_to_kind(self.kind)?;
            // Multiplied or copied: the gradient's memory is not ours.
            self.attribution = Some(if self.times_input { grad.f_mul(&value.f_to_kind(self.kind)?)? } else { memory::copied(&grad)? });
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

impl OnePass for InputGradient<'_> {
    fn sums(&self) -> Result<Sums> {
        self.terms.sums()
    }

    fn terms(&self) -> Result<Tensor> {
        self.terms.terms()
    }

    fn map(&self, rows: i64, columns: i64) -> Result<Tensor> {
        match &self.attribution {
            Some(attribution) if self.times_input => contribution(attribution),
            Some(attribution) => largest_channel(attribution),
            None => Ok(Tensor::f_zeros([self.batch, 1, rows, columns], (self.kind, tch::Device::Cpu))?),
        }
    }
}

/// max over c of |gradient|, (N, 1, H, W), of a gradient (N, C, H, W).
pub fn largest_channel(gradient: &Tensor) -> Result<Tensor> {
    Ok(gradient.f_abs()?.f_amax([1].as_slice(), true)?)
}

/// |sum over c of attribution|, (N, 1, H, W), of an attribution (N, C, H, W).
pub fn contribution(attribution: &Tensor) -> Result<Tensor> {
    Ok(attribution.f_sum_dim_intlist([1].as_slice(), true, attribution.kind())?.f_abs()?)
}
