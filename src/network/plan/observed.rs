//! Values that a plan can be told to observe: spatial ones, larger than a pixel.

use std::collections::BTreeSet;

use super::compile::{layouts, site_layout};
use crate::network::structure::Network;

/// A spatial value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Its index in the network.
    pub value: usize,
    /// The name of the node that makes it.
    pub node: String,
    /// The axes of (N, C, H, W) in the value's own order.
    pub layout: [i64; 4],
}

/// The first output of each node where it is spatial and larger than a pixel, in order of execution.
pub fn spots(network: &Network) -> Vec<Spot> {
    let layouts = layouts(network);
    let spot = |value: usize, node: &str| {
        let layout = site_layout(&layouts[value], &network.values[value].shape)?;
        Some(Spot { value, node: node.to_owned(), layout })
    };
    network.steps.iter().filter_map(|step| spot(step.outputs[0], &step.name)).collect()
}

/// The last spatial value, the output aside, through which everything goes that comes behind it: a classifier's features before they
/// are pooled, a detector's before its heads part. `None` where there is no such value behind the input.
pub fn bottleneck(network: &Network) -> Option<Spot> {
    let mut last_read = vec![None; network.values.len()];
    for (index, step) in network.steps.iter().enumerate() {
        step.inputs.iter().for_each(|&value| last_read[value] = Some(index));
    }
    last_read[network.output] = Some(usize::MAX);
    let mut spots = spots(network);
    // Values that are made and still to be read, step by step.
    let mut live = BTreeSet::from([0]);
    let mut narrow = None;
    for (index, step) in network.steps.iter().enumerate() {
        live.extend(&step.outputs);
        live.retain(|&value| last_read[value].is_some_and(|last| last > index));
        if let (1, Some(&value)) = (live.len(), live.first())
            && value != network.output
            && let Some(spot) = spots.iter().position(|spot| spot.value == value)
        {
            narrow = Some(spot);
        }
    }
    narrow.map(|spot| spots.swap_remove(spot))
}
