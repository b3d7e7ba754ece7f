//! Files that follow each other: MP4 segments, the segments of HLS, and the one whole file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file_names::{FileNames, Keep};
use super::packets::Packet;
use super::pipe::{DISK_FULL, Timing};
use super::playlist::Playlist;
use super::recording::{Recording, is_playable, is_torso};
use super::settings::Segments;
use super::sink::{Surroundings, Writer};
use super::transport_stream::Counters;
use crate::clock::unix_time;
use crate::error::{Error, Result};
use crate::video::output::settle;
use crate::video::part_path;

/// Segments that a live playlist has.
const LISTED: usize = 6;
/// Segments of HLS that are there where nothing else is said: players may still load what has just left the playlist.
const KEPT: usize = 2 * LISTED;

/// MP4 or HLS files in a folder.
pub(super) struct SegmentWriter {
    settings: Segments,
    around: Surroundings,
    text: String,
    names: FileNames,
    current: Option<Current>,
    /// A file has been closed: what comes goes somewhere, also while the next one is only begun.
    has_closed: bool,
    hls: Option<Hls>,
}

struct Current {
    recording: Recording,
    /// Its name when it is whole.
    path: PathBuf,
    first: Duration,
}

/// What HLS has beside its segments.
struct Hls {
    playlist: Playlist,
    counters: Counters,
    /// The next segment does not follow from the one before.
    breaks: bool,
}

/// An error of the file system at a path, in words.
pub(super) fn io_error(path: &Path, error: std::io::Error) -> Error {
    let words = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => DISK_FULL.to_owned(),
        _ => error.to_string(),
    };
    Error::runtime(format!("{}: {words}", path.display())).with_source(error)
}

fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| io_error(folder, error))
}

impl SegmentWriter {
    /// MP4 segments.
    pub fn mp4(settings: &Segments, around: &Surroundings) -> Result<Self> {
        make_folder(&settings.folder)?;
        let text = around.text("live_sink_segments.gst", include_str!("../../../pipelines/live_sink_segments.gst"))?;
        let names = FileNames::new(&settings.folder, &around.stream, "mp4");
        // What a killed run had only begun.
        if let Some(last) = names.own().pop().filter(|last| is_torso(&last.path)) {
            let _ = fs::remove_file(last.path);
        }
        Ok(SegmentWriter { settings: settings.clone(), around: around.clone(), text, names, current: None, has_closed: false, hls: None })
    }

    /// Segments of MPEG-TS and a playlist, `STREAM.m3u8`.
    pub fn hls(settings: &Segments, around: &Surroundings) -> Result<Self> {
        make_folder(&settings.folder)?;
        let text = around.text("live_sink_hls.gst", include_str!("../../../pipelines/live_sink_hls.gst"))?;
        let names = FileNames::new(&settings.folder, &around.stream, "ts");
        // What a killed run left half written.
        for entry in fs::read_dir(&settings.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&format!(".{}_", around.stream)) && name.ends_with(".part.ts") {
                let _ = fs::remove_file(entry.path());
            }
        }
        let listed = (!around.lossless).then_some(LISTED);
        let path = settings.folder.join(format!("{}.m3u8", around.stream));
        let playlist = Playlist::open(path, settings.every + around.key_interval, listed);
        let hls = Hls { breaks: !playlist.is_empty(), playlist, counters: Counters::default() };
        Ok(SegmentWriter {
            settings: settings.clone(),
            around: around.clone(),
            text,
            names,
            current: None,
            has_closed: false,
            hls: Some(hls),
        })
    }

    fn begin(&mut self, packet: &Packet) -> Result<()> {
        // Somebody may have taken the folder away.
        make_folder(&self.settings.folder)?;
        let path = self.names.next(unix_time());
        let (written, timing) = match self.hls {
            Some(_) => (part_path(&path), Timing::Stream),
            None => (path.clone(), Timing::From(packet.pts)),
        };
        let recording = Recording::start(&self.text, &written, timing, &self.around)?;
        self.current = Some(Current { recording, path, first: packet.pts });
        self.prune();
        Ok(())
    }

    fn prune(&self) {
        let Segments { keep_for, keep_bytes, .. } = self.settings;
        let mut keep = Keep { time: keep_for, bytes: keep_bytes, ..Keep::default() };
        if self.hls.is_some() && self.around.lossless {
            // All of them are in the playlist.
            keep.at_least = usize::MAX;
        } else if self.hls.is_some() {
            keep.at_least = LISTED;
            keep.at_most = (keep_for.is_none() && keep_bytes.is_none()).then_some(KEPT);
        }
        self.names.prune(keep, unix_time());
    }

    /// Closes the file that is being written; `until` is where the next begins.
    fn close(&mut self, until: Option<Duration>) -> Result<()> {
        let Some(current) = self.current.take() else { return Ok(()) };
        let end = current.recording.end(until)?;
        self.has_closed = true;
        let Some(hls) = &mut self.hls else { return Ok(()) };
        let part = part_path(&current.path);
        let mut piece = fs::read(&part).map_err(|error| io_error(&part, error))?;
        if hls.breaks {
            hls.counters = Counters::default();
        }
        hls.counters.go_on(&mut piece);
        fs::write(&part, &piece).map_err(|error| io_error(&part, error))?;
        fs::rename(&part, &current.path).map_err(|error| io_error(&current.path, error))?;
        let name = current.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        hls.playlist.append(&name, end.saturating_sub(current.first), std::mem::take(&mut hls.breaks))
    }
}

