//! The method: from a plan's terms to a saliency map and a completeness residual for each image.

mod explain;
mod fullgrad;
mod rescale;
mod target;

pub use explain::{Explainer, Explanation, Timing};
pub use fullgrad::FullGrad;
pub use rescale::Rescale;
pub use target::{Target, probabilities};
