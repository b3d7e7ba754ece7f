//! Commands, options, targets and files that the documents name are there.

use std::fs;
use std::path::Path;

const DOCUMENTS: [&str; 13] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/dependencies.md",
    "docs/gpu.md",
    "docs/method.md",
    "docs/metrics.md",
    "docs/operations.md",
    "docs/operators.md",
    "models/README.md",
    "media/README.md",
    "monitoring/README.md",
];

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The lines of shell blocks, those that end in a backslash joined with the next.
fn shell_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for block in text.split("```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next()) {
        let joined = block.replace("\\\n", " ");
        lines.extend(joined.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty() && !line.starts_with('#')));
    }
    lines
}

/// What stands between single backticks outside of blocks.
fn code_spans(text: &str) -> Vec<&str> {
    let outside = text.split("```").step_by(2);
    outside.flat_map(|part| part.lines().flat_map(|line| line.split('`').skip(1).step_by(2))).collect()
}

/// A command's words; single quotes keep spaces, and `#` begins a comment.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            '#' if !quoted && words.last().is_some_and(String::is_empty) => break,
            c if c.is_whitespace() && !quoted => words.push(String::new()),
            c => words.last_mut().expect("at least one word").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn commands_are_ones_that_the_program_takes() {
    let mut tried = 0;
    for document in DOCUMENTS {
        let text = read(document);
        let spans = code_spans(&text).into_iter().map(str::to_owned);
        for command in shell_lines(&text).into_iter().chain(spans).filter(|line| line.starts_with("gradcast ")) {
            tried += 1;
            let words = words(&command);
            if let [_, subcommand] = &words[..] {
                // In prose a subcommand may stand by its name alone.
                let known = gradcast::cli::command();
                assert!(known.find_subcommand(subcommand).is_some(), "{document}: {command}");
                continue;
            }
            if let Err(error) = gradcast::cli::command().try_get_matches_from(words) {
                panic!("{document}: {command}\n{error}");
            }
        }
    }
    assert!(tried >= 15, "only {tried} commands were found; does the reader still see them?");
}

#[test]
fn options_are_ones_that_a_subcommand_has() {
    let command = gradcast::cli::command();
    let known = |option: &str| {
        let long = option.trim_start_matches("--");
        ["help", "version"].contains(&long)
            || command.get_subcommands().any(|subcommand| subcommand.get_arguments().any(|argument| argument.get_long() == Some(long)))
    };
    for document in ["README.md", "ARCHITECTURE.md", "docs/method.md"] {
        let text = read(document);
        for option in code_spans(&text).into_iter().filter(|span| span.starts_with("--")).filter_map(|span| span.split(' ').next()) {
            assert!(known(option), "{document}: `{option}` is no option of any subcommand");
        }
    }
}

#[test]
fn make_targets_are_in_the_makefile() {
    let makefile = read("Makefile");
    for document in DOCUMENTS {
        let text = read(document);
        let spans = code_spans(&text).into_iter().map(str::to_owned);
        for line in shell_lines(&text).into_iter().chain(spans) {
            if let Some(target) = line.strip_prefix("make ").and_then(|rest| rest.split_whitespace().next()) {
                assert!(makefile.contains(&format!("\n{target}:")), "{document}: make {target}");
            }
        }
    }
}

#[test]
fn links_lead_to_files() {
    for document in DOCUMENTS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
        for link in read(document).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if !link.contains("://") && !target.is_empty() {
                assert!(path.with_file_name(target).exists(), "{document}: {link}");
            }
        }
    }
}

#[test]
fn the_reader_sees_what_it_should() {
    let text = "a `gradcast check` b\n```sh\n# no\ngradcast overlay 'a b' \\\n    -o c  # yes\n```\n`--x`";
    assert_eq!(code_spans(text), ["gradcast check", "--x"]);
    let [line] = &shell_lines(text)[..] else { panic!("one line") };
    assert_eq!(words(line), ["gradcast", "overlay", "a b", "-o", "c"]);
}
