//! gradcast shows what a network looks at in a video, live, and says how far each explanation is off.

pub mod chart;
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
pub mod error;
pub mod frame;
pub mod network;
pub mod overlay;
pub mod process;
pub mod saliency;
pub mod secret;
pub mod service;
mod simd;
pub mod stills;
pub mod stream;
pub mod telemetry;
pub mod tensor_file;
pub mod video;
pub mod words;
