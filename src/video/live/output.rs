//! A stream's output: drawn frames in, one encode, every sink served.

use std::sync::Arc;
use std::time::Duration;

use super::encoding::{Encoding, Plan};
use super::mount::Mount;
use super::pick::{CLAIMS_A_RATE, LiveEncoder, pick_encoder};
use super::preview::Previewer;
use super::rtsp_server::RtspServer;
use super::settings::{OutputSettings, SinkKind};
use super::shape::Shape;
use super::sink::{Sink, SinkState, Surroundings, Told};
use crate::clock::{Clock, Stopwatch};
use crate::error::{Error, Result};
use crate::frame::PictureInfo;
use crate::telemetry::{Counter, Histogram};
use crate::video::caps::encoder_caps;
use crate::video::launch::pipeline_text;
use crate::video::output::OutputFrame;

/// How long an output that is dropped waits for its encoder and sinks.
const DROPPED: Duration = Duration::from_secs(2);

/// Told of a sink by its name.
pub type SinkEvent = Arc<dyn Fn(&str) + Send + Sync>;

/// What an output counts.
#[derive(Clone)]
pub struct OutputCounters {
    /// Frames that were thrown away before the encoder took them.
    pub dropped: Counter,
    /// Decoded to encoded.
    pub latency: Histogram,
    /// Inside the encoder.
    pub encode: Histogram,
    /// A packet that a sink did not get.
    pub sink_dropped: SinkEvent,
    /// A sink that is begun again.
    pub sink_restarts: SinkEvent,
}

/// How a frame that was pushed is counted when the encoder takes it; one that is thrown away before counts as `dropped` instead.
#[derive(Debug, Clone)]
pub struct Passage {
    /// When the frame was decoded, on the output's clock.
    pub decoded: Duration,
    /// What it counts as.
    pub outcome: Counter,
}

/// A running output. Dropped without [`Output::close`] it ends too, and waits for little.
pub struct Output {
    encoding: Option<Encoding>,
    encoder: &'static str,
    lossless: bool,
    sinks: Vec<Exit>,
    preview: Option<Previewer>,
}

/// Where packets go.
enum Exit {
    Sink(Sink),
    Mounted { server: RtspServer, path: String, mount: Arc<Mount>, name: String },
}

impl Output {
    /// Starts encoder and sinks; sinks that cannot work yet go on trying. `picture` is what is drawn, in a layout that the encoder takes; it
    /// may be wider than the shape's. `stream` names files.
    ///
    /// # Errors
    /// [`Kind::Runtime`](crate::error::Kind::Runtime) where no encoder works, [`Kind::Config`](crate::error::Kind::Config) where two streams
    /// want one path, or there is no RTSP server for a sink that needs it.
    pub fn start(
        settings: &OutputSettings,
        stream: &str,
        picture: &PictureInfo,
        shape: &Shape,
        clock: &Clock,
        counters: OutputCounters,
        rtsp: Option<&RtspServer>,
    ) -> Result<Output> {
        let picked = pick_encoder(settings.encoder.as_deref())?;
        if !picked.formats.contains(&picture.format) {
            return Err(Error::runtime(format!("encoder {} does not take {:?}", picked.element, picture.format)));
        }
        let encoder = LiveEncoder::find(&picked.element)?;
        let coded_px = (picture.width_px.next_multiple_of(2), picture.height_px.next_multiple_of(2));
        let caps = encoder_caps(picture, coded_px, &shape.video, CLAIMS_A_RATE)?;
        let folder = settings.pipelines.as_deref();
        let plan = Plan {
            text: &pipeline_text(folder, "live_encoder.gst", include_str!("../../../pipelines/live_encoder.gst"))?,
            encoder: &encoder.text(settings.bitrate_kbps, coded_px.0 * coded_px.1),
            caps: &caps,
            picture: *picture,
            key_interval: settings.key_interval,
            dropped: counters.dropped.clone(),
            latency: counters.latency.clone(),
            encode: counters.encode.clone(),
            clock: clock.clone(),
        };
        let preview = settings.preview.as_ref().map(|preview| Previewer::new(preview, picture, &caps, folder, clock)).transpose()?;
        let (exits, given) = std::sync::mpsc::channel::<Giving>();
        let mut giving = None;
        let encoding = Encoding::start(&plan, move |packet| {
            // The sinks ask this encoder for key frames, so that they begin after it; packets come later still.
            let exits = giving.get_or_insert_with(|| given.recv().unwrap_or_default());
            exits.iter().for_each(|give| give(&packet));
        })?;
        let mut output =
            Output { encoding: Some(encoding), encoder: encoder.element, lossless: settings.lossless, sinks: Vec::new(), preview };
        output.start_sinks(settings, stream, clock, &counters, rtsp)?;
        let _ = exits.send(output.sinks.iter().map(Exit::giving).collect());
        Ok(output)
    }

