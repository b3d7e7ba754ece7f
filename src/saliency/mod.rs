//! The method: from a frame to the network's view of it, and from a plan's terms to a saliency map and a completeness residual.

mod aim;
mod cells;
mod explain;
mod fullgrad;
mod head;
mod launched;
mod method;
mod methods;
mod noise;
pub mod preprocess;
mod profile;
mod quadrature;
mod resample;
mod rescale;
mod target;
mod wanted;

pub use cells::Cells;
pub use explain::{Explainer, Explanation, Timing};
pub use fullgrad::FullGrad;
pub use head::{Head, Probability};
pub use launched::Launched;
pub use method::{Method, Sampling, Settings};
pub use rescale::Rescale;
pub use target::{Selected, Target};
pub use wanted::{Classes, Wanted};
