//! The `gradcast` program: reads the command line, does it, says what went wrong.

use std::process::ExitCode;

use clap::Parser;
use gradcast::cli;

fn main() -> ExitCode {
    // Bad usage ends here with exit code 2, --help and --version with 0.
    let arguments = cli::Cli::parse();
    match cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", cli::describe(&error));
            ExitCode::from(error.exit_code())
        }
    }
}
