//! One `[[stream]]`, from a file or a document.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::findings::Findings;
use super::model;
use super::node::Node;
use super::secrets::Vault;
use super::section::Section;
use super::tables::STREAM;
use super::{sink, source};
use crate::frame::PixelFormat;
use crate::overlay;
use crate::saliency::preprocess::Preprocessing;
use crate::saliency::{Classes, Method, Wanted};
use crate::stream::live::{Aim, Look, Settings};
use crate::video::live::{Input, OutputSettings, SinkKind, SourceSettings};

/// The layouts in which frames come while the encoder is not known: every one of H.264 takes one of them.
const FORMATS: [PixelFormat; 2] = [PixelFormat::I420, PixelFormat::Nv12];

/// What a stream's settings depend on beside its own keys.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// What can be explained.
    pub classes: Classes,
    /// What is explained where a stream does not say.
    pub usual_target: Wanted,
    /// How a frame becomes the network's input.
    pub preprocessing: Arc<Preprocessing>,
    /// The engine's methods, at least one.
    pub methods: Vec<Method>,
    /// A folder whose pipeline files go before those that are built in.
    pub pipelines: Option<PathBuf>,
    /// Whether our own RTSP server runs, or will.
    pub rtsp: bool,
    /// Where secrets are.
    pub vault: Vault,
}

/// Reads a stream. What cannot be told without the network, which `around` may lack, is left out then, and there are no settings.
pub fn read(node: &Node, at: &str, around: Result<&Surroundings, &Vault>, found: &mut Findings) -> Option<Settings> {
    let vault = around.map_or_else(|vault| vault, |around| &around.vault);
    let before = found.count();
    let section = Section::open(node, &STREAM, at, &[], vault, found)?;
    let name = section.text("name", found);
    let lossless = section.text("mode", found).is_some_and(|mode| mode == "file");
    let input = section.node("source").and_then(|node| source::read(node, &section.path("source"), lossless, vault, found));
    let sinks = section.node("sink").map(|node| sink::read(node, &section.path("sink"), name.as_deref().unwrap_or_default(), vault, found));
    let sinks = sinks.unwrap_or_default();
    let target = section.parsed("target", found, |text| text.parse::<Wanted>());
    let method = section.parsed("method", found, |text| text.parse::<Method>().map_err(|error| error.to_string()));
    let overlay = overlay(&section, found);
    let (every, max_fps) = (section.whole("every", found), section.number("max_fps", found));
    let (smooth, fade) = (section.span("smooth", found), section.span("fade", found));
    let (deadline, stall) = (section.span("deadline", found), section.span("stall", found));
    let size_px = section.size_px("size", found).map(|(width, height)| (width as usize, height as usize));
    let (encoder, bitrate_kbps) = (section.text("encoder", found), section.whole("bitrate_kbps", found));
    let key_interval = section.span("key_interval", found);
    let around = around.ok()?;
    if !around.rtsp
        && let Some(number) = sinks.iter().position(|sink| matches!(sink.kind, SinkKind::Rtsp { .. }))
    {
        let path = format!("{}[{}]", section.path("sink"), number + 1);
        found.fault(&path, "needs our own RTSP server, which was not started; put [rtsp] into the file and start anew");
    }
    let target = aim(target, section.has("target"), around).map_err(|fault| found.fault(&section.path("target"), fault)).ok();
    let method = match method {
        Some(method) if !around.methods.contains(&method) => {
            let there = around.methods.iter().map(Method::to_string).collect::<Vec<_>>().join(", ");
            let fault = format!("{method} is none of [engine].methods, {there}; put it there, which takes a new start");
            found.fault(&section.path("method"), fault);
            None
        }
        None => around.methods.first().cloned(),
        method => method,
    };
    if found.count() > before {
        return None;
    }
    Some(Settings {
        name: name?,
        source: SourceSettings { input: input?, formats: FORMATS.to_vec(), lossless, pipelines: around.pipelines.clone() },
        output: OutputSettings {
            encoder,
            bitrate_kbps: bitrate_kbps?,
            key_interval: key_interval?,
            lossless,
            sinks,
            preview: None,
            pipelines: around.pipelines.clone(),
        },
        lossless,
        deadline: deadline?,
        stall: stall?,
        size_px,
        look: Look { every: every?, max_fps, target: target?, method: method?, overlay: overlay?, smooth: smooth?, fade: fade? },
        preprocessing: Arc::clone(&around.preprocessing),
    })
}

