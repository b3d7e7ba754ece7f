//! The source's side of a stream: it is started, watched for silence, taken down and tried again.

use std::time::Duration;

use crossbeam_channel::{Receiver, never};

use super::backoff::Backoff;
use super::errands::Errands;
use super::meters::{Meters, Reason, Retry};
use super::settings::Settings;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::frame::PixelFormat;
use crate::telemetry::Counter;
use crate::video::live::{Event, LiveFrame, Shape, Source, SourceCounters, SourceSettings};

/// A stream's source, there or not.
pub(super) struct Feed {
    clock: Clock,
    backoff: Backoff,
    state: State,
    /// When the last frame was taken, whichever source gave it.
    last_frame: Option<Duration>,
    /// Layouts that the encoder takes.
    formats: Vec<PixelFormat>,
    /// Threads that stop sources.
    errands: Errands,
}

enum State {
    Running {
        source: Source,
        since: Duration,
        frames: u64,
        ends: bool,
    },
    /// Until then; `None` for ever.
    Waiting(Option<Duration>),
}

/// Why a source is taken down.
#[derive(Debug)]
pub(super) enum Gone {
    Failed(Error),
    Stalled(Duration),
    Ended,
}

impl Gone {
    pub fn retry(&self) -> Retry {
        match self {
            Gone::Failed(_) => Retry::Error,
            Gone::Stalled(_) => Retry::Stalled,
            Gone::Ended => Retry::Ended,
        }
    }

    pub fn words(&self) -> String {
        match self {
            Gone::Failed(error) => error.to_string(),
            Gone::Stalled(span) => format!("no frame came for {:.1} seconds", span.as_secs_f64()),
            Gone::Ended => "the source ended".to_owned(),
        }
    }
}

impl Feed {
    pub fn new(clock: &Clock) -> Self {
        let state = State::Waiting(Some(Duration::ZERO));
        Feed {
            clock: clock.clone(),
            backoff: Backoff::default(),
            state,
            last_frame: None,
            formats: vec![PixelFormat::I420],
            errands: Errands::new(),
        }
    }

    /// Starts a source if its time has come.
    ///
    /// # Errors
    /// Those of [`Source::start`]; the wait for the next try begins anew then.
    pub fn start_if_due(&mut self, settings: &Settings, shape: Option<&Shape>, meters: &Meters) -> Result<bool> {
        let now = self.clock.now();
        if !matches!(self.state, State::Waiting(Some(until)) if until <= now) {
            return Ok(false);
        }
        let counters = SourceCounters { decoded: meters.decoded.clone(), dropped: meters.dropped(Reason::DecodeQueue).clone() };
        let settings = SourceSettings { formats: self.formats.clone(), ..settings.source.clone() };
        match Source::start(&settings, shape, &self.clock, counters) {
            Ok(source) => {
                self.state = State::Running { source, since: now, frames: 0, ends: false };
                Ok(true)
            }
            Err(error) => {
                self.wait(Duration::ZERO);
                Err(error)
            }
        }
    }

    /// From the next source on frames come in one of these layouts.
    pub fn take_formats(&mut self, formats: Vec<PixelFormat>) {
        self.formats = formats;
    }

    /// The layout that the encoder likes best.
    pub fn format(&self) -> PixelFormat {
        self.formats.first().copied().unwrap_or(PixelFormat::I420)
    }

    /// Where frames come; never where no source runs.
    pub fn frames(&self) -> Receiver<LiveFrame> {
        match &self.state {
            State::Running { source, .. } => source.frames().clone(),
            State::Waiting(_) => never(),
        }
    }

    /// Where events come; never where no source runs.
    pub fn events(&self) -> Receiver<Event> {
        match &self.state {
            State::Running { source, .. } => source.events().clone(),
            State::Waiting(_) => never(),
        }
    }

    /// A frame was taken.
    pub fn took(&mut self) {
        self.last_frame = Some(self.clock.now());
        if let State::Running { frames, .. } = &mut self.state {
            *frames += 1;
        }
    }

