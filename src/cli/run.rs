//! `gradcast run`: the daemon.

use std::path::PathBuf;

use crate::config::{self, Opened};
use crate::error::Result;
use crate::service;
use crate::telemetry::log;

/// Run live streams until told to end
///
/// Cameras and other sources in, overlaid live streams out, with a page, metrics and an API, as FILE says; docs/configuration.md has its keys. SIGTERM and SIGINT end it after files are closed, SIGHUP reads FILE again.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The configuration, a file of TOML.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  gradcast check --config gradcast.toml && gradcast run --config gradcast.toml";

/// Runs the daemon.
pub fn run(args: Args) -> Result<()> {
    let Opened { settings, configuration, level, warnings } = config::open(&args.config)?;
    log::start(level.parse()?)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    service::run(settings, configuration)
}
