//! A recorded video in: decoded frames with their times.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gst::prelude::*;
use gst_video::{VideoFrame, VideoInfo};

use super::audio::{self, AudioInfo, AudioMode, AudioTrack, Bound, Timeline, sample_time_ns};
use super::bitstream;
use super::caps::picture_info;
use super::decoded::DecodedFrame;
use super::launch::{named, pipeline};
use super::losses::{DecoderCount, Losses};
use super::streams::{Linked, choose_streams, count_decoder, link_streams};
use super::watch::{Fault, Running, STALL, State};
use crate::error::{Error, Result};
use crate::frame::{PictureInfo, PixelFormat};

/// After an error that did not end the stream: how long to wait for frames that still come.
const AFTER_FAULT: Duration = Duration::from_secs(3);
/// How far before the start the seek goes. A decoder cuts the frame that a seek lands in, and its time with it; so the cut is made here.
const RUN_UP: Duration = Duration::from_secs(1);
/// A file that ends so much before the end that it claims is cut off.
const CUT_OFF: Duration = Duration::from_secs(1);
/// While opening: how long no thread of the pipeline may run. decodebin swallows the error of a demuxer that fails while it is plugged.
const GAVE_UP: Duration = Duration::from_secs(1);
/// What is shorter is no frame's duration: of the last frame decoders now and then say one tick of some clock.
const SHORTEST: Duration = Duration::from_millis(1);
/// How long one wait for a frame lasts before the watch is asked.
const POLL: Duration = Duration::from_millis(200);

/// What to read and how.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// A path, or a URI that GStreamer reads.
    pub input: String,
    /// Where to begin, from the file's first frame.
    pub start: Option<Duration>,
    /// How much to read from there.
    pub duration: Option<Duration>,
    /// The layouts that frames may come in. Video in another one is converted to the nearest of them.
    pub formats: Vec<PixelFormat>,
    /// What becomes of the audio. The first audio stream is taken.
    pub audio: AudioMode,
}

/// What is known once the first frame is decoded.
#[derive(Debug, Clone)]
pub struct SourceInfo {
    /// Of every frame.
    pub picture: PictureInfo,
    /// Of what will be read, where the file tells.
    pub duration: Option<Duration>,
    /// Frames that will come, where duration and rate are known. For a progress bar, not for more.
    pub frames_hint: Option<u64>,
    /// Frames a second as a fraction, where the file claims a constant rate or an average. Times never come from it.
    pub frame_rate: Option<(u32, u32)>,
    /// The audio stream that is passed on.
    pub audio: Option<AudioInfo>,
    /// A short name: `h264`, `hevc`, `vp9`, `av1`.
    pub video_codec: String,
    pub(super) video: VideoInfo,
}

/// A file or URI being decoded. GStreamer's threads run a few frames ahead.
pub struct Source {
    running: Arc<Running>,
    frames: gst_app::AppSink,
    bound: Option<Arc<Bound>>,
    audio: Option<AudioTrack>,
    info: SourceInfo,
    count: Arc<DecoderCount>,
    /// Frames are not wanted any more; what still comes is thrown away, so that audio goes on.
    spill: Arc<AtomicBool>,
    name: String,
    timeline: Timeline,
    first_ns: i64,
    window_ns: (Option<i64>, Option<i64>),
    ahead: Option<Timed>,
    last_ns: Option<i64>,
    last_duration: Duration,
    known: Option<(gst::Caps, VideoInfo)>,
    /// Stream time of the end as the file claims it; unknown where only a part is read or audio is there and not read.
    claimed_end_ns: Option<i64>,
    /// Stream time at which the part that is asked for ended before the file did.
    cut_ns: Option<i64>,
    end: bool,
    decoded_all: bool,
}

struct Timed {
    sample: gst::Sample,
    pts_ns: i64,
}

impl Source {
    /// Opens the input and decodes its first frame.
    ///
    /// # Errors
    /// [`Kind::NoInput`](crate::error::Kind::NoInput) where there is none, [`Kind::Data`](crate::error::Kind::Data) where it has no video
    /// or none that can be decoded, [`Kind::Usage`](crate::error::Kind::Usage) where it is over before `start`,
    /// [`Kind::Runtime`](crate::error::Kind::Runtime) where GStreamer lacks a plugin (the message names a package).
    pub fn open(settings: &SourceSettings) -> Result<Source> {
        super::init()?;
        let uri = uri_of(&settings.input)?;
        let running = Arc::new(Running::new(pipeline(include_str!("../../pipelines/file_source.gst"), &[])?));
        let input: gst::Element = named(&running.pipeline, "input");
        input.set_property("uri", uri.as_str());
        let linked = Arc::new(Mutex::new(Linked::default()));
        let count = Arc::new(DecoderCount::default());
        choose_streams(&input, settings.audio, &linked);
        count_decoder(&input, &count);
        bitstream::prefer(&input);
        link_streams(&input, &running, settings, &linked);

        let opened = Opening { running, linked, name: settings.input.clone() }.preroll()?;
        opened.into_source(settings, count)
    }

