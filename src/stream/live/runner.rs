//! A stream's loop. One thread takes frames, answers and orders as they come, and never waits for the network or the camera.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select};

use super::canvas::{Canvas, entropy};
use super::errands::Errands;
use super::feed::{Feed, Gone};
use super::line::{Fate, Line};
use super::meters::{Meters, Reason, SinkMeters};
use super::pacer::Pacer;
use super::settings::Settings;
use super::standing::{LastAnswer, Standing, Up};
use super::timeline::Timeline;
use super::{Order, Parts};
use crate::clock::{Clock, Stopwatch, unix_time};
use crate::engine::{Choice, Client, FrameAnswer, Reply, Request};
use crate::error::Result;
use crate::frame::{Frame, OwnedFrame};
use crate::telemetry::Seldom;
use crate::video::live::{Event, LiveFrame, Output, OutputCounters, Passage, Shape, pick_encoder};

/// Frames that wait for their explanation at most; older ones are dropped.
const MOST_WAITING: usize = 32;
/// Of a file: frames that wait, so that the engine has enough for its batches.
const MOST_WAITING_LOSSLESS: usize = 24;
/// A source that is away is shown by a plate after so long.
const PLATE_AFTER: Duration = Duration::from_secs(2);
/// How often the last picture or the plate is shown anew while no frame comes.
const PLATE_EVERY: Duration = Duration::from_millis(500);
/// How long a loop sleeps at most: so often states are brought up to date.
const TICK: Duration = Duration::from_millis(500);
/// How often the standing is brought up to date, beside what changes.
const REPORT_EVERY: Duration = Duration::from_millis(200);
/// Waits before an output that failed is made anew.
const OUTPUT_RETRY: Duration = Duration::from_secs(1);
/// How long an output has to come to its end.
const CLOSE_WITHIN: Duration = Duration::from_secs(8);
/// How long sources and outputs have that were taken down before, once the last output is closed.
const SETTLE_WITHIN: Duration = Duration::from_secs(5);

/// Everything that a stream's thread has.
pub(super) struct Runner {
    settings: Settings,
    parts: Parts,
    meters: Arc<Meters>,
    standing: Arc<Standing>,
    client: Client,
    choice: Arc<Choice>,
    feed: Feed,
    pacer: Pacer,
    line: Line<Waiting>,
    timeline: Timeline,
    shape: Option<Arc<Shape>>,
    canvas: Option<Canvas>,
    output: Option<Output>,
    /// When a failed output may be made anew.
    output_due: Duration,
    /// The last picture that was shown; of none yet, black.
    last_picture: Option<Box<dyn Frame + Send>>,
    last_plate: Option<Duration>,
    /// The stream's time of the last frame that was shown.
    shown: Duration,
    /// When the standing was last brought up to date.
    reported: Option<Duration>,
    faults: Seldom,
    /// Threads that close outputs.
    errands: Errands,
}

/// A frame in line, with its place on the stream's time.
struct Waiting {
    frame: LiveFrame,
    pts: Duration,
}

/// Whether the loop goes on.
#[derive(PartialEq)]
enum Flow {
    On,
    End,
}

impl Runner {
    pub fn new(settings: Settings, parts: Parts, meters: Arc<Meters>, standing: Arc<Standing>) -> Self {
        let (clock, lossless) = (parts.clock.clone(), settings.lossless);
        let client = parts.batcher.client(lossless);
        Runner {
            choice: Arc::new(settings.look.target.rule.choice()),
            feed: Feed::new(&clock),
            pacer: Pacer::new(settings.look.every, settings.look.max_fps),
            line: Line::new(if lossless { None } else { Some(settings.deadline) }),
            timeline: Timeline::default(),
            shape: None,
            canvas: None,
            output: None,
            output_due: Duration::ZERO,
            last_picture: None,
            last_plate: None,
            shown: Duration::ZERO,
            reported: None,
            faults: Seldom::new(&clock),
            errands: Errands::new(),
            settings,
            parts,
            meters,
            standing,
            client,
        }
    }