    /// Nothing more comes behind the frames that wait.
    pub fn ends(&mut self) {
        if let State::Running { ends, .. } = &mut self.state {
            *ends = true;
        }
    }

    /// Whether a source runs that has given frames.
    pub fn gives(&self) -> bool {
        matches!(self.state, State::Running { frames, .. } if frames > 0)
    }

    /// Whether nothing will come any more.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Waiting(None))
    }

    /// Frames that wait to be taken.
    pub fn waiting(&self) -> usize {
        match &self.state {
            State::Running { source, .. } => source.frames().len(),
            State::Waiting(_) => 0,
        }
    }

    /// When the last frame was taken.
    pub fn last_frame(&self) -> Option<Duration> {
        self.last_frame
    }

    /// Why the source has to be taken down now, if it has: it ended and its frames are taken, or nothing came for `stall`.
    pub fn gone(&self, stall: Duration) -> Option<Gone> {
        let State::Running { source, since, frames, ends } = &self.state else { return None };
        if !source.frames().is_empty() {
            return None;
        }
        if *ends {
            return Some(Gone::Ended);
        }
        let last = self.last_frame.filter(|_| *frames > 0).unwrap_or(*since);
        let silent = self.clock.now().saturating_sub(last);
        (silent >= stall).then_some(Gone::Stalled(silent))
    }

    /// When [`Feed::gone`] or [`Feed::start_if_due`] has to be asked again.
    pub fn wake(&self, stall: Duration) -> Option<Duration> {
        match &self.state {
            // While frames wait there is no silence to end.
            State::Running { source, .. } if !source.frames().is_empty() => None,
            State::Running { since, frames, .. } => Some(self.last_frame.filter(|_| *frames > 0).unwrap_or(*since) + stall),
            State::Waiting(until) => *until,
        }
    }

    /// Takes the source down, in a thread of its own, since it may hang: frames that it had still to give count as `reason`. The next try is
    /// due after a wait that grows with each failure.
    pub fn take_down(&mut self, reason: Reason, meters: &Meters) {
        let State::Running { since, frames, .. } = &self.state else { return };
        let lasted = if *frames > 0 { self.clock.now().saturating_sub(*since) } else { Duration::ZERO };
        self.end(reason, meters);
        self.wait(lasted);
    }

    /// Takes the source down for good.
    pub fn close(&mut self, reason: Reason, meters: &Meters) {
        self.end(reason, meters);
        self.state = State::Waiting(None);
    }

    /// After [`Feed::close`]: waits until every source has been stopped, after which no frame is counted any more. False: one hangs.
    pub fn settle(&mut self, within: Duration) -> bool {
        self.errands.wait(within)
    }

    /// Another source, at once.
    pub fn replace(&mut self, meters: &Meters) {
        self.end(Reason::Disconnected, meters);
        self.backoff = Backoff::default();
        self.state = State::Waiting(Some(Duration::ZERO));
    }

    fn end(&mut self, reason: Reason, meters: &Meters) {
        let State::Running { source, .. } = std::mem::replace(&mut self.state, State::Waiting(None)) else { return };
        let (lost, stuck) = (meters.dropped(reason).clone(), meters.stuck.clone());
        if !self.errands.send("source-stop", move || stop(source, &lost, &stuck)) {
            // The source went with the closure and was dropped.
            tracing::error!("no thread to stop a source in: too many threads");
        }
    }

    fn wait(&mut self, lasted: Duration) {
        let wait = self.backoff.after(lasted, fastrand::f64());
        self.state = State::Waiting(Some(self.clock.now() + wait));
    }
}

fn stop(source: Source, lost: &Counter, stuck: &Counter) {
    let frames = source.frames().clone();
    if !source.stop() {
        stuck.inc();
        tracing::error!("a source's pipeline does not stop and is left behind");
    }
    lost.add(frames.try_iter().count() as u64);
}
