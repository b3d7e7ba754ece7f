//! What is hung onto the decoder when it is known what it decodes: upright, progressive frames of one shape.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gst::prelude::*;
use gst_video::VideoInfo;

use super::super::audio::AudioMode;
use super::super::bitstream;
use super::super::caps::{SMALL_ROWS, complete_colours, nearest_format, video_format};
use super::super::launch::{branch, find};
use super::super::streams::{Linked, choose_streams, deinterlace, discard, offer_strides};
use super::settings::SourceSettings;
use super::shape::Shape;
use super::source::Event;
use super::source_delivery::Delivery;
use super::source_inputs::{by_the_clock, is_live};
use crate::clock::Stopwatch;
use crate::error::{Error, Result};
use crate::frame::PixelFormat;

/// The tail of one pipeline, hung on when the decoder says what it has.
pub(super) struct Tail {
    settings: SourceSettings,
    text: String,
    delivery: Arc<Delivery>,
    linked: Mutex<Option<gst::Bin>>,
}

/// What the tail says on the bus, in messages of the application.
pub(super) const ENDED: &str = "gradcast-ended";
pub(super) const NO_VIDEO: &str = "gradcast-no-video";
pub(super) const UNUSABLE: &str = "gradcast-unusable";

/// Puts a message of our own on the bus; `text` is what it says beside its name.
pub(super) fn post(element: &impl IsA<gst::Element>, name: &str, text: &str) {
    let structure = gst::Structure::builder(name).field("text", text).build();
    // A bus that is flushing belongs to a pipeline that has been stopped.
    let _ = element.post_message(gst::message::Application::builder(structure).src(element.upcast_ref()).build());
}

impl Tail {
    /// Makes the decoder of `pipeline` hang it on.
    pub fn prepare(pipeline: &gst::Pipeline, settings: &SourceSettings, text: &str, delivery: &Arc<Delivery>) -> Result<Arc<Tail>> {
        let decode: gst::Element = find(pipeline, "decode")?;
        if !decode.is::<gst::Bin>() {
            return Err(Error::config("a pipeline's text has to have a decodebin or uridecodebin with name=decode"));
        }
        // Which streams are decoded is all that is wanted of it.
        choose_streams(&decode, AudioMode::Drop, &Arc::new(Mutex::new(Linked::default())));
        bitstream::prefer(&decode);
        if is_live(&settings.input) {
            decode_live(&decode);
        }
        let tail =
            Arc::new(Tail { settings: settings.clone(), text: text.to_owned(), delivery: Arc::clone(delivery), linked: Mutex::new(None) });
        let (weak_pipeline, weak_tail) = (pipeline.downgrade(), Arc::downgrade(&tail));
        decode.connect_pad_added(move |_, pad| {
            let (Some(pipeline), Some(tail)) = (weak_pipeline.upgrade(), weak_tail.upgrade()) else { return };
            if let Err(error) = tail.pad_added(&pipeline, pad) {
                post(&pipeline, UNUSABLE, &error.to_string());
            }
        });
        let (weak_pipeline, weak_tail) = (pipeline.downgrade(), Arc::downgrade(&tail));
        decode.connect_no_more_pads(move |_| {
            let (Some(pipeline), Some(tail)) = (weak_pipeline.upgrade(), weak_tail.upgrade()) else { return };
            if !tail.is_linked() {
                post(&pipeline, NO_VIDEO, "");
            }
        });
        Ok(tail)
    }