    /// What is known of the input.
    pub fn info(&self) -> &SourceInfo {
        &self.info
    }

    /// The audio, once; for [`Sink::create`](super::Sink::create).
    pub fn take_audio(&mut self) -> Option<AudioTrack> {
        self.audio.take()
    }

    /// What a broken bitstream has cost so far.
    pub fn losses(&self) -> Losses {
        let (mut frames, corrupted) = self.count.losses(self.decoded_all);
        let state = self.running.watch.lock();
        let mut last_message = state.last_complaint.clone().or_else(|| self.count.last_message());
        if let Some(missing) = self.missing_at_the_end() {
            let rate = self.info.frame_rate.map_or(1.0, |(n, d)| f64::from(n) / f64::from(d));
            frames += (missing.as_secs_f64() * rate).round() as u64;
            last_message.get_or_insert_with(|| format!("the file ends {:.1} seconds before the end that it claims", missing.as_secs_f64()));
        }
        Losses { frames, corrupted, complaints: state.complaints, last_message }
    }

    /// How much of the time that the file claims never came, where it is cut off. Audio that goes on after the video is no sign of that.
    fn missing_at_the_end(&self) -> Option<Duration> {
        let claimed = self.claimed_end_ns?;
        let last_frame = self.last_ns? + self.last_duration.as_nanos() as i64;
        let last_audio = self.bound.as_ref().map_or(0, |bound| bound.end_ns.load(Ordering::Relaxed));
        let missing = claimed - last_frame.max(last_audio);
        let cut_off = self.decoded_all && missing > CUT_OFF.as_nanos() as i64;
        cut_off.then(|| Duration::from_nanos((claimed - last_frame) as u64))
    }

    /// The next frame, in order, when it is there. `None` at the end.
    ///
    /// # Errors
    /// [`Kind::Runtime`](crate::error::Kind::Runtime) where nothing comes for a minute. A fault of the input after its first frame is no
    /// error: frames go on as far as they come, and [`Source::losses`] tells.
    pub fn next_frame(&mut self) -> Result<Option<DecodedFrame>> {
        let Some(current) = self.ahead.take().map_or_else(|| self.pull(), |timed| Ok(Some(timed)))? else { return Ok(None) };
        self.ahead = self.pull()?;
        let info = self.video_info(&current.sample)?;
        let buffer = current.sample.buffer_owned().expect("pull gives samples with a buffer");
        // The time until the next frame is what a viewer sees; a decoder's own figure may stem from the order of decoding.
        let duration = match &self.ahead {
            Some(next) => Duration::from_nanos((next.pts_ns - current.pts_ns) as u64),
            None => match self.cut_ns {
                Some(cut_ns) => Duration::from_nanos((cut_ns - current.pts_ns).max(1_000_000) as u64),
                None => buffer.duration().map(Duration::from).filter(|&duration| duration >= SHORTEST).unwrap_or(self.last_duration),
            },
        };
        self.last_duration = duration;
        let picture = self.info.picture;
        let frame = VideoFrame::from_buffer_readable(buffer, &info).map_err(|_| Error::runtime("a decoded frame cannot be read"))?;
        let pts = Duration::from_nanos((current.pts_ns - self.first_ns).max(0) as u64);
        Ok(Some(DecodedFrame::new(pts, duration, picture, frame)))
    }

