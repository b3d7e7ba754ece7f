//! A recorded video in, the overlaid video out: frames out are frames in.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::between::{Between, Filler, Shown};
use super::maps::Maps;
use super::reader::{Group, Reader};
use super::records::{Labels, Records};
use super::summary::Summary;
use crate::clock::Stopwatch;
use crate::engine::{Choice, Engine, Fault};
use crate::error::{Error, Kind, Result};
use crate::frame::View;
use crate::overlay::{self, Normaliser, Overlay, Region};
use crate::saliency::preprocess::Preprocessing;
use crate::video::{Sink, SinkSettings, Source, SourceInfo, SourceSettings};

/// Groups between the reader and the drawer; with those that each side holds, all that is in memory.
const GROUPS_WAITING: usize = 1;

/// What the user set.
pub struct Settings {
    /// The input.
    pub source: SourceSettings,
    /// The output.
    pub sink: SinkSettings,
    /// How a frame becomes the network's input.
    pub preprocessing: Preprocessing,
    /// What is explained.
    pub choice: Choice,
    /// By what the engine explains, as captions and lines name it.
    pub method: String,
    /// Explained frames that are computed together.
    pub batch: usize,
    /// Every so many frames one is explained.
    pub every: usize,
    /// What the others show.
    pub between: Between,
    /// How the overlay looks.
    pub overlay: overlay::Settings,
    /// Time constant of the heatmap's range and values; zero for none.
    pub smooth: Duration,
    /// Names of the classes.
    pub labels: Vec<String>,
    /// `--frames`.
    pub frames: Option<PathBuf>,
    /// `--region`.
    pub regions: Vec<Region>,
    /// `--maps`.
    pub maps: Option<PathBuf>,
}

/// Who is told how far the run is.
pub trait Progress {
    /// The input is open.
    fn opened(&mut self, info: &SourceInfo);
    /// So many frames are encoded, the last one of this media time.
    fn frame(&mut self, frames: u64, pts: Duration);
    /// The numbers of the explained frame at this media time have a fault.
    fn fault(&mut self, pts: Duration, fault: Fault, residual: f32);
}

/// Overlays one video. `stop` becomes a signal's number when the user asks to end early: the file is closed properly then.
///
/// # Errors
/// Kind::NoInput, Kind::Data and Kind::Usage for the input and the output, Kind::Runtime for what fails on the way; nothing is at the
/// output's name then.
pub fn run(settings: Settings, engine: Engine, progress: &mut dyn Progress, stop: &AtomicUsize) -> Result<Summary> {
    let watch = Stopwatch::start();
    let record = engine.record();
    let mut source = Source::open(&settings.source)?;
    let info = source.info().clone();
    let overlay = Overlay::new(settings.overlay, &info.picture)?;
    let audio = source.take_audio();
    let sink = Sink::create(&settings.sink, &overlay.output_info(), &info, audio)?;
    progress.opened(&info);
    let picture = &info.picture;
    let view = settings.preprocessing.view(picture.width_px, picture.height_px, picture.pixel_aspect);
    let records = settings.frames.as_deref().map(|path| Records::create(path, settings.regions.clone())).transpose()?;
    let maps = settings.maps.as_deref().map(Maps::create).transpose()?;
    let mut drawer = Drawer {
        overlay,
        view,
        normaliser: Normaliser::new(settings.smooth),
        caption: settings.overlay.caption,
        labels: Labels(settings.labels),
        method: settings.method,
        sink,
        records,
        maps,
        summary: Summary::default(),
        progress,
    };
    let reader = Reader {
        source,
        engine,
        preprocessing: &settings.preprocessing,
        choice: Arc::new(settings.choice),
        every: settings.every,
        batch: settings.batch,
        stop,
    };
    let (groups, queue) = bounded(GROUPS_WAITING);
    let (read, drawn) = thread::scope(|scope| {
        let reading = thread::Builder::new().name("reader".to_owned()).spawn_scoped(scope, move || reader.run(&groups));
        let reading = reading.map_err(|error| Error::runtime("cannot start the reader thread").with_source(error))?;
        let drawn = drawer.run(queue, Filler::new(settings.between));
        let read = reading.join().map_err(|_| Error::runtime("the reader thread panicked"))?;
        Ok::<_, Error>((read, drawn))
    })?;
    // Where both failed the reader's fault came first: the drawer only saw its frames end.
    let read = read?;
    drawn?;
    let stopped_by = stop.load(Ordering::Relaxed);
    if stopped_by != 0 && drawer.summary.frames_out == 0 {
        return Err(Error::new(Kind::Interrupted(stopped_by as i32), "stopped before the first frame; nothing was written"));
    }
    let Drawer { sink, records, maps, mut summary, .. } = drawer;
    let watch_end = Stopwatch::start();
    let finished = sink.finish()?;
    records.map(Records::finish).transpose()?;
    maps.map(Maps::finish).transpose()?;
    summary.stages.encode += watch_end.elapsed();
    summary.stages.decode = read.decode;
    summary.stages.preprocess = read.preprocess;
    summary.frames_in = read.frames;
    summary.frames_lost = read.losses.total();
    summary.last_complaint = read.losses.last_message;
    summary.stopped_by = stopped_by;
    summary.bytes = finished.bytes;
    summary.engine = record.counts();
    summary.elapsed = watch.elapsed();
    Ok(summary)
}