    /// Runs until it is told to stop, or its file has come to its end. `done` is told then.
    pub fn run(mut self, orders: &Receiver<Order>, done: &Sender<()>) {
        tracing::info!(stream = %self.settings.name, source = %self.settings.source.input, "stream begins");
        self.ask_the_encoder();
        self.begin_with_a_size();
        while self.turn(orders) == Flow::On {}
        let (name, meters) = (self.settings.name.clone(), Arc::clone(&self.meters));
        self.end();
        let [decoded, explained, held, late, dropped] = meters.frames();
        tracing::info!(stream = %name, decoded, explained, held, late, dropped, "stream ended");
        let _ = done.send(());
    }

    fn clock(&self) -> &Clock {
        &self.parts.clock
    }

    /// Frames come in a layout that the encoder takes. Without an encoder the output will say why.
    fn ask_the_encoder(&mut self) {
        match pick_encoder(self.settings.output.encoder.as_deref()) {
            // Live video of ten bits plays in few places.
            Ok(picked) => self.feed.take_formats(picked.formats.into_iter().filter(|format| format.sample_bits() == 8).collect()),
            Err(error) => self.complain(&error.to_string()),
        }
    }

    /// A stream whose size is known shows a plate before its first frame.
    fn begin_with_a_size(&mut self) {
        let Some((width_px, height_px)) = self.settings.size_px else { return };
        match Shape::of_size_in(width_px, height_px, self.feed.format()) {
            Ok(shape) => self.take_shape(Arc::new(shape)),
            Err(error) => self.complain(&error.to_string()),
        }
    }

    fn turn(&mut self, orders: &Receiver<Order>) -> Flow {
        match self.feed.start_if_due(&self.settings, self.shape.as_deref(), &self.meters) {
            Ok(true) => self.timeline.restart(),
            Ok(false) => {}
            Err(error) => {
                self.meters.retried(super::Retry::Error).inc();
                self.down(&error.to_string());
            }
        }
        let crowded = self.settings.lossless && self.line.len() >= MOST_WAITING_LOSSLESS;
        let frames = if crowded { crossbeam_channel::never() } else { self.feed.frames() };
        let (events, replies) = (self.feed.events(), self.client.replies().clone());
        select! {
            recv(frames) -> frame => if let Ok(frame) = frame { self.take(frame) },
            recv(events) -> event => if let Ok(event) = event { self.hear(event) },
            recv(replies) -> reply => if let Ok(reply) = reply { self.settle(reply) },
            recv(orders) -> order => match order {
                Ok(Order::Change(settings)) => self.change(*settings),
                // Who gave orders has gone: so does the stream.
                Err(_) => return Flow::End,
            },
            default(self.sleep()) => {}
        }
        self.show();
        if let Some(gone) = self.feed.gone(self.settings.stall) {
            self.lost(gone);
        }
        self.plate_if_due();
        self.report();
        if self.feed.is_over() && self.line.len() == 0 { Flow::End } else { Flow::On }
    }

    /// Until something has to be done without anything having come.
    fn sleep(&self) -> Duration {
        let now = self.clock().now();
        let wakes = [self.line.wake(), self.feed.wake(self.settings.stall)];
        wakes.into_iter().flatten().map(|wake| wake.saturating_sub(now)).min().unwrap_or(TICK).min(TICK)
    }

    fn take(&mut self, frame: LiveFrame) {
        self.feed.took();
        if self.standing.goes(Up::Up) {
            tracing::info!(stream = %self.settings.name, "frames come");
        }
        self.meters.up.set(1.0);
        let unix = unix_time();
        self.meters.last_frame.set(unix.as_secs_f64());
        self.standing.update(|standing| standing.last_frame = Some(unix));
        let live = (!self.settings.lossless).then_some(frame.decoded);
        let pts = self.timeline.frame(frame.frame.pts, live);
        if self.shape.is_none() {
            self.take_shape(Arc::clone(&frame.shape));
        }
        let fits = self.shape.as_ref().is_some_and(|shape| {
            let (own, new) = (&shape.picture, frame.frame.info());
            (own.width_px, own.height_px, own.format) == (new.width_px, new.height_px, new.format)
        });
        if !fits {
            self.meters.dropped(Reason::CapsChange).inc();
            return;
        }
        let picked = self.pacer.picks(pts);
        let request = picked.then(|| self.request(&frame, pts));
        let decoded = frame.decoded;
        let id = self.line.push(Waiting { frame, pts }, decoded, picked);
        if let Some(request) = request
            && let Some(gave_way) = self.client.offer(Request { id, ..request })
        {
            self.line.settle(gave_way, None);
        }
        if !self.settings.lossless && self.line.len() > MOST_WAITING {
            self.line.pop_oldest();
            self.meters.dropped(Reason::EngineQueue).inc();
        }
    }

