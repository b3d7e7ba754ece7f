//! The canonical cut: whatever an exporter wrote, the same network comes out as the same nodes, so that its map is the same.
//!
//! |.| is taken node by node, so a map depends on how finely the graph is cut; completeness does not. What is left alone, since it changes
//! no term: a factor before or behind a node (what it multiplies the gradient by, it divides the bias by), a root written as a power.

mod absorb;
mod added_constant;
mod batch_norm;
pub mod softmax;
mod spelled;

use super::structure::Network;
use crate::error::Result;

/// Rewrites the network in place.
pub fn apply(network: &mut Network) -> Result<()> {
    spelled::put_together(network);
    absorb::into_affine(network, added_constant::merge);
    absorb::into_affine(network, batch_norm::fold);
    Ok(())
}
