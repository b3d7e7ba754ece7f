//! Names of a stream's files by UTC wall time, and which of them are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Length of a stamp, `20260730T120501.123Z`.
const STAMP: usize = 20;

/// Files of one stream in one folder: `STREAM_STAMP.EXTENSION`. They sort by the order in which they were written.
#[derive(Debug)]
pub(super) struct FileNames {
    folder: PathBuf,
    stream: String,
    extension: &'static str,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnFile {
    /// When it was begun, since 1970.
    pub begun: Duration,
    /// When it was written last, since 1970.
    pub written: Duration,
    pub path: PathBuf,
    pub bytes: u64,
}

/// What is kept. The last file always is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Keep {
    /// Since the end of the file.
    pub time: Option<Duration>,
    pub bytes: Option<u64>,
    /// So many of the last are kept whatever else is said.
    pub at_least: usize,
    /// And no more than so many.
    pub at_most: Option<usize>,
}

impl FileNames {
    pub fn new(folder: &Path, stream: &str, extension: &'static str) -> Self {
        FileNames { folder: folder.to_owned(), stream: stream.to_owned(), extension }
    }

    /// The files that are there and have such a name, the oldest first. Others are none of ours.
    pub fn own(&self) -> Vec<OwnFile> {
        let mut own: Vec<OwnFile> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let begun = self.begun(entry.file_name().to_str()?)?;
                let metadata = entry.metadata().ok().filter(|metadata| metadata.is_file())?;
                let written = metadata.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
                Some(OwnFile { begun, written, path: entry.path(), bytes: metadata.len() })
            })
            .collect();
        own.sort_by(|one, other| one.path.cmp(&other.path));
        own
    }

    fn begun(&self, name: &str) -> Option<Duration> {
        let stamp = name.strip_prefix(self.stream.as_str())?.strip_prefix('_')?.strip_suffix(self.extension)?.strip_suffix('.')?;
        parse_stamp(stamp)
    }

    /// A name that sorts behind all that are there. Where the wall clock was set back it is the time of the newest, and a bit.
    pub fn next(&self, now: Duration) -> PathBuf {
        let newest = self.own().last().map(|file| file.begun + Duration::from_millis(1));
        let mut begun = newest.map_or(now, |newest| newest.max(now));
        loop {
            let path = self.folder.join(format!("{}_{}.{}", self.stream, stamp(begun), self.extension));
            // Something else may have the name: a folder, a link that leads nowhere.
            if path.symlink_metadata().is_err() {
                return path;
            }
            begun += Duration::from_millis(1);
        }
    }

    /// Removes what is not to be kept, the oldest first.
    pub fn prune(&self, keep: Keep, now: Duration) {
        let own = self.own();
        let mut bytes: u64 = own.iter().map(|file| file.bytes).sum();
        for (index, file) in own.iter().enumerate() {
            let behind = own.len() - index - 1;
            if behind < keep.at_least.max(1) {
                break;
            }
            // A file ends where the next begins, or earlier: the program may have been away.
            let ended = own[index + 1].begun.min(file.written.max(file.begun));
            let old = keep.time.is_some_and(|time| now.saturating_sub(ended) > time);
            let large = keep.bytes.is_some_and(|most| bytes > most);
            if !(old || large || keep.at_most.is_some_and(|most| behind >= most)) {
                break;
            }
            match fs::remove_file(&file.path) {
                Ok(()) => bytes -= file.bytes,
                Err(error) => tracing::warn!(path = %file.path.display(), "an old file cannot be removed: {error}"),
            }
        }
    }
}

/// `20260730T120501.123Z` of a time since 1970. The civil calendar from days is Howard Hinnant's algorithm, in years that begin in March.
fn stamp(since_1970: Duration) -> String {
    let (seconds, millis) = (since_1970.as_secs(), since_1970.subsec_millis());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}.{millis:03}Z", second / 3600, second / 60 % 60, second % 60)
}

