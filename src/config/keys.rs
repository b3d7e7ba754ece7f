//! What a key is: the data from which tables are read, unknown keys are refused, and docs/configuration.md is made.

use std::time::Duration;

use super::units;

/// What a value may be.
#[derive(Clone, Copy)]
pub enum Form {
    /// Any text but the empty one.
    Text,
    /// A text of letters, digits, `-` and `_`, at most 64.
    Name,
    /// A file or folder.
    Path,
    /// A file with a secret in it.
    SecretFile,
    /// true or false.
    Flag,
    /// A whole number in this range.
    Whole(i64, i64),
    /// A number in this range.
    Number(f64, f64),
    /// A time in this range, as `"20ms"`.
    Span(Duration, Duration),
    /// A number of bytes, as `"500MB"`.
    Bytes,
    /// Columns and rows, as `"1280x720"`.
    Size,
    /// An address and a port, as `"127.0.0.1:8554"`.
    Address,
    /// A URL of one of these schemes, without credentials.
    Url(&'static [&'static str]),
    /// One of these words.
    Words(fn() -> Vec<&'static str>),
    /// A list of texts.
    Texts,
    /// A text or a table, which has a section of its own.
    Source,
    /// A list of texts and tables, which have a section of their own.
    Sinks,
}

/// What holds where a key is not given.
#[derive(Clone, Copy)]
pub enum Usual {
    /// It has to be given.
    Needed,
    /// This value, as TOML writes it.
    Value(&'static str),
    /// Nothing, which means this.
    Otherwise(&'static str),
}

/// A key.
#[derive(Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value may be.
    pub form: Form,
    /// What holds where it is not given.
    pub usual: Usual,
    /// Of a plain number: what it counts. Empty for texts, which have their units in them.
    pub unit: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
}

impl Key {
    /// A key without a unit.
    pub const fn new(name: &'static str, form: Form, usual: Usual, about: &'static str) -> Self {
        Key { name, form, usual, unit: "", about }
    }

    /// The same with what its number counts.
    pub const fn counts(self, unit: &'static str) -> Self {
        Key { unit, ..self }
    }
}

/// A table of keys.
pub struct Table {
    /// As a file writes it: `[engine]`, or a kind: `rtsp`.
    pub name: &'static str,
    /// What it is for, in a sentence.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

impl Form {
    /// For the document: what a value may be.
    pub fn describe(&self) -> String {
        match self {
            Form::Text => "text".to_owned(),
            Form::Name => "name: letters, digits, `-`, `_`; at most 64".to_owned(),
            Form::Path => "path".to_owned(),
            Form::SecretFile => "path of a file with the secret".to_owned(),
            Form::Flag => "`true` or `false`".to_owned(),
            Form::Whole(least, most) => format!("whole number, {least} to {most}"),
            Form::Number(least, most) if most.is_infinite() => format!("number, {least} or more"),
            Form::Number(least, most) => format!("number, {least} to {most}"),
            Form::Span(least, most) => format!("time, {} to {}", units::span_text(*least), units::span_text(*most)),
            Form::Bytes => "size, as `\"500MB\"` or `\"2GiB\"`".to_owned(),
            Form::Size => "pixels, as `\"1280x720\"`".to_owned(),
            Form::Address => "address and port".to_owned(),
            Form::Url(schemes) => format!("URL: {}", schemes.iter().map(|scheme| format!("`{scheme}://`")).collect::<Vec<_>>().join(", ")),
            Form::Words(words) => words().iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", "),
            Form::Texts => "list of texts".to_owned(),
            Form::Source => "text or table, see [Sources](#sources)".to_owned(),
            Form::Sinks => "list of texts and tables, see [Sinks](#sinks)".to_owned(),
        }
    }
}
