//! The playlist of an HLS folder (RFC 8216), written whole and put in its place at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};

/// A playlist that grows at its end.
#[derive(Debug)]
pub(super) struct Playlist {
    path: PathBuf,
    /// A segment may be so long.
    target: Duration,
    /// Of the first entry.
    sequence: u64,
    /// Breaks before the first entry.
    breaks: u64,
    entries: Vec<Entry>,
    /// Entries at most.
    most: Option<usize>,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    name: String,
    length: Duration,
    /// Times, or what is decoded, do not follow from the entry before.
    breaks: bool,
}

impl Playlist {
    /// Goes on with the playlist that is there, as far as its segments are, so that players need not begin anew.
    pub fn open(path: PathBuf, target: Duration, most: Option<usize>) -> Playlist {
        let mut playlist = Playlist { path, target, sequence: 0, breaks: 0, entries: Vec::new(), most };
        let text = fs::read_to_string(&playlist.path).unwrap_or_default();
        playlist.read(&text);
        let folder = playlist.path.parent().unwrap_or(Path::new(".")).to_owned();
        while playlist.entries.first().is_some_and(|entry| !folder.join(&entry.name).exists()) {
            playlist.remove_first();
        }
        playlist
    }

    fn read(&mut self, text: &str) {
        let mut length = Duration::ZERO;
        let mut breaks = false;
        for line in text.lines() {
            if let Some(number) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                self.sequence = number.trim().parse().unwrap_or(0);
            } else if let Some(number) = line.strip_prefix("#EXT-X-DISCONTINUITY-SEQUENCE:") {
                self.breaks = number.trim().parse().unwrap_or(0);
            } else if let Some(seconds) = line.strip_prefix("#EXTINF:") {
                let seconds: f64 = seconds.trim_end_matches(',').parse().unwrap_or(0.0);
                length = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            } else if line == "#EXT-X-DISCONTINUITY" {
                breaks = true;
            } else if !line.is_empty() && !line.starts_with('#') && !line.contains('/') {
                self.entries.push(Entry { name: line.to_owned(), length, breaks });
                breaks = false;
            }
        }
    }

    fn remove_first(&mut self) {
        let first = self.entries.remove(0);
        self.sequence += 1;
        self.breaks += u64::from(first.breaks);
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// One more segment. `breaks`: it does not follow from the one before.
    ///
    /// # Errors
    /// [`Kind::Runtime`](crate::error::Kind::Runtime) where it cannot be written.
    pub fn append(&mut self, name: &str, length: Duration, breaks: bool) -> Result<()> {
        self.entries.push(Entry { name: name.to_owned(), length, breaks });
        while self.most.is_some_and(|most| self.entries.len() > most) {
            self.remove_first();
        }
        self.write(false)
    }

    /// No more come.
    ///
    /// # Errors
    /// As [`Playlist::append`].
    pub fn end(&self) -> Result<()> {
        self.write(true)
    }

    fn text(&self, ended: bool) -> String {
        let longest = self.entries.iter().map(|entry| entry.length).max().unwrap_or_default();
        let target_s = self.target.max(longest).as_secs_f64().ceil();
        let mut text = format!("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{target_s}\n#EXT-X-MEDIA-SEQUENCE:{}\n", self.sequence);
        if self.breaks > 0 {
            text += &format!("#EXT-X-DISCONTINUITY-SEQUENCE:{}\n", self.breaks);
        }
        for entry in &self.entries {
            text += if entry.breaks { "#EXT-X-DISCONTINUITY\n" } else { "" };
            text += &format!("#EXTINF:{:.3},\n{}\n", entry.length.as_secs_f64(), entry.name);
        }
        text + if ended { "#EXT-X-ENDLIST\n" } else { "" }
    }

    fn write(&self, ended: bool) -> Result<()> {
        let part = crate::video::part_path(&self.path);
        let failed = |error: std::io::Error| super::segments::io_error(&self.path, error);
        fs::write(&part, self.text(ended)).map_err(failed)?;
        fs::rename(&part, &self.path).map_err(|error| Error::runtime(format!("{}: {error}", self.path.display())).with_source(error))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_playlist_goes_on_where_it_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("front.m3u8");
        let s = Duration::from_secs;
        let mut list = Playlist::open(path.clone(), s(4), Some(3));
        for index in 0..5 {
            fs::write(folder.path().join(format!("{index}.ts")), "x").unwrap();
            list.append(&format!("{index}.ts"), s(2) + Duration::from_millis(index), index == 1).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        let expected = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:2\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n\
             #EXTINF:2.002,\n2.ts\n#EXTINF:2.003,\n3.ts\n#EXTINF:2.004,\n4.ts\n";
        assert_eq!(text, expected);
        fs::remove_file(folder.path().join("2.ts")).unwrap();
        let mut again = Playlist::open(path.clone(), s(4), Some(3));
        again.append("5.ts", s(5), true).unwrap();
        again.end().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let expected = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:5\n#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n\
             #EXTINF:2.003,\n3.ts\n#EXTINF:2.004,\n4.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:5.000,\n5.ts\n#EXT-X-ENDLIST\n";
        assert_eq!(text, expected);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5, "nothing is left beside it");
    }
}
