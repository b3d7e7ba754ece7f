//! A video out: frames encoded, muxed with the audio, and given their name when all is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gst::prelude::*;
use gst_video::{VideoFrame, VideoInfo};

use super::audio::{AudioTrack, Bound, Next};
use super::caps::encoder_caps;
use super::container::Container;
use super::durations;
use super::encoder::Encoder;
use super::launch::{branch, named, pipeline};
use super::output::{OutputFrame, check_path, part_path, settle};
use super::source::SourceInfo;
use super::watch::{Running, STALL, State, Watch};
use crate::error::{Error, Result};
use crate::frame::{PictureInfo, PixelFormat};

/// Frames that wait for the encoder.
const WAITING_FRAMES: u64 = 4;
/// How long the start waits to learn whether audio begins before video does.
const FIRST_AUDIO: Duration = Duration::from_millis(500);
/// How far audio goes ahead of the frames that were pushed. A muxer never waits for audio behind the frame it has.
const AUDIO_AHEAD_NS: i64 = 100_000_000;
/// A packet's duration where neither it nor one before tells.
const USUAL_PACKET_NS: u64 = 20_000_000;
/// How long one wait of the audio's thread lasts.
const AUDIO_TICK: Duration = Duration::from_millis(100);
/// Ticks a second of the video track in MP4; the usual frame rates and phone clocks divide it.
const TRACK_TICKS: u32 = 90_000;

/// What to write and how.
#[derive(Debug, Clone, Default)]
pub struct SinkSettings {
    /// The output; its extension says the kind of file: mp4, m4v, mkv, webm.
    pub path: PathBuf,
    /// Replace what is there.
    pub force: bool,
    /// An encoder element; x264enc where none is named, vp9enc for WebM.
    pub encoder: Option<String>,
    /// Constant quality on the encoder's own scale, lower is better.
    pub crf: Option<u32>,
    /// The encoder's name or number for speed against size; `veryfast` for x264enc and x265enc where none is named.
    pub preset: Option<String>,
    /// A rate in place of constant quality.
    pub bitrate_kbps: Option<u32>,
}

/// A file that is whole and has its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its size.
    pub bytes: u64,
    /// Its name.
    pub path: PathBuf,
}

/// A file being written. Until [`Sink::finish`] it lies at [`part_path`]; dropped before, it stays there and plays as far as it goes, or
/// is removed if no frame was written.
pub struct Sink {
    running: Arc<Running>,
    frames: gst_app::AppSrc,
    pool: gst_video::VideoBufferPool,
    coded: VideoInfo,
    picture: PictureInfo,
    audio: Option<AudioMover>,
    /// Added to every time, so that audio which begins before the first frame is kept.
    lead: Duration,
    path: PathBuf,
    pushed: u64,
    finished: bool,
}

/// The thread that carries audio from the source's pipeline to the sink's.
struct AudioMover {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    bound: Arc<Bound>,
}

impl SinkSettings {
    fn parts(&self) -> Result<(&'static Container, &'static Encoder)> {
        let container = Container::of(&self.path)?;
        let encoder = Encoder::find(self.encoder.as_deref().unwrap_or(container.default_encoder))?;
        Ok((container, encoder))
    }
}

impl Sink {
    /// Refuses what cannot work, before anything is decoded.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage): an extension or encoder that is not known or does not fit the other, a folder that is
    /// not there or not writable, an output that is there already or is the input.
    /// [`Kind::Runtime`](crate::error::Kind::Runtime): an element that is not installed.
    pub fn check(settings: &SinkSettings, input: &str) -> Result<()> {
        super::init()?;
        let (container, encoder) = settings.parts()?;
        encoder.check(settings)?;
        container.check(encoder)?;
        check_path(&settings.path, settings.force, input)
    }

    /// The layouts that the encoder takes.
    pub fn formats(settings: &SinkSettings) -> Result<Vec<PixelFormat>> {
        super::init()?;
        settings.parts()?.1.formats()
    }

