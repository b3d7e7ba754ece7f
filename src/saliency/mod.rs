//! The method: from a frame to the network's view of it, and from gradients to a saliency map.

pub mod preprocess;
mod resample;
