//! Writes man pages or shell completions: `cargo run --example manuals -- man DIR`, `... -- completions DIR`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap_complete::Shell;

const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Fish, Shell::Zsh];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let written = match arguments[..] {
        ["man", folder] => man_pages(Path::new(folder)),
        ["completions", folder] => completions(Path::new(folder)),
        _ => {
            eprintln!("usage: manuals man|completions DIR");
            return ExitCode::from(2);
        }
    };
    match written {
        Ok(paths) => {
            paths.iter().for_each(|path| eprintln!("{}", path.display()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("manuals: {error}");
            ExitCode::FAILURE
        }
    }
}

/// gradcast.1 and a page for each subcommand, gradcast-NAME.1.
fn man_pages(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(gradcast::cli::command().disable_help_subcommand(true), folder)?;
    listed(folder)
}

fn completions(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    SHELLS.into_iter().map(|shell| clap_complete::generate_to(shell, &mut gradcast::cli::command(), "gradcast", folder)).collect()
}

fn listed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subcommand_has_a_man_page_with_its_options_and_examples() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pages = man_pages(folder.path()).expect("man pages");
        let command = gradcast::cli::command();
        assert_eq!(pages.len(), 1 + command.get_subcommands().count());
        for subcommand in command.get_subcommands() {
            let page = folder.path().join(format!("gradcast-{}.1", subcommand.get_name()));
            let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
            assert!(text.contains("Examples:"), "{}", page.display());
            for option in subcommand.get_arguments().filter_map(|argument| argument.get_long()) {
                let written = option.replace('-', "\\-");
                assert!(text.contains(&written), "{} has no {option}", page.display());
            }
        }
    }

    #[test]
    fn completions_know_every_subcommand() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let files = completions(folder.path()).expect("completions");
        assert_eq!(files.len(), SHELLS.len());
        for file in files {
            let text = fs::read_to_string(&file).expect("a completion file");
            for subcommand in gradcast::cli::command().get_subcommands() {
                assert!(text.contains(subcommand.get_name()), "{} has no {}", file.display(), subcommand.get_name());
            }
        }
    }
}
