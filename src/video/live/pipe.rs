//! A sink's own pipeline: packets in at one end, until it ends, fails or hangs.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::Receiver;
use gst::prelude::*;

use super::anchor::Anchor;
use super::packets::Packet;
use crate::clock::Stopwatch;
use crate::error::{Error, Result};
use crate::video::launch::find;
use crate::video::watch::Running;

/// Packets that wait in a pipeline at most; what comes then waits before it.
const WAITING: u64 = 8;
/// A pipeline that takes nothing for so long hangs.
pub(super) const HANG: Duration = Duration::from_secs(10);
/// How long one wait lasts.
const TICK: Duration = Duration::from_millis(100);
/// From so many packets taken on somebody really takes them: muxers and sinks that are not connected hold a few.
const PROVEN: u64 = 5;

/// What packets' times are counted from.
#[derive(Debug)]
pub(super) enum Timing {
    /// The stream's own beginning.
    Stream,
    /// This packet.
    From(Duration),
    /// The pipeline's clock.
    Clock(Anchor),
}

/// A pipeline that takes packets.
pub(super) struct Pipe {
    running: Option<Arc<Running>>,
    packets: gst_app::AppSrc,
    caps: Option<gst::Caps>,
    timing: Timing,
    stop: Receiver<()>,
    hang: Duration,
}

impl Pipe {
    /// Starts a pipeline whose element `packets` takes them. `stop` ends every wait; `hang` is how long it may take nothing.
    ///
    /// # Errors
    /// [`Kind::Runtime`](crate::error::Kind::Runtime) where it does not start, [`Kind::Config`](crate::error::Kind::Config) where an
    /// operator's text has no such element.
    pub fn start(pipeline: gst::Pipeline, timing: Timing, stop: &Receiver<()>, hang: Duration) -> Result<Pipe> {
        let packets: gst_app::AppSrc = find(&pipeline, "packets")?;
        let running = Arc::new(Running::new(pipeline));
        let watch = Arc::clone(&running.watch);
        packets.static_pad("src").expect("appsrc has a source pad").add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            watch.update(|state| {
                state.waiting = state.waiting.saturating_sub(1);
                state.progress += 1;
            });
            gst::PadProbeReturn::Ok
        });
        let pipe = Pipe { running: Some(Arc::clone(&running)), packets, caps: None, timing, stop: stop.clone(), hang };
        // From another thread: elements that connect may hang.
        let (done, started) = crossbeam_channel::bounded(1);
        let starts = Arc::clone(&running);
        thread::Builder::new()
            .name("sink-start".into())
            .spawn(move || drop(done.send(starts.set_state(gst::State::Playing))))
            .map_err(|error| Error::runtime(error.to_string()).with_source(error))?;
        crossbeam_channel::select! {
            recv(started) -> result => match result {
                Ok(result) => result?,
                Err(_) => return Err(Error::runtime("the pipeline's start failed")),
            },
            recv(stop) -> _ => return Err(Error::runtime("stopped while it started")),
            default(hang) => return Err(Error::runtime(format!("does not start within {} seconds", hang.as_secs()))),
        }
        Ok(pipe)
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("a pipe that was not ended has its pipeline")
    }

    /// Gives a packet, waiting while there are enough.
    ///
    /// # Errors
    /// [`Kind::Runtime`](crate::error::Kind::Runtime) where the pipeline failed or hangs.
    pub fn push(&mut self, packet: Packet) -> Result<()> {
        if self.caps.as_ref() != Some(&packet.caps) {
            self.packets.set_caps(Some(&packet.caps));
            self.caps = Some(packet.caps);
        }
        let mut buffer = packet.buffer;
        let now = self.packets.current_running_time().map(Duration::from).unwrap_or_default();
        let time = match &mut self.timing {
            Timing::Stream => packet.pts,
            Timing::From(first) => packet.pts.saturating_sub(*first),
            Timing::Clock(anchor) => anchor.place(packet.pts, now),
        };
        let time = gst::ClockTime::try_from(time).map_err(|error| Error::runtime(error.to_string()))?;
        let writable = buffer.make_mut();
        writable.set_pts(time);
        writable.set_dts(time);
        let watch = &self.running().watch;
        let mut seen = watch.lock().progress;
        let mut quiet = Stopwatch::start();
        loop {
            let state = watch.wait(TICK, |state| state.fault.is_some() || state.waiting < WAITING);
            let (progress, free) = (state.progress, state.waiting < WAITING);
            drop(state);
            self.check()?;
            if free {
                break;
            }
            if progress != seen {
                (seen, quiet) = (progress, Stopwatch::start());
            }
            if quiet.elapsed() > self.hang {
                return Err(Error::runtime(format!("takes nothing for {} seconds", self.hang.as_secs())));
            }
            if is_over(&self.stop) {
                return Err(Error::runtime("stopped while it took nothing"));
            }
        }
        watch.update(|state| state.waiting += 1);
        self.packets.push_buffer(buffer).map_err(|error| Error::runtime(format!("takes no packet: {error}")))?;
        Ok(())
    }

    /// What went wrong, if something did.
    pub fn check(&self) -> Result<()> {
        let state = self.running().watch.lock();
        match &state.fault {
            Some(fault) if fault.error.matches(gst::ResourceError::NoSpaceLeft) => Err(Error::runtime(DISK_FULL)),
            Some(fault) => Err(Error::runtime(fault.words.clone())),
            None => Ok(()),
        }
    }

    /// Whether what is given really goes somewhere.
    pub fn is_proven(&self) -> bool {
        self.running().watch.lock().progress >= PROVEN
    }

    /// Ends the stream and stops. What is written is whole.
    ///
    /// # Errors
    /// [`Kind::Runtime`](crate::error::Kind::Runtime) where it failed, or has not come to its end in the time it may take nothing.
    pub fn end(mut self) -> Result<()> {
        let _ = self.packets.end_of_stream();
        let running = self.running();
        let clock = Stopwatch::start();
        loop {
            let ended = running.watch.wait(TICK, |state| state.ended || state.fault.is_some()).ended;
            self.check()?;
            if ended {
                break;
            }
            if clock.elapsed() > self.hang || is_over(&self.stop) {
                return Err(Error::runtime("does not come to its end"));
            }
        }
        if self.take_down() { Ok(()) } else { Err(Error::runtime("does not stop")) }
    }

    /// Stops the pipeline. False: it hangs, and is left behind.
    fn take_down(&mut self) -> bool {
        let Some(running) = self.running.take() else { return true };
        let stopped = running.stop();
        if !stopped {
            tracing::warn!("a sink's pipeline hangs and is left behind");
            // Dropping it would wait for it once more.
            std::mem::forget(running);
        }
        stopped
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.take_down();
    }
}

/// Of every sink that writes files.
pub(super) const DISK_FULL: &str = "the disk is full: make room, or let less be kept; it is tried again";

/// Whether whoever holds the other end wants it to stop.
pub(super) fn is_over(stop: &Receiver<()>) -> bool {
    !matches!(stop.try_recv(), Err(crossbeam_channel::TryRecvError::Empty))
}