    fn start_sinks(
        &mut self,
        settings: &OutputSettings,
        stream: &str,
        clock: &Clock,
        counters: &OutputCounters,
        rtsp: Option<&RtspServer>,
    ) -> Result<()> {
        let key = self.encoding().key_request();
        for sink in &settings.sinks {
            let named = |event: &SinkEvent| {
                let (event, name) = (Arc::clone(event), sink.name.clone());
                move || event(&name)
            };
            let told = Told { lost: Box::new(named(&counters.sink_dropped)), restarted: Box::new(named(&counters.sink_restarts)) };
            let exit = if let SinkKind::Rtsp { path } = &sink.kind {
                let server = rtsp.ok_or_else(|| Error::config(format!("sink {} needs the RTSP server, and there is none", sink.name)))?;
                let folder = settings.pipelines.as_deref();
                let text = pipeline_text(folder, "live_sink_rtsp.gst", include_str!("../../../pipelines/live_sink_rtsp.gst"))?;
                let mount = Mount::new(key.clone(), told.lost);
                server.mount(path, &text, &mount)?;
                Exit::Mounted { server: server.clone(), path: path.clone(), mount, name: sink.name.clone() }
            } else {
                // Each sink gets an end of its own to wait on.
                let around = Surroundings {
                    stream: stream.to_owned(),
                    pipelines: settings.pipelines.clone(),
                    lossless: settings.lossless,
                    key_interval: settings.key_interval,
                    stop: crossbeam_channel::never(),
                };
                Exit::Sink(Sink::start(sink, around, key.clone(), clock, told)?)
            };
            self.sinks.push(exit);
        }
        Ok(())
    }

    fn encoding(&self) -> &Encoding {
        self.encoding.as_ref().expect("an output that was not closed has its encoder")
    }

    /// An empty frame to fill. Its samples are whatever an earlier one left.
    ///
    /// # Errors
    /// [`Kind::Runtime`](crate::error::Kind::Runtime) where there is no memory.
    pub fn buffer(&mut self) -> Result<OutputFrame> {
        self.encoding.as_mut().expect("an output that was not closed has its encoder").buffer()
    }

    /// Gives a frame to the encoder. `pts` grows from call to call, on the stream's own time. `passage` is none for a picture that is no
    /// source's frame. Live: at most two frames wait for an encoder that is behind, the oldest is thrown away and counted. Lossless: waits while the encoder, or a file,
    /// is behind.
    ///
    /// # Errors
    /// [`Kind::Runtime`](crate::error::Kind::Runtime) where the encoder failed or hangs. The output is of no more use then.
    pub fn push(&mut self, frame: OutputFrame, pts: Duration, duration: Option<Duration>, passage: Option<Passage>) -> Result<()> {
        let buffer = frame.into_padded_buffer();
        if let Some(preview) = &mut self.preview {
            preview.give(&buffer);
        }
        self.encoding().push(buffer, (pts, duration), passage, self.lossless)
    }

    /// How the sinks are, in the order of the settings.
    pub fn sinks(&self) -> Vec<SinkState> {
        self.sinks.iter().map(Exit::state).collect()
    }

    /// Frames that wait for the encoder.
    pub fn waiting(&self) -> usize {
        self.encoding().waiting()
    }

    /// The encoder's element.
    pub fn encoder(&self) -> &str {
        self.encoder
    }

    /// Ends the stream for all sinks and closes files; waits at most so long in all. False: something hung, or frames or packets of a file
    /// were lost.
    pub fn close(mut self, within: Duration) -> bool {
        self.shut(within)
    }

    fn shut(&mut self, within: Duration) -> bool {
        let Some(encoding) = self.encoding.take() else { return true };
        let clock = Stopwatch::start();
        let left = || within.saturating_sub(clock.elapsed());
        // Half of the time is the encoder's at most, so that files are closed where it hangs.
        let mut whole = encoding.finish(within / 2);
        for exit in &self.sinks {
            match exit {
                Exit::Sink(sink) => sink.queue.end(),
                Exit::Mounted { server, path, mount, .. } => server.unmount(path, mount),
            }
        }
        for exit in &mut self.sinks {
            if let Exit::Sink(sink) = exit {
                whole &= sink.finish(left());
            }
        }
        self.preview = None;
        // From another thread: an encoder that hangs is waited for longer than anybody has time.
        let (done, stopped) = crossbeam_channel::bounded(1);
        let stop = std::thread::Builder::new().name("output-stop".into()).spawn(move || {
            let stopped = encoding.stop();
            if !stopped {
                tracing::warn!("an encoder hangs and is left behind");
                std::mem::forget(encoding);
            }
            let _ = done.send(stopped);
        });
        stop.is_ok() && stopped.recv_timeout(left().max(DROPPED)).unwrap_or(false) && whole
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.shut(DROPPED);
    }
}

/// Hands a packet on.
type Giving = Vec<Box<dyn Fn(&super::packets::Packet) + Send>>;

impl Exit {
    fn giving(&self) -> Box<dyn Fn(&super::packets::Packet) + Send> {
        match self {
            Exit::Sink(sink) => {
                let queue = Arc::clone(&sink.queue);
                Box::new(move |packet| queue.give(packet))
            }
            Exit::Mounted { mount, .. } => {
                let mount = Arc::clone(mount);
                Box::new(move |packet| mount.give(packet))
            }
        }
    }

    fn state(&self) -> SinkState {
        match self {
            Exit::Sink(sink) => sink.state(),
            Exit::Mounted { mount, name, .. } => {
                let viewers = Some(mount.viewers());
                SinkState { name: name.clone(), kind: "rtsp", up: true, viewers, last_error: None }
            }
        }
    }
}
