//! The audio of a recorded video on its way from source to sink, untouched.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use gst::prelude::*;

use super::launch::{branch, named};
use super::watch::Running;
use crate::error::{Error, Result};

/// What becomes of the audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AudioMode {
    /// Passed through untouched; refused where the output cannot hold it.
    #[default]
    Copy,
    /// Decoded, and encoded to what the output is known for.
    Transcode,
    /// Left out.
    Drop,
}

/// What is known of the audio before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioInfo {
    /// A short name: `aac`, `opus`, `pcm`.
    pub codec: String,
    /// Channels, 0 where unknown.
    pub channels: u32,
    /// Samples a second, 0 where unknown.
    pub sample_rate_hz: u32,
}

/// Bytes of audio that wait while video has frames to give. Above it the demuxer is held, unless video starves behind the audio.
const WAITING_BYTES: u64 = 32 << 20;

/// Keeps the audio that was read ahead from growing without end. It cannot simply block: a demuxer that is held at an audio packet reads
/// no video, and the packet's turn at the muxer may come only after frames that are not read yet.
#[derive(Debug, Default)]
pub(super) struct Bound {
    waiting_bytes: AtomicU64,
    /// The reader of frames waits: audio must not be in the way.
    pub video_starves: AtomicBool,
    /// The reader of frames has come to the end of what it is to read.
    pub video_ended: AtomicBool,
    /// Stream time of the end of the last packet that came.
    pub end_ns: AtomicI64,
    /// Nobody wants audio any more.
    closed: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Bound {
    fn hold(&self) {
        let full = || {
            self.waiting_bytes.load(Ordering::Relaxed) > WAITING_BYTES
                && !self.video_starves.load(Ordering::Relaxed)
                && !self.closed.load(Ordering::Relaxed)
        };
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // The limit on the wait stands in for a notification from the reader of frames, which must not take a lock for each frame.
        while full() {
            guard = self.changed.wait_timeout(guard, Duration::from_millis(20)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn took(&self, bytes: u64) {
        let _ = self.waiting_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| Some(waiting.saturating_sub(bytes)));
        self.changed.notify_all();
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.changed.notify_all();
    }
}

/// The audio stream of a source: its packets with their times, for a [`Sink`](super::Sink).
#[derive(Debug)]
pub struct AudioTrack {
    packets: gst_app::AppSink,
    bound: Arc<Bound>,
    running: Arc<Running>,
    caps: gst::Caps,
    mode: AudioMode,
    /// Stream time of the first frame, and the window of stream time that is wanted, in nanoseconds.
    pub(super) first_frame_ns: i64,
    pub(super) timeline: Timeline,
    pub(super) window_ns: (Option<i64>, Option<i64>),
    ahead: Option<Packet>,
}

/// One packet, timed relative to the first frame; audio may come before it.
#[derive(Debug)]
pub(super) struct Packet {
    pub buffer: gst::Buffer,
    pub pts_ns: i64,
    pub caps: gst::Caps,
}

/// What asking for a packet gave.
pub(super) enum Next {
    Packet(Packet),
    NotYet,
    End,
}

impl AudioTrack {
    /// Hangs the branch for audio onto a pad of the running source.
    pub(super) fn link(running: &Arc<Running>, pad: &gst::Pad, caps: gst::Caps, mode: AudioMode) -> Result<Self> {
        let bin = branch(include_str!("../../pipelines/file_source_audio.gst"), &[])?;
        let packets: gst_app::AppSink = named(&bin, "packets");
        let bound = Arc::new(Bound::default());
        let sink_pad = packets.static_pad("sink").expect("appsink has a sink pad");
        let probe_bound = Arc::clone(&bound);
        let what = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_FLUSH;
        sink_pad.add_probe(what, move |pad, info| {
            match &info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => {
                    if let Some(end_ns) = end_ns(pad, buffer) {
                        probe_bound.end_ns.store(end_ns, Ordering::Relaxed);
                    }
                    if probe_bound.closed.load(Ordering::Relaxed) {
                        info.data = None;
                        return gst::PadProbeReturn::Handled;
                    }
                    probe_bound.waiting_bytes.fetch_add(buffer.size() as u64, Ordering::Relaxed);
                    probe_bound.hold();
                }
                Some(gst::PadProbeData::Event(event)) if event.type_() == gst::EventType::FlushStop => {
                    probe_bound.waiting_bytes.store(0, Ordering::Relaxed);
                }
                _ => {}
            }
            gst::PadProbeReturn::Ok
        });
        let failed = |_| Error::runtime("the audio stream cannot be joined to the pipeline");
        running.pipeline.add(&bin).map_err(|error| Error::runtime(error.to_string()))?;
        bin.sync_state_with_parent().map_err(|error| Error::runtime(error.to_string()))?;
        pad.link(&bin.static_pad("sink").expect("the audio branch leaves one pad open")).map_err(failed)?;
        let running = Arc::clone(running);
        Ok(Self {
            packets,
            bound,
            running,
            caps,
            mode,
            first_frame_ns: 0,
            timeline: Timeline::default(),
            window_ns: (None, None),
            ahead: None,
        })
    }

    pub(super) fn bound(&self) -> Arc<Bound> {
        Arc::clone(&self.bound)
    }

    /// The caps of the packets.
    pub(super) fn caps(&self) -> &gst::CapsRef {
        &self.caps
    }

    pub(super) fn mode(&self) -> AudioMode {
        self.mode
    }

    /// The next packet inside the window, waiting for it so long.
    pub(super) fn next(&mut self, wait: Duration) -> Next {
        if let Some(packet) = self.ahead.take() {
            return Next::Packet(packet);
        }
        let wait = gst::ClockTime::from_nseconds(wait.as_nanos() as u64);
        loop {
            let Some(sample) = self.packets.try_pull_sample(wait) else {
                return if self.packets.is_eos() { Next::End } else { Next::NotYet };
            };
            let Some(buffer) = sample.buffer_owned() else { continue };
            self.bound.took(buffer.size() as u64);
            let Some(time_ns) = sample_time_ns(&sample, self.timeline) else { continue };
            let end_ns = time_ns + buffer.duration().map_or(1, |duration| duration.nseconds().max(1) as i64);
            if self.window_ns.0.is_some_and(|start| end_ns <= start) {
                continue;
            }
            if self.window_ns.1.is_some_and(|stop| time_ns >= stop) {
                return Next::End;
            }
            let caps = sample.caps_owned().unwrap_or_else(|| self.caps.clone());
            return Next::Packet(Packet { buffer, pts_ns: time_ns - self.first_frame_ns, caps });
        }
    }

    /// The time of the first packet relative to the first frame, where it comes within `wait`.
    pub(super) fn first_pts_ns(&mut self, wait: Duration) -> Option<i64> {
        if let Next::Packet(packet) = self.next(wait) {
            self.ahead = Some(packet);
        }
        self.ahead.as_ref().map(|packet| packet.pts_ns)
    }

    /// Whether the source has failed; then no end of the audio may come.
    pub(super) fn source_failed(&self) -> bool {
        self.running.watch.lock().fault.is_some()
    }
}

impl Drop for AudioTrack {
    fn drop(&mut self) {
        self.bound.close();
    }
}

fn end_ns(pad: &gst::Pad, buffer: &gst::Buffer) -> Option<i64> {
    let event = pad.sticky_event::<gst::event::Segment>(0)?;
    time_ns(event.segment(), Some(buffer.pts()? + buffer.duration().unwrap_or_default()))
}

/// Where a sample's time in the file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Timeline {
    /// In the segment: stream time.
    #[default]
    Segment,
    /// In the buffer alone: matroskademux in 1.22 sends the first stream a segment that begins at its own start and soon another one that
    /// begins at the other stream's, so that times jump. Its timestamps are the file's.
    Buffer,
}

/// A sample's time in the file, in nanoseconds.
pub(super) fn sample_time_ns(sample: &gst::Sample, timeline: Timeline) -> Option<i64> {
    let pts = sample.buffer()?.pts();
    match timeline {
        Timeline::Segment => time_ns(sample.segment()?, pts),
        Timeline::Buffer => pts.map(|pts| pts.nseconds() as i64),
    }
}

/// Stream time in nanoseconds, negative before the file's start (a codec's priming).
fn time_ns(segment: &gst::Segment, time: Option<gst::ClockTime>) -> Option<i64> {
    let signed = segment.downcast_ref::<gst::ClockTime>()?.to_stream_time_full(time?)?;
    Some(match signed {
        gst::Signed::Positive(time) => time.nseconds() as i64,
        gst::Signed::Negative(time) => -(time.nseconds() as i64),
    })
}

/// A short name of the codec that caps are of.
pub(super) fn codec_name(caps: &gst::CapsRef) -> String {
    let Some(structure) = caps.structure(0) else { return "unknown".to_owned() };
    let version = structure.get::<i32>("mpegversion").unwrap_or(0);
    match structure.name().as_str() {
        "audio/mpeg" if version == 1 => match structure.get::<i32>("layer") {
            Ok(layer @ 1..=2) => format!("mp{layer}"),
            _ => "mp3".to_owned(),
        },
        "audio/mpeg" => "aac".to_owned(),
        "audio/x-raw" => "pcm".to_owned(),
        "video/x-h265" => "hevc".to_owned(),
        "video/mpeg" if version == 4 => "mpeg4".to_owned(),
        "video/mpeg" => format!("mpeg{version}video"),
        name => name.rsplit('/').next().unwrap_or(name).trim_start_matches("x-").to_owned(),
    }
}

/// What caps say of audio.
pub(super) fn audio_info(caps: &gst::CapsRef) -> AudioInfo {
    let number = |name: &str| caps.structure(0).and_then(|structure| structure.get::<i32>(name).ok()).unwrap_or(0).max(0) as u32;
    AudioInfo { codec: codec_name(caps), channels: number("channels"), sample_rate_hz: number("rate") }
}
