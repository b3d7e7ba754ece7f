//! FullGrad (Srinivas and Fleuret, NeurIPS 2019): the sum of all nodes' rescaled terms, and how far the terms are from the output.
//!
//! S = sum over sites of upsample(sum over c of rescale(|T|)). Upsampling is linear, so channels are summed before it and all sites of
//! one resolution are upsampled together.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::rescale::{self, Rescale};
use crate::error::Result;
use crate::network::plan::{Reduced, Site, SiteId, TermSink};

/// Takes the terms of one batch.
pub struct FullGrad<'a> {
    rescale: Rescale,
    sites: &'a [Site],
    batch: usize,
    kind: Kind,
    /// Sum of each site's term, (N,) in f64, in the order in which they came.
    sums: Vec<(SiteId, Tensor)>,
    /// By resolution: summed maps (N, 1, h, w).
    maps: BTreeMap<(i64, i64), Tensor>,
    /// By resolution: summed maps of reduced terms, (N, h, w) row-major.
    reduced: BTreeMap<(usize, usize), Vec<f32>>,
}

/// The sums that completeness compares, (N,) in f64 each.
pub struct Sums {
    /// <df/dx, x>.
    pub input_term: Tensor,
    /// Sum of all bias terms.
    pub bias_term_total: Tensor,
    /// Sum of the magnitudes of all terms, the input's among them.
    pub magnitude: Tensor,
}

impl<'a> FullGrad<'a> {
    /// For a batch of `batch` images; `sites` are the plan's. `kind` is the precision of the plan: maps are made in f64 for Double, else f32.
    pub fn new(sites: &'a [Site], batch: usize, kind: Kind, rescale: Rescale) -> Self {
        let kind = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        FullGrad { rescale, sites, batch, kind, sums: Vec::new(), maps: BTreeMap::new(), reduced: BTreeMap::new() }
    }

    /// The map S (N, 1, H, W) at the input's size.
    pub fn map(&self, rows: i64, columns: i64) -> Result<Tensor> {
        let mut sum = Tensor::f_zeros([self.batch as i64, 1, rows, columns], (self.kind, self.device()))?;
        for map in self.maps.values() {
            sum = sum.f_add(&upsample(map, rows, columns)?)?;
        }
        for (&(h, w), values) in &self.reduced {
            let map = Tensor::f_from_slice(values)?.f_view([self.batch as i64, 1, h as i64, w as i64])?;
            sum = sum.f_add(&upsample(&map.f_to_kind(self.kind)?, rows, columns)?)?;
        }
        Ok(sum)
    }

    /// The terms' sums, each (N,).
    pub fn sums(&self) -> Result<Sums> {
        let zero = || Tensor::f_zeros([self.batch as i64], (Kind::Double, self.device()));
        let mut sums = Sums { input_term: zero()?, bias_term_total: zero()?, magnitude: zero()? };
        for (site, sum) in &self.sums {
            let total = if *site == 0 { &mut sums.input_term } else { &mut sums.bias_term_total };
            *total = total.f_add(sum)?;
            sums.magnitude = sums.magnitude.f_add(&sum.f_abs()?)?;
        }
        Ok(sums)
    }

    fn device(&self) -> tch::Device {
        self.sums.first().map_or(tch::Device::Cpu, |(_, sum)| sum.device())
    }
}

/// Bilinear, corners aligned.
fn upsample(map: &Tensor, rows: i64, columns: i64) -> Result<Tensor> {
    if map.size()[2..] == [rows, columns] {
        return Ok(map.shallow_clone());
    }
    Ok(map.f_upsample_bilinear2d([rows, columns], true, None, None)?)
}

impl TermSink for FullGrad<'_> {
    fn takes_reduced(&self) -> bool {
        self.rescale == Rescale::Node
    }

    fn dense(&mut self, site: SiteId, grad: &Tensor, bias: &Tensor) -> Result<()> {
        let term = grad.f_to_kind(self.kind)?.f_mul(&bias.f_to_kind(self.kind)?)?;
        let axes: Vec<i64> = (1..term.dim() as i64).collect();
        self.sums.push((site, term.f_sum_dim_intlist(axes.as_slice(), false, Kind::Double)?));
        let Some(layout) = self.sites[site].layout else { return Ok(()) };
        let term = if layout == [0, 1, 2, 3] { term } else { term.f_permute(layout)? };
        let map = self.rescale.map(&term)?;
        let key = (map.size()[2], map.size()[3]);
        let sum = match self.maps.remove(&key) {
            Some(sum) => sum.f_add(&map)?,
            None => map,
        };
        self.maps.insert(key, sum);
        Ok(())
    }

    fn reduced(&mut self, site: SiteId, terms: Reduced) -> Result<()> {
        self.sums.push((site, Tensor::f_from_slice(&terms.sums)?));
        if self.sites[site].layout.is_some() {
            let sums = self.reduced.entry(terms.size).or_insert_with(|| vec![0.0; terms.maps.len()]);
            rescale::add_reduced(&terms, sums);
        }
        Ok(())
    }
}
