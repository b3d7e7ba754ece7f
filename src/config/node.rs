//! What was written, as plain data with the line of each value: the same for a TOML file and for a JSON document.

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Counted from 1; `None` where there are no lines.
    pub line: Option<usize>,
    /// What it is.
    pub value: Value,
}

/// See [`Node::value`].
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Whole(i64),
    /// Another number.
    Number(f64),
    /// true or false.
    Flag(bool),
    /// Values in their order.
    List(Vec<Node>),
    /// Values by their keys.
    Table(Vec<Entry>),
    /// JSON's null: as if the key were not there.
    Null,
    /// A date or time, or a whole number beyond 64 bits: nothing here takes one.
    Other(&'static str),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub line: Option<usize>,
    /// Its value.
    pub node: Node,
}

impl Value {
    /// What it is, for messages: "a text".
    pub fn what(&self) -> &'static str {
        match self {
            Value::Text(_) => "a text",
            Value::Whole(_) => "a whole number",
            Value::Number(_) => "a number",
            Value::Flag(_) => "true or false",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Null => "null",
            Value::Other(what) => what,
        }
    }
}

impl Node {
    /// The value of a key, where this is a table that has it, and it is not null.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node).filter(|node| !node.is_null()),
            _ => None,
        }
    }

    /// True for JSON's null.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// The text, where it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A document.
    pub fn of_json(json: &Json) -> Node {
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Flag(*flag),
            Json::String(text) => Value::Text(text.clone()),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Value::Whole(whole),
                (None, Some(number)) if number.is_finite() => Value::Number(number),
                _ => Value::Other("a number too large"),
            },
            Json::Array(values) => Value::List(values.iter().map(Node::of_json).collect()),
            Json::Object(entries) => Value::Table(
                entries.iter().map(|(key, value)| Entry { key: key.clone(), line: None, node: Node::of_json(value) }).collect(),
            ),
        };
        Node { line: None, value }
    }

    /// One value as TOML writes it: `"20ms"`, `8`, `true`.
    pub fn of_toml_value(text: &str) -> Option<Node> {
        DeValue::parse(text).ok().map(|value| Lines(text).node(&value))
    }
}

/// A TOML file: what could be read of it, and each fault of its form with its line.
pub fn of_toml(text: &str) -> (Node, Vec<(usize, String)>) {
    let lines = Lines(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let told = errors.iter().map(|error| {
        let line = error.span().map_or(1, |span| lines.line(span.start));
        (line, error.message().trim().replace('\n', "; "))
    });
    let mut faults: Vec<(usize, String)> = told.collect();
    faults.sort();
    // What follows on a line that is broken already says nothing new.
    faults.dedup_by_key(|(line, _)| *line);
    (Node { line: Some(1), value: lines.table(table.get_ref()) }, faults)
}

struct Lines<'a>(&'a str);

impl Lines<'_> {
    /// The line of a byte, counted from 1.
    fn line(&self, at: usize) -> usize {
        self.0.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let line = Some(self.line(value.span().start));
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Other("a number too large"), Value::Whole)
            }
            DeValue::Float(number) => number.as_str().parse().map_or(Value::Other("no number"), Value::Number),
            DeValue::Datetime(_) => Value::Other("a date or time"),
            DeValue::Array(values) => Value::List(values.iter().map(|value| self.node(value)).collect()),
            DeValue::Table(table) => self.table(table),
        };
        Node { line, value }
    }

    /// In the order of the file.
    fn table(&self, table: &DeTable<'_>) -> Value {
        let mut entries: Vec<(usize, Entry)> = table
            .iter()
            .map(|(key, value)| {
                let at = key.span().start;
                (at, Entry { key: key.get_ref().to_string(), line: Some(self.line(at)), node: self.node(value) })
            })
            .collect();
        entries.sort_by_key(|(at, _)| *at);
        Value::Table(entries.into_iter().map(|(_, entry)| entry).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_file() {
        let (node, faults) =
            of_toml("# a comment\n[http]\nlisten = \"x\"\n\n[[stream]]\nname = \"a\"\nevery = 0x10\n[[stream]]\nfloor = 1_0.5\n");
        assert_eq!(faults, []);
        let listen = node.get("http").and_then(|http| http.get("listen")).expect("a value");
        assert_eq!((listen.line, listen.text()), (Some(3), Some("x")));
        let Some(Value::List(streams)) = node.get("stream").map(|node| &node.value) else { panic!("{node:?}") };
        assert_eq!(streams[0].get("every"), Some(&Node { line: Some(7), value: Value::Whole(16) }));
        assert_eq!(streams[1].get("floor"), Some(&Node { line: Some(9), value: Value::Number(10.5) }));
        assert_eq!(streams.iter().map(|stream| stream.line).collect::<Vec<_>>(), [Some(5), Some(8)]);
    }

    #[test]
    fn every_fault_of_form_is_found_and_says_nothing_of_values() {
        let (node, faults) = of_toml("a = hunter2\nb = \"x\"\nc = = 3\nb = 'hunter2'\n");
        assert_eq!(faults.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3, 4], "{faults:?}");
        assert!(!format!("{faults:?}").contains("hunter2"), "{faults:?}");
        assert_eq!(node.get("b").and_then(Node::text), Some("x"));
    }

    #[test]
    fn a_document_s_null_is_a_key_that_is_not_there() {
        let node = Node::of_json(&serde_json::json!({ "a": null, "b": 1.0, "c": 2, "d": ["x"] }));
        assert_eq!((node.get("a"), node.get("b").map(|b| &b.value)), (None, Some(&Value::Number(1.0))));
        assert_eq!(node.get("c").map(|c| &c.value), Some(&Value::Whole(2)));
    }
}