    /// Starts writing. `picture` is the output's, which may have another size than the source's; colours and times are the source's.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) where the kind of file cannot hold the audio,
    /// [`Kind::Runtime`](crate::error::Kind::Runtime) where the encoder does not start.
    pub fn create(settings: &SinkSettings, picture: &PictureInfo, source: &SourceInfo, audio: Option<AudioTrack>) -> Result<Sink> {
        super::init()?;
        let (container, encoder) = settings.parts()?;
        container.check(encoder)?;
        let audio_chain = audio.as_ref().map(|track| container.audio_chain(track.caps(), track.mode())).transpose()?;
        let even = |px: usize| if encoder.codec.wants_even_size() { px.next_multiple_of(2) } else { px };
        let caps = encoder_caps(picture, (even(picture.width_px), even(picture.height_px)), &source.video, encoder.needs_rate)?;
        let coded = VideoInfo::from_caps(&caps).map_err(|error| Error::runtime(format!("no caps for the encoder: {error}")))?;

        let (encoder_text, mux_text) = (encoder.text(settings, source.frame_rate)?, container.text());
        let values = [("encoder", encoder_text.as_str()), ("parser", encoder.codec.parser()), ("mux", mux_text.as_str())];
        let running = Arc::new(Running::new(pipeline(include_str!("../../pipelines/file_sink.gst"), &values)?));
        let part = part_path(&settings.path);
        named::<gst::Element>(&running.pipeline, "file").set_property("location", part.to_string_lossy().as_ref());
        let frames: gst_app::AppSrc = named(&running.pipeline, "frames");
        frames.set_caps(Some(&caps));
        count_taken(&frames, &running);
        durations::keep(&running, container.sums_decoding_times);
        count_written(&running);
        let mux: gst::Element = named(&running.pipeline, "mux");
        for pad in mux.sink_pads() {
            if pad.find_property("trak-timescale").is_some() {
                pad.set_property("trak-timescale", TRACK_TICKS);
            }
        }
        let mut lead = Duration::ZERO;
        let mut track = None;
        if let Some((mut audio, chain)) = audio.zip(audio_chain) {
            let early_ns = audio.first_pts_ns(FIRST_AUDIO).unwrap_or(0).min(0);
            lead = Duration::from_nanos(early_ns.unsigned_abs());
            let packets = join_audio(&running, &mux, &chain)?;
            track = Some((audio, packets));
        }
        // A file from a run that was killed makes room; a link at its place is not followed.
        let _ = fs::remove_file(&part);
        let started = running.set_state(gst::State::Playing);
        started.map_err(|error| write_error(&settings.path, &running.watch.lock(), error))?;
        let audio = track.map(|(audio, packets)| AudioMover::start(audio, packets, lead, Arc::clone(&running.watch))).transpose()?;
        let pool = pool_of(&caps, &coded)?;
        let path = settings.path.clone();
        Ok(Sink { running, frames, pool, coded, picture: *picture, audio, lead, path, pushed: 0, finished: false })
    }

    /// An empty frame to fill. Its samples are whatever an earlier one left.
    pub fn buffer(&mut self) -> Result<OutputFrame> {
        let buffer = self.pool.acquire_buffer(None).map_err(|error| Error::runtime(format!("no memory for a frame: {error}")))?;
        let frame =
            VideoFrame::from_buffer_writable(buffer, &self.coded).map_err(|_| Error::runtime("a frame's memory cannot be written"))?;
        Ok(OutputFrame::new(frame, self.picture))
    }

