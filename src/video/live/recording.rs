//! One file that is being written, by a pipeline of its own.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gst::prelude::*;

use super::packets::Packet;
use super::pipe::{Pipe, Timing};
use super::sink::Surroundings;
use crate::error::{Error, Result};
use crate::video::launch::{find, pipeline};

/// Ticks a second of the video track in MP4; the usual frame rates and phone clocks divide it.
const TRACK_TICKS: u32 = 90_000;
/// How long the only frame of a file lasts where nothing says it.
const USUAL: Duration = Duration::from_millis(40);

/// A file that is being written. One packet is held back until the next says how long it lasts.
pub(super) struct Recording {
    pipe: Option<Pipe>,
    held: Option<Packet>,
    /// How long the last frame lasted.
    usual: Duration,
    path: PathBuf,
    written: bool,
    whole: bool,
}

impl Recording {
    /// Begins the file. It must not be there.
    pub fn start(text: &str, path: &Path, timing: Timing, around: &Surroundings) -> Result<Self> {
        let pipeline = pipeline(text, &[])?;
        find::<gst::Element>(&pipeline, "file")?.set_property("location", path.to_string_lossy().as_ref());
        if let Some(mux) = pipeline.by_name("mux") {
            for pad in mux.sink_pads().iter().filter(|pad| pad.find_property("trak-timescale").is_some()) {
                pad.set_property("trak-timescale", TRACK_TICKS);
            }
        }
        let at = |error: Error| error.at(path.display());
        let mut recording = Recording { pipe: None, held: None, usual: USUAL, path: path.to_owned(), written: false, whole: false };
        recording.pipe = Some(Pipe::start(pipeline, timing, &around.stop, around.hang()).map_err(at)?);
        Ok(recording)
    }

    /// Whether the same decoder set-up holds.
    pub fn goes_on_with(&self, packet: &Packet) -> bool {
        self.held.as_ref().is_none_or(|held| held.caps == packet.caps)
    }

    /// Writes the packet that was held back, and holds this one.
    pub fn push(&mut self, packet: Packet) -> Result<()> {
        let next = packet.pts;
        let held = self.held.replace(packet);
        self.write(held, Some(next))
    }

    fn write(&mut self, packet: Option<Packet>, next: Option<Duration>) -> Result<()> {
        let Some(mut packet) = packet else { return Ok(()) };
        let own = packet.buffer.duration().map(Duration::from);
        let lasts = next.map(|next| next.saturating_sub(packet.pts)).or(own).filter(|span| !span.is_zero()).unwrap_or(self.usual);
        self.usual = lasts;
        packet.buffer.make_mut().set_duration(gst::ClockTime::try_from(lasts).ok());
        let pipe = self.pipe.as_mut().expect("a recording that was not ended has its pipe");
        pipe.push(packet).map_err(|error| error.at(self.path.display()))?;
        self.written = true;
        Ok(())
    }

    /// What went wrong, if something did.
    pub fn check(&self) -> Result<()> {
        self.pipe.as_ref().map_or(Ok(()), |pipe| pipe.check().map_err(|error| error.at(self.path.display())))
    }

    /// Whether something was given to the file and it did not fail.
    pub fn has_written(&self) -> bool {
        self.written && self.check().is_ok()
    }

    /// Ends the file; its last frame lasts until `until`, or as long as it says. Gives back the stream's time at its end.
    pub fn end(mut self, until: Option<Duration>) -> Result<Duration> {
        let held = self.held.take();
        let last = held.as_ref().map_or(Duration::ZERO, |held| held.pts);
        self.write(held, until)?;
        let end = until.unwrap_or(last + self.usual);
        let pipe = self.pipe.take().expect("a recording is ended once");
        pipe.end().map_err(|error| error.at(self.path.display()))?;
        self.whole = true;
        Ok(end)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // Where it was not ended it failed: what plays stays.
        self.pipe = None;
        if !self.whole && !is_playable(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether an MP4 has at least one whole fragment, or is whole itself.
pub(super) fn is_playable(path: &Path) -> bool {
    let (mut described, mut data) = (false, false);
    whole_boxes(path).iter().any(|name| {
        let playable = match name {
            b"mdat" => described,
            // The first one, before the data, has no frames; that of a whole file is behind them.
            b"moov" => data,
            _ => false,
        };
        described |= name == b"moof";
        data |= name == b"mdat";
        playable
    })
}

/// Whether nothing in an MP4 says what its pictures are: it was not a second old when its writer was killed.
pub(super) fn is_torso(path: &Path) -> bool {
    path.exists() && !whole_boxes(path).contains(b"moov")
}

/// The names of an MP4's boxes at its top, up to the first that is cut off.
fn whole_boxes(path: &Path) -> Vec<[u8; 4]> {
    let mut names = Vec::new();
    let Ok(mut file) = File::open(path) else { return names };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let (mut at, mut head) = (0, [0; 16]);
    while at + 8 <= length {
        let rest = (length - at).min(16) as usize;
        if file.seek(SeekFrom::Start(at)).is_err() || file.read_exact(&mut head[..rest]).is_err() {
            break;
        }
        // ISO/IEC 14496-12, 4.2: a size of 1 is followed by one of 64 bits, 0 reaches to the end.
        let size = match u32::from_be_bytes([head[0], head[1], head[2], head[3]]) {
            0 => length - at,
            1 if rest == 16 => u64::from_be_bytes([head[8], head[9], head[10], head[11], head[12], head[13], head[14], head[15]]),
            size => u64::from(size),
        };
        if size < 8 || at + size > length {
            break;
        }
        names.push([head[4], head[5], head[6], head[7]]);
        at += size;
    }
    names
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn file(folder: &Path, boxes: &[(&[u8; 4], u32)], cut_bytes: usize) -> PathBuf {
        let whole: Vec<u8> = boxes
            .iter()
            .flat_map(|(name, content)| [&(8 + content).to_be_bytes()[..], &name[..], &vec![7; *content as usize]].concat())
            .collect();
        let path = folder.join("file.mp4");
        fs::write(&path, &whole[..whole.len() - cut_bytes]).unwrap();
        path
    }

    #[test]
    fn files_play_from_their_first_whole_fragment_on() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let begun: [(&[u8; 4], u32); 3] = [(b"ftyp", 24), (b"free", 0), (b"mdat", 100)];
        let fragment = [&begun[..], &[(b"moov", 50)]].concat();
        let two = [&fragment[..], &[(b"moof", 20), (b"mdat", 100)]].concat();
        let judged = |boxes: &[(&[u8; 4], u32)], cut_bytes| {
            let path = file(at, boxes, cut_bytes);
            (is_playable(&path), is_torso(&path))
        };
        assert_eq!(judged(&begun, 0), (false, true));
        assert_eq!(judged(&fragment, 1), (false, true));
        assert_eq!(judged(&fragment, 0), (true, false));
        assert_eq!(judged(&two, 1), (true, false));
        assert_eq!(judged(&begun[..1], 30), (false, true));
        // Of another writer, with the index first: none of ours, and no torso.
        assert!(!judged(&[(b"ftyp", 24), (b"moov", 50), (b"mdat", 100)], 40).1);
        let missing = at.join("missing.mp4");
        assert!(!is_playable(&missing) && !is_torso(&missing));
    }
}