    /// The next sample inside the window, with a time that is later than the one before.
    fn pull(&mut self) -> Result<Option<Timed>> {
        while !self.end {
            let Some(sample) = self.pull_any()? else {
                self.end = true;
                self.decoded_all = true;
                break;
            };
            if sample.buffer().is_none() {
                continue;
            }
            let guess = self.last_ns.map(|last| last + self.last_duration.as_nanos() as i64);
            let pts_ns = sample_time_ns(&sample, self.timeline).or(guess).unwrap_or(0);
            if self.window_ns.0.is_some_and(|start| pts_ns < start) {
                continue;
            }
            if self.window_ns.1.is_some_and(|stop| pts_ns >= stop) {
                self.cut_ns = self.window_ns.1;
                self.spill();
                self.end = true;
                break;
            }
            if self.video_info(&sample).is_ok_and(|info| {
                (info.width() as usize, info.height() as usize) != (self.info.picture.width_px, self.info.picture.height_px)
            }) {
                continue;
            }
            // Broken files repeat times or run backwards; muxers take neither.
            let pts_ns = self.last_ns.map_or(pts_ns, |last| pts_ns.max(last + 1_000_000));
            self.last_ns = Some(pts_ns);
            return Ok(Some(Timed { sample, pts_ns }));
        }
        if let Some(bound) = &self.bound {
            bound.video_ended.store(true, Ordering::Relaxed);
        }
        Ok(None)
    }

    /// Lets the rest of the video run off, so that the audio beside it goes on.
    fn spill(&self) {
        self.spill.store(true, Ordering::Relaxed);
        self.frames.set_max_buffers(0);
        while self.frames.try_pull_sample(gst::ClockTime::ZERO).is_some() {}
    }

    fn pull_any(&mut self) -> Result<Option<gst::Sample>> {
        let poll = gst::ClockTime::from_mseconds(POLL.as_millis() as u64);
        let mut waited = Duration::ZERO;
        let mut progress = self.running.watch.lock().progress;
        loop {
            if let Some(sample) = self.frames.try_pull_sample(gst::ClockTime::ZERO) {
                return Ok(Some(sample));
            }
            self.starve(true);
            let sample = self.frames.try_pull_sample(poll);
            self.starve(false);
            if sample.is_some() {
                return Ok(sample);
            }
            if self.frames.is_eos() {
                return Ok(None);
            }
            waited += POLL;
            let state = self.running.watch.lock();
            if state.progress != progress {
                (progress, waited) = (state.progress, Duration::ZERO);
            }
            if state.ended || (state.fault.is_some() && waited >= AFTER_FAULT) {
                return Ok(None);
            }
            if waited >= STALL {
                return Err(Error::runtime(format!(
                    "{}: no frame came for {} seconds; is it still being written, or its server gone?",
                    self.name,
                    STALL.as_secs()
                )));
            }
        }
    }

    fn starve(&self, starves: bool) {
        if let Some(bound) = &self.bound {
            bound.video_starves.store(starves, Ordering::Relaxed);
        }
    }

    fn video_info(&mut self, sample: &gst::Sample) -> Result<VideoInfo> {
        let caps = sample.caps().ok_or_else(|| Error::runtime("a frame came without caps"))?;
        if let Some((known, info)) = &self.known
            && known.as_ptr() == caps.as_ptr()
        {
            return Ok(info.clone());
        }
        let info = VideoInfo::from_caps(caps).map_err(|error| Error::runtime(format!("caps that say no size: {error}")))?;
        self.known = Some((caps.to_owned(), info.clone()));
        Ok(info)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // The audio may still be on its way to the sink.
        self.spill();
    }
}

/// A pipeline on its way to its first frame.
struct Opening {
    running: Arc<Running>,
    linked: Arc<Mutex<Linked>>,
    name: String,
}

impl Opening {
    fn preroll(self) -> Result<Self> {
        // A state change that fails has its reason on the bus. A live source gives nothing before it plays.
        if self.running.pipeline.set_state(gst::State::Paused) == Ok(gst::StateChangeSuccess::NoPreroll) {
            let _ = self.running.set_state(gst::State::Playing);
        }
        self.wait()?;
        Ok(self)
    }

    fn wait(&self) -> Result<()> {
        let watch = &self.running.watch;
        let settled = |state: &State| state.prerolled || state.ended || state.fault.is_some();
        let (mut waited, mut idle) = (Duration::ZERO, Duration::ZERO);
        while !settled(&watch.wait(POLL, settled)) && waited < STALL && idle < GAVE_UP {
            waited += POLL;
            idle = if is_idle(&self.running.pipeline) { idle + POLL } else { Duration::ZERO };
        }
        // One stream's fault is not the other's: frames may come nevertheless.
        drop(watch.wait(Duration::from_millis(500), |state| state.prerolled || state.ended));
        // This order of locks is that of the threads that link pads.
        let mut linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let state = watch.lock();
        if let Some(error) = linked.error.take() {
            return Err(error);
        }
        let name = &self.name;
        if state.prerolled && linked.frames.is_some() {
            return Ok(());
        }
        if let Some((what, package)) = &state.missing
            && linked.frames.is_none()
        {
            return Err(Error::runtime(format!(
                "{name}: GStreamer has nothing for {what}: install {package} (or what your system calls it)"
            )));
        }
        if let Some(fault) = &state.fault {
            return Err(fault_error(name, fault));
        }
        if linked.frames.is_none() && (state.prerolled || state.ended) {
            return Err(Error::data(format!("{name}: there is no video in it")));
        }
        if state.ended || idle >= GAVE_UP {
            return Err(Error::data(format!("{name}: nothing in it can be decoded")));
        }
        Err(Error::runtime(format!("{name}: no frame came for {} seconds", STALL.as_secs())))
    }

