//! Outputs with frames drawn by the test.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use gradcast::clock::Clock;
use gradcast::error::Result;
use gradcast::frame::FrameMut;
use gradcast::telemetry::{Counter, Histogram};
use gradcast::video::live::{
    Output, OutputCounters, OutputSettings, Passage, RtspServer, Segments, Shape, SinkKind, SinkSettings, SinkState,
};

/// How long a test waits for what has to come, on a machine that has other things to do.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Columns and rows of the usual picture.
pub const SIZE_PX: (usize, usize) = (320, 240);

/// Waits for a condition.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What an output counted.
#[derive(Clone)]
pub struct Counted {
    pub outcome: Counter,
    pub dropped: Counter,
    pub latency: Histogram,
    pub lost: Arc<Mutex<HashMap<String, u64>>>,
    pub restarts: Arc<Mutex<HashMap<String, u64>>>,
}

impl Counted {
    pub fn new() -> Self {
        Counted {
            outcome: Counter::unregistered(),
            dropped: Counter::unregistered(),
            latency: Histogram::unregistered(),
            lost: Arc::default(),
            restarts: Arc::default(),
        }
    }

    pub fn counters(&self) -> OutputCounters {
        let tells = |map: &Arc<Mutex<HashMap<String, u64>>>| {
            let map = Arc::clone(map);
            Arc::new(move |name: &str| *map.lock().unwrap().entry(name.to_owned()).or_default() += 1)
        };
        OutputCounters {
            dropped: self.dropped.clone(),
            latency: self.latency.clone(),
            encode: Histogram::unregistered(),
            sink_dropped: tells(&self.lost),
            sink_restarts: tells(&self.restarts),
        }
    }

    pub fn lost(&self, sink: &str) -> u64 {
        self.lost.lock().unwrap().get(sink).copied().unwrap_or(0)
    }

    pub fn restarts(&self, sink: &str) -> u64 {
        self.restarts.lock().unwrap().get(sink).copied().unwrap_or(0)
    }
}

/// An output and what goes with it.
pub struct Stage {
    pub output: Output,
    pub counted: Counted,
    pub clock: Clock,
    pub noise: bool,
}

pub fn sink(name: &str, kind: SinkKind) -> SinkSettings {
    SinkSettings { name: name.to_owned(), kind }
}

pub fn segments(folder: &Path, every: Duration) -> Segments {
    Segments { folder: folder.to_owned(), every, keep_for: None, keep_bytes: None }
}

/// Live, a key frame every second.
pub fn settings(sinks: Vec<SinkSettings>) -> OutputSettings {
    OutputSettings {
        encoder: None,
        bitrate_kbps: 800,
        key_interval: Duration::from_secs(1),
        lossless: false,
        sinks,
        preview: None,
        pipelines: None,
    }
}

impl Stage {
    pub fn start(settings: &OutputSettings, rtsp: Option<&RtspServer>) -> Self {
        Self::on(settings, rtsp, Clock::machine())
    }

    pub fn on(settings: &OutputSettings, rtsp: Option<&RtspServer>, clock: Clock) -> Self {
        let counted = Counted::new();
        let shape = Shape::of_size(SIZE_PX.0, SIZE_PX.1).unwrap();
        let output = Output::start(settings, "front", &shape.picture, &shape, &clock, counted.counters(), rtsp).unwrap();
        Stage { output, counted, clock, noise: false }
    }

    /// Draws a frame and pushes it.
    pub fn push(&mut self, index: usize, pts: Duration) -> Result<()> {
        let mut frame = self.output.buffer()?;
        if self.noise {
            draw_noise(&mut frame);
        } else {
            draw(&mut frame, index);
        }
        let passage = Passage { decoded: self.clock.now(), outcome: self.counted.outcome.clone() };
        self.output.push(frame, pts, None, Some(passage))
    }

    /// Pushes so many frames as fast as they are taken.
    pub fn push_all(&mut self, count: usize, span: Duration) {
        for index in 0..count {
            self.push(index, span * index as u32).unwrap();
        }
    }

    /// Pushes frames at their times until the film is cut.
    pub fn film(self, fps: u32) -> Film {
        let counted = self.counted.clone();
        let stage = Arc::new(Mutex::new(self));
        let cut = Arc::new(AtomicBool::new(false));
        let still = Arc::new(AtomicBool::new(false));
        let (films, cuts, stills) = (Arc::clone(&stage), Arc::clone(&cut), Arc::clone(&still));
        let thread = thread::spawn(move || {
            let start = Instant::now();
            let mut index = 0;
            while !cuts.load(Ordering::SeqCst) {
                if !stills.load(Ordering::SeqCst) {
                    films.lock().unwrap().push(index, start.elapsed()).unwrap();
                    index += 1;
                }
                thread::sleep(Duration::from_secs(1) / fps);
            }
            index as u64
        });
        Film { stage, cut, still, thread: Some(thread), counted }
    }
}

/// Grey that gets brighter to the right, with a white square that wanders and a black corner.
pub fn draw(frame: &mut impl FrameMut, index: usize) {
    let (width, height) = (frame.info().width_px, frame.info().height_px);
    let mut planes = frame.planes_mut();
    let stride = planes[0].stride_bytes;
    let (left, top) = (index * 4 % (width - 40), 60);
    for (y, row) in planes[0].data.chunks_mut(stride).take(height).enumerate() {
        for (x, luma) in row.iter_mut().take(width).enumerate() {
            let inside = (left..left + 40).contains(&x) && (top..top + 40).contains(&y);
            *luma = if inside { 235 } else { 40 + (x * 120 / width) as u8 };
        }
    }
    // Red.
    planes[1].data.fill(110);
    planes[2].data.fill(170);
}

/// What no encoder makes small.
pub fn draw_noise(frame: &mut impl FrameMut) {
    for plane in frame.planes_mut() {
        plane.data.iter_mut().for_each(|sample| *sample = fastrand::u8(16..=235));
    }
}

/// A stage that is being filmed.
pub struct Film {
    stage: Arc<Mutex<Stage>>,
    cut: Arc<AtomicBool>,
    still: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
    pub counted: Counted,
}

impl Film {
    pub fn sinks(&self) -> Vec<SinkState> {
        self.stage.lock().unwrap().output.sinks()
    }

    /// Whether every sink takes packets.
    pub fn all_up(&self) -> bool {
        self.sinks().iter().all(|sink| sink.up)
    }

    /// No frames come for a while, or they come again.
    pub fn stand_still(&self, still: bool) {
        self.still.store(still, Ordering::SeqCst);
    }

    /// Ends the film; says how many frames were pushed.
    pub fn cut(mut self) -> (Stage, u64) {
        self.cut.store(true, Ordering::SeqCst);
        let pushed = self.thread.take().unwrap().join().unwrap();
        let stage = Arc::into_inner(self.stage).unwrap().into_inner().unwrap();
        (stage, pushed)
    }
}
