//! A stream's source: a text, or a table with a kind.

use std::borrow::Cow;

use serde_json::{Value as Json, json};

use super::document::{maybe, password, path};
use super::findings::Findings;
use super::keys::Table;
use super::node::{Entry, Node, Value};
use super::secrets::{self, Vault};
use super::section::{Section, one_of};
use super::tables::SOURCES;
use super::units;
use crate::video::live::{DeviceInput, FileInput, Input, RtspInput, SrtInput, TestInput, Transport, UdpInput, UriInput};

/// Reads a source. `lossless` is its stream's mode.
pub fn read(node: &Node, at: &str, lossless: bool, vault: &Vault, found: &mut Findings) -> Option<Input> {
    let node = table_of(node, at, "a URI, a path, or a table with a kind", spell, found)?;
    let table = kind(&node, at, SOURCES, found)?;
    let section = Section::open(&node, table, at, &["kind"], vault, found)?;
    let input = of_kind(table.name, &section, lossless, found)?;
    let waits = matches!(input, Input::File(_) | Input::Uri(_) | Input::Test(_) | Input::Text(_));
    if lossless && !waits {
        found.fault(at, "cannot wait, as mode = \"file\" wants; give a file, or mode = \"live\"");
    }
    Some(input)
}

/// The table that says a source or a sink: itself, or what `spell` makes of a text.
pub fn table_of<'a>(
    node: &'a Node,
    at: &str,
    wanted: &str,
    spell: fn(&str, &str, &mut Findings) -> Option<Vec<Entry>>,
    found: &mut Findings,
) -> Option<Cow<'a, Node>> {
    found.met(at, node.line);
    match &node.value {
        Value::Text(text) => Some(Cow::Owned(Node { line: node.line, value: Value::Table(spell(text, at, found)?) })),
        Value::Table(_) => Some(Cow::Borrowed(node)),
        other => {
            found.fault(at, format!("is {}; give {wanted}", other.what()));
            None
        }
    }
}

