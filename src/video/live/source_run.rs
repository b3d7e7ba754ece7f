//! A source's thread: it starts a pipeline, listens to it, starts it again where a file is repeated, and stops it.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::TryRecvError;
use gst::prelude::*;

use super::super::launch::{debian_package, package_for_caps};
use super::super::watch::words;
use super::settings::{Input, SourceSettings};
use super::source::Event;
use super::source_delivery::Delivery;
use super::source_faults::Place;
use super::source_inputs::{build, by_the_clock, tail_text};
use super::source_tail::{ENDED, NO_VIDEO, Tail, UNUSABLE, post};
use crate::clock::Stopwatch;
use crate::error::{Error, Result};

/// Who is not on time when a file begins anew is not made to catch up by more.
const MOST_LATE: gst::ClockTime = gst::ClockTime::from_seconds(1);
/// How long a pipeline that failed is asked for the missing plugin that it may name after its error.
const AFTERTHOUGHT: gst::ClockTime = gst::ClockTime::from_mseconds(100);
/// How long it is listened to at most after its error.
const TALK: Duration = Duration::from_secs(1);
/// How long frames are waited for that still come of a file that has failed.
const REST: gst::ClockTime = gst::ClockTime::from_seconds(3);
/// How often the thread looks whether it is wanted, where no message wakes it.
const LOOK_UP: gst::ClockTime = gst::ClockTime::from_mseconds(500);

/// Wakes a pipeline's thread to see that it is not wanted any more. A bus that is flushing wakes nobody; the thread looks up by itself then.
pub(super) fn wake(pipeline: &gst::Pipeline) {
    post(pipeline, "gradcast-stop", "");
}

/// A pipeline with everything hung on but what the decoder has still to say.
pub(super) struct Prepared {
    pub pipeline: gst::Pipeline,
    tail: Arc<Tail>,
}

/// Builds what runs, without starting it.
pub(super) fn prepare(settings: &SourceSettings, delivery: &Arc<Delivery>) -> Result<Prepared> {
    let text = tail_text(settings)?;
    let pipeline = build(settings)?;
    // All pipelines of a file that is repeated go by one clock.
    pipeline.use_clock(Some(&gst::SystemClock::obtain()));
    let tail = Tail::prepare(&pipeline, settings, &text, delivery)?;
    Ok(Prepared { pipeline, tail })
}

/// How a pipeline ended.
enum Outcome {
    Stopped,
    Ended,
    Failed(Error),
}

/// Runs until the source ends, fails or is stopped; the last pipeline is at rest then. `current` is told of each further pipeline, and
/// answers whether it is wanted.
pub(super) fn run(
    settings: &SourceSettings,
    place: &Place,
    first: Prepared,
    delivery: &Arc<Delivery>,
    current: impl Fn(&gst::Pipeline) -> bool,
) {
    let mut prepared = first;
    let mut base = None;
    loop {
        let outcome = run_once(settings, place, &prepared, delivery, &mut base);
        let _ = prepared.pipeline.set_state(gst::State::Null);
        match outcome {
            Outcome::Stopped => return,
            Outcome::Failed(error) => return delivery.tell(Event::Failed(error)),
            Outcome::Ended if delivery.frames_of_round() == 0 => return delivery.tell(Event::Failed(place.nothing_decoded())),
            Outcome::Ended if !matches!(&settings.input, Input::File(file) if file.repeat) => return delivery.tell(Event::Ended),
            Outcome::Ended => {}
        }
        let (end, first) = delivery.begin_anew();
        prepared = match prepare(settings, delivery) {
            Ok(prepared) => prepared,
            Err(error) => return delivery.tell(Event::Failed(error)),
        };
        if by_the_clock(settings)
            && let Some(base) = base
        {
            keep_time(&prepared.pipeline, base, end.saturating_sub(first));
        }
        if !current(&prepared.pipeline) {
            return;
        }
    }
}

/// A missing-plugin message in words.
fn what_is_missing(message: &gst::StructureRef) -> String {
    let kind = message.get::<&str>("type").unwrap_or_default();
    let name = message.get::<&str>("name").unwrap_or("a plugin");
    let package = match (kind, message.get::<&str>("detail")) {
        ("urisource", Ok("http" | "https" | "rtsp" | "rtsps")) => "gstreamer1.0-plugins-good",
        ("urisource", Ok("rtmp" | "rtmps" | "srt")) => "gstreamer1.0-plugins-bad",
        ("urisource", Ok(scheme)) => return format!("GStreamer reads no {scheme}: is the URL right?"),
        ("element", Ok(element)) => debian_package(element),
        _ => package_for_caps(&message.get::<gst::Caps>("detail").map(|caps| caps.to_string()).unwrap_or_default()),
    };
    format!("GStreamer has nothing for {name}: install {package} (or what your system calls it)")
}

