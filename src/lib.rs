//! gradcast shows what a network looks at in a video, live, and says how far each explanation is off.

pub mod cli;
pub mod clock;
pub mod error;
pub mod frame;
pub mod network;
pub mod saliency;
pub mod video;
