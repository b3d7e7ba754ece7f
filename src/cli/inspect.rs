//! `gradcast inspect`: what a network is made of.

use super::options::NetworkOptions;
use crate::error::{Error, Result};

/// Show what a network is made of
///
/// Nodes with their shapes, the terms of the explanation, multiplications, parameters, and what was folded or put together.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[allow(missing_docs)]
    #[command(flatten)]
    pub network: NetworkOptions,

    /// Write a manifest FILE.toml beside FILE.onnx, with the options above, to fill in [default: none is written].
    #[arg(long)]
    pub write_manifest: bool,

    /// Replace a manifest that is there already [default: refuse].
    #[arg(long, requires = "write_manifest")]
    pub force: bool,

    /// Print one JSON object on standard output [default: a table].
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  gradcast inspect
  gradcast inspect --model resnet50.onnx
  gradcast inspect --model resnet50.onnx --write-manifest --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225";

/// Shows a network, or writes a manifest for it.
pub fn run(_args: Args) -> Result<()> {
    Err(Error::runtime("inspect is not put together yet"))
}
