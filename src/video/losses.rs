//! What a broken bitstream cost, counted at the decoder's pads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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

/// Errors that libav's decoders logged in this process, and the last of them. A picture that they patched up is told of nowhere else, and
/// not whose it was: with several streams at once, each counts the faults of all.
static LIBAV_ERRORS: AtomicU64 = AtomicU64::new(0);
static LIBAV_LAST: Mutex<String> = Mutex::new(String::new());

/// Listens to libav's log.
pub(super) fn listen_to_libav() {
    // Nobody asked for a log on stderr. GST_DEBUG, where it is set, still writes one.
    if std::env::var_os("GST_DEBUG").is_none() {
        gst::log::remove_default_log_function();
        gst::log::set_threshold_for_name("libav", gst::DebugLevel::Error);
    }
    gst::log::add_log_function(|category, level, _, _, _, _, message| {
        if level == gst::DebugLevel::Error && category.name() == "libav" {
            let text = message.get().map(|text| text.trim().to_owned()).unwrap_or_default();
            *LIBAV_LAST.lock().unwrap_or_else(PoisonError::into_inner) = text;
            LIBAV_ERRORS.fetch_add(1, Ordering::Release);
        }
    });
}

/// Counts at the pads of the video decoder.
#[derive(Debug, Default)]
pub(super) struct DecoderCount {
    taken: AtomicU64,
    given: AtomicU64,
    corrupted: AtomicU64,
    interlaced: AtomicBool,
    /// Decoded by libav; errors that it had logged when the last frame came out.
    libav: AtomicBool,
    libav_errors: AtomicU64,
}

impl DecoderCount {
    /// Counts what goes in and out of this element.
    pub fn attach(self: &Arc<Self>, decoder: &gst::Element) {
        let is_libav = decoder.factory().is_some_and(|factory| factory.name().starts_with("avdec_"));
        self.libav.store(is_libav, Ordering::Relaxed);
        self.libav_errors.store(LIBAV_ERRORS.load(Ordering::Acquire), Ordering::Relaxed);
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
                    if buffer.flags().contains(gst::BufferFlags::CORRUPTED) || count.has_new_libav_errors() {
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

    /// Whether libav complained since the last frame. Several errors in one picture make one damaged frame.
    fn has_new_libav_errors(&self) -> bool {
        let now = LIBAV_ERRORS.load(Ordering::Acquire);
        self.libav.load(Ordering::Relaxed) && self.libav_errors.swap(now, Ordering::Relaxed) != now
    }

    /// The last thing that libav said, if it said anything of this stream.
    pub fn last_message(&self) -> Option<String> {
        let (_, corrupted) = self.losses(false);
        (self.libav.load(Ordering::Relaxed) && corrupted > 0)
            .then(|| LIBAV_LAST.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .filter(|text| !text.is_empty())
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
    if buffer.flags().contains(gst::BufferFlags::DECODE_ONLY) {
        return false;
    }
    let segment = pad.sticky_event::<gst::event::Segment>(0).map(|event| event.segment().clone());
    match (segment.as_ref().and_then(|segment| segment.downcast_ref::<gst::ClockTime>()), buffer.pts()) {
        (Some(segment), Some(pts)) => segment.clip(pts, buffer.duration().map(|duration| pts + duration).or(Some(pts))).is_some(),
        _ => true,
    }
}
