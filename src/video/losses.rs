//! What a broken bitstream cost, counted at the decoder's pads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gst::prelude::*;

/// Frames that were lost or are damaged, and what was said of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    /// Coded pictures that gave no frame. Known at the end of the file only, since a decoder holds some back.
    pub frames: u64,
    /// Frames that came out and that the decoder knows to be damaged.
    pub corrupted: u64,
    /// Errors and warnings of the pipeline that did not end it.
    pub complaints: u64,
    /// The last of them.
    pub last_message: Option<String>,
}

impl Losses {
    /// Lost and damaged frames together; a complaint that no frame accounts for counts as one.
    pub fn total(&self) -> u64 {
        (self.frames + self.corrupted).max(u64::from(self.complaints > 0))
    }
}

/// Counts at the pads of the video decoder.
#[derive(Debug, Default)]
pub(super) struct DecoderCount {
    taken: AtomicU64,
    given: AtomicU64,
    corrupted: AtomicU64,
    interlaced: AtomicBool,
}

impl DecoderCount {
    /// Counts what goes in and out of this element.
    pub fn attach(self: &Arc<Self>, decoder: &gst::Element) {
        if let Some(pad) = decoder.static_pad("sink") {
            let count = Arc::clone(self);
            let what = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_FLUSH | gst::PadProbeType::EVENT_DOWNSTREAM;
            pad.add_probe(what, move |pad, info| {
                match &info.data {
                    Some(gst::PadProbeData::Buffer(buffer)) if is_picture(pad, buffer) => {
                        count.taken.fetch_add(1, Ordering::Relaxed);
                    }
                    Some(gst::PadProbeData::Event(event)) if event.type_() == gst::EventType::FlushStop => count.reset(),
                    _ => {}
                }
                gst::PadProbeReturn::Ok
            });
        }
        if let Some(pad) = decoder.static_pad("src") {
            let count = Arc::clone(self);
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data {
                    count.given.fetch_add(1, Ordering::Relaxed);
                    if buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
                        count.corrupted.fetch_add(1, Ordering::Relaxed);
                    }
                    if buffer.flags().contains(gst::BufferFlags::from_bits_retain(gst_video::VideoBufferFlags::INTERLACED.bits())) {
                        count.interlaced.store(true, Ordering::Relaxed);
                    }
                }
                gst::PadProbeReturn::Ok
            });
        }
    }

    fn reset(&self) {
        for counter in [&self.taken, &self.given, &self.corrupted] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// (lost, damaged). Lost is counted once the decoder has given all that it had. Of interlaced video it is not known: one or two coded
    /// pictures make a frame.
    pub fn losses(&self, ended: bool) -> (u64, u64) {
        let (taken, given) = (self.taken.load(Ordering::Relaxed), self.given.load(Ordering::Relaxed));
        let countable = ended && !self.interlaced.load(Ordering::Relaxed);
        (if countable { taken.saturating_sub(given) } else { 0 }, self.corrupted.load(Ordering::Relaxed))
    }
}

/// A coded picture that is to be shown, inside the part of the file that is asked for. What comes before it after a seek is decoded and
/// not shown.
fn is_picture(pad: &gst::Pad, buffer: &gst::Buffer) -> bool {
    if buffer.flags().intersects(gst::BufferFlags::DECODE_ONLY | gst::BufferFlags::HEADER)
        && buffer.flags().contains(gst::BufferFlags::DECODE_ONLY)
    {
        return false;
    }
    let segment = pad.sticky_event::<gst::event::Segment>(0).map(|event| event.segment().clone());
    match (segment.as_ref().and_then(|segment| segment.downcast_ref::<gst::ClockTime>()), buffer.pts()) {
        (Some(segment), Some(pts)) => segment.clip(pts, buffer.duration().map(|duration| pts + duration).or(Some(pts))).is_some(),
        _ => true,
    }
}
