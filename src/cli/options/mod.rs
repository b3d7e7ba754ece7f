//! Options that several subcommands share, by subject, and the types their values are read into.

pub mod compute;
pub mod encoder;
pub mod fault;
pub mod look;
pub mod network;
pub mod span;
pub mod target;

pub use compute::{ComputeOptions, PoolOptions, Precision};
pub use encoder::{Audio, EncoderOptions};
pub use fault::FaultOptions;
pub use look::{Between, ColourMap, Layout, LookOptions, RhythmOptions};
pub use network::{Colour, Fit, InputSize, NetworkOptions, PerChannel};
pub use span::SpanOptions;
pub use target::{Rescale, TargetOptions};