impl Writer for SegmentWriter {
    fn write(&mut self, packet: Packet) -> Result<()> {
        let is_over = |current: &Current| {
            packet.key && (packet.pts.saturating_sub(current.first) >= self.settings.every || !current.recording.goes_on_with(&packet))
        };
        if self.current.as_ref().is_some_and(is_over) {
            self.close(Some(packet.pts))?;
        }
        if self.current.is_none() {
            self.begin(&packet)?;
        }
        self.current.as_mut().expect("begun above").recording.push(packet)
    }

    fn check(&self) -> Result<()> {
        self.current.as_ref().map_or(Ok(()), |current| current.recording.check())
    }

    fn is_up(&self) -> bool {
        self.has_closed && self.check().is_ok() || self.current.as_ref().is_some_and(|current| current.recording.has_written())
    }

    fn end(mut self: Box<Self>) -> Result<()> {
        self.close(None)?;
        match &self.hls {
            // A live stream goes on when the program runs again.
            Some(hls) if self.around.lossless => hls.playlist.end(),
            _ => Ok(()),
        }
    }
}

/// One MP4, whole, that gets its name when the stream ends.
pub(super) struct WholeFile {
    recording: Recording,
    path: PathBuf,
}

impl WholeFile {
    pub fn start(path: &Path, first: &Packet, around: &Surroundings) -> Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            make_folder(folder)?;
        }
        if path.symlink_metadata().is_ok() {
            return Err(Error::runtime(format!("{} is there already: move it away, or name another file", path.display())));
        }
        let part = part_path(path);
        keep_broken(&part, path)?;
        let text = around.text("live_sink_file.gst", include_str!("../../../pipelines/live_sink_file.gst"))?;
        let recording = Recording::start(&text, &part, Timing::From(first.pts), around)?;
        Ok(WholeFile { recording, path: path.to_owned() })
    }
}

/// What a run that failed or was killed has left plays as far as it goes: it gets a name of its own.
fn keep_broken(part: &Path, path: &Path) -> Result<()> {
    if !is_playable(part) {
        return Ok(());
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let free = (1..).map(|number: u32| path.with_file_name(format!("{stem}.{number}.mp4"))).find(|free| free.symlink_metadata().is_err());
    let free = free.expect("there are more numbers than files");
    fs::rename(part, &free).map_err(|error| io_error(&free, error))
}

impl Writer for WholeFile {
    fn write(&mut self, packet: Packet) -> Result<()> {
        self.recording.push(packet)
    }

    fn check(&self) -> Result<()> {
        self.recording.check()
    }

    fn is_up(&self) -> bool {
        self.recording.has_written()
    }

    fn end(self: Box<Self>) -> Result<()> {
        self.recording.end(None)?;
        settle(&part_path(&self.path), &self.path).map(|_| ())
    }
}
