//! Which GStreamer elements the video path needs, and which Debian package has each.

use crate::error::{Error, Result};

/// An element that the video path uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// GStreamer's name of its factory.
    pub name: &'static str,
    /// What is not to be had without it.
    pub purpose: &'static str,
    /// The Debian and Ubuntu package that has it.
    pub package: &'static str,
}

const fn element(name: &'static str, purpose: &'static str, package: &'static str) -> Element {
    Element { name, purpose, package }
}

const CORE: &str = "libgstreamer1.0-0";
const BASE: &str = "gstreamer1.0-plugins-base";
const GOOD: &str = "gstreamer1.0-plugins-good";
const BAD: &str = "gstreamer1.0-plugins-bad";
const UGLY: &str = "gstreamer1.0-plugins-ugly";
const RTSP: &str = "gstreamer1.0-rtsp";
const LIBAV: &str = "gstreamer1.0-libav";

/// Every element needed, in the order in which a picture meets them.
pub const ELEMENTS: &[Element] = &[
    element("filesrc", "reading files", CORE),
    element("uridecodebin", "reading any file or URI", BASE),
    element("qtdemux", "reading MP4 and QuickTime", GOOD),
    element("matroskademux", "reading Matroska and WebM", GOOD),
    element("avidemux", "reading AVI", GOOD),
    element("tsdemux", "reading MPEG transport streams", BAD),
    element("h264parse", "H.264", BAD),
    element("h265parse", "HEVC", BAD),
    element("vp9parse", "VP9", BAD),
    element("av1parse", "AV1", BAD),
    element("avdec_h264", "decoding H.264", LIBAV),
    element("avdec_h265", "decoding HEVC", LIBAV),
    element("vp8dec", "decoding VP8", GOOD),
    element("vp9dec", "decoding VP9", GOOD),
    element("av1dec", "decoding AV1", BAD),
    element("deinterlace", "interlaced input", GOOD),
    element("videoflip", "rotated input", GOOD),
    element("videoconvertscale", "other pixel formats, and a size that changes in mid-stream", BASE),
    element("appsink", "taking decoded frames", BASE),
    element("appsrc", "giving frames to the encoder", BASE),
    element("x264enc", "writing H.264", UGLY),
    element("vp9enc", "writing WebM", GOOD),
    element("aacparse", "AAC audio", GOOD),
    element("opusparse", "Opus audio", BAD),
    element("avenc_aac", "writing AAC", LIBAV),
    element("opusenc", "writing Opus", BASE),
    element("audioconvert", "transcoding audio", BASE),
    element("audioresample", "transcoding audio", BASE),
    element("mp4mux", "writing MP4", GOOD),
    element("matroskamux", "writing Matroska", GOOD),
    element("webmmux", "writing WebM", GOOD),
    element("filesink", "writing files", CORE),
];

/// Elements that are used where they are asked for, or where they are there.
const CHOICES: &[Element] = &[
    element("x265enc", "writing HEVC", BAD),
    element("openh264enc", "writing H.264", BAD),
    element("nvh264enc", "writing H.264 on NVIDIA's encoder", BAD),
    element("vah264enc", "writing H.264 by VA-API", BAD),
    element("v4l2h264enc", "writing H.264 on an encoder of the kernel's", GOOD),
    element("vp8enc", "writing VP8", GOOD),
    element("av1enc", "writing AV1", BAD),
    element("fdkaacenc", "writing AAC", BAD),
    element("voaacenc", "writing AAC", BAD),
    element("vorbisenc", "writing Vorbis", BASE),
    element("mpegaudioparse", "MP3 audio", GOOD),
    element("ac3parse", "AC-3 audio", GOOD),
    element("flacparse", "FLAC audio", GOOD),
    element("rtph264pay", "serving RTSP", GOOD),
    element("rtspclientsink", "pushing to RTSP servers", RTSP),
    element("flvmux", "pushing to RTMP servers", GOOD),
    element("rtmp2sink", "pushing to RTMP servers", BAD),
    element("mpegtsmux", "writing HLS, pushing by SRT", BAD),
    element("srtsink", "pushing by SRT", BAD),
    element("v4l2sink", "showing video on a loopback device", GOOD),
    element("jpegenc", "previews", GOOD),
    element("capsfilter", "every pipeline", CORE),
    element("queue", "every pipeline", CORE),
];

