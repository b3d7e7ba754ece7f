//! What a running pipeline says, and how it is stopped. One condition variable wakes whoever waits on it, so that an error ends every wait.

use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use gst::prelude::*;

use super::launch::package_for_caps;
use crate::error::{Error, Result};

/// How long a pipeline may show no sign of life before it counts as hung.
pub(super) const STALL: Duration = Duration::from_secs(60);
/// How long a pipeline may take to stop before it is left behind.
const STOP: Duration = Duration::from_secs(10);

/// What has been said so far.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The first error.
    pub fault: Option<Fault>,
    /// Errors and warnings in all.
    pub complaints: u64,
    /// The last of them, in words.
    pub last_complaint: Option<String>,
    /// What no element was found for: (description, Debian package).
    pub missing: Option<(String, &'static str)>,
    /// Every sink has its first buffer, or the state has changed without.
    pub prerolled: bool,
    /// Every sink has seen the end.
    pub ended: bool,
    /// Frames or packets that a probe counted; anything that grows shows life.
    pub progress: u64,
    /// Frames pushed into an appsrc and not yet taken by its thread.
    pub waiting: u64,
    /// Where the last frame that was pushed ends, relative to the first.
    pub pushed_ns: i64,
    /// No more frames will be pushed.
    pub all_pushed: bool,
    /// Audio from here on is not wanted, although the source has more.
    pub early_end_ns: Option<i64>,
    /// Frames that left the encoder.
    pub encoded: u64,
}

/// An error from the bus.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub error: gst::glib::Error,
    pub words: String,
}

/// A pipeline and its watch. Stopped when dropped.
#[derive(Debug)]
pub(super) struct Running {
    pub pipeline: gst::Pipeline,
    pub watch: Arc<Watch>,
}

/// The state and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

impl Watch {
    /// The state, now.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes those who wait.
    pub fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until `done` or the limit; the state comes back either way.
    pub fn wait(&self, limit: Duration, mut done: impl FnMut(&State) -> bool) -> MutexGuard<'_, State> {
        self.changed.wait_timeout_while(self.lock(), limit, |state| !done(state)).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits until `done`, as long as the pipeline shows life. True: done.
    pub fn wait_while_alive(&self, mut done: impl FnMut(&State) -> bool) -> bool {
        let mut seen = self.lock().progress;
        loop {
            let state = self.wait(STALL, |state| done(state) || state.progress != seen);
            if done(&state) {
                return true;
            }
            if state.progress == seen {
                return false;
            }
            seen = state.progress;
        }
    }

    fn hear(&self, message: &gst::Message) {
        use gst::MessageView;
        match message.view() {
            MessageView::Error(said) => {
                let words = words(&said.error(), said.debug().as_deref());
                let fault = Fault { error: said.error(), words: words.clone() };
                self.update(|state| {
                    state.complaints += 1;
                    state.last_complaint = Some(words);
                    state.fault.get_or_insert(fault);
                });
            }
            MessageView::Warning(said) => {
                let words = words(&said.error(), said.debug().as_deref());
                self.update(|state| {
                    state.complaints += 1;
                    state.last_complaint = Some(words);
                });
            }
            MessageView::AsyncDone(_) => self.update(|state| state.prerolled = true),
            MessageView::Eos(_) => self.update(|state| state.ended = true),
            MessageView::Element(said) => {
                let missing = said.structure().filter(|structure| structure.name() == "missing-plugin");
                if let Some(structure) = missing {
                    let name = structure.get::<String>("name").unwrap_or_else(|_| "a plugin".to_owned());
                    let detail = structure.get::<gst::Caps>("detail").map(|caps| caps.to_string()).unwrap_or_default();
                    self.update(|state| state.missing = Some((name, package_for_caps(&detail))));
                }
            }
            _ => {}
        }
    }
}

/// An error of the bus in one line. The debug text starts with a place in GStreamer's source, which helps nobody here.
pub(super) fn words(error: &gst::glib::Error, debug: Option<&str>) -> String {
    let detail = debug.and_then(|text| text.lines().nth(1)).map(str::trim).filter(|text| !text.is_empty());
    let message = error.message().trim().trim_end_matches('.');
    match detail {
        Some(detail) => format!("{message} ({})", detail.trim_end_matches('.')),
        None => message.to_owned(),
    }
}

impl Running {
    /// Watches a pipeline that does not run yet.
    pub fn new(pipeline: gst::Pipeline) -> Self {
        let watch = Arc::new(Watch::default());
        let bus = pipeline.bus().expect("a pipeline has a bus");
        let hears = Arc::clone(&watch);
        bus.set_sync_handler(move |_, message| {
            hears.hear(message);
            gst::BusSyncReply::Drop
        });
        Self { pipeline, watch }
    }

    /// Asks for a state; the answer comes through the watch.
    pub fn set_state(&self, state: gst::State) -> Result<()> {
        self.pipeline.set_state(state).map(|_| ()).map_err(|_| {
            let said = self.watch.lock().fault.as_ref().map(|fault| fault.words.clone());
            Error::runtime(said.unwrap_or_else(|| format!("the pipeline does not go to {state:?}")))
        })
    }

    /// Stops the pipeline from another thread, since an element that hangs would hang the caller too. False: it did not stop in time and
    /// is left behind.
    pub fn stop(&self) -> bool {
        let pipeline = self.pipeline.clone();
        let (done, stopped) = mpsc::channel();
        let spawned = thread::Builder::new().name("video-stop".into()).spawn(move || {
            let _ = pipeline.set_state(gst::State::Null);
            let _ = done.send(());
        });
        spawned.is_ok() && stopped.recv_timeout(STOP).is_ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
