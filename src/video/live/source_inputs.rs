//! The pipelines of each kind of source: their texts, and what is set on their elements as properties.

use gst::prelude::*;

use super::super::launch::{find, pipeline, pipeline_text, require};
use super::settings::{DeviceInput, FileInput, Input, RtspInput, SourceSettings, SrtInput, TestInput, Transport, UdpInput, UriInput};
use super::source_faults::taken_apart;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// A pipeline text of `pipelines/` by its name.
macro_rules! text {
    ($settings:expr, $name:literal) => {
        pipeline_text($settings.pipelines.as_deref(), $name, include_str!(concat!("../../../pipelines/", $name)))
    };
}

/// A pipeline of the source, not yet running: frames come at the pads of its element `decode`.
pub(super) fn build(settings: &SourceSettings) -> Result<gst::Pipeline> {
    match &settings.input {
        Input::Rtsp(input) => rtsp(settings, input),
        Input::Device(input) => device(settings, input),
        Input::File(input) => file(settings, input),
        Input::Uri(input) => uri(settings, input),
        Input::Srt(input) => srt(settings, input),
        Input::Udp(input) => udp(settings, input),
        Input::Test(input) => test(settings, input),
        Input::Text(text) => pipeline(&text!(settings, "live_source_text.gst")?, &[("text", text.trim().trim_end_matches('!'))]),
    }
}

/// The text of the part behind the decoder.
pub(super) fn tail_text(settings: &SourceSettings) -> Result<String> {
    text!(settings, "live_source_tail.gst")
}

/// Whether the clock says when frames are handed out. Cameras and live servers keep time themselves; a file that is read in real time does
/// not, nor do adaptive streams, which come in pieces of some seconds.
pub(super) fn by_the_clock(settings: &SourceSettings) -> bool {
    match &settings.input {
        Input::File(file) => file.real_time,
        Input::Uri(_) => !settings.lossless,
        _ => false,
    }
}

/// Whether video is decoded as it is made. Then a decoder must not hold frames back to work on several at once.
pub(super) fn is_live(input: &Input) -> bool {
    !matches!(input, Input::File(_) | Input::Uri(_))
}

fn rtsp(settings: &SourceSettings, input: &RtspInput) -> Result<gst::Pipeline> {
    let (url, user, password) = taken_apart(&input.url, input.user.as_deref(), input.password.as_ref())?;
    let pipeline = pipeline(&text!(settings, "live_source_rtsp.gst")?, &[])?;
    let source: gst::Element = find(&pipeline, "input")?;
    source.set_property("location", &url);
    set_credentials(&source, user.as_deref(), password.as_ref());
    source.set_property_from_str(
        "protocols",
        match input.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp+udp-mcast",
            Transport::Auto => "tcp+udp+udp-mcast",
        },
    );
    source.set_property("latency", input.latency.as_millis().min(u128::from(u32::MAX)) as u32);
    source.set_property("drop-on-latency", !settings.lossless);
    let chosen = std::sync::atomic::AtomicBool::new(false);
    source.connect("select-stream", false, move |values| {
        let caps = values[2].get::<gst::Caps>().expect("select-stream carries caps");
        let is_video = caps.structure(0).and_then(|structure| structure.get::<&str>("media").ok()) == Some("video");
        Some((is_video && !chosen.swap(true, std::sync::atomic::Ordering::Relaxed)).to_value())
    });
    Ok(pipeline)
}

fn device(settings: &SourceSettings, input: &DeviceInput) -> Result<gst::Pipeline> {
    let pipeline = pipeline(&text!(settings, "live_source_v4l2.gst")?, &[])?;
    let source: gst::Element = find(&pipeline, "input")?;
    let path = input.path.to_str().ok_or_else(|| Error::config(format!("{}: no device has such a name", input.path.display())))?;
    source.set_property("device", path);
    let mut caps = gst::Caps::new_empty();
    for media in ["video/x-raw", "image/jpeg", "video/x-h264"] {
        let mut asked = gst::Structure::new_empty(media);
        if let Some((width_px, height_px)) = input.size_px {
            asked.set("width", width_px as i32);
            asked.set("height", height_px as i32);
        }
        if let Some(fps) = input.fps {
            asked.set("framerate", gst::Fraction::new(fps as i32, 1));
        }
        caps.make_mut().append_structure(asked);
    }
    find::<gst::Element>(&pipeline, "asked")?.set_property("caps", caps);
    Ok(pipeline)
}

