//! Segments and HLS.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use gradcast::video::live::{OutputSettings, Segments, SinkKind};

use crate::outside::{Process, bounded, ffprobe, files, frames, packets};
use crate::stage::{PATIENCE, Stage, segments, settings, sink, wait_for};

const SECOND: Duration = Duration::from_secs(1);
/// Where the child of [`a_killed_writer_leaves_files_that_play`] writes.
const CHILD_FOLDER: &str = "LIVE_OUTPUTS_TEST_FOLDER";

/// The names of an MP4's boxes at its top.
fn boxes(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap();
    let (mut at, mut names) = (0, Vec::new());
    while at + 8 <= bytes.len() {
        let size = match u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) {
            1 => u64::from_be_bytes(bytes[at + 8..at + 16].try_into().unwrap()) as usize,
            size => size as usize,
        };
        names.push(String::from_utf8_lossy(&bytes[at + 4..at + 8]).into_owned());
        at += size.max(8);
    }
    names
}

fn lossless(kind: SinkKind) -> OutputSettings {
    OutputSettings { lossless: true, ..settings(vec![sink("disk", kind)]) }
}

#[test]
fn segments_are_closed_at_key_frames_and_nothing_is_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("not/there/yet");
    let mut stage = Stage::start(&lossless(SinkKind::Segments(segments(&below, SECOND * 2))), None);
    stage.push_all(250, Duration::from_millis(40));
    assert!(stage.output.close(PATIENCE));
    let written = files(&below, "mp4");
    let mut lengths = Vec::new();
    let mut all = 0;
    for path in &written {
        all += frames(path);
        let (packets, seconds) = packets(path);
        assert!(packets[0].0 == 0.0 && packets[0].1, "{}: begins with a key frame", path.display());
        lengths.push(seconds);
        let boxes = boxes(path);
        assert!(!boxes.contains(&"moof".to_owned()) && boxes.contains(&"moov".to_owned()), "a finished file is a plain one: {boxes:?}");
    }
    assert_eq!(all, 250, "{lengths:?}");
    assert_eq!(lengths.len(), 5);
    assert!(lengths.iter().all(|seconds| (seconds - 2.0).abs() < 0.05), "{lengths:?}");
}

#[test]
fn old_segments_are_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str| {
        fs::write(folder.path().join(name), vec![1; 50_000]).unwrap();
        let day = UNIX_EPOCH + Duration::from_secs(1_577_900_000);
        fs::File::options().write(true).open(folder.path().join(name)).unwrap().set_modified(day).unwrap();
    };
    put("front_20200101T000000.000Z.mp4");
    put("front_20200102T000000.000Z.mp4");
    let others = ["back_20200101T000000.000Z.mp4", "front_20200101.mp4", "holiday.mp4"];
    others.iter().for_each(|name| put(name));
    let kept = Segments { keep_for: Some(SECOND * 3600), keep_bytes: Some(60_000), ..segments(folder.path(), SECOND) };
    let mut stage = Stage::start(&lossless(SinkKind::Segments(kept)), None);
    stage.push_all(500, Duration::from_millis(40));
    assert!(stage.output.close(PATIENCE));
    let names: Vec<String> =
        files(folder.path(), "mp4").iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert!(others.iter().all(|name| names.iter().any(|there| there == name)), "{names:?}");
    let own: Vec<&String> = names.iter().filter(|name| name.starts_with("front_") && !others.contains(&name.as_str())).collect();
    assert!(own.len() < 20 && own.iter().all(|name| !name.starts_with("front_2020")), "{own:?}");
    // Removal comes when a file is begun: what was written since is beyond the bound at most.
    let sizes: Vec<u64> = own.iter().map(|name| fs::metadata(folder.path().join(name)).unwrap().len()).collect();
    assert!(sizes.iter().rev().skip(1).sum::<u64>() <= 60_000, "{sizes:?}");
    own.iter().for_each(|name| assert!(frames(&folder.path().join(name)) > 0));
}

/// The writer that is killed; it does nothing unless it is started as one.
#[test]
fn writer_to_be_killed() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let film = Stage::start(&settings(vec![sink("disk", SinkKind::Segments(segments(Path::new(&folder), SECOND * 5)))]), None).film(15);
    thread::sleep(PATIENCE);
    assert!(film.all_up());
}

#[test]
fn a_killed_writer_leaves_files_that_play() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut writer = Process::start(command.args(["--exact", "segments::writer_to_be_killed"]).env(CHILD_FOLDER, folder.path()));
    wait_for("a third segment", || files(folder.path(), "mp4").len() >= 3);
    let begun = Instant::now();
    // Into its middle, where it is long enough to tell a lost second.
    thread::sleep(Duration::from_millis(3300));
    writer.kill();
    let lasted = begun.elapsed().as_secs_f64();
    let written = files(folder.path(), "mp4");
    for path in &written {
        let (_, seconds) = packets(path);
        let count = frames(path);
        assert!(count > 0, "{}", path.display());
        let is_last = path == written.last().unwrap();
        // A busy machine may be late with writing, not with losing: fragments of a second, and one that is not whole.
        let least = if is_last && written.len() == 3 {
            lasted - 2.5
        } else if is_last {
            0.0
        } else {
            4.9
        };
        assert!(seconds >= least, "{}: {seconds} s of {lasted}", path.display());
    }
}

