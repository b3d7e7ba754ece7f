//! `gradcast bench`: how long a network takes here.

use super::options::{ComputeOptions, NetworkOptions, TargetOptions};
use crate::error::{Error, Result};

/// Measure a network on this machine
///
/// Milliseconds a frame for the forward pass alone and for the whole explanation: medians over at least 10 batches after warm-up, on random data.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Print one JSON object on standard output [default: text].
    #[arg(long)]
    pub json: bool,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub network: NetworkOptions,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub target: TargetOptions,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub compute: ComputeOptions,
}

const EXAMPLES: &str = "\
Examples:
  gradcast bench
  gradcast bench --model resnet50.onnx --batch 1 --precision bf16 --threads 2 --json";

/// Measures a network.
pub fn run(_args: Args) -> Result<()> {
    Err(Error::runtime("bench is not put together yet"))
}
