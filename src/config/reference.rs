//! The tables of docs/configuration.md, from the keys themselves.

use std::fmt::Write;

use super::keys::{Key, Table, Usual};
use super::tables::{ENGINE, HTTP, LOG, PIPELINES, RTSP, SINKS, SOURCES, STREAM};

/// Every table with every key, as Markdown.
pub fn markdown() -> String {
    let mut text = String::new();
    for table in [&ENGINE, &HTTP, &RTSP, &PIPELINES, &LOG, &STREAM] {
        section(&mut text, "##", &format!("`{}`", table.name), table);
    }
    text += "## Sources\n\n`source` is a text, or a table with `kind` and the keys of that kind.\n\n";
    for table in SOURCES {
        section(&mut text, "###", &format!("Source `kind = \"{}\"`", table.name), table);
    }
    text +=
        "## Sinks\n\n`[[stream.sink]]` is a table with `kind` and the keys of that kind; in a list `sink = [...]` texts can stand too.\n\n";
    for table in SINKS {
        section(&mut text, "###", &format!("Sink `kind = \"{}\"`", table.name), table);
    }
    text.trim_end().to_owned() + "\n"
}

fn section(text: &mut String, level: &str, title: &str, table: &Table) {
    let rows: String = table.keys.iter().map(row).collect();
    write!(text, "{level} {title}\n\n{}\n\n| key | value | default | unit | |\n|---|---|---|---|---|\n{rows}\n", table.about)
        .expect("writing to a string cannot fail");
}

fn row(key: &Key) -> String {
    let usual = match key.usual {
        Usual::Needed => "must be given".to_owned(),
        Usual::Value(value) => format!("`{value}`"),
        Usual::Otherwise(words) => words.to_owned(),
    };
    format!("| `{}` | {} | {usual} | {} | {} |\n", key.name, key.form.describe(), key.unit, key.about)
}
