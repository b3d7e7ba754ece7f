//! From a network to a plan.

use super::fused::{self, FusedConv};
use super::reduce;
use super::site::{Site, SiteId};
use super::stage::{Single, Stage};
use crate::error::{Error, Result};
use crate::network::blocks;
use crate::network::op::{Keeps, Place, Spatial};
use crate::network::ops::Op;
use crate::network::structure::{Network, Step};

/// A stage, the values it reads and makes, and what may be forgotten after it.
pub(super) struct Compiled {
    /// The steps of the network that it runs, as "/layer1/conv (Conv) + /layer1/relu (Relu)".
    pub(super) label: String,
    pub(super) stage: Box<dyn Stage>,
    pub(super) inputs: Vec<usize>,
    pub(super) outputs: Vec<usize>,
    pub(super) keeps: Keeps,
    /// Values that no later step reads forward.
    pub(super) last_reads: Vec<usize>,
}

/// A network compiled for a device and a precision. A worker owns one; nothing in it is shared.
pub struct Plan {
    pub(super) steps: Vec<Compiled>,
    pub(super) sites: Vec<Site>,
    pub(super) values: usize,
    pub(super) output: usize,
    pub(super) place: Place,
    input_shape: Vec<usize>,
    fixed_batch: Option<usize>,
}

impl Plan {
    /// Compiles a network.
    ///
    /// # Errors
    /// Kind::Runtime from libtorch, as when the device has no memory left for the weights.
    pub fn new(network: &Network, place: Place) -> Result<Self> {
        Self::compile(network, place, reduce::fits(place))
    }

    /// With or without operators run as one.
    pub(super) fn compile(network: &Network, place: Place, fuse: bool) -> Result<Self> {
        blocks::install();
        let _no_grad = tch::no_grad_guard();
        let (layouts, readers) = (layouts(network), network.readers());
        let input = Site { name: network.values[0].name.clone(), op: "Input", layout: site_layout(&layouts[0], &network.values[0].shape) };
        let mut sites = vec![input];
        let mut steps = Vec::with_capacity(network.steps.len());
        let mut index = 0;
        while index < network.steps.len() {
            let mut site = |step: &Step| -> Option<SiteId> {
                let output = step.outputs[0];
                let layout = site_layout(&layouts[output], &network.values[output].shape);
                step.op.rules().has_bias().then(|| {
                    sites.push(Site { name: step.name.clone(), op: step.op.rules().name(), layout });
                    sites.len() - 1
                })
            };
            let step = &network.steps[index];
            let inputs = network.input_shapes(step);
            let located = |error: Error| error.at(format!("node {:?}", step.name));
            if let (Op::Conv(conv), true) = (&step.op, fuse) {
                let conv_site = site(step);
                let next = fused::partner(network, &readers, index).map(|next| &network.steps[next]);
                let activation = next.and_then(|next| Some((fused::bounds(&next.op, place)?, site(next))));
                let stage = FusedConv::new(conv, place, inputs[0], conv_site, activation).map_err(located)?;
                let run: Vec<&Step> = std::iter::once(step).chain(next).collect();
                steps.push(compiled(Box::new(stage), &run, step.inputs.clone(), next.unwrap_or(step).outputs.clone()));
                index += 1 + usize::from(next.is_some());
            } else {
                let site = site(step);
                let reduces = fuse && site.is_some_and(|site| sites[site].layout == Some([0, 1, 2, 3]));
                let stage = Single { kernel: step.op.rules().kernel(place, &inputs).map_err(located)?, site, reduces };
                steps.push(compiled(Box::new(stage), &[step], step.inputs.clone(), step.outputs.clone()));
                index += 1;
            }
        }
        find_last_reads(&mut steps, network.values.len(), network.output);
        Ok(Plan {
            steps,
            sites,
            values: network.values.len(),
            output: network.output,
            place,
            input_shape: network.input_shape().clone(),
            fixed_batch: network.fixed_batch,
        })
    }

    /// The sites, the input's first.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// Device and precision.
    pub fn place(&self) -> Place {
        self.place
    }

    /// (1, C, H, W).
    pub fn input_shape(&self) -> &[usize] {
        &self.input_shape
    }

    /// The batch size that the file fixes, if it does. The plan itself runs any.
    pub fn fixed_batch(&self) -> Option<usize> {
        self.fixed_batch
    }
}

/// What the input or a step's first output gives to the decomposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TermPlace {
    /// True where there is a term: at the input, and where the bias can be other than zero.
    pub term: bool,
    /// True where the value is spatial and larger than a pixel: its term counts for the map too.
    pub spatial: bool,
}

/// The input's place, then one a step; nothing is compiled.
pub fn term_places(network: &Network) -> Vec<TermPlace> {
    let layouts = layouts(network);
    let spatial = |value: usize| site_layout(&layouts[value], &network.values[value].shape).is_some();
    let input = TermPlace { term: true, spatial: spatial(0) };
    let steps = network.steps.iter().map(|step| TermPlace { term: step.op.rules().has_bias(), spatial: spatial(step.outputs[0]) });
    std::iter::once(input).chain(steps).collect()
}

fn compiled(stage: Box<dyn Stage>, steps: &[&Step], inputs: Vec<usize>, outputs: Vec<usize>) -> Compiled {
    let labels: Vec<String> = steps.iter().map(|step| format!("{} ({})", step.name, step.op.rules().name())).collect();
    Compiled { label: labels.join(" + "), keeps: stage.keeps(), stage, inputs, outputs, last_reads: Vec::new() }
}

fn find_last_reads(steps: &mut [Compiled], values: usize, output: usize) {
    let mut seen = vec![false; values];
    seen[output] = true;
    for step in steps.iter_mut().rev() {
        for &value in step.inputs.iter().chain(&step.outputs) {
            if !std::mem::replace(&mut seen[value], true) {
                step.last_reads.push(value);
            }
        }
    }
}

/// For each value, the axes of (N, C, H, W) by where they come from: `layout[i]` is what axis i is. `None` where it is not spatial.
fn layouts(network: &Network) -> Vec<Option<[usize; 4]>> {
    let mut layouts = vec![None; network.values.len()];
    layouts[0] = Some([0, 1, 2, 3]);
    for step in &network.steps {
        let from = step.inputs.iter().find_map(|&input| layouts[input]);
        let layout = match step.op.rules().spatial() {
            Spatial::Starts => Some([0, 1, 2, 3]),
            Spatial::Keeps => from,
            Spatial::Permutes(perm) => {
                from.filter(|_| perm.len() == 4).map(|axes: [usize; 4]| [axes[perm[0]], axes[perm[1]], axes[perm[2]], axes[perm[3]]])
            }
            Spatial::Ends => None,
        };
        for &output in &step.outputs {
            layouts[output] = layout.filter(|_| network.values[output].shape.len() == 4);
        }
    }
    layouts
}

/// Where N, C, H and W are, for a site that counts for the map: spatial, and larger than a pixel.
fn site_layout(layout: &Option<[usize; 4]>, shape: &[usize]) -> Option<[i64; 4]> {
    let layout = layout.as_ref()?;
    let at = |axis: usize| layout.iter().position(|&a| a == axis).expect("a layout is a permutation");
    let axes = [at(0), at(1), at(2), at(3)];
    (shape[axes[2]] * shape[axes[3]] > 1).then(|| axes.map(|axis| axis as i64))
}
