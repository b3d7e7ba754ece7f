//! The canonical cut: whatever an exporter wrote, the same network comes out as the same nodes, so that its map is the same.
//!
//! |.| is taken node by node, so a map depends on how finely the graph is cut; completeness does not.

mod added_constant;
mod batch_norm;
pub mod softmax;

use super::graph::Constant;
use super::ops::Op;
use super::structure::Network;
use crate::error::Result;

/// Rewrites the network in place.
pub fn apply(network: &mut Network) -> Result<()> {
    added_constant::merge(network);
    batch_norm::fold(network);
    Ok(())
}

/// The affine step without other readers that makes a value.
fn lone_affine(network: &Network, value: usize) -> Option<usize> {
    let maker = network.maker(value)?;
    let affine = matches!(network.steps[maker].op, Op::Conv(_) | Op::Linear(_));
    (affine && network.readers(value) == 1).then_some(maker)
}

/// The bias slot of an affine operator.
fn bias_of(op: &mut Op) -> Option<&mut Option<Constant>> {
    match op {
        Op::Conv(conv) => Some(&mut conv.bias),
        Op::Linear(linear) => Some(&mut linear.bias),
        _ => None,
    }
}