    /// Whether video has been found.
    pub fn is_linked(&self) -> bool {
        self.linked.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn pad_added(&self, pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<()> {
        let mut caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let name = caps.structure(0).map(|structure| structure.name().to_string()).unwrap_or_default();
        if name != "video/x-raw" {
            return discard(pipeline, pad);
        }
        let mut linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let sink = match &*linked {
            Some(bin) => open_end(bin),
            None => {
                if let Some(structure) = caps.make_mut().structure_mut(0) {
                    complete_colours(structure);
                }
                let decoded = VideoInfo::from_caps(&caps).map_err(|error| Error::data(format!("caps that say no size: {error}")))?;
                let bin = self.make(pipeline, &decoded)?;
                pipeline.add(&bin).and_then(|()| bin.sync_state_with_parent()).map_err(|error| Error::runtime(error.to_string()))?;
                open_end(linked.insert(bin))
            }
        };
        // Adaptive streams replace the pad when they go to another rate; a second video beside the first is not shown.
        if sink.is_linked() {
            return discard(pipeline, pad);
        }
        pad.link(&sink).map(drop).map_err(|_| Error::runtime("the video stream cannot be joined to the pipeline"))
    }

    fn make(&self, pipeline: &gst::Pipeline, decoded: &VideoInfo) -> Result<gst::Bin> {
        let format = nearest_format(decoded, &self.settings.formats)?;
        let sync = if by_the_clock(&self.settings) { "true" } else { "false" };
        let bin = branch(&self.text, &[("deinterlace", deinterlace(format)), ("sync", sync)])?;
        let layout: gst::Element = find(&bin, "layout")?;
        self.watch_caps(&sink_pad(&find(&bin, "convert")?)?, &layout, format);
        let shape: gst::Element = find(&bin, "shape")?;
        match self.delivery.shape() {
            Some(known) => shape.set_property("caps", known.caps()),
            None => self.shape_of_first(&sink_pad(&find(&bin, "fit")?)?, &shape),
        }
        let frames: gst_app::AppSink = find(&bin, "frames")?;
        offer_strides(&frames);
        self.hand_out(pipeline, &frames);
        Ok(bin)
    }

    /// The first frame that is upright and progressive says what all others are brought to. Caps alone do not: tags that turn the picture
    /// may come after them.
    fn shape_of_first(&self, pad: &gst::Pad, shape: &gst::Element) {
        let (delivery, shape) = (Arc::downgrade(&self.delivery), shape.downgrade());
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
            let video = pad.current_caps().and_then(|caps| VideoInfo::from_caps(&caps).ok());
            if let (Some(delivery), Some(element), Some(video)) = (delivery.upgrade(), shape.upgrade(), video) {
                match delivery.shape_or(&video) {
                    Ok(shape) => element.set_property("caps", shape.caps()),
                    Err(error) => post(&element, UNUSABLE, &error.to_string()),
                }
            }
            gst::PadProbeReturn::Remove
        });
    }

    /// Completes the colours of caps as they come, sets what is asked of `layout` by them, and tells of those that differ from the caps
    /// before.
    fn watch_caps(&self, pad: &gst::Pad, layout: &gst::Element, format: PixelFormat) {
        let (delivery, layout) = (Arc::downgrade(&self.delivery), layout.downgrade());
        let before: Mutex<Option<String>> = Mutex::new(None);
        bitstream::on_caps(pad, move |structure| {
            complete_colours(structure);
            let (Some(delivery), Some(layout)) = (delivery.upgrade(), layout.upgrade()) else { return };
            if let Ok(decoded) = VideoInfo::from_caps(&gst::Caps::from(structure.to_owned())) {
                layout.set_property("caps", layout_caps(&decoded, format, delivery.shape().as_deref()));
            }
            let now = described(structure);
            let before = before.lock().unwrap_or_else(PoisonError::into_inner).replace(now.clone());
            if let Some(from) = before.filter(|from| *from != now) {
                delivery.tell(Event::Changed { from, to: now });
            }
        });
    }

