//! A stream's sinks: texts, or tables with a kind.

use serde_json::{Value as Json, json};

use super::document::{maybe, password, path};
use super::findings::Findings;
use super::node::{Entry, Node, Value};
use super::secrets::Vault;
use super::section::Section;
use super::source::{kind, spelled, table_of};
use super::tables::SINKS;
use super::units;
use crate::video::live::{Push, Segments, SinkKind, SinkSettings};

/// Reads a list of sinks of the stream with this name.
pub fn read(node: &Node, at: &str, stream: &str, vault: &Vault, found: &mut Findings) -> Vec<SinkSettings> {
    found.met(at, node.line);
    let Value::List(nodes) = &node.value else {
        found.fault(at, format!("is {}; give a list, or a table [[stream.sink]] for each", node.value.what()));
        return Vec::new();
    };
    let mut sinks: Vec<SinkSettings> = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        let at = format!("{at}[{}]", number + 1);
        let Some((name, kind)) = one(node, &at, stream, vault, found) else { continue };
        let taken = |name: &str| sinks.iter().any(|sink| sink.name == name);
        let name = match name {
            Some(name) => name,
            None => {
                let plain = kind.word();
                let numbered = (2..).map(|number| format!("{plain}-{number}"));
                std::iter::once(plain.to_owned()).chain(numbered).find(|name| !taken(name)).expect("numbers do not end")
            }
        };
        if taken(&name) {
            found.fault(&format!("{at}.name"), format!("{name:?} is another sink's of this stream; take another name"));
        }
        sinks.push(SinkSettings { name, kind });
    }
    sinks
}

fn one(node: &Node, at: &str, stream: &str, vault: &Vault, found: &mut Findings) -> Option<(Option<String>, SinkKind)> {
    let node = table_of(node, at, "a table with a kind, or a text", spell, found)?;
    let table = kind(&node, at, SINKS, found)?;
    let section = Section::open(&node, table, at, &["kind"], vault, found)?;
    let name = section.text("name", found);
    of_kind(table.name, &section, stream, found).map(|kind| (name, kind))
}

/// The table that a text stands for.
fn spell(text: &str, at: &str, found: &mut Findings) -> Option<Vec<Entry>> {
    match text {
        "rtsp" => Some(vec![Entry { key: "kind".to_owned(), line: None, node: Node { line: None, value: Value::Text(text.to_owned()) } }]),
        _ if text.contains("://") => Some(spelled("push", "url", text)),
        _ if text.starts_with("/dev/") => Some(spelled("v4l2", "device", text)),
        _ if text.ends_with('/') => Some(spelled("segments", "folder", text)),
        _ if text.ends_with(".mp4") => Some(spelled("file", "path", text)),
        _ => {
            found.fault(at, "is no sink; give \"rtsp\", a URL, FILE.mp4, FOLDER/, /dev/videoN, or a table with a kind");
            None
        }
    }
}

fn of_kind(kind: &str, section: &Section, stream: &str, found: &mut Findings) -> Option<SinkKind> {
    Some(match kind {
        "rtsp" => SinkKind::Rtsp { path: section.text("path", found).unwrap_or_else(|| stream.to_owned()) },
        "push" => SinkKind::Push(push(section, found)?),
        "segments" => SinkKind::Segments(segments(section, found)?),
        "hls" => SinkKind::Hls(segments(section, found)?),
        "v4l2" => SinkKind::Device(section.written("device", found)?),
        "file" => {
            let path = section.written("path", found)?;
            if path.extension().is_none_or(|ending| ending != "mp4") {
                found.fault(&section.path("path"), "does not end in .mp4, which is what is written");
            }
            SinkKind::File(path)
        }
        _ => SinkKind::Text(section.pipeline("text", found)?),
    })
}

fn push(section: &Section, found: &mut Findings) -> Option<Push> {
    let url = section.url("url", "password_file", found);
    let srt = url.as_ref().is_some_and(|url| url.starts_with("srt:"));
    // SRT has a passphrase and no users.
    let (user, password) = if srt {
        if section.has("user") {
            found.fault(&section.path("user"), "is not known to SRT; give password_file alone, with the passphrase");
        }
        (None, section.secret("password_file", found))
    } else {
        section.credentials(found)
    };
    Some(Push { url: url?, user, password })
}

fn segments(section: &Section, found: &mut Findings) -> Option<Segments> {
    let (every, keep_for) = (section.span("every", found), section.span("keep_for", found));
    let keep_bytes = section.bytes("keep_bytes", found);
    let (folder, every) = (section.written("folder", found)?, every?);
    if keep_for.is_some_and(|keep_for| keep_for < every) {
        found.fault(&section.path("keep_for"), format!("is shorter than every, {}: no file would be kept", units::span_text(every)));
    }
    Some(Segments { folder, every, keep_for, keep_bytes })
}

/// The table of a sink, with every key.
pub fn document(sink: &SinkSettings) -> Json {
    let mut document = match &sink.kind {
        SinkKind::Rtsp { path } => json!({ "path": path }),
        SinkKind::Push(push) => json!({ "url": push.url, "user": push.user, "password_file": password(&push.password) }),
        SinkKind::Segments(segments) | SinkKind::Hls(segments) => json!({
            "folder": path(&segments.folder),
            "every": units::span_text(segments.every),
            "keep_for": maybe(segments.keep_for, units::span_text),
            "keep_bytes": maybe(segments.keep_bytes, units::bytes_text),
        }),
        SinkKind::Device(device) => json!({ "device": path(device) }),
        SinkKind::File(file) => json!({ "path": path(file) }),
        SinkKind::Text(text) => json!({ "text": text }),
    };
    document["kind"] = sink.kind.word().into();
    document["name"] = sink.name.clone().into();
    document
}