/// The table of the kind that a source or sink says it is.
pub fn kind(node: &Node, at: &str, tables: &'static [Table], found: &mut Findings) -> Option<&'static Table> {
    let names: Vec<&str> = tables.iter().map(|table| table.name).collect();
    let path = format!("{at}.kind");
    if let Value::Table(entries) = &node.value {
        found.met(&path, entries.iter().find(|entry| entry.key == "kind").and_then(|entry| entry.line));
    }
    match node.get("kind").map(|kind| &kind.value) {
        None => found.fault(at, format!("kind is missing: one of {}", names.join(", "))),
        Some(Value::Text(text)) => match one_of(text, &names) {
            Ok(()) => return tables.iter().find(|table| table.name == text),
            Err(fault) => found.fault(&path, fault),
        },
        Some(other) => found.fault(&path, format!("is {}; give one of {}", other.what(), names.join(", "))),
    }
    None
}

/// A kind's table with one key.
pub fn spelled(kind: &str, key: &str, text: &str) -> Vec<Entry> {
    let entry =
        |key: &str, text: &str| Entry { key: key.to_owned(), line: None, node: Node { line: None, value: Value::Text(text.to_owned()) } };
    vec![entry("kind", kind), entry(key, text)]
}

/// The table that a text stands for.
fn spell(text: &str, at: &str, found: &mut Findings) -> Option<Vec<Entry>> {
    let scheme = text.split_once("://").map(|(scheme, rest)| (scheme.to_lowercase(), rest));
    match scheme.as_ref().map(|(scheme, rest)| (scheme.as_str(), *rest)) {
        Some(("rtsp" | "rtsps", _)) => Some(spelled("rtsp", "url", text)),
        Some(("srt", _)) => Some(spelled("srt", "uri", text)),
        Some(("udp", address)) => Some(spelled("udp", "listen", address.trim_start_matches('@'))),
        Some(("file", path)) if path.starts_with('/') => Some(spelled("file", "path", path)),
        Some(_) => Some(spelled("uri", "uri", text)),
        None if text.is_empty() => {
            found.fault(at, "is empty; give a URI, a path, or a table with a kind");
            None
        }
        None if text.starts_with("/dev/") => Some(spelled("v4l2", "device", text)),
        None if !text.starts_with(['/', '.']) && secrets::has_userinfo(text) => {
            found.fault(
                at,
                format!("has no scheme, and credentials in it: {}; give a table with url, user and password_file", secrets::WHY),
            );
            None
        }
        None => Some(spelled("file", "path", text)),
    }
}

fn of_kind(kind: &str, section: &Section, lossless: bool, found: &mut Findings) -> Option<Input> {
    Some(match kind {
        "rtsp" => {
            let transport = section.text("transport", found).map(|text| match text.as_str() {
                "udp" => Transport::Udp,
                "auto" => Transport::Auto,
                _ => Transport::Tcp,
            });
            let (user, password) = section.credentials(found);
            let (url, latency) = (section.url("url", "password_file", found), section.span("latency", found));
            Input::Rtsp(RtspInput { url: url?, transport: transport?, user, password, latency: latency? })
        }
        "v4l2" => {
            let (size_px, fps) = (section.size_px("size", found), section.whole("fps", found));
            Input::Device(DeviceInput { path: section.path_of("device", found)?, size_px, fps })
        }
        "file" => {
            let (path, repeat) = (section.path_of("path", found), section.flag("repeat", found));
            let real_time = section.flag("real_time", found).unwrap_or(!lossless);
            Input::File(FileInput { path: path?, repeat: repeat?, real_time })
        }
        "uri" => {
            let (user, password) = section.credentials(found);
            Input::Uri(UriInput { uri: section.url("uri", "password_file", found)?, user, password })
        }
        "srt" => {
            let (passphrase, latency) = (section.secret("passphrase_file", found), section.span("latency", found));
            Input::Srt(SrtInput { uri: section.url("uri", "passphrase_file", found)?, passphrase, latency: latency? })
        }
        "udp" => Input::Udp(UdpInput { listen: section.address("listen", found)? }),
        "test" => {
            let (pattern, size_px) = (section.text("pattern", found), section.size_px("size", found));
            Input::Test(TestInput { pattern: pattern?, size_px: size_px?, fps: section.whole("fps", found)? })
        }
        _ => Input::Text(section.pipeline("text", found)?),
    })
}

/// The table of a source, with every key.
pub fn document(input: &Input) -> Json {
    match input {
        Input::Rtsp(rtsp) => json!({
            "kind": "rtsp",
            "url": rtsp.url,
            "transport": match rtsp.transport {
                Transport::Tcp => "tcp",
                Transport::Udp => "udp",
                Transport::Auto => "auto",
            },
            "user": rtsp.user,
            "password_file": password(&rtsp.password),
            "latency": units::span_text(rtsp.latency),
        }),
        Input::Device(device) => json!({
            "kind": "v4l2",
            "device": path(&device.path),
            "size": maybe(device.size_px, units::size_text),
            "fps": device.fps,
        }),
        Input::File(file) => json!({ "kind": "file", "path": path(&file.path), "repeat": file.repeat, "real_time": file.real_time }),
        Input::Uri(uri) => json!({ "kind": "uri", "uri": uri.uri, "user": uri.user, "password_file": password(&uri.password) }),
        Input::Srt(srt) => json!({
            "kind": "srt",
            "uri": srt.uri,
            "passphrase_file": password(&srt.passphrase),
            "latency": units::span_text(srt.latency),
        }),
        Input::Udp(udp) => json!({ "kind": "udp", "listen": udp.listen.to_string() }),
        Input::Test(test) => json!({ "kind": "test", "pattern": test.pattern, "size": units::size_text(test.size_px), "fps": test.fps }),
        Input::Text(text) => json!({ "kind": "gstreamer", "text": text }),
    }
}