/// The time of a stamp; `None` for what is none.
fn parse_stamp(text: &str) -> Option<Duration> {
    let shape = text.bytes().enumerate().all(|(at, byte)| match at {
        8 => byte == b'T',
        15 => byte == b'.',
        19 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    });
    if text.len() != STAMP || !shape {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second, millis) = (number(9, 11)?, number(11, 13)?, number(13, 15)?, number(16, 19)?);
    let shifted_year = year.checked_sub(u64::from(month <= 2))?;
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let days = (era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year).checked_sub(719_468)?;
    let time = Duration::from_millis((days * 86_400 + hour * 3600 + minute * 60 + second) * 1000 + millis);
    // A 31st of February comes out as another day.
    (stamp(time) == text).then_some(time)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn stamps_are_utc_and_read_back() {
        // `date -u -d @SECONDS +%Y%m%dT%H%M%S`.
        let cases = [(0, "19700101T000000.000Z"), (951_782_400, "20000229T000000.000Z"), (1_785_412_801, "20260730T120001.000Z")];
        for (seconds, text) in cases {
            assert_eq!(stamp(Duration::from_secs(seconds)), text);
            assert_eq!(parse_stamp(text), Some(Duration::from_secs(seconds)));
        }
        for day in 0..60_000 {
            let time = DAY * day + Duration::from_millis(1234);
            assert_eq!(parse_stamp(&stamp(time)), Some(time));
        }
        for wrong in
            ["20260231T000000.000Z", "20260730T120001.000", "20260730T120001,000Z", "2026é730T120001.00Z", "", "20261301T000000.000Z"]
        {
            assert_eq!(parse_stamp(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_grow_and_never_meet_when_the_clock_steps_back() {
        let folder = tempfile::tempdir().unwrap();
        let names = FileNames::new(folder.path(), "front", "mp4");
        let noon = Duration::from_secs(1_785_412_800);
        let mut written = Vec::new();
        for now in [noon, noon + DAY, noon, noon, noon - DAY, noon + DAY * 2] {
            let path = names.next(now);
            fs::write(&path, "x").unwrap();
            written.push(path);
        }
        let mut sorted = written.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted, written);
        assert!(written[0].ends_with("front_20260730T120000.000Z.mp4"), "{written:?}");
        assert!(written[3].ends_with("front_20260731T120000.002Z.mp4"), "{written:?}");
        assert!(written[5].ends_with("front_20260801T120000.000Z.mp4"), "{written:?}");
    }

    #[test]
    fn old_files_go_and_only_ours() {
        let folder = tempfile::tempdir().unwrap();
        let names = FileNames::new(folder.path(), "front", "mp4");
        let noon = Duration::from_secs(1_785_412_800);
        let put = |name: &str| fs::write(folder.path().join(name), vec![0; 100]).unwrap();
        for day in 0..6 {
            put(&format!("front_{}.mp4", stamp(noon + DAY * day)));
        }
        let others =
            ["front_2.mp4", "front_back_20200101T000000.000Z.mp4", "front_20200101T000000.000Z.mkv", "front_20200231T000000.000Z.mp4"];
        others.iter().for_each(|name| put(name));
        let left = || names.own().iter().map(|file| (file.begun - noon).as_secs() / 86_400).collect::<Vec<_>>();
        names.prune(Keep::default(), noon + DAY * 1000);
        assert_eq!(left(), [0, 1, 2, 3, 4, 5], "without a rule nothing goes");
        names.prune(Keep { time: Some(DAY * 4), ..Keep::default() }, noon + DAY * 6);
        assert_eq!(left(), [1, 2, 3, 4, 5], "the first ended five days ago, the second four");
        names.prune(Keep { bytes: Some(350), ..Keep::default() }, noon);
        assert_eq!(left(), [3, 4, 5]);
        names.prune(Keep { bytes: Some(10), at_least: 2, ..Keep::default() }, noon);
        assert_eq!(left(), [4, 5]);
        names.prune(Keep { bytes: Some(10), time: Some(Duration::ZERO), ..Keep::default() }, noon + DAY * 1000);
        assert_eq!(left(), [5], "the last one is being written");
        assert!(others.iter().all(|name| folder.path().join(name).exists()));
    }
}