    fn hand_out(&self, pipeline: &gst::Pipeline, frames: &gst_app::AppSink) {
        let delivery = Arc::clone(&self.delivery);
        let (weak_on_frame, weak_on_end) = (pipeline.downgrade(), pipeline.downgrade());
        let told = AtomicBool::new(false);
        let on_frame = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            match delivery.push(&sample) {
                Ok(true) => Ok(gst::FlowSuccess::Ok),
                Ok(false) => Err(gst::FlowError::Flushing),
                Err(error) => {
                    if let Some(pipeline) = weak_on_frame.upgrade().filter(|_| !told.swap(true, Ordering::Relaxed)) {
                        post(&pipeline, UNUSABLE, &error.to_string());
                    }
                    Err(gst::FlowError::Flushing)
                }
            }
        };
        let on_end = move |_: &gst_app::AppSink| {
            if let Some(pipeline) = weak_on_end.upgrade() {
                post(&pipeline, ENDED, "");
            }
        };
        frames.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(on_frame).eos(on_end).build());
    }
}

/// How long a key frame is waited for. Some encoders make none after their first, and refresh the picture bit by bit.
const KEY_FRAME: Duration = Duration::from_secs(10);

/// Decoders of live video: they begin with a key frame, since they would make grey pictures of what comes before it, and they give each
/// frame at once. libav works on several frames at a time where it may, and gives the first when the last is begun.
fn decode_live(decode: &gst::Element) {
    let bin = decode.downcast_ref::<gst::Bin>().expect("looked at before");
    bin.connect_deep_element_added(|_, _, element| {
        let Some(factory) = element.factory() else { return };
        if factory.name().starts_with("avdec_") && element.has_property("thread-type") {
            element.set_property_from_str("thread-type", "slice");
        }
        let decodes_video = factory.has_type(gst::ElementFactoryType::DECODER | gst::ElementFactoryType::MEDIA_VIDEO);
        if let Some(pad) = element.static_pad("sink").filter(|_| decodes_video && !element.is::<gst::Bin>()) {
            let waiting = Stopwatch::start();
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| match info.buffer() {
                Some(buffer) if buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) && waiting.elapsed() < KEY_FRAME => {
                    gst::PadProbeReturn::Drop
                }
                _ => gst::PadProbeReturn::Remove,
            });
        }
    });
}

/// What the frames are turned into before they are put upright.
fn layout_caps(decoded: &VideoInfo, format: PixelFormat, shape: Option<&Shape>) -> gst::Caps {
    let caps = gst::Caps::builder("video/x-raw");
    let (from, to) = (decoded.colorimetry(), shape.map(|shape| shape.video.colorimetry()));
    if to.is_some_and(|to| from.range() != to.range() && from.matrix() == to.matrix()) && decoded.format_info().is_yuv() {
        // GStreamer 1.22 takes planes over as they are where the matrix stays, whatever the range is. By way of RGB it does not.
        return caps.field("format", "BGRx").build();
    }
    let caps = caps.field("format", video_format(format).to_str());
    if decoded.format_info().is_yuv() {
        return caps.build();
    }
    // RGB and grey have no matrix; left to itself the conversion carries that into YUV, where it means GBR.
    caps.field("colorimetry", if decoded.height() > SMALL_ROWS as u32 { "bt709" } else { "bt601" }).build()
}

fn sink_pad(element: &gst::Element) -> Result<gst::Pad> {
    element.static_pad("sink").ok_or_else(|| Error::config(format!("the element {} of a pipeline's text takes no video", element.name())))
}

fn open_end(bin: &gst::Bin) -> gst::Pad {
    bin.static_pad("sink").expect("a branch leaves one pad open")
}

/// Video caps in a few words, as "1280x720 I420".
fn described(caps: &gst::StructureRef) -> String {
    let side = |name| caps.get::<i32>(name).unwrap_or_default();
    let format = caps.get::<&str>("format").unwrap_or("of an unknown layout");
    let fields = caps.get::<&str>("interlace-mode").is_ok_and(|mode| mode != "progressive");
    format!("{}x{} {format}{}", side("width"), side("height"), if fields { ", interlaced" } else { "" })
}
