//! The compiled plan: a flat list of forward steps, the same list backwards as adjoint steps, and the term taps between them.
//!
//! Everything that depends on the network, the device and the precision is decided when the plan is made: weights are laid out for both
//! directions, operators are fused, and it is known when a value is read for the last time. No autograd.

mod compile;
mod cpu_conv;
mod fused;
mod grouping;
mod observed;
mod phases;
mod profile;
mod reduce;
mod run;
mod site;
mod stage;
#[cfg(test)]
mod tests;

pub use compile::{Plan, TermPlace, sites, term_places};
pub use observed::{Spot, bottleneck, spots};
pub use profile::StageTime;
pub use run::Pass;
pub use site::{Point, Reduced, Site, SiteId, TermSink};
