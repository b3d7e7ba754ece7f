//! What is found in a configuration: all that is wrong and all that is doubtful, each with its place.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::error::{Error, Kind};
use crate::service::Faults;

/// What was found so far.
#[derive(Debug, Default)]
pub struct Findings {
    /// The file; `None` for a document, which has no lines.
    file: Option<PathBuf>,
    /// The line of each key that was met.
    lines: HashMap<String, usize>,
    faults: Vec<Finding>,
    warnings: Vec<Finding>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    line: Option<usize>,
    /// `stream.front.deadline`; empty for what stands outside all keys.
    key: String,
    /// What is wrong, and what to do.
    text: String,
    /// Whether the machine lacks something, and not the configuration is wrong.
    machine: bool,
}

impl Findings {
    /// Nothing yet, of a file.
    pub fn of_file(file: PathBuf) -> Self {
        Findings { file: Some(file), ..Findings::default() }
    }

    /// Nothing yet, of a document.
    pub fn of_document() -> Self {
        Findings::default()
    }

    /// Remembers where a key stands.
    pub fn met(&mut self, key: &str, line: Option<usize>) {
        if let Some(line) = line {
            self.lines.insert(key.to_owned(), line);
        }
    }

    /// The line of a key, or of what it stands in.
    fn line(&self, key: &str) -> Option<usize> {
        let mut part = key;
        loop {
            if let Some(line) = self.lines.get(part) {
                return Some(*line);
            }
            part = &part[..part.rfind(['.', '['])?];
        }
    }

    fn finding(&self, key: &str, text: String, machine: bool) -> Finding {
        Finding { line: self.line(key), key: key.to_owned(), text, machine }
    }

    /// Something is wrong with the configuration.
    pub fn fault(&mut self, key: &str, text: impl Into<String>) {
        let finding = self.finding(key, text.into(), false);
        if !self.faults.contains(&finding) {
            self.faults.push(finding);
        }
    }

    /// A fault of the file's form, at a line.
    pub fn fault_at(&mut self, line: usize, text: impl Into<String>) {
        self.faults.push(Finding { line: Some(line), key: String::new(), text: text.into(), machine: false });
    }

    /// The configuration asks for what this machine does not have.
    pub fn lack(&mut self, key: &str, text: impl Into<String>) {
        let finding = self.finding(key, text.into(), true);
        self.faults.push(finding);
    }

    /// Something that goes, but should not be so.
    pub fn warn(&mut self, key: &str, text: impl Into<String>) {
        let finding = self.finding(key, text.into(), false);
        if !self.warnings.contains(&finding) {
            self.warnings.push(finding);
        }
    }

    /// How many faults there are.
    pub fn count(&self) -> usize {
        self.faults.len()
    }

    /// The faults as lines, by their place: those of the configuration, and those of the machine.
    pub fn faults(&self) -> (Vec<String>, Vec<String>) {
        let (machine, own): (Vec<&Finding>, Vec<&Finding>) = self.faults.iter().partition(|finding| finding.machine);
        (self.told(own), self.told(machine))
    }

    /// The warnings as lines.
    pub fn warnings(&self) -> Vec<String> {
        self.told(self.warnings.iter().collect())
    }

    fn told(&self, mut findings: Vec<&Finding>) -> Vec<String> {
        findings.sort_by_key(|finding| finding.line);
        let tell = |finding: &&Finding| {
            let place = match (&self.file, finding.line) {
                (Some(file), Some(line)) => format!("{}:{line}: ", file.display()),
                (Some(file), None) => format!("{}: ", file.display()),
                (None, _) => String::new(),
            };
            let key = if finding.key.is_empty() { String::new() } else { format!("{}: ", finding.key) };
            format!("{place}{key}{}", finding.text)
        };
        findings.iter().map(tell).collect()
    }

    /// All faults, as a service refuses with them.
    pub fn into_faults(self) -> Faults {
        let (own, machine) = self.faults();
        Faults(own.into_iter().chain(machine).collect())
    }

    /// All faults as one error: of the configuration, or of the machine where only that lacks something.
    pub fn into_error(self) -> Error {
        let (own, machine) = self.faults();
        let kind = if own.is_empty() { Kind::Runtime } else { Kind::Config };
        let all: Vec<String> = own.into_iter().chain(machine).collect();
        match (&all[..], &self.file) {
            ([_, _, ..], Some(file)) => Error::new(kind, format!("{}: {} faults:\n  {}", file.display(), all.len(), all.join("\n  "))),
            _ => Error::new(kind, all.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_told_in_the_order_of_the_file() {
        let mut findings = Findings::of_file(PathBuf::from("g.toml"));
        findings.met("stream[1]", Some(7));
        findings.met("stream[1].floor", Some(9));
        findings.lack("engine.model", "no file of it");
        findings.fault("stream[1].floor", "is 2; give a number from 0 to 1");
        findings.fault("stream[1].sink[0].url", "is missing");
        findings.fault("stream[1].sink[0].url", "is missing");
        findings.fault_at(3, "unclosed table");
        findings.warn("http", "open to all");
        let (own, machine) = findings.faults();
        let lines = [
            "g.toml:3: unclosed table",
            "g.toml:7: stream[1].sink[0].url: is missing",
            "g.toml:9: stream[1].floor: is 2; give a number from 0 to 1",
        ];
        assert_eq!((own, machine), (lines.map(str::to_owned).to_vec(), vec!["g.toml: engine.model: no file of it".to_owned()]));
        assert_eq!(findings.warnings(), ["g.toml: http: open to all"]);
        let error = findings.into_error();
        assert_eq!(error.exit_code(), 78);
        assert!(error.to_string().starts_with("g.toml: 4 faults:\n  g.toml:3: unclosed table\n  g.toml:7: "), "{error}");
        let mut lacking = Findings::of_document();
        lacking.lack("a", "b");
        let error = lacking.into_error();
        assert_eq!((error.to_string(), error.exit_code()), ("a: b".to_owned(), 1));
    }
}