    /// Where the input cannot be sought all is decoded, and what lies before the start left out.
    fn seek(&self, start_ns: i64, stop_ns: Option<i64>) -> bool {
        let mut query = gst::query::Seeking::new(gst::Format::Time);
        if !self.running.pipeline.query(&mut query) || !query.result().0 {
            return false;
        }
        self.running.watch.update(|state| state.prerolled = false);
        let clock = |time_ns: i64| gst::ClockTime::from_nseconds(time_ns.max(0) as u64);
        let stop = stop_ns.map(clock);
        let stop_type = if stop.is_some() { gst::SeekType::Set } else { gst::SeekType::None };
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
        self.running.pipeline.seek(1.0, flags, gst::SeekType::Set, Some(clock(start_ns)), stop_type, stop).is_ok()
    }

    fn into_source(self, settings: &SourceSettings, count: Arc<DecoderCount>) -> Result<Source> {
        let nanos = |time: Duration| time.as_nanos() as i64;
        let total = self.running.pipeline.query_duration::<gst::ClockTime>().map(Duration::from);
        let start = settings.start.filter(|start| !start.is_zero());
        let mut window_ns = (None, None);
        let timeline = timeline_of(&self.running.pipeline);
        let past_end = || Error::usage(format!("{}: the start lies after the end of the video", self.name));
        if let Some(start) = start {
            if total.is_some_and(|total| start >= total) {
                return Err(past_end());
            }
            // In MPEG-TS the first frame does not lie at zero.
            let first_ns = first_sample(&self.linked).as_ref().and_then(|sample| sample_time_ns(sample, timeline)).unwrap_or(0);
            let start_ns = first_ns + nanos(start);
            window_ns = (Some(start_ns), settings.duration.map(|duration| start_ns + nanos(duration)));
            let from_ns = start_ns - nanos(RUN_UP.min(start));
            if self.seek(from_ns, window_ns.1) {
                self.wait().map_err(|error| if self.running.watch.lock().ended { past_end() } else { error })?;
            }
        }
        let Linked { frames, audio, video_codec, .. } = std::mem::take(&mut *self.linked.lock().unwrap_or_else(PoisonError::into_inner));
        let frames = frames.expect("preroll found video");
        let preroll = frames.try_pull_preroll(gst::ClockTime::ZERO);
        let sample = preroll.ok_or_else(|| match start {
            Some(_) => past_end(),
            None => Error::data(format!("{}: nothing in it can be decoded", self.name)),
        })?;
        let video = sample.caps().and_then(|caps| VideoInfo::from_caps(caps).ok());
        let video = video.ok_or_else(|| Error::runtime("the first frame came without caps"))?;
        let picture = picture_info(&video)?;
        let rate = (video.fps().numer() > 0 && video.fps().denom() > 0).then(|| (video.fps().numer() as u32, video.fps().denom() as u32));
        let rest = total.map(|total| total.saturating_sub(start.unwrap_or_default()));
        let duration = match (rest, settings.duration) {
            (Some(rest), Some(asked)) => Some(rest.min(asked)),
            (rest, asked) => rest.or(asked),
        };
        let frames_hint = duration.zip(rate).map(|(time, (n, d))| (time.as_secs_f64() * f64::from(n) / f64::from(d)).round() as u64);
        let info = SourceInfo {
            picture,
            duration,
            frames_hint,
            frame_rate: rate,
            audio: audio.as_ref().map(|track| audio::audio_info(track.caps())),
            video_codec: video_codec.unwrap_or_else(|| "raw".to_owned()),
            video,
        };
        let whole = start.is_none() && settings.duration.is_none() && settings.audio != AudioMode::Drop;
        let spill = Arc::new(AtomicBool::new(false));
        watch_frames(&frames, &self.running, &spill);
        let last_duration = rate.map_or(Duration::from_millis(40), |(n, d)| Duration::from_secs_f64(f64::from(d) / f64::from(n)));
        let mut source = Source {
            running: self.running,
            bound: audio.as_ref().map(AudioTrack::bound),
            frames,
            audio,
            info,
            count,
            spill,
            name: self.name,
            timeline,
            first_ns: 0,
            window_ns,
            ahead: None,
            last_ns: None,
            last_duration,
            known: None,
            claimed_end_ns: total.filter(|_| whole).map(nanos),
            cut_ns: None,
            end: false,
            decoded_all: false,
        };
        source.running.set_state(gst::State::Playing)?;
        source.ahead = source.pull()?;
        let Some(first) = &source.ahead else {
            return Err(Error::usage(format!("{}: there is no frame between the start and the end asked for", source.name)));
        };
        source.first_ns = first.pts_ns;
        if start.is_none() {
            source.window_ns.1 = settings.duration.map(|duration| source.first_ns + nanos(duration));
        }
        let first_ns = source.first_ns;
        let window_ns = source.window_ns;
        if let Some(track) = &mut source.audio {
            track.first_frame_ns = first_ns;
            track.timeline = timeline;
            track.window_ns = window_ns;
        }
        Ok(source)
    }
}

