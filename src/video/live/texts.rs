//! The pipelines of live streams as texts: which elements each needs, and whether an operator's own ones fit.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gst::prelude::*;

use super::super::launch::{debian_package, pipeline, pipeline_text};
use super::settings::{Input, SinkKind, SourceSettings};
use crate::error::{Error, Result};
use crate::words;

macro_rules! texts {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../pipelines/", $name)))),*]
    };
}

/// Every pipeline of live streams, by the name of its file.
const TEXTS: &[(&str, &str)] = texts![
    "live_encoder.gst",
    "live_preview.gst",
    "live_sink_device.gst",
    "live_sink_file.gst",
    "live_sink_hls.gst",
    "live_sink_push_rtmp.gst",
    "live_sink_push_rtsp.gst",
    "live_sink_push_srt.gst",
    "live_sink_rtsp.gst",
    "live_sink_segments.gst",
    "live_sink_text.gst",
    "live_source_file.gst",
    "live_source_rtsp.gst",
    "live_source_srt.gst",
    "live_source_tail.gst",
    "live_source_test.gst",
    "live_source_text.gst",
    "live_source_udp.gst",
    "live_source_uri.gst",
    "live_source_v4l2.gst",
];

/// What placeholders are filled with when a text is only tried.
const TRIAL: &[(&str, &str)] = &[
    ("encoder", "identity"),
    ("text", "identity"),
    ("deinterlace", ""),
    ("live", "true"),
    ("sync", "false"),
    ("width", "320"),
    ("height", "240"),
];

/// An element that a stream needs and this machine does not have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lacking {
    /// GStreamer's name of it.
    pub element: String,
    /// The Debian and Ubuntu package that has it.
    pub package: &'static str,
}

/// Which of the elements that a source needs are not here, and how many it needs. Which decoder a camera's video wants is known only when
/// it is there; the usual ones are asked for.
///
/// # Errors
/// Kind::Config where an operator's own pipeline cannot be read.
pub fn source_lacks(settings: &SourceSettings) -> Result<(usize, Vec<Lacking>)> {
    let (name, also): (&str, &[&str]) = match &settings.input {
        Input::Rtsp(_) => ("live_source_rtsp.gst", &["rtph264depay", "rtph265depay", "h264parse", "avdec_h264", "avdec_h265"]),
        Input::Device(_) => ("live_source_v4l2.gst", &["jpegdec"]),
        Input::File(_) => ("live_source_file.gst", &["qtdemux", "matroskademux", "h264parse", "avdec_h264"]),
        Input::Uri(uri) => ("live_source_uri.gst", uri_elements(&uri.uri)),
        Input::Srt(_) => ("live_source_srt.gst", &["tsdemux", "h264parse", "avdec_h264"]),
        Input::Udp(_) => ("live_source_udp.gst", &["tsdemux", "h264parse", "avdec_h264"]),
        Input::Test(_) => ("live_source_test.gst", &[]),
        Input::Text(_) => ("live_source_text.gst", &[]),
    };
    let folder = settings.pipelines.as_deref();
    let mut needed = elements_of(&text(folder, name)?);
    needed.extend(elements_of(&text(folder, "live_source_tail.gst")?));
    if let Input::Text(own) = &settings.input {
        needed.extend(elements_of(own));
    }
    needed.extend(also.iter().map(|element| element.to_string()));
    lacking(needed)
}

/// The same for a sink, with what every output needs before it.
///
/// # Errors
/// Kind::Config where an operator's own pipeline cannot be read.
pub fn sink_lacks(sink: &SinkKind, folder: Option<&Path>) -> Result<(usize, Vec<Lacking>)> {
    let name = match sink {
        SinkKind::Rtsp { .. } => "live_sink_rtsp.gst",
        SinkKind::Push(push) => match push.url.split_once("://").map(|(scheme, _)| scheme) {
            Some("rtmp" | "rtmps") => "live_sink_push_rtmp.gst",
            Some("srt") => "live_sink_push_srt.gst",
            _ => "live_sink_push_rtsp.gst",
        },
        SinkKind::Segments(_) => "live_sink_segments.gst",
        SinkKind::Hls(_) => "live_sink_hls.gst",
        SinkKind::Device(_) => "live_sink_device.gst",
        SinkKind::File(_) => "live_sink_file.gst",
        SinkKind::Text(_) => "live_sink_text.gst",
    };
    let mut needed = BTreeSet::new();
    for name in ["live_encoder.gst", "live_preview.gst", name] {
        needed.extend(elements_of(&text(folder, name)?));
    }
    if let SinkKind::Text(own) = sink {
        needed.extend(elements_of(own));
    }
    lacking(needed)
}

/// What uridecodebin makes of a URI.
fn uri_elements(uri: &str) -> &'static [&'static str] {
    match uri.split_once("://").map(|(scheme, _)| scheme) {
        Some("rtmp" | "rtmps") => &["rtmp2src", "flvdemux", "h264parse", "avdec_h264"],
        Some("http" | "https") if uri.contains(".m3u8") => &["souphttpsrc", "hlsdemux", "tsdemux", "h264parse", "avdec_h264"],
        Some("http" | "https") => &["souphttpsrc", "h264parse", "avdec_h264"],
        _ => &["h264parse", "avdec_h264"],
    }
}

fn lacking(needed: BTreeSet<String>) -> Result<(usize, Vec<Lacking>)> {
    super::super::init()?;
    let count = needed.len();
    let absent = needed.into_iter().filter(|element| gst::ElementFactory::find(element).is_none());
    Ok((count, absent.map(|element| Lacking { package: debian_package(&element), element }).collect()))
}

