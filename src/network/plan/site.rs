//! Where terms come from: the input and every node with a bias.

use tch::Tensor;

use crate::error::Result;

/// Index into the plan's sites; 0 is the input.
pub type SiteId = usize;

/// A place whose gradient times input, or gradient times bias, is a term of the decomposition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The node's name; the input's own for site 0.
    pub name: String,
    /// The operator, as "Conv"; "Input" for site 0.
    pub op: &'static str,
    /// For a value that is spatial and larger than one pixel: the axes of (N, C, H, W) in the value's own order. `None`: the term
    /// counts for completeness and not for the map.
    pub layout: Option<[i64; 4]>,
}

/// A term reduced in one pass, where only its sum and its map are wanted. T = grad * bias at a spatial site of h x w pixels.
#[derive(Debug)]
pub struct Reduced {
    /// Rows and columns.
    pub size: (usize, usize),
    /// Channels.
    pub channels: usize,
    /// Sum of T for each image, (N,).
    pub sums: Vec<f64>,
    /// Sum over channels of |T|, (N, h, w) row-major.
    pub maps: Vec<f32>,
    /// The smallest |T| of each image, (N,).
    pub smallest: Vec<f32>,
    /// The largest |T| of each image, (N,).
    pub largest: Vec<f32>,
}

/// Where a gradient is handed out as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The network's input.
    Input,
    /// A value that the plan was told to observe, by its place among them.
    Observed(usize),
}

/// Who takes the terms while the adjoint pass runs.
pub trait TermSink {
    /// A value and df/d value, both (N, ...), in the plan's precision: of the observed values, and of the input. Nothing is told of a value
    /// on which the output does not depend. The gradient's memory may be written as soon as this returns.
    fn gradient(&mut self, _point: Point, _value: &Tensor, _grad: &Tensor) -> Result<()> {
        Ok(())
    }

    /// True where [`TermSink::reduced`] is enough at spatial sites.
    fn takes_reduced(&self) -> bool;

    /// The term grad * bias of a site; the bias broadcasts to the gradient's shape.
    fn dense(&mut self, site: SiteId, grad: &Tensor, bias: &Tensor) -> Result<()>;

    /// The same, reduced.
    fn reduced(&mut self, site: SiteId, terms: Reduced) -> Result<()>;
}