/// Whether no pad has a thread that works; one that waits for room counts as working.
fn is_idle(pipeline: &gst::Pipeline) -> bool {
    let works = |element: gst::Element| element.pads().iter().any(|pad| pad.task_state() == gst::TaskState::Started);
    !pipeline.iterate_recurse().into_iter().flatten().any(works)
}

fn timeline_of(pipeline: &gst::Pipeline) -> Timeline {
    let is_matroska = |element: gst::Element| element.factory().is_some_and(|factory| factory.name() == "matroskademux");
    match pipeline.iterate_recurse().into_iter().flatten().any(is_matroska) {
        true => Timeline::Buffer,
        false => Timeline::Segment,
    }
}

/// The first frame, while the pipeline waits on it.
fn first_sample(linked: &Mutex<Linked>) -> Option<gst::Sample> {
    linked.lock().unwrap_or_else(PoisonError::into_inner).frames.as_ref()?.try_pull_preroll(gst::ClockTime::ZERO)
}

/// The URI of a path, or the URI itself.
fn uri_of(input: &str) -> Result<String> {
    let is_uri = input.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme));
    if is_uri {
        return Ok(input.to_owned());
    }
    let path = Path::new(input);
    let meta = std::fs::metadata(path).map_err(|error| Error::no_input(format!("{input}: {error}")).with_source(error))?;
    if meta.is_dir() {
        return Err(Error::no_input(format!("{input}: that is a folder, not a video")));
    }
    std::fs::File::open(path).map_err(|error| Error::no_input(format!("{input}: {error}")).with_source(error))?;
    let path = std::path::absolute(path).map_err(|error| Error::no_input(format!("{input}: {error}")).with_source(error))?;
    gst::glib::filename_to_uri(path, None).map(Into::into).map_err(|error| Error::no_input(format!("{input}: {error}")))
}

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// Counts frames as signs of life, and throws them away once they are not wanted.
fn watch_frames(frames: &gst_app::AppSink, running: &Running, spill: &Arc<AtomicBool>) {
    let (watch, spill) = (Arc::clone(&running.watch), Arc::clone(spill));
    let pad = frames.static_pad("sink").expect("appsink has a sink pad");
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        watch.update(|state| state.progress += 1);
        if spill.load(Ordering::Relaxed) {
            info.data = None;
            return gst::PadProbeReturn::Handled;
        }
        gst::PadProbeReturn::Ok
    });
}

fn fault_error(name: &str, fault: &Fault) -> Error {
    let words = &fault.words;
    if fault.error.matches(gst::ResourceError::NotFound) || fault.error.matches(gst::ResourceError::OpenRead) {
        return Error::no_input(format!("{name}: {words}"));
    }
    if fault.error.is::<gst::StreamError>() {
        return Error::data(format!("{name}: nothing in it can be decoded: {words}"));
    }
    if fault.error.matches(gst::CoreError::MissingPlugin) {
        return Error::runtime(format!("{name}: {words}; `gradcast check` lists what is missing"));
    }
    Error::runtime(format!("{name}: {words}"))
}
