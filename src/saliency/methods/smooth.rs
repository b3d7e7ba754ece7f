//! Means over noisy copies of a picture.
//!
//! SmoothGrad (Smilkov and others, 2017): max over c of |mean of df/dx_c|.
//! SmoothFullGrad, after the public code of FullGrad's authors (idiap/fullgrad-saliency, `smooth_fullgrad.py`): every node's signed terms
//! are averaged over the copies; FullGrad's map is made of the means.
//!
//! In both, the mean of f over the copies is the sum of the means of the terms: that is what the residual compares.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::copies::{Copies, accumulate, groups};
use super::input_gradient::{InputGradient, largest_channel};
use super::{Found, FullGrad, OnePass, Sums};
use crate::error::Result;
use crate::network::plan::{Reduced, SiteId, TermSink};
use crate::saliency::method::Sampling;
use crate::saliency::noise::{Noise, noisy};
use crate::saliency::rescale::Rescale;

/// SmoothGrad of one picture (1, C, H, W).
pub fn smoothgrad(mut copies: Copies, picture: &Tensor, sampling: &Sampling, noise: &Noise) -> Result<Found> {
    let [_, _, rows, columns] = picture.size()[..] else { unreachable!("a picture has four axes") };
    let plan = copies.plan;
    let kind = plan.place().kind;
    let [mut gradient, mut whole, mut bias, mut terms, mut input_term, mut bias_term_total, mut magnitude] = [const { None }; 7];
    for (first, count) in groups(sampling.samples.get()) {
        let x = noisy(noise, picture, sampling.noise, first, count)?;
        let mut sink = InputGradient::new(plan.sites(), count, kind, false);
        let (value, own) = copies.pass(&x, &mut sink)?;
        whole = accumulate(whole, &value)?;
        if let Some(own) = own {
            bias = accumulate(bias, &own)?;
        }
        terms = accumulate(terms, &sink.terms()?)?;
        if let Some(rows) = sink.attribution() {
            gradient = accumulate(gradient, rows)?;
        }
        let sums = sink.sums()?;
        input_term = accumulate(input_term, &sums.input_term)?;
        bias_term_total = accumulate(bias_term_total, &sums.bias_term_total)?;
        magnitude = accumulate(magnitude, &sums.magnitude)?;
    }
    let samples = sampling.samples.get() as f64;
    let mean = |sum: Option<Tensor>| -> Result<Tensor> { Ok(sum.expect("at least one copy").f_div_scalar(samples)?) };
    let whole = mean(whole)?;
    let map = match gradient {
        Some(gradient) => largest_channel(&gradient.f_div_scalar(samples)?)?,
        None => nothing(rows, columns, &whole)?,
    };
    let sums = Sums { input_term: mean(input_term)?, bias_term_total: mean(bias_term_total)?, magnitude: mean(magnitude)? };
    let bias = bias.map(|sum| sum.f_div_scalar(samples)).transpose()?;
    Found { map, sums, terms: mean(terms)?, whole }.with_target(bias)
}

/// A map (1, 1, H, W) of zeros, where f does not depend on the input.
pub fn nothing(rows: i64, columns: i64, like: &Tensor) -> Result<Tensor> {
    Ok(Tensor::f_zeros([1, 1, rows, columns], (like.kind(), like.device()))?)
}

/// SmoothFullGrad of one picture (1, C, H, W). Keeps one number for each element of each term meanwhile.
pub fn smooth_fullgrad(mut copies: Copies, picture: &Tensor, sampling: &Sampling, noise: &Noise, rescale: Rescale) -> Result<Found> {
    let [_, _, rows, columns] = picture.size()[..] else { unreachable!("a picture has four axes") };
    let plan = copies.plan;
    let mut fullgrad = FullGrad::new(plan.sites(), 1, plan.place().kind, rescale);
    let mut sums = TermSums { kind: fullgrad.kind(), sums: BTreeMap::new() };
    let [mut whole, mut bias] = [const { None }; 2];
    for (first, count) in groups(sampling.samples.get()) {
        let x = noisy(noise, picture, sampling.noise, first, count)?;
        let (value, own) = copies.pass(&x, &mut sums)?;
        whole = accumulate(whole, &value)?;
        if let Some(own) = own {
            bias = accumulate(bias, &own)?;
        }
    }
    let samples = sampling.samples.get() as f64;
    // The input's term last, as it comes from a single pass.
    for (site, sum) in sums.sums.into_iter().rev() {
        let mean = sum.f_div_scalar(samples)?;
        fullgrad.count(site, &mean)?;
        fullgrad.show(site, &mean)?;
    }
    let whole = whole.expect("at least one copy").f_div_scalar(samples)?;
    let bias = bias.map(|sum| sum.f_div_scalar(samples)).transpose()?;
    Found { map: fullgrad.map(rows, columns)?, sums: fullgrad.sums()?, terms: fullgrad.terms()?, whole }.with_target(bias)
}

/// Adds up each site's signed terms over the copies of one picture.
struct TermSums {
    kind: Kind,
    /// (1, ...) each.
    sums: BTreeMap<SiteId, Tensor>,
}

impl TermSink for TermSums {
    fn takes_reduced(&self) -> bool {
        false
    }

    fn dense(&mut self, site: SiteId, grad: &Tensor, bias: &Tensor) -> Result<()> {
        let term = grad.f_to_kind(self.kind)?.f_mul(&bias.f_to_kind(self.kind)?)?;
        if let Some(sum) = accumulate(self.sums.remove(&site), &term)? {
            self.sums.insert(site, sum);
        }
        Ok(())
    }

    fn reduced(&mut self, _site: SiteId, _terms: Reduced) -> Result<()> {
        unreachable!("reduced terms are not taken")
    }
}
