//! `gradcast inspect`: what a network is made of.

mod facts;
mod manifest;

use std::path::PathBuf;

use serde_json::json;

use super::loading::load_network;
use super::options::NetworkOptions;
use crate::error::Result;
use crate::network::ops::ONNX;
use facts::Facts;

/// Show what a network is made of
///
/// Nodes with their shapes, parameters, multiplications and terms of the explanation; what was folded or put together; the manifest. MACs are multiplications with an addition, for one picture and the forward pass. A node has a term where its bias can be other than zero; the term is in the map where the node is spatial.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[allow(missing_docs)]
    #[command(flatten)]
    pub network: NetworkOptions,

    /// Write a manifest FILE.toml beside FILE.onnx, with the options above [default: none is written].
    ///
    /// Colour, mean and standard deviation that are not given are left to fill in, and until then the manifest is refused. A network that leaves its input's size free needs --input-size.
    #[arg(long)]
    pub write_manifest: bool,

    /// The classes' names for the manifest: a text file with a name a line, in index order [default: left to fill in].
    #[arg(long, value_name = "FILE", requires = "write_manifest")]
    pub labels: Option<PathBuf>,

    /// Replace a manifest that is there already [default: refuse].
    #[arg(long, requires = "write_manifest")]
    pub force: bool,

    /// List the ONNX operators that networks may be made of, a line each; no network is read.
    #[arg(long, conflicts_with = "write_manifest")]
    pub ops: bool,

    /// Print one JSON object on standard output [default: text].
    #[arg(long, conflicts_with = "write_manifest")]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  gradcast inspect
  gradcast inspect --model resnet50.onnx --json
  gradcast inspect --ops
  gradcast inspect --model resnet50.onnx --write-manifest --colour rgb --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --labels imagenet1k.txt";

/// Shows a network, or writes a manifest for it.
pub fn run(args: Args) -> Result<()> {
    if args.ops {
        let names: Vec<&str> = ONNX.iter().map(|(name, _)| *name).collect();
        let text = if args.json { json!({ "operators": names }).to_string() } else { names.join("\n") };
        return super::print(&format!("{text}\n"));
    }
    if args.write_manifest {
        let written = manifest::write(&args)?;
        let path = written.path.display();
        return super::print(&match written.open[..] {
            [] => format!("{path}: written\n"),
            _ => format!("{path}: written; fill in {} before it is used\n", written.open.join(", ")),
        });
    }
    let loaded = load_network(&args.network, None)?;
    let facts = Facts::of(&loaded);
    super::print(&if args.json { format!("{}\n", facts.json()) } else { facts.text() })
}