fn text(folder: Option<&Path>, name: &str) -> Result<String> {
    let built_in = TEXTS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    pipeline_text(folder, name, built_in.ok_or_else(|| Error::config(format!("{name}: there is no such pipeline")))?)
}

/// The words of a text that are neither properties nor caps nor references to pads: its elements.
fn elements_of(text: &str) -> BTreeSet<String> {
    let body: String = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(" ");
    // Values in quotes may have words of their own.
    let outside: String = body.split('"').step_by(2).collect();
    let is_element = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    outside.split_whitespace().filter(is_element).map(str::to_owned).collect()
}

/// The names that the program speaks to: `name=frames`.
fn names_of(text: &str) -> impl Iterator<Item = &str> {
    let bodies = text.lines().filter(|line| !line.starts_with('#'));
    bodies.flat_map(str::split_whitespace).filter_map(|word| word.strip_prefix("name="))
}

/// Tries each pipeline file of a folder: whether its name is one that is used, whether GStreamer takes it, and whether it has the elements
/// that the program speaks to. A sentence for each file, right or wrong.
///
/// # Errors
/// Kind::Config where the folder cannot be read.
pub fn try_folder(folder: &Path) -> Result<Vec<(PathBuf, Result<(), String>)>> {
    super::super::init()?;
    let unreadable = |error| Error::config(format!("{}: this folder cannot be read", folder.display())).with_source(error);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).map_err(unreadable)?.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "gst"));
    paths.sort();
    Ok(paths.into_iter().map(|path| (path.clone(), try_file(&path))).collect())
}

fn try_file(path: &Path) -> Result<(), String> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((_, built_in)) = TEXTS.iter().find(|(known, _)| *known == name) else {
        let near = words::nearest(name, TEXTS.iter().map(|(known, _)| *known));
        return Err(near.map_or_else(
            || format!("no pipeline has this name; there are {}", TEXTS.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ")),
            |near| format!("no pipeline has this name; perhaps {near}"),
        ));
    };
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let made = pipeline(&text, TRIAL).map_err(|error| error.to_string())?;
    match names_of(built_in).find(|name| made.by_name(name).is_none()) {
        Some(name) => Err(format!("lacks the element with name={name}, which the program speaks to")),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::video::live::{RtspInput, TestInput, Transport};

    #[test]
    fn every_live_pipeline_is_known() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
        let mut there: Vec<String> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        there.retain(|name| name.starts_with("live_"));
        there.sort();
        assert_eq!(there, TEXTS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }

    #[test]
    fn elements_are_told_from_properties_and_caps() {
        let text = "# Decodes queue things.\nudpsrc name=input caps=\"video/mpegts, any word\" ! video/x-raw,width=3 !\n{text} ! tee name=t t. ! queue max-size-bytes=0";
        assert_eq!(elements_of(text).into_iter().collect::<Vec<_>>(), ["queue", "tee", "udpsrc"]);
    }

    #[test]
    fn what_sources_need_is_counted_and_what_is_not_here_is_named() {
        let url = "rtsp://c/x".to_owned();
        let rtsp = RtspInput { url, transport: Transport::Tcp, user: None, password: None, latency: std::time::Duration::ZERO };
        let settings = |input| SourceSettings { input, formats: Vec::new(), lossless: false, pipelines: None };
        let (needed, _) = source_lacks(&settings(Input::Rtsp(rtsp))).unwrap();
        assert!(needed >= 10, "{needed}");
        let test = TestInput { pattern: "ball".to_owned(), size_px: (64, 64), fps: 1 };
        assert!(source_lacks(&settings(Input::Test(test))).unwrap().0 >= 6);
        let (needed, _) = sink_lacks(&SinkKind::Device(PathBuf::from("/dev/video9")), None).unwrap();
        assert!(needed >= 6, "{needed}");
        let (_, lacks) = sink_lacks(&SinkKind::Text("h264parse ! nosuchsink".to_owned()), None).unwrap();
        assert_eq!(lacks.iter().map(|lacking| lacking.element.as_str()).collect::<Vec<_>>(), ["nosuchsink"]);
        let (_, lacks) = source_lacks(&settings(Input::Text("nosuchsrc ! avdec_nosuch".to_owned()))).unwrap();
        let lacks: Vec<(&str, &str)> = lacks.iter().map(|lacking| (lacking.element.as_str(), lacking.package)).collect();
        assert_eq!(lacks, [("avdec_nosuch", "gstreamer1.0-libav"), ("nosuchsrc", "gstreamer1.0-plugins-good")]);
    }

    #[test]
    fn pipelines_of_a_folder_are_tried() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        for (name, text) in TEXTS {
            write(name, text);
        }
        let tried = try_folder(folder.path()).unwrap();
        assert_eq!(tried.len(), TEXTS.len());
        for (path, result) in tried {
            // Where an element is not installed, that is what is said.
            assert!(result.as_ref().err().is_none_or(|fault| fault.starts_with("GStreamer has no ")), "{}: {result:?}", path.display());
        }
        write("live_source_file.gst", "filesrc name=input ! decodebin");
        write("live_source_udp.gst", "udpsrc name=input nosuch=1 ! decodebin name=decode");
        write("live_source_rstp.gst", "");
        let wrong: Vec<String> = try_folder(folder.path()).unwrap().into_iter().filter_map(|(_, result)| result.err()).collect();
        assert!(wrong.iter().any(|fault| fault.starts_with("lacks the element with name=decode")), "{wrong:?}");
        assert!(wrong.iter().any(|fault| fault.contains("nosuch")), "{wrong:?}");
        assert!(wrong.contains(&"no pipeline has this name; perhaps live_source_rtsp.gst".to_owned()), "{wrong:?}");
    }
}