    fn request(&self, frame: &LiveFrame, pts: Duration) -> Request {
        let watch = Stopwatch::start();
        let preprocessing = &self.settings.preprocessing;
        let mut pixels = vec![0.0; preprocessing.len()];
        preprocessing.frame(&frame.frame, &mut pixels);
        self.meters.preprocess.observe_span(watch.elapsed());
        let method = self.parts.methods.iter().position(|method| *method == self.settings.look.method).unwrap_or(0);
        Request { id: 0, pixels, time: pts, method, choice: Arc::clone(&self.choice) }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Ended => self.feed.ends(),
            Event::Failed(error) => self.lost(Gone::Failed(error)),
            Event::Changed { from, to } => {
                tracing::warn!(stream = %self.settings.name, from, to, "the source changed; its frames are fitted to the output");
            }
        }
    }

    fn settle(&mut self, reply: Reply) {
        match reply.answer {
            Ok(answer) => {
                self.measure(&answer);
                if let Some(answer) = self.line.settle(reply.id, Some(answer)) {
                    // Late for its frame, and still the newest that is known.
                    let pts = self.shown;
                    if let Some(canvas) = &mut self.canvas {
                        canvas.take(reply.id, pts, &answer);
                    }
                }
            }
            Err(error) => {
                self.line.settle(reply.id, None);
                self.complain(&format!("a frame is not explained: {error}"));
            }
        }
    }

    fn measure(&self, answer: &FrameAnswer) {
        self.meters.residual.observe(f64::from(answer.residual));
        self.meters.probability.set(f64::from(answer.target.probability));
        if let Some(entropy) = entropy(&answer.map) {
            self.meters.entropy.set(entropy);
        }
        if let Some(fault) = answer.fault {
            self.meters.faults.inc();
            self.faults.say(|left_out| {
                tracing::warn!(stream = %self.settings.name, residual = answer.residual, "numeric fault: {fault}{left_out}");
            });
        }
        let last = LastAnswer {
            label: self.parts.labels.words(&answer.target),
            probability: answer.target.probability,
            residual: answer.residual,
        };
        self.standing.update(|standing| standing.last_answer = Some(last));
    }

    /// Shows what is ready, in order.
    fn show(&mut self) {
        while let Some((id, waiting, fate)) = self.line.next(self.clock().now()) {
            let outcome = match &fate {
                Fate::Explained(_) => self.meters.explained.clone(),
                Fate::Held => self.meters.held.clone(),
                Fate::Late => self.meters.late.clone(),
            };
            if let (Fate::Explained(answer), Some(canvas)) = (&fate, &mut self.canvas) {
                canvas.take(id, waiting.pts, answer);
            }
            let passage = Passage { decoded: waiting.frame.decoded, outcome };
            let drawn = self.draw(&waiting, passage);
            if !matches!(drawn, Ok(true)) {
                self.meters.dropped(Reason::EncodeQueue).inc();
            }
            if let Err(error) = drawn {
                self.output_failed(&error.to_string());
            }
            self.shown = waiting.pts;
            self.last_picture = Some(Box::new(waiting.frame.frame));
            self.last_plate = None;
        }
    }

    /// Draws a frame. False: the output waits to be made anew.
    fn draw(&mut self, waiting: &Waiting, passage: Passage) -> Result<bool> {
        self.open_output()?;
        let (Some(canvas), Some(output)) = (&mut self.canvas, &mut self.output) else {
            return Ok(false);
        };
        let mut buffer = output.buffer()?;
        let watch = Stopwatch::start();
        canvas.frame(&waiting.frame.frame, waiting.pts, &mut buffer);
        self.meters.overlay.observe_span(watch.elapsed());
        output.push(buffer, waiting.pts, None, Some(passage))?;
        Ok(true)
    }

    fn take_shape(&mut self, shape: Arc<Shape>) {
        let picture = &shape.picture;
        let view = self.settings.preprocessing.view(picture.width_px, picture.height_px, picture.pixel_aspect);
        match Canvas::new(&self.settings.look, &self.parts.labels, picture, view) {
            Ok(canvas) => {
                self.last_picture.get_or_insert_with(|| Box::new(OwnedFrame::black(*picture)));
                self.canvas = Some(canvas);
                self.shape = Some(shape);
            }
            Err(error) => self.complain(&error.to_string()),
        }
    }

    /// Makes the output where there is none and its time has come.
    fn open_output(&mut self) -> Result<()> {
        let now = self.clock().now();
        let (Some(canvas), Some(shape)) = (&self.canvas, &self.shape) else { return Ok(()) };
        if self.output.is_some() || now < self.output_due {
            return Ok(());
        }
        self.output_due = now + OUTPUT_RETRY;
        let picture = canvas.output_info();
        let counters = OutputCounters {
            dropped: self.meters.dropped(Reason::EncodeQueue).clone(),
            latency: self.meters.latency.clone(),
            encode: self.meters.encode.clone(),
            sink_dropped: self.of_sink(|sink| sink.dropped.inc()),
            sink_restarts: self.of_sink(|sink| sink.restarts.inc()),
        };
        let Settings { output: settings, name, .. } = &self.settings;
        let output = Output::start(settings, name, &picture, shape, &self.parts.clock, counters, self.parts.rtsp.as_ref())?;
        tracing::info!(stream = %name, encoder = output.encoder(), width = picture.width_px, height = picture.height_px, "output begins");
        let encoder = output.encoder().to_owned();
        self.standing.update(|standing| {
            standing.size_px = Some((picture.width_px, picture.height_px));
            standing.encoder = Some(encoder);
        });
        self.output = Some(output);
        Ok(())
    }

    fn of_sink(&self, act: fn(&SinkMeters)) -> Arc<dyn Fn(&str) + Send + Sync> {
        let meters = Arc::clone(&self.meters);
        Arc::new(move |sink| meters.of_sink(sink, act))
    }

    fn output_failed(&mut self, why: &str) {
        if let Some(output) = self.output.take() {
            self.output_due = self.clock().now() + OUTPUT_RETRY;
            let stuck = self.meters.stuck.clone();
            let close = move || {
                if !output.close(CLOSE_WITHIN) {
                    stuck.inc();
                }
            };
            self.errands.send("output-stop", close);
        }
        self.complain(&format!("the output failed and is made anew: {why}"));
    }

    /// The source is taken down; it is tried again, unless it was a file and that is through.
    fn lost(&mut self, gone: Gone) {
        let reason = gone.retry();
        if self.settings.lossless && matches!(gone, Gone::Ended) {
            self.feed.close(Reason::Disconnected, &self.meters);
            self.meters.up.set(0.0);
            self.meters.ended();
            self.standing.goes(Up::Ended);
            return;
        }
        self.feed.take_down(Reason::Disconnected, &self.meters);
        self.meters.retried(reason).inc();
        self.down(&gone.words());
    }

    fn down(&mut self, why: &str) {
        self.meters.up.set(0.0);
        self.standing.goes(Up::Down);
        let wait = self.feed.wake(self.settings.stall).map(|due| due.saturating_sub(self.clock().now()));
        let wait = wait.unwrap_or_default().as_secs_f64();
        tracing::warn!(stream = %self.settings.name, "no source, tried again in {wait:.1} s: {why}");
        self.standing.update(|standing| standing.last_error = Some(why.to_owned()));
    }

    /// While no source gives frames, the last picture is shown again; after a while as a plate.
    fn plate_if_due(&mut self) {
        let now = self.clock().now();
        let silent = self.feed.last_frame().map(|last| now.saturating_sub(last));
        let away = !self.feed.gives() || silent.is_some_and(|silent| silent >= PLATE_AFTER);
        let due =
            self.last_plate.is_none_or(|last| now.saturating_sub(last) >= PLATE_EVERY) && silent.is_none_or(|silent| silent >= PLATE_EVERY);
        if self.settings.lossless || !away || !due || self.line.len() > 0 || self.shape.is_none() {
            return;
        }
        self.last_plate = Some(now);
        let text = match silent {
            Some(silent) if silent < PLATE_AFTER => None,
            Some(silent) => Some(format!("no signal for {} s", silent.as_secs())),
            None => Some("no signal".to_owned()),
        };
        if let Err(error) = self.draw_plate(now, text.as_deref()) {
            self.output_failed(&error.to_string());
        }
    }

    fn draw_plate(&mut self, now: Duration, text: Option<&str>) -> Result<()> {
        self.open_output()?;
        let (Some(canvas), Some(output), Some(picture)) = (&mut self.canvas, &mut self.output, &self.last_picture) else { return Ok(()) };
        let mut buffer = output.buffer()?;
        canvas.plate(&**picture, text, &mut buffer);
        output.push(buffer, self.timeline.plate(now), None, None)?;
        self.meters.placeholders.inc();
        Ok(())
    }

    fn change(&mut self, new: Settings) {
        let old = std::mem::replace(&mut self.settings, new);
        self.line.set_deadline(if self.settings.lossless { None } else { Some(self.settings.deadline) });
        if old.look != self.settings.look {
            let look = &self.settings.look;
            self.pacer = Pacer::new(look.every, look.max_fps);
            if old.look.target != look.target {
                self.choice = Arc::new(look.target.rule.choice());
            }
            if let Some(Err(error)) = self.canvas.as_mut().map(|canvas| canvas.change(look)) {
                self.complain(&error.to_string());
            }
        }
        if old.source != self.settings.source {
            self.feed.replace(&self.meters);
        }
        tracing::info!(stream = %self.settings.name, "stream changed");
    }

    /// Brings the standing up to date, now and then: it costs more than a frame should.
    fn report(&mut self) {
        let now = self.clock().now();
        if self.reported.is_some_and(|last| now.saturating_sub(last) < REPORT_EVERY) {
            return;
        }
        self.reported = Some(now);
        let sinks = self.output.as_ref().map(Output::sinks);
        for sink in sinks.iter().flatten() {
            self.meters.of_sink(&sink.name, |meters| meters.up.set(if sink.up { 1.0 } else { 0.0 }));
        }
        let waiting = [self.feed.waiting(), self.line.len(), self.output.as_ref().map_or(0, Output::waiting)];
        self.standing.update(|standing| {
            standing.waiting = waiting;
            standing.turns += 1;
            if let Some(sinks) = sinks {
                standing.sinks = sinks;
            }
        });
    }

    fn complain(&self, what: &str) {
        self.standing.update(|standing| standing.last_error = Some(what.to_owned()));
        self.faults.say(|left_out| tracing::warn!(stream = %self.settings.name, "{what}{left_out}"));
    }

    /// What waits is counted, the source goes, files are closed.
    fn end(mut self) {
        while self.line.pop_oldest().is_some() {
            self.meters.dropped(Reason::Shutdown).inc();
        }
        self.feed.close(Reason::Shutdown, &self.meters);
        self.meters.up.set(0.0);
        if let Some(output) = self.output.take()
            && !output.close(CLOSE_WITHIN)
        {
            self.meters.stuck.inc();
            self.complain("the output did not come to its end in time");
        }
        if !(self.feed.settle(SETTLE_WITHIN) && self.errands.wait(SETTLE_WITHIN)) {
            tracing::warn!(stream = %self.settings.name, "a source or an output hangs: its last frames may not be counted");
        }
        self.report();
    }
}