fn file(settings: &SourceSettings, input: &FileInput) -> Result<gst::Pipeline> {
    let pipeline = pipeline(&text!(settings, "live_source_file.gst")?, &[])?;
    let path = input.path.to_str().ok_or_else(|| Error::config(format!("{}: give the file a name in UTF-8", input.path.display())))?;
    find::<gst::Element>(&pipeline, "input")?.set_property("location", path);
    Ok(pipeline)
}

fn uri(settings: &SourceSettings, input: &UriInput) -> Result<gst::Pipeline> {
    let (uri, user, password) = taken_apart(&input.uri, input.user.as_deref(), input.password.as_ref())?;
    let pipeline = pipeline(&text!(settings, "live_source_uri.gst")?, &[])?;
    let decode: gst::Element = find(&pipeline, "decode")?;
    decode.set_property("uri", &uri);
    // Adaptive streams make further sources for their pieces, which the server asks for credentials too.
    let bin = decode.downcast_ref::<gst::Bin>().ok_or_else(|| Error::config("live_source_uri.gst: `decode` has to be a uridecodebin"))?;
    bin.connect_deep_element_added(move |_, _, element| {
        if element.factory().is_some_and(|factory| factory.has_type(gst::ElementFactoryType::SRC)) {
            set_credentials(element, user.as_deref(), password.as_ref());
        }
    });
    Ok(pipeline)
}

/// As properties, by whatever names the element has for them: a URL would show them to everybody.
fn set_credentials(element: &gst::Element, user: Option<&str>, password: Option<&Secret>) {
    for (user_property, password_property) in [("user-id", "user-pw"), ("username", "password")] {
        if element.has_property(user_property) && element.has_property(password_property) {
            if let Some(user) = user {
                element.set_property(user_property, user);
            }
            if let Some(password) = password {
                element.set_property(password_property, password.reveal());
            }
        }
    }
}

fn srt(settings: &SourceSettings, input: &SrtInput) -> Result<gst::Pipeline> {
    let pipeline = pipeline(&text!(settings, "live_source_srt.gst")?, &[])?;
    let source: gst::Element = find(&pipeline, "input")?;
    source.set_property("uri", &input.uri);
    source.set_property("latency", input.latency.as_millis().min(i32::MAX as u128) as i32);
    if let Some(passphrase) = &input.passphrase {
        source.set_property("passphrase", passphrase.reveal());
    }
    Ok(pipeline)
}

fn udp(settings: &SourceSettings, input: &UdpInput) -> Result<gst::Pipeline> {
    let pipeline = pipeline(&text!(settings, "live_source_udp.gst")?, &[])?;
    let source: gst::Element = find(&pipeline, "input")?;
    source.set_property("address", input.listen.ip().to_string());
    source.set_property("port", i32::from(input.listen.port()));
    Ok(pipeline)
}

fn test(settings: &SourceSettings, input: &TestInput) -> Result<gst::Pipeline> {
    require("videotestsrc")?;
    let live = if settings.lossless { "false" } else { "true" };
    let pipeline = pipeline(&text!(settings, "live_source_test.gst")?, &[("live", live)])?;
    let source: gst::Element = find(&pipeline, "input")?;
    let patterns = source.find_property("pattern").map(|pattern| pattern.value_type());
    let pattern = patterns.and_then(gst::glib::EnumClass::with_type).and_then(|class| class.to_value_by_nick(&input.pattern));
    let pattern = pattern.ok_or_else(|| {
        Error::config(format!(
            "there is no test pattern {}; smpte, ball and snow are some; `gst-inspect-1.0 videotestsrc` lists all",
            input.pattern
        ))
    })?;
    source.set_property_from_value("pattern", &pattern);
    let (width_px, height_px) = input.size_px;
    // Left to itself the element takes the first layout of its list, which has to be converted.
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", width_px as i32)
        .field("height", height_px as i32)
        .field("framerate", gst::Fraction::new(input.fps as i32, 1))
        .build();
    find::<gst::Element>(&pipeline, "asked")?.set_property("caps", caps);
    Ok(pipeline)
}
