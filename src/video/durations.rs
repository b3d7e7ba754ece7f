//! How long each frame is shown, on its way from the encoder to the muxer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

use super::launch::named;
use super::watch::Running;

/// Counts what is encoded, and carries durations past the parser, which replaces them by a guess from the frame rate: nothing, where the
/// rate varies. `sums_decoding_times`: see [`Container`](super::container::Container).
pub(super) fn keep(running: &Running, sums_decoding_times: bool) {
    let kept: Arc<Mutex<HashMap<gst::ClockTime, gst::ClockTime>>> = Arc::default();
    let pad = |element: &str, pad: &str| {
        named::<gst::Element>(&running.pipeline, element).static_pad(pad).expect("encoders and parsers have one pad a side")
    };
    let from = Arc::clone(&kept);
    let watch = Arc::clone(&running.watch);
    pad("encoder", "src").add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        watch.update(|state| state.encoded += 1);
        if let Some((pts, duration)) = info.buffer().and_then(|buffer| buffer.pts().zip(buffer.duration())) {
            from.lock().unwrap_or_else(PoisonError::into_inner).insert(pts, duration);
        }
        gst::PadProbeReturn::Ok
    });
    let track = Mutex::new(Track::default());
    pad("parser", "src").add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(buffer) = info.buffer_mut()
            && let Some(pts) = buffer.pts()
            && let Some(duration) = kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&pts)
        {
            let duration = match sums_decoding_times {
                true => track.lock().unwrap_or_else(PoisonError::into_inner).until_its_end(pts, buffer.dts().unwrap_or(pts), duration),
                false => duration,
            };
            buffer.make_mut().set_duration(duration);
        }
        gst::PadProbeReturn::Ok
    });
}

/// mp4mux takes the time from one frame's decoding to the next for its duration, and of the last frame to be decoded what its buffer says;
/// the sum is the track's length, and players leave out what is shown after it. Where the rate varies and frames are decoded in another
/// order than they are shown, only a last duration made for it brings the sum to the end of the last frame shown.
#[derive(Debug, Default)]
struct Track {
    /// Of the first frame: shown at, decoded at.
    first: Option<(gst::ClockTime, gst::ClockTime)>,
    end: gst::ClockTime,
}

impl Track {
    /// The duration that a frame has to have if it is the last to be decoded.
    fn until_its_end(&mut self, pts: gst::ClockTime, dts: gst::ClockTime, duration: gst::ClockTime) -> gst::ClockTime {
        let (first_pts, first_dts) = *self.first.get_or_insert((pts, dts));
        self.end = self.end.max(pts + duration);
        let length = self.end.saturating_sub(first_pts);
        length.saturating_sub(dts.saturating_sub(first_dts)).max(gst::ClockTime::from_mseconds(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_decoded_frame_lasts_to_the_end_of_the_last_shown() {
        let ms = gst::ClockTime::from_mseconds;
        let mut track = Track::default();
        // Shown at 0, 40, 120, 240 for 40, 80, 120, 160 ms; the third is decoded last, all 80 ms late.
        let decoded = [(80, 0, 40), (120, 40, 80), (320, 120, 160), (200, 240, 120)];
        let last = decoded.map(|(pts, dts, duration)| track.until_its_end(ms(pts), ms(dts), ms(duration)))[3];
        assert_eq!(ms(240) + last, ms(400), "decoding times and the last duration add up to the time shown");
        let mut even = Track::default();
        let steady = [0, 40, 80].map(|time| even.until_its_end(ms(time), ms(time), ms(40)));
        assert_eq!(steady, [ms(40); 3]);
    }
}