fn overlay(section: &Section, found: &mut Findings) -> Option<overlay::Settings> {
    let (opacity, floor) = (section.number("opacity", found), section.number("floor", found));
    let colour_map = section.parsed("colour_map", found, |text| text.parse().map_err(|error: crate::error::Error| error.to_string()));
    let layout = section.parsed("layout", found, |text| text.parse().map_err(|error: crate::error::Error| error.to_string()));
    let caption = section.flag("caption", found);
    Some(overlay::Settings { colour_map: colour_map?, opacity: opacity? as f32, floor: floor? as f32, layout: layout?, caption: caption? })
}

/// What is explained. A target that was given and could not be read has its fault already.
fn aim(wanted: Option<Wanted>, given: bool, around: &Surroundings) -> Result<Aim, String> {
    let wanted = match wanted {
        Some(wanted) => wanted,
        // Its fault is told already; nothing is explained.
        None if given => Wanted::Argmax,
        None => around.usual_target.clone(),
    };
    let rule = model::rule(&wanted, &around.classes).map_err(|error| {
        let text = error.to_string();
        text.strip_prefix("target ").map(str::to_owned).unwrap_or(text)
    })?;
    Ok(Aim { text: wanted.to_string(), rule })
}

/// What two streams, or two sinks of one, cannot both have: for each clash the stream's place in `streams`, the key below it, and the fault.
pub fn clashes(streams: &[&Settings]) -> Vec<(usize, String, String)> {
    let mut taken: HashMap<String, String> = HashMap::new();
    let mut found = Vec::new();
    let mut take = |what: String, stream: usize, key: String, fault: &str| {
        let place = format!("stream.{}.{key}", streams[stream].name);
        match taken.get(&what) {
            Some(other) => found.push((stream, key, format!("{fault} {other} has it already; give another"))),
            None => {
                taken.insert(what, place);
            }
        }
    };
    for (index, stream) in streams.iter().enumerate() {
        match &stream.source.input {
            // Many may read a file, and nobody writes it then.
            Input::File(file) => {
                let writes = |sink: &SinkKind| matches!(sink, SinkKind::File(path) if clean(path) == clean(&file.path));
                if streams.iter().flat_map(|stream| &stream.output.sinks).any(|sink| writes(&sink.kind)) {
                    take(format!("file {}", clean(&file.path)), index, "source.path".to_owned(), "it is written, and");
                }
            }
            Input::Device(device) => take(
                format!("camera {}", clean(&device.path)),
                index,
                "source.device".to_owned(),
                "a camera gives its pictures to one stream only, and",
            ),
            Input::Udp(udp) => {
                take(format!("udp {}", udp.listen), index, "source.listen".to_owned(), "datagrams go to one stream only, and")
            }
            _ => {}
        }
        for (number, sink) in stream.output.sinks.iter().enumerate() {
            let key = |name: &str| format!("sink[{}].{name}", number + 1);
            match &sink.kind {
                SinkKind::Rtsp { path } => take(format!("rtsp {path}"), index, key("path"), "a path is one stream's, and"),
                SinkKind::Push(push) => take(format!("push {}", push.url), index, key("url"), "only one can push there, and"),
                SinkKind::Segments(segments) | SinkKind::Hls(segments) => {
                    take(format!("folder {}", clean(&segments.folder)), index, key("folder"), "each sink needs a folder of its own, and")
                }
                SinkKind::Device(device) => {
                    take(format!("loopback {}", clean(device)), index, key("device"), "only one can write there, and")
                }
                SinkKind::File(path) => take(format!("file {}", clean(path)), index, key("path"), "only one can write there, and"),
                SinkKind::Text(_) => {}
            }
        }
    }
    found
}

/// A path without dots and links, as far as it is there.
fn clean(path: &std::path::Path) -> String {
    let cleaned: PathBuf = path.components().collect();
    std::fs::canonicalize(&cleaned).unwrap_or(cleaned).display().to_string()
}
