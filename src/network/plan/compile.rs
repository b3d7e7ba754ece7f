//! From a network to a plan.

use super::fused::{self, FusedConv, Second};
use super::grouping;
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
    pub(super) observed: Vec<usize>,
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
        Self::observing(network, place, &[])
    }

    /// As [`Plan::new`]; the values `observed` (see [`super::spots`]) are kept, and given to sinks with their gradients.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn observing(network: &Network, place: Place, observed: &[usize]) -> Result<Self> {
        Self::compile(network, place, reduce::fits(place), observed)
    }

    /// With or without operators run as one.
    pub(super) fn compile(network: &Network, place: Place, fuse: bool, observed: &[usize]) -> Result<Self> {
        blocks::install();
        let _no_grad = tch::no_grad_guard();
        let (sites, site_of) = sites_by_step(network);
        // Who observes a value reads it too: no stage swallows it, and nobody writes over it.
        let (mut readers, mut fleeting) = (network.readers(), vec![false; network.values.len()]);
        observed.iter().for_each(|&value| readers[value] += 1);
        let groups = if fuse { grouping::groups(network, &readers) } else { vec![None; network.steps.len()] };
        let mut steps = Vec::with_capacity(network.steps.len());
        for (index, (step, group)) in network.steps.iter().zip(&groups).enumerate() {
            let located = |error: Error| error.at(format!("node {:?}", step.name));
            let Some(group) = group else {
                let site = site_of[index];
                let reduces = fuse && site.is_some_and(|site| sites[site].layout == Some([0, 1, 2, 3]));
                let kernel = step.op.rules().kernel(place, &network.input_shapes(step)).map_err(located)?;
                let stage = Single { kernel, site, reduces };
                steps.push(compiled(Box::new(stage), &[step], step.inputs.clone(), step.outputs.clone()));
                continue;
            };
            if group.last() != index {
                continue;
            }
            let conv = &network.steps[group.conv];
            let parts: Vec<&Step> = group.steps().map(|step| &network.steps[step]).collect();
            let mut inputs = conv.inputs.clone();
            let other = group.add.and_then(|add| network.steps[add].inputs.iter().find(|value| !conv.outputs.contains(value)));
            inputs.extend(other);
            // Made by a stage that keeps nothing of it, and read here alone.
            let ends_here = |value: usize| readers[value] == 1 && fleeting[value];
            let addend = other.map(|&value| if ends_here(value) { Second::Last } else { Second::Held });
            let activation = group.activation.and_then(|next| Some((fused::bounds(&network.steps[next].op, place)?, site_of[next])));
            let Op::Conv(op) = &conv.op else { unreachable!("a group begins with a convolution") };
            let stage = FusedConv::new(op, place, network.input_shapes(conv)[0], site_of[group.conv], addend, activation);
            fleeting[step.outputs[0]] = group.activation.is_none();
            steps.push(compiled(Box::new(stage.map_err(located)?), &parts, inputs, step.outputs.clone()));
        }
        let kept = observed.iter().copied().chain([network.output]);
        find_last_reads(&mut steps, network.values.len(), kept);
        Ok(Plan {
            steps,
            sites,
            values: network.values.len(),
            output: network.output,
            observed: observed.to_vec(),
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

/// Where terms of a network come from, the input first: a plan's sites; nothing is compiled.
pub fn sites(network: &Network) -> Vec<Site> {
    sites_by_step(network).0
}

/// The sites, and each step's.
fn sites_by_step(network: &Network) -> (Vec<Site>, Vec<Option<SiteId>>) {
    let layouts = layouts(network);
    let input = Site { name: network.values[0].name.clone(), op: "Input", layout: site_layout(&layouts[0], &network.values[0].shape) };
    let mut sites = vec![input];
    let mut site_of = Vec::with_capacity(network.steps.len());
    for step in &network.steps {
        let layout = site_layout(&layouts[step.outputs[0]], &network.values[step.outputs[0]].shape);
        site_of.push(step.op.rules().has_bias().then(|| {
            sites.push(Site { name: step.name.clone(), op: step.op.rules().name(), layout });
            sites.len() - 1
        }));
    }
    (sites, site_of)
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

/// `kept` are values that nobody forgets.
fn find_last_reads(steps: &mut [Compiled], values: usize, kept: impl Iterator<Item = usize>) {
    let mut seen = vec![false; values];
    kept.for_each(|value| seen[value] = true);
    for step in steps.iter_mut().rev() {
        for &value in step.inputs.iter().chain(&step.outputs) {
            if !std::mem::replace(&mut seen[value], true) {
                step.last_reads.push(value);
            }
        }
    }
}

/// For each value, the axes of (N, C, H, W) by where they come from: `layout[i]` is what axis i is. `None` where it is not spatial.
pub(super) fn layouts(network: &Network) -> Vec<Option<[usize; 4]>> {
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
pub(super) fn site_layout(layout: &Option<[usize; 4]>, shape: &[usize]) -> Option<[i64; 4]> {
    let layout = layout.as_ref()?;
    let at = |axis: usize| layout.iter().position(|&a| a == axis).expect("a layout is a permutation");
    let axes = [at(0), at(1), at(2), at(3)];
    (shape[axes[2]] * shape[axes[3]] > 1).then(|| axes.map(|axis| axis as i64))
}
