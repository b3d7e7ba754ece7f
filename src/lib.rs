//! gradcast shows what a network looks at in a video, live, and says how far each explanation is off.

pub mod error;
pub mod frame;
pub mod network;
pub mod video;
