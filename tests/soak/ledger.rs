//! What became of frames, as the daemon tells it when a stream ends, and why frames were dropped.

use std::collections::BTreeMap;

use serde_json::Value;

/// A stream's frames, all in all.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    pub stream: String,
    pub decoded: u64,
    pub explained: u64,
    pub held: u64,
    pub late: u64,
    pub dropped: u64,
}

/// From a line of the log.
pub fn account_of(line: &str) -> Option<Account> {
    let fields = line.split_once("stream ended")?.1;
    let field = |key: &str| fields.split_whitespace().find_map(|field| field.strip_prefix(key)?.strip_prefix('='));
    let count = |key: &str| field(key).unwrap_or_else(|| panic!("no {key} in {line}")).parse().expect("a count");
    Some(Account {
        stream: field("stream").expect("a name").trim_matches('"').to_owned(),
        decoded: count("decoded"),
        explained: count("explained"),
        held: count("held"),
        late: count("late"),
        dropped: count("dropped"),
    })
}

/// Dropped frames by stream and reason.
#[derive(Debug, Clone, Default)]
pub struct Drops(pub BTreeMap<(String, String), u64>);

impl Drops {
    pub fn add(&mut self, state: &Value) {
        let stream = state["name"].as_str().expect("a name");
        for (reason, count) in state["frames"]["dropped"].as_object().expect("reasons") {
            *self.0.entry((stream.to_owned(), reason.clone())).or_default() += count.as_u64().expect("a count");
        }
    }

    pub fn of(&self, stream: &str, reason: &str) -> u64 {
        self.0.get(&(stream.to_owned(), reason.to_owned())).copied().unwrap_or(0)
    }

    pub fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<String> = self.0.keys().map(|(_, reason)| reason.clone()).collect();
        reasons.sort();
        reasons.dedup();
        reasons
    }
}
