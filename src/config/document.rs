//! Documents: a stream's settings as JSON with every key, and a document with some keys changed.

use std::path::Path;

use serde_json::{Map, Value as Json, json};

use super::{sink, source, units};
use crate::secret::Secret;
use crate::stream::live::Settings;

/// A value or null.
pub fn maybe<T>(value: Option<T>, text: impl Fn(T) -> String) -> Json {
    value.map_or(Json::Null, |value| Json::String(text(value)))
}

/// The file of a secret, or null; never the secret.
pub fn password(secret: &Option<Secret>) -> Json {
    maybe(secret.as_ref().and_then(Secret::file), str::to_owned)
}

/// A path as text. Paths come from texts.
pub fn path(path: &Path) -> String {
    path.display().to_string()
}

/// The digits that mean this number in 32 bits, not those of its neighbour in 64.
fn share(value: f32) -> Json {
    value.to_string().parse::<f64>().map_or(Json::Null, Json::from)
}

/// The document of a stream, with every key of `[[stream]]`.
pub fn of(settings: &Settings) -> Json {
    let (look, output) = (&settings.look, &settings.output);
    json!({
        "name": settings.name,
        "source": source::document(&settings.source.input),
        "mode": if settings.lossless { "file" } else { "live" },
        "every": look.every,
        "max_fps": look.max_fps,
        "deadline": units::span_text(settings.deadline),
        "stall": units::span_text(settings.stall),
        "size": maybe(settings.size_px, |(width, height)| units::size_text((width as u32, height as u32))),
        "target": look.target.text,
        "method": look.method.to_string(),
        "opacity": share(look.overlay.opacity),
        "colour_map": look.overlay.colour_map.name(),
        "floor": share(look.overlay.floor),
        "layout": look.overlay.layout.name(),
        "caption": look.overlay.caption,
        "smooth": units::span_text(look.smooth),
        "fade": units::span_text(look.fade),
        "encoder": output.encoder,
        "bitrate_kbps": output.bitrate_kbps,
        "key_interval": units::span_text(output.key_interval),
        "sink": output.sinks.iter().map(sink::document).collect::<Vec<_>>(),
    })
}

/// A document with some keys changed; null brings back what is usual. A source of another kind, or one given as text, replaces the old
/// one; else its keys are changed one by one. Sinks are replaced all together.
pub fn changed(current: Json, changes: &Map<String, Json>) -> Json {
    let Json::Object(mut merged) = current else { return current };
    for (key, value) in changes {
        match (merged.get_mut(key), value) {
            (Some(Json::Object(old)), Json::Object(new)) if new.get("kind").is_none_or(|kind| old.get("kind") == Some(kind)) => {
                old.extend(new.clone());
            }
            _ => {
                merged.insert(key.clone(), value.clone());
            }
        }
    }
    Json::Object(merged)
}

/// The parts of a document that could hand a secret or the machine to somebody: GStreamer texts, and whatever reads a secret's file.
pub fn powerful(document: &Json) -> Vec<(&'static str, &Json)> {
    let sinks = document.get("sink").and_then(Json::as_array).into_iter().flatten().map(|sink| ("sink", sink));
    let parts = document.get("source").map(|source| ("source", source)).into_iter().chain(sinks);
    let has_power = |part: &Json| {
        let secret = |(key, value): (&String, &Json)| key.ends_with("_file") && !value.is_null();
        part.get("kind").and_then(Json::as_str) == Some("gstreamer") || part.as_object().is_some_and(|keys| keys.iter().any(secret))
    };
    parts.filter(|(_, part)| has_power(part)).collect()
}
