//! The streams of an input as its pipeline finds them: which are decoded, and the branch that is hung onto each.

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use gst_video::VideoInfo;

use super::audio::{self, AudioMode, AudioTrack};
use super::bitstream;
use super::caps::{complete_colours, nearest_format, shape};
use super::launch::{branch, named};
use super::losses::DecoderCount;
use super::source::SourceSettings;
use super::watch::Running;
use crate::error::{Error, Result};
use crate::frame::PixelFormat;

/// What the pads of the demuxer and decoder brought while opening.
#[derive(Default)]
pub(super) struct Linked {
    pub frames: Option<gst_app::AppSink>,
    pub audio: Option<AudioTrack>,
    pub video_codec: Option<String>,
    pub error: Option<Error>,
}

/// Which streams are decoded: the first video, audio only to transcode, nothing else.
pub(super) fn choose_streams(input: &gst::Element, mode: AudioMode, linked: &Arc<Mutex<Linked>>) {
    let linked = Arc::downgrade(linked);
    input.connect("autoplug-continue", false, move |values| {
        let caps = values[2].get::<gst::Caps>().expect("autoplug-continue carries caps");
        let Some(structure) = caps.structure(0) else { return Some(true.to_value()) };
        let name = structure.name().as_str();
        let go_on = if name.starts_with("audio/") {
            let framed = structure.get::<bool>("framed").or_else(|_| structure.get::<bool>("parsed")).unwrap_or(false);
            let whole = framed || !matches!(name, "audio/mpeg" | "audio/x-ac3" | "audio/x-eac3" | "audio/x-dts" | "audio/x-flac");
            match mode {
                AudioMode::Copy => !whole,
                AudioMode::Transcode => true,
                AudioMode::Drop => false,
            }
        } else {
            let container = matches!(
                name,
                "video/quicktime"
                    | "video/x-matroska"
                    | "video/webm"
                    | "video/mpegts"
                    | "video/x-msvideo"
                    | "video/x-flv"
                    | "video/x-ms-asf"
                    | "video/mj2"
            );
            if (name.starts_with("video/") || name.starts_with("image/"))
                && !container
                && let Some(linked) = linked.upgrade()
            {
                let codec = audio::codec_name(&caps);
                linked.lock().unwrap_or_else(PoisonError::into_inner).video_codec.get_or_insert(codec);
            }
            !(name.starts_with("text/") || name.starts_with("subpicture/") || name.starts_with("subtitle/"))
        };
        Some(go_on.to_value())
    });
}

/// Finds the video decoder as it is plugged.
pub(super) fn count_decoder(input: &gst::Element, count: &Arc<DecoderCount>) {
    let count = Arc::clone(count);
    let bin = input.downcast_ref::<gst::Bin>().expect("uridecodebin is a bin");
    bin.connect_deep_element_added(move |_, _, element| {
        let is_decoder = element
            .factory()
            .is_some_and(|factory| factory.has_type(gst::ElementFactoryType::DECODER | gst::ElementFactoryType::MEDIA_VIDEO));
        if is_decoder && !element.is::<gst::Bin>() {
            count.attach(element);
        }
    });
}

/// Hangs a branch onto each pad as it appears.
pub(super) fn link_streams(input: &gst::Element, running: &Arc<Running>, settings: &SourceSettings, linked: &Arc<Mutex<Linked>>) {
    let (weak_running, linked) = (Arc::downgrade(running), Arc::downgrade(linked));
    let (formats, mode) = (settings.formats.clone(), settings.audio);
    input.connect_pad_added(move |_, pad| {
        let (Some(running), Some(linked)) = (weak_running.upgrade(), linked.upgrade()) else { return };
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let mut linked = linked.lock().unwrap_or_else(PoisonError::into_inner);
        let name = caps.structure(0).map(|structure| structure.name().to_string()).unwrap_or_default();
        let done = if name == "video/x-raw" && linked.frames.is_none() {
            link_video(&running, pad, &caps, &formats).map(|frames| linked.frames = Some(frames))
        } else if name.starts_with("audio/") && linked.audio.is_none() && mode != AudioMode::Drop {
            AudioTrack::link(&running, pad, caps, mode).map(|track| linked.audio = Some(track))
        } else {
            discard(&running.pipeline, pad)
        };
        if let Err(error) = done {
            linked.error.get_or_insert(error);
            running.watch.update(|state| state.ended = true);
        }
    });
}

/// What takes fields apart, where the element can: of one field, without a look at the next, since the other methods of 1.22 put in a
/// frame more and shift the rest.
pub(super) fn deinterlace(format: PixelFormat) -> &'static str {
    if format.sample_bits() == 8 { "deinterlace mode=auto fields=top method=linear !" } else { "" }
}

fn link_video(running: &Running, pad: &gst::Pad, caps: &gst::Caps, formats: &[PixelFormat]) -> Result<gst_app::AppSink> {
    let mut caps = caps.clone();
    if let Some(structure) = caps.make_mut().structure_mut(0) {
        complete_colours(structure);
    }
    let decoded = VideoInfo::from_caps(&caps).map_err(|error| Error::data(format!("caps that say no size: {error}")))?;
    let format = nearest_format(&decoded, formats)?;
    let deinterlace = deinterlace(format);
    let bin = branch(include_str!("../../pipelines/file_source_video.gst"), &[("deinterlace", deinterlace)])?;
    named::<gst::Element>(&bin, "shape").set_property("caps", shape(&decoded, format));
    let frames: gst_app::AppSink = named(&bin, "frames");
    offer_strides(&frames);
    let convert: gst::Element = named(&bin, "convert");
    bitstream::on_caps(&convert.static_pad("sink").expect("videoconvertscale has a sink pad"), complete_colours);
    let failed = |error: gst::glib::BoolError| Error::runtime(error.to_string());
    running.pipeline.add(&bin).map_err(failed)?;
    bin.sync_state_with_parent().map_err(failed)?;
    let sink = bin.static_pad("sink").expect("the video branch leaves one pad open");
    pad.link(&sink).map_err(|_| Error::runtime("the video stream cannot be joined to the pipeline"))?;
    Ok(frames)
}

/// Throws away what comes at a pad that nobody reads; left open it would end the pipeline.
pub(super) fn discard(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<()> {
    let failed = |error: gst::glib::BoolError| Error::runtime(error.to_string());
    let sink = gst::ElementFactory::make("fakesink").property("sync", false).property("async", false).build().map_err(failed)?;
    pipeline.add(&sink).map_err(failed)?;
    sink.sync_state_with_parent().map_err(failed)?;
    let _ = pad.link(&sink.static_pad("sink").expect("fakesink has a sink pad"));
    Ok(())
}

/// Tells decoders that frames are read by their own strides, which saves them a copy of each.
pub(super) fn offer_strides(frames: &gst_app::AppSink) {
    let pad = frames.static_pad("sink").expect("appsink has a sink pad");
    pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| match info.query_mut().map(gst::QueryRef::view_mut) {
        Some(gst::QueryViewMut::Allocation(query)) => {
            query.add_allocation_meta::<gst_video::VideoMeta>(None);
            gst::PadProbeReturn::Handled
        }
        _ => gst::PadProbeReturn::Ok,
    });
}
