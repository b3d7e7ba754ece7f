//! `gradcast check`: what is there and what is missing.

use crate::error::{Error, Result};

/// Show what is there, and what is missing with the package that has it
///
/// GStreamer's elements, libtorch and the processor, and the networks that --model finds by name. Ends with exit code 1 when something is missing.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

const EXAMPLES: &str = "\
Examples:
  gradcast check
  gradcast check && gradcast overlay drive.mp4 -o drive.saliency.mp4";

/// Checks this machine.
pub fn run(_args: Args) -> Result<()> {
    Err(Error::runtime("check is not put together yet"))
}