#[test]
fn a_full_disk_is_told_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let full = tempfile::tempdir().unwrap();
    let below = folder.path().join("segments");
    fs::create_dir(&below).unwrap();
    fs::write(below.join("holiday.mp4"), "not ours").unwrap();
    // What is written goes to a device that is always full, too.
    let usual = include_str!("../../pipelines/live_sink_segments.gst");
    let text =
        usual.replace("filesink name=file", "tee name=both ! filesink location=/dev/full async=false both. ! queue ! filesink name=file");
    assert_ne!(text, usual);
    let own = full.path().join("live_sink_segments.gst");
    fs::write(&own, text).unwrap();
    let whole = folder.path().join("other/whole.mp4");
    let sinks = vec![sink("disk", SinkKind::Segments(segments(&below, SECOND))), sink("other", SinkKind::File(whole.clone()))];
    let film = Stage::start(&OutputSettings { pipelines: Some(full.path().to_owned()), ..settings(sinks) }, None).film(15);
    wait_for("an error", || film.sinks()[0].last_error.is_some());
    let error = film.sinks()[0].last_error.clone().unwrap();
    assert!(error.contains("the disk is full") && error.contains("segments"), "{error}");
    wait_for("another try", || film.counted.restarts("disk") >= 1);
    assert!(!film.sinks()[0].up);
    wait_for("the other sink", || film.sinks()[1].up);
    // There is room again.
    fs::remove_file(own).unwrap();
    wait_for("segments", || film.sinks()[0].up && files(&below, "mp4").len() >= 3);
    let (stage, _) = film.cut();
    assert_eq!(stage.counted.lost("other"), stage.counted.lost("other").min(1), "the other file has all from its first key frame on");
    assert!(stage.output.close(PATIENCE));
    assert_eq!(fs::read(below.join("holiday.mp4")).unwrap(), b"not ours");
    let written = files(&below, "mp4").into_iter().filter(|path| !path.ends_with("holiday.mp4"));
    assert!(written.map(|path| frames(&path)).all(|count| count > 0), "what could not be written has left nothing");
    assert!(frames(&whole) > 0);
}

#[test]
fn hls_plays_and_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("front.m3u8");
    let run = |count: usize| {
        let mut stage = Stage::start(&lossless(SinkKind::Hls(segments(folder.path(), SECOND * 2))), None);
        stage.push_all(count, Duration::from_millis(40));
        assert!(stage.output.close(PATIENCE));
    };
    run(250);
    let text = fs::read_to_string(&list).unwrap();
    assert!(text.contains("#EXT-X-TARGETDURATION:3\n") && text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
    let lengths: Vec<f64> = text.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(',')?.parse().ok()).collect();
    assert_eq!(lengths, [2.0; 5], "{text}");
    let said =
        ffprobe(&["-show_packets", "-count_frames", "-show_entries", "packet=pts_time:stream=nb_read_frames"], list.to_str().unwrap());
    assert_eq!(said["streams"][0]["nb_read_frames"], "250");
    let times: Vec<f64> =
        said["packets"].as_array().unwrap().iter().map(|packet| packet["pts_time"].as_str().unwrap().parse().unwrap()).collect();
    let even = times.windows(2).all(|pair| (pair[1] - pair[0] - 0.04).abs() < 0.001);
    assert!(even, "times go on from one segment to the next: {times:?}");
    let loud = bounded("ffmpeg").args(["-v", "warning", "-i"]).arg(&list).args(["-f", "null", "-"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&loud.stderr).trim(), "", "a player has nothing to complain of");
    run(100);
    let again = fs::read_to_string(&list).unwrap();
    assert_eq!(again.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{again}");
    assert_eq!(again.matches("#EXTINF").count(), 7, "{again}");
}

#[test]
fn a_live_playlist_has_the_last_segments_and_old_ones_go() {
    let folder = tempfile::tempdir().unwrap();
    let film =
        Stage::start(&settings(vec![sink("web", SinkKind::Hls(segments(folder.path(), Duration::from_millis(200))))]), None).film(20);
    let list = folder.path().join("front.m3u8");
    let mut seen = HashSet::new();
    wait_for("fourteen segments", || {
        let text = fs::read_to_string(&list).unwrap_or_default();
        let listed: Vec<&str> = text.lines().filter(|line| line.ends_with(".ts")).collect();
        assert!(text.is_empty() || text.starts_with("#EXTM3U\n") && text.ends_with(".ts\n"), "never a half: {text:?}");
        assert!(listed.iter().all(|name| folder.path().join(name).exists()), "{text}");
        assert!(listed.len() <= 6, "{text}");
        seen.extend(listed.into_iter().map(str::to_owned));
        seen.len() >= 14
    });
    let (stage, _) = film.cut();
    assert!(stage.output.close(PATIENCE));
    assert!(files(folder.path(), "ts").len() <= 14, "{:?}", files(folder.path(), "ts"));
    let text = fs::read_to_string(&list).unwrap();
    assert!(!text.contains("#EXT-X-MEDIA-SEQUENCE:0\n") && !text.contains("ENDLIST"), "{text}");
}