/// Sets a pipeline's zero to where the one before it ended: `played` after the first one's.
fn keep_time(pipeline: &gst::Pipeline, base: gst::ClockTime, played: Duration) {
    let planned = base + gst::ClockTime::try_from(played).unwrap_or(gst::ClockTime::ZERO);
    let now = gst::SystemClock::obtain().time();
    pipeline.set_start_time(gst::ClockTime::NONE);
    pipeline.set_base_time(planned.max(now.saturating_sub(MOST_LATE)));
}

fn run_once(
    settings: &SourceSettings,
    place: &Place,
    prepared: &Prepared,
    delivery: &Arc<Delivery>,
    base: &mut Option<gst::ClockTime>,
) -> Outcome {
    // What a file has before its fault is decoded, and goes out as far as it comes.
    let to_the_last = settings.lossless || matches!(settings.input, Input::File(_));
    let pipeline = &prepared.pipeline;
    let bus = pipeline.bus().expect("a pipeline has a bus");
    let refused = pipeline.set_state(gst::State::Playing).is_err();
    let mut missing = None;
    let mut patience = if refused { AFTERTHOUGHT } else { LOOK_UP };
    let mut fault: Option<(gst::glib::Error, String)> = None;
    let mut since: Option<Stopwatch> = None;
    let mut seen = 0;
    loop {
        let message = bus.timed_pop(patience);
        // A pipeline that fails may go on to talk.
        let message = message.filter(|_| patience != AFTERTHOUGHT || since.is_none_or(|since| since.elapsed() < TALK));
        let halted = delivery.halted();
        if halted.try_recv() == Err(TryRecvError::Disconnected) {
            return Outcome::Stopped;
        }
        let failed = || {
            Outcome::Failed(match &fault {
                Some((error, words)) => place.fault(error, words, missing.as_deref(), halted),
                None => Error::runtime(format!("{}: its pipeline does not start, and does not say why", place.name)),
            })
        };
        let Some(message) = message else {
            let came = delivery.frames_of_round();
            let goes_on = to_the_last && (came != seen || delivery.is_full());
            if patience != LOOK_UP && !goes_on {
                return failed();
            }
            seen = came;
            if patience != LOOK_UP {
                patience = REST;
            }
            continue;
        };
        use gst::MessageView;
        match message.view() {
            MessageView::Error(said) => {
                tracing::debug!(source = %place.name, "{}", place.clean(&words(&said.error(), said.debug().as_deref())));
                fault.get_or_insert_with(|| (said.error(), words(&said.error(), said.debug().as_deref())));
                patience = if to_the_last && prepared.tail.is_linked() { REST } else { AFTERTHOUGHT };
                since.get_or_insert_with(Stopwatch::start);
            }
            MessageView::Warning(said) => {
                tracing::debug!(source = %place.name, "{}", place.clean(&words(&said.error(), said.debug().as_deref())));
            }
            MessageView::Latency(_) => {
                let _ = pipeline.recalculate_latency();
            }
            MessageView::StateChanged(changed)
                if changed.current() == gst::State::Playing && base.is_none() && message.src().is_some_and(|source| source == pipeline) =>
            {
                *base = pipeline.base_time();
            }
            // No sink of ours heard of the end: nothing was decoded.
            MessageView::Eos(_) if !prepared.tail.is_linked() => return Outcome::Ended,
            MessageView::Element(said) => {
                if let Some(structure) = said.structure().filter(|structure| structure.name() == "missing-plugin") {
                    missing.get_or_insert_with(|| what_is_missing(structure));
                }
            }
            MessageView::Application(said) => {
                let Some(structure) = said.structure() else { continue };
                let text = || structure.get::<String>("text").unwrap_or_default();
                match structure.name().as_str() {
                    ENDED if fault.is_none() => return Outcome::Ended,
                    ENDED => return failed(),
                    NO_VIDEO if fault.is_none() && missing.is_none() => return Outcome::Failed(place.no_video()),
                    UNUSABLE => return Outcome::Failed(Error::data(format!("{}: {}", place.name, text()))),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}
