//! The method: from a frame to the network's view of it, and from a plan's terms to a saliency map and a completeness residual.

mod cells;
mod explain;
mod fullgrad;
mod launched;
pub mod preprocess;
mod profile;
mod resample;
mod rescale;
mod target;

pub use cells::Cells;
pub use explain::{Explainer, Explanation, Timing};
pub use fullgrad::FullGrad;
pub use launched::Launched;
pub use rescale::Rescale;
pub use target::{Selected, Target, probabilities};