/// The back half: answers are waited for, frames drawn and encoded, in order.
struct Drawer<'a> {
    overlay: Overlay,
    view: View,
    normaliser: Normaliser,
    caption: bool,
    labels: Labels,
    method: String,
    sink: Sink,
    records: Option<Records>,
    maps: Option<Maps>,
    summary: Summary,
    progress: &'a mut dyn Progress,
}

impl Drawer<'_> {
    fn run(&mut self, queue: Receiver<Group>, mut filler: Filler) -> Result<()> {
        for group in queue {
            let answers = match group.ticket {
                Some(ticket) => {
                    let (answers, timing) = ticket.frames()?;
                    self.summary.computed(timing);
                    answers
                }
                None => Vec::new(),
            };
            let mut answers = answers.into_iter();
            for (frame, explained) in group.frames {
                let answer = if explained { answers.next() } else { None };
                for shown in filler.take(frame, answer) {
                    self.draw(shown)?;
                }
            }
        }
        filler.finish().into_iter().try_for_each(|shown| self.draw(shown))
    }

    fn draw(&mut self, shown: Shown) -> Result<()> {
        let (pts, duration) = (shown.frame.pts, shown.frame.duration);
        let answer = &shown.answer;
        if shown.explained {
            self.summary.explained(answer);
            if let Some(fault) = answer.fault {
                self.progress.fault(pts, fault, answer.residual);
            }
            if let Some(maps) = &mut self.maps {
                maps.write(answer, &shown.map, pts.as_nanos() as i64)?;
            }
        }
        if let Some(records) = &mut self.records {
            records.write(&shown, &self.view, &self.labels, &self.method)?;
        }
        let watch = Stopwatch::start();
        let mut buffer = self.sink.buffer()?;
        self.summary.stages.encode += watch.elapsed();
        let watch = Stopwatch::start();
        let heatmap = self.normaliser.apply(&shown.map, answer.width, answer.height, pts);
        let caption = self.caption.then(|| self.labels.caption(answer, &self.method));
        self.overlay.draw(&shown.frame, &heatmap, &self.view, caption.as_ref(), &mut buffer);
        self.summary.stages.overlay += watch.elapsed();
        drop(shown);
        let watch = Stopwatch::start();
        self.sink.push(buffer, pts, duration)?;
        self.summary.stages.encode += watch.elapsed();
        self.summary.frames_out += 1;
        self.summary.media_time = pts + duration;
        self.progress.frame(self.summary.frames_out, pts + duration);
        Ok(())
    }
}