    /// Gives a frame to the encoder, waiting while it is behind. Times are relative to the first frame and grow from call to call.
    ///
    /// # Errors
    /// [`Kind::Runtime`](crate::error::Kind::Runtime) where the encoder or the disk failed, or nothing moves for a minute.
    pub fn push(&mut self, frame: OutputFrame, pts: Duration, duration: Duration) -> Result<()> {
        let mut buffer = frame.into_padded_buffer();
        {
            let buffer = buffer.make_mut();
            let clock = |time: Duration| gst::ClockTime::from_nseconds(time.as_nanos() as u64);
            buffer.set_pts(clock(pts + self.lead));
            buffer.set_dts(gst::ClockTime::NONE);
            buffer.set_duration(clock(duration));
        }
        let watch = &self.running.watch;
        if !watch.wait_while_alive(|state| state.fault.is_some() || state.waiting < WAITING_FRAMES) {
            return Err(Error::runtime(format!("{}: the encoder took no frame for {} seconds", self.path.display(), STALL.as_secs())));
        }
        self.failed()?;
        watch.update(|state| {
            state.waiting += 1;
            state.pushed_ns = (pts + duration).as_nanos() as i64;
        });
        self.frames.push_buffer(buffer).map_err(|error| Error::runtime(format!("{}: the encoder ended: {error}", self.path.display())))?;
        self.pushed += 1;
        Ok(())
    }

    /// Ends the file and gives it its name. Where the source was not read to its end (the user had enough), audio ends with the last frame.
    ///
    /// # Errors
    /// [`Kind::Runtime`](crate::error::Kind::Runtime) where not everything could be written; then nothing is at the final name.
    pub fn finish(mut self) -> Result<Finished> {
        let shown = self.path.display().to_string();
        if self.pushed == 0 {
            return Err(Error::data(format!("{shown}: there was no frame to write")));
        }
        // Stopped early: audio ends where video does.
        let early = self.audio.as_ref().is_some_and(|audio| !audio.bound.video_ended.load(Ordering::Relaxed));
        self.running.watch.update(|state| {
            state.all_pushed = true;
            state.early_end_ns = early.then_some(state.pushed_ns);
        });
        let _ = self.frames.end_of_stream();
        let ended = self.running.watch.wait_while_alive(|state| state.ended || state.fault.is_some());
        self.failed()?;
        if !ended {
            return Err(Error::runtime(format!("{shown}: the file did not come to its end in {} seconds", STALL.as_secs())));
        }
        let encoded = self.running.watch.lock().encoded;
        if encoded < self.pushed {
            let (lost, all) = (self.pushed - encoded, self.pushed);
            return Err(Error::runtime(format!(
                "{shown}: the encoder dropped {lost} of {all} frames: choose another by --encoder, or --crf"
            )));
        }
        if let Some(mut audio) = self.audio.take() {
            audio.join();
        }
        if !self.running.stop() {
            return Err(Error::runtime(format!("{shown}: the encoder does not stop")));
        }
        self.failed()?;
        let bytes = settle(&part_path(&self.path), &self.path)?;
        self.finished = true;
        Ok(Finished { bytes, path: self.path.clone() })
    }