/// Elements of live streams alone: whoever overlays files does without them.
pub const LIVE: &[Element] = &[
    element("rtspsrc", "RTSP cameras", GOOD),
    element("rtpjitterbuffer", "RTSP cameras", GOOD),
    element("udpsrc", "RTSP and MPEG-TS over UDP", GOOD),
    element("rtph264depay", "H.264 of RTSP cameras", GOOD),
    element("rtph265depay", "HEVC of RTSP cameras", GOOD),
    element("rtpjpegdepay", "MJPEG of RTSP cameras", GOOD),
    element("jpegdec", "MJPEG of cameras", GOOD),
    element("v4l2src", "cameras at this machine", GOOD),
    element("souphttpsrc", "HTTP and HLS", GOOD),
    element("hlsdemux", "HLS", BAD),
    element("rtmp2src", "RTMP", BAD),
    element("flvdemux", "RTMP", GOOD),
    element("srtsrc", "SRT", BAD),
    element("videotestsrc", "test patterns", BASE),
    element("decodebin", "decoding whatever comes live", BASE),
];

/// The Debian and Ubuntu package that has an element; of one that this program does not name, the package that has most.
pub fn debian_package(name: &str) -> &'static str {
    match ELEMENTS.iter().chain(LIVE).chain(CHOICES).find(|element| element.name == name) {
        Some(element) => element.package,
        None if name.starts_with("avdec_") || name.starts_with("avenc_") => LIBAV,
        None => GOOD,
    }
}

/// Which elements of [`ELEMENTS`] and [`LIVE`] this machine's GStreamer has, and its version.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// As "GStreamer 1.22.0".
    pub version: String,
    /// Elements that are there.
    pub there: Vec<Element>,
    /// Elements that are not.
    pub missing: Vec<Element>,
    /// Elements of [`LIVE`] that are not there.
    pub missing_live: Vec<Element>,
}

/// Asks GStreamer's registry.
///
/// # Errors
/// Kind::Runtime where GStreamer does not start.
pub fn take() -> Result<Inventory> {
    gst::init().map_err(|error| Error::runtime("GStreamer does not start").with_source(error))?;
    let is_there = |element: &&Element| gst::ElementFactory::find(element.name).is_some();
    let (there, missing) = ELEMENTS.iter().partition(is_there);
    let missing_live = LIVE.iter().filter(|element| !is_there(element)).copied().collect();
    Ok(Inventory { version: gst::version_string().to_string(), there, missing, missing_live })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_elements_named_and_not() {
        assert_eq!(debian_package("opusparse"), "gstreamer1.0-plugins-bad");
        assert_eq!(debian_package("voaacenc"), "gstreamer1.0-plugins-bad");
        assert_eq!(debian_package("srtsrc"), "gstreamer1.0-plugins-bad");
        assert_eq!(debian_package("avdec_mpeg4"), "gstreamer1.0-libav");
        assert_eq!(debian_package("wavparse"), "gstreamer1.0-plugins-good");
    }

    #[test]
    fn names_stand_once_and_the_registry_is_asked_for_each() {
        let mut names: Vec<&str> = ELEMENTS.iter().chain(LIVE).chain(CHOICES).map(|element| element.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ELEMENTS.len() + LIVE.len() + CHOICES.len());
        let inventory = take().expect("GStreamer");
        assert!(inventory.version.starts_with("GStreamer 1."), "{}", inventory.version);
        assert_eq!(inventory.there.len() + inventory.missing.len(), ELEMENTS.len());
        assert!(inventory.there.iter().any(|element| element.name == "filesrc"), "the core's own element is always there");
    }
}
