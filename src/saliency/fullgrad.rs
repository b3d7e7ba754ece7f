//! FullGrad (Srinivas and Fleuret, NeurIPS 2019): the sum of all nodes' rescaled terms, and how far the terms are from the output.
//!
//! S = sum over sites of upsample(sum over c of rescale(|T|)). Upsampling is linear, so channels are summed before it and all sites of
//! one resolution are upsampled together.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::rescale::{self, Rescale};
use crate::error::Result;
use crate::network::kernels::upsample_add;
use crate::network::plan::{Reduced, Site, SiteId, TermSink};

/// Takes the terms of one batch.
pub struct FullGrad<'a> {
    rescale: Rescale,
    sites: &'a [Site],
    batch: usize,
    kind: Kind,
    /// Sum of each site's term, (N,) in f64, in the order in which they came.
    sums: Vec<(SiteId, Sum)>,
    /// By resolution: summed maps (N, 1, h, w).
    maps: BTreeMap<(i64, i64), Tensor>,
    /// By resolution: summed maps of reduced terms, (N, h, w) row-major.
    reduced: BTreeMap<(usize, usize), Vec<f32>>,
}

/// A term's sum for each image.
enum Sum {
    Host(Vec<f64>),
    Device(Tensor),
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

    /// The precision of terms and map: Double or Float.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The term grad * bias.
    pub fn product(&self, grad: &Tensor, bias: &Tensor) -> Result<Tensor> {
        Ok(grad.f_to_kind(self.kind)?.f_mul(&bias.f_to_kind(self.kind)?)?)
    }

    /// Counts a term for completeness.
    pub fn count(&mut self, site: SiteId, term: &Tensor) -> Result<()> {
        let axes: Vec<i64> = (1..term.dim() as i64).collect();
        self.sums.push((site, Sum::Device(term.f_sum_dim_intlist(axes.as_slice(), false, Kind::Double)?)));
        Ok(())
    }

    /// Adds psi of a tensor in the shape of a site's value to the map, where the site counts for it.
    pub fn show(&mut self, site: SiteId, tensor: &Tensor) -> Result<()> {
        let Some(layout) = self.sites[site].layout else { return Ok(()) };
        let tensor = tensor.f_to_kind(self.kind)?;
        let tensor = if layout == [0, 1, 2, 3] { tensor } else { tensor.f_permute(layout)? };
        let map = self.rescale.map(&tensor)?;
        let key = (map.size()[2], map.size()[3]);
        let sum = match self.maps.remove(&key) {
            Some(sum) => sum.f_add(&map)?,
            None => map,
        };
        self.maps.insert(key, sum);
        Ok(())
    }

    /// The map S (N, 1, H, W) at the input's size.
    pub fn map(&self, rows: i64, columns: i64) -> Result<Tensor> {
        let mut sum = Tensor::f_zeros([self.batch as i64, 1, rows, columns], (self.kind, self.device()))?;
        for map in self.maps.values() {
            sum = sum.f_add(&upsample(map, rows, columns)?)?;
        }
        if !self.reduced.is_empty() {
            let size = (rows as usize, columns as usize);
            let mut host = vec![0.0; self.batch * size.0 * size.1];
            self.reduced.iter().for_each(|(&source, maps)| upsample_add(maps, source, &mut host, size));
            sum = sum.f_add(&Tensor::f_from_slice(&host)?.f_view([self.batch as i64, 1, rows, columns])?)?;
        }
        Ok(sum)
    }

    /// The terms' sums, each (N,).
    pub fn sums(&self) -> Result<Sums> {
        let zero = || Tensor::f_zeros([self.batch as i64], (Kind::Double, self.device()));
        let mut sums = Sums { input_term: zero()?, bias_term_total: zero()?, magnitude: zero()? };
        let mut host = [0, 1, 2].map(|_| vec![0.0; self.batch]);
        for (site, sum) in &self.sums {
            match sum {
                Sum::Host(values) => {
                    let [input_term, bias_terms, magnitude] = &mut host;
                    let total = if *site == 0 { input_term } else { bias_terms };
                    total.iter_mut().zip(values).for_each(|(total, value)| *total += value);
                    magnitude.iter_mut().zip(values).for_each(|(total, value)| *total += value.abs());
                }
                Sum::Device(values) => {
                    let total = if *site == 0 { &mut sums.input_term } else { &mut sums.bias_term_total };
                    *total = total.f_add(values)?;
                    sums.magnitude = sums.magnitude.f_add(&values.f_abs()?)?;
                }
            }
        }
        if self.sums.iter().all(|(_, sum)| matches!(sum, Sum::Device(_))) {
            return Ok(sums);
        }
        for (total, host) in [&mut sums.input_term, &mut sums.bias_term_total, &mut sums.magnitude].into_iter().zip(&host) {
            *total = total.f_add(&Tensor::f_from_slice(host)?.f_to_device(total.device())?)?;
        }
        Ok(sums)
    }

    /// The sum of each site's term, (N, sites) in f64; zero where no gradient came.
    pub fn terms(&self) -> Result<Tensor> {
        let (batch, sites) = (self.batch, self.sites.len());
        let mut host = vec![0.0; batch * sites];
        for (site, sum) in &self.sums {
            if let Sum::Host(sums) = sum {
                sums.iter().enumerate().for_each(|(image, sum)| host[image * sites + site] += sum);
            }
        }
        let terms = Tensor::f_from_slice(&host)?.f_view([batch as i64, sites as i64])?.f_to_device(self.device())?;
        for (site, sum) in &self.sums {
            if let Sum::Device(sum) = sum {
                let _ = terms.f_select(1, *site as i64)?.f_add_(sum)?;
            }
        }
        Ok(terms)
    }

    fn device(&self) -> tch::Device {
        let device = |(_, sum): &(SiteId, Sum)| if let Sum::Device(sum) = sum { Some(sum.device()) } else { None };
        self.sums.iter().find_map(device).unwrap_or(tch::Device::Cpu)
    }
}

/// A map (N, 1, h, w) at this size: bilinear, corners aligned.
pub fn upsample(map: &Tensor, rows: i64, columns: i64) -> Result<Tensor> {
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
        let term = self.product(grad, bias)?;
        self.count(site, &term)?;
        self.show(site, &term)
    }

    fn reduced(&mut self, site: SiteId, terms: Reduced) -> Result<()> {
        self.sums.push((site, Sum::Host(terms.sums.clone())));
        if self.sites[site].layout.is_some() {
            let sums = self.reduced.entry(terms.size).or_insert_with(|| vec![0.0; terms.maps.len()]);
            rescale::add_reduced(&terms, sums);
        }
        Ok(())
    }
}