    fn failed(&self) -> Result<()> {
        let state = self.running.watch.lock();
        match &state.fault {
            Some(fault) => Err(write_error(&self.path, &state, Error::runtime(fault.words.clone()))),
            None => Ok(()),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        if let Some(audio) = &self.audio {
            audio.stop.store(true, Ordering::Relaxed);
        }
        self.running.stop();
        if self.pushed == 0 {
            let _ = fs::remove_file(part_path(&self.path));
        }
    }
}

impl AudioMover {
    fn start(mut track: AudioTrack, packets: gst_app::AppSrc, lead: Duration, watch: Arc<Watch>) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let bound = track.bound();
        let mut idle = 0;
        let lead_ns = lead.as_nanos() as i64;
        let work = move || {
            let mut caps: Option<gst::Caps> = None;
            let mut last_ns = None;
            while !stopped.load(Ordering::Relaxed) {
                let early_end_ns = watch.lock().early_end_ns;
                let mut packet = match track.next(AUDIO_TICK) {
                    Next::Packet(packet) => packet,
                    // Once nobody reads the source's frames, audio behind those that wait does not come.
                    Next::NotYet if !track.source_failed() && (early_end_ns.is_none() || idle < 5) => {
                        idle += i32::from(early_end_ns.is_some());
                        continue;
                    }
                    Next::NotYet | Next::End => break,
                };
                // Audio keeps beside the video, so that both end together when the user has enough.
                let near = |state: &State| packet.pts_ns <= state.pushed_ns + AUDIO_AHEAD_NS || state.all_pushed || state.fault.is_some();
                while !near(&watch.wait(AUDIO_TICK, near)) && !stopped.load(Ordering::Relaxed) {}
                if watch.lock().early_end_ns.is_some_and(|end_ns| packet.pts_ns >= end_ns) {
                    break;
                }
                // Later packets may step back to before the first by rounding; a muxer takes no negative time.
                let pts_ns = (packet.pts_ns + lead_ns).max(0) as u64;
                let buffer = packet.buffer.make_mut();
                buffer.set_pts(gst::ClockTime::from_nseconds(pts_ns));
                buffer.set_dts(gst::ClockTime::NONE);
                // Matroska gives packets no durations; mp4mux drops the last one of a track that has none.
                if buffer.duration().is_none() {
                    let lasts_ns = last_ns.map_or(USUAL_PACKET_NS, |last_ns| pts_ns.saturating_sub(last_ns).max(1));
                    buffer.set_duration(gst::ClockTime::from_nseconds(lasts_ns));
                }
                last_ns = Some(pts_ns);
                if caps.as_ref().is_none_or(|known| *known != packet.caps) {
                    packets.set_caps(Some(&packet.caps));
                    caps = Some(packet.caps);
                }
                if packets.push_buffer(packet.buffer).is_err() {
                    break;
                }
            }
            let _ = packets.end_of_stream();
        };
        let thread = thread::Builder::new()
            .name("audio".into())
            .spawn(work)
            .map_err(|error| Error::runtime(error.to_string()).with_source(error))?;
        Ok(Self { thread: Some(thread), stop, bound })
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn join_audio(running: &Running, mux: &gst::Element, chain: &str) -> Result<gst_app::AppSrc> {
    let failed = |error: gst::glib::BoolError| Error::runtime(error.to_string());
    let bin = branch(include_str!("../../pipelines/file_sink_audio.gst"), &[("chain", chain)])?;
    running.pipeline.add(&bin).map_err(failed)?;
    let from = bin.static_pad("src").expect("the audio branch leaves one pad open");
    let to = mux.request_pad_simple("audio_%u").ok_or_else(|| Error::runtime("the muxer takes no audio"))?;
    from.link(&to).map_err(|_| Error::runtime("the audio cannot be joined to the muxer"))?;
    Ok(named(&bin, "packets"))
}

/// Memory for frames of these caps.
pub(super) fn pool_of(caps: &gst::Caps, coded: &VideoInfo) -> Result<gst_video::VideoBufferPool> {
    let pool = gst_video::VideoBufferPool::new();
    let mut config = pool.config();
    config.set_params(Some(caps), coded.size() as u32, 0, 0);
    pool.set_config(config)
        .and_then(|()| pool.set_active(true))
        .map_err(|error| Error::runtime(format!("no memory for frames: {error}")))?;
    Ok(pool)
}

/// Counts frames as the encoder's thread takes them.
fn count_taken(frames: &gst_app::AppSrc, running: &Running) {
    let watch = Arc::clone(&running.watch);
    let pad = frames.static_pad("src").expect("appsrc has a source pad");
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        watch.update(|state| {
            state.waiting = state.waiting.saturating_sub(1);
            state.progress += 1;
        });
        gst::PadProbeReturn::Ok
    });
}

/// Counts what reaches the file as signs of life.
fn count_written(running: &Running) {
    let watch = Arc::clone(&running.watch);
    let file: gst::Element = named(&running.pipeline, "file");
    let pad = file.static_pad("sink").expect("filesink has a sink pad");
    pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, _| {
        watch.update(|state| state.progress += 1);
        gst::PadProbeReturn::Ok
    });
}

fn write_error(path: &Path, state: &State, error: Error) -> Error {
    let part = part_path(path);
    let shown = path.display();
    match &state.fault {
        Some(fault) if fault.error.matches(gst::ResourceError::NoSpaceLeft) => {
            Error::runtime(format!("{shown}: the disk is full; what was written so far is {}", part.display()))
        }
        Some(fault) => Error::runtime(format!("{shown}: {}", fault.words)),
        None => error.at(shown),
    }
}
