//! The command line: one subcommand a file, its options by subject in [`options`].

pub mod bench;
pub mod check;
mod complaints;
pub mod explain;
pub mod inspect;
mod loading;
pub mod options;
pub mod overlay;
pub mod run;
mod signals;

use std::io::{self, Write};

use clap::{CommandFactory, Parser, Subcommand};

use crate::engine::Counts;
use crate::error::{Error, Result};

/// Shows what a network looks at in a video.
///
/// gradcast runs a network on pictures and lays over them how much each place counted (FullGrad saliency), together with the share of the network's answer that the explanation misses (the completeness residual).
#[derive(Debug, Parser)]
#[command(name = "gradcast", version, after_help = EXAMPLES, after_long_help = AFTER_LONG_HELP, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
#[allow(missing_docs)] // each one's help is its Args' documentation
pub enum Command {
    Overlay(Box<overlay::Args>),
    Explain(Box<explain::Args>),
    Inspect(Box<inspect::Args>),
    Bench(Box<bench::Args>),
    Check(check::Args),
    Run(run::Args),
}

const EXAMPLES: &str = "\
Examples:
  gradcast check
  gradcast overlay drive.mp4 -o drive.saliency.mp4 --caption
  gradcast explain cat.jpg -o explained/
  gradcast run --config gradcast.toml";

const AFTER_LONG_HELP: &str = "\
Examples:
  gradcast check
  gradcast overlay drive.mp4 -o drive.saliency.mp4 --caption
  gradcast explain cat.jpg -o explained/
  gradcast run --config gradcast.toml

Exit codes:
  0          done
  1          failed at run time, or the device is absent
  2          bad usage; also: the output is there and --force is not given
  65         bad input data
  66         no such input
  78         bad configuration or manifest
  130, 143   interrupted by Ctrl-C or SIGTERM, after the output was closed properly; run ends so with 0

Environment:
  GRADCAST_MODELS          folder with networks; searched before all others
  GRADCAST_LIBTORCH_CUDA   folder with libtorch_cuda.so [default: where libtorch is, else the system's]";

/// The whole command as clap sees it, for man pages, completions and tests.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Does what the command line asks for.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Overlay(args) => overlay::run(*args),
        Command::Explain(args) => explain::run(*args),
        Command::Inspect(args) => inspect::run(*args),
        Command::Bench(args) => bench::run(*args),
        Command::Check(args) => check::run(args),
        Command::Run(args) => run::run(args),
    }
}

/// Writes results to standard output. A reader that has gone away (`gradcast inspect | head`) is no fault.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::runtime("cannot write to standard output").with_source(error))
        }
        _ => Ok(()),
    }
}

/// What the engine's workers came upon, in a sentence; `None` where it is nothing.
fn told(counts: Counts) -> Option<String> {
    let times = |count: u64| if count == 1 { "once".to_owned() } else { format!("{count} times") };
    let memory = (counts.out_of_memory > 0).then(|| {
        format!("memory did not suffice {}, and batches were cut smaller: a smaller --batch spares that", times(counts.out_of_memory))
    });
    let restarts =
        (counts.restarts > 0).then(|| format!("a worker was started anew {} after a fault of its device", times(counts.restarts)));
    let all: Vec<String> = memory.into_iter().chain(restarts).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// An error as it is shown: `gradcast: MESSAGE`, then each cause on a line of its own. Of a cause only the first line is shown (libtorch's
/// go on with a C++ stack), and none that the line before already tells.
pub fn describe(error: &Error) -> String {
    let mut text = format!("gradcast: {error}");
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let full = error.to_string();
        let line = full.lines().next().unwrap_or_default();
        if !line.is_empty() && !told.contains(line) {
            text += &format!("\n  because: {line}");
            told = line.to_owned();
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn what_workers_came_upon_is_told_where_there_is_something() {
        assert_eq!(told(Counts::default()), None);
        let told = told(Counts { out_of_memory: 1, restarts: 2 }).expect("something");
        assert!(told.starts_with("memory did not suffice once, ") && told.contains("; a worker was started anew 2 times "), "{told}");
    }

    #[test]
    fn causes_stand_on_lines_of_their_own_and_only_once() {
        let inner = Error::data("no Conv weight").with_source(io::Error::other("line one\n#0 0x7f in a stack"));
        let error = Error::config("m.toml: cannot be read").with_source(inner);
        assert_eq!(describe(&error), "gradcast: m.toml: cannot be read\n  because: no Conv weight\n  because: line one");
        let same = Error::runtime("libtorch: out of memory").with_source(io::Error::other("out of memory\nstack"));
        assert_eq!(describe(&same), "gradcast: libtorch: out of memory");
    }

    #[test]
    fn every_option_has_a_help_text() {
        fn visit(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no description", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {} has no help text", command.get_name(), argument.get_id());
            }
            for subcommand in command.get_subcommands() {
                assert!(subcommand.get_after_help().is_some(), "{} has no examples", subcommand.get_name());
                visit(subcommand);
            }
        }
        visit(&command());
    }
}
