//! Which frames are taken, which of them are explained, and what the others show.

use std::path::Path;

use serde_json::Value;

use crate::command::{bunny, ffmpeg, overlay};
use crate::numbers::lines_of;
use crate::pictures::psnr_db;
use crate::probe::{decoded_frames, probe};

#[test]
fn a_part_begins_at_the_first_frame_at_or_after_start() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out.mp4");
    // 25 frames a second: frame k is at k * 40 ms.
    for (start, duration, first, frames) in [
        ("1", Some("2"), 25, 50),
        ("1.01", Some("2"), 26, 50),
        ("00:00:02.04", Some("0.05"), 51, 2),
        ("0", Some("0.04"), 0, 1),
        ("5.2", None, 130, 2),
        ("4.5", Some("60"), 113, 19),
    ] {
        let mut arguments =
            vec!["--force", "--json", "--every", "60", "--opacity", "0", "--crf", "12", "--preset", "ultrafast", "--start", start];
        arguments.extend(duration.iter().flat_map(|duration| ["--duration", duration]));
        let all = overlay(&bunny(), &out, &arguments).json();
        assert_eq!((&all["frames_in"], decoded_frames(&out)), (&frames.into(), frames), "from {start} for {duration:?}");
        let trim = |from: u64| format!("trim=start_frame={from}:end_frame={}", from + frames);
        let same = psnr_db(&bunny(), &trim(first), &out, "null");
        assert!(same > 38.0, "from {start}: {same} dB against the frames wanted");
        assert!(probe(&out).video.times()[0].abs() < 0.05, "time begins anew");
    }
    overlay(&bunny(), &out, &["--force", "--start", "6"]).refuses(2, &["bigbuckbunny.mp4", "after the end"]);
}

#[test]
fn a_part_by_duration_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out.mkv");
    let all = overlay(&bunny(), &out, &["--json", "--every", "60", "--duration", "1"]).json();
    assert_eq!((&all["frames_out"], decoded_frames(&out)), (&25.into(), 25));
}

/// A clip of 20 frames whose picture changes from frame to frame, and what the run said of each.
fn lines(folder: &Path, arguments: &[&str]) -> (Value, Vec<Value>) {
    let (input, out, records) = (folder.join("in.mp4"), folder.join("out.mp4"), folder.join("frames.jsonl"));
    if !input.exists() {
        let seconds = ["-t", "0.8", "-c:v", "libx264", "-preset", "ultrafast", "-an"];
        ffmpeg(&[&["-i", bunny().to_str().expect("UTF-8")], &seconds[..]].concat(), &input);
    }
    let own = ["--force", "--json", "--region", "left=0,0,0.5,1", "--frames", records.to_str().expect("UTF-8")];
    let all = overlay(&input, &out, &[&own, arguments].concat()).json();
    assert_eq!(decoded_frames(&out), 20);
    (all, lines_of(&records))
}

#[test]
fn every_kth_frame_is_explained_and_the_others_hold_or_interpolate() {
    let folder = tempfile::tempdir().expect("folder");
    let left = |line: &Value| line["regions"]["left"].as_f64().expect("a share");
    for every in [1, 3, 7, 50] {
        for between in ["hold", "interpolate"] {
            if (every, between) == (50, "interpolate") {
                continue;
            }
            let (all, lines) = lines(folder.path(), &["--every", &every.to_string(), "--between", between]);
            assert_eq!((&all["frames_out"], &all["frames_explained"]), (&20.into(), &20usize.div_ceil(every).into()), "{every} {between}");
            for (index, line) in lines.iter().enumerate() {
                let before = &lines[index - index % every];
                assert_eq!(line["explained"], index % every == 0, "{every} {between}: frame {index}");
                assert_eq!(
                    (&line["target"], &line["residual"]),
                    (&before["target"], &before["residual"]),
                    "{every} {between}: frame {index}"
                );
                if between == "hold" {
                    assert_eq!(left(line), left(before), "{every}: frame {index} shows the map before");
                }
            }
            if (every, between) == (7, "interpolate") {
                let (a, b, c) = (left(&lines[0]), left(&lines[3]), left(&lines[7]));
                assert!((b - (a + (c - a) * 3.0 / 7.0)).abs() < 0.02, "{a} {b} {c}");
                assert_eq!(left(&lines[19]), left(&lines[14]), "nothing comes after the last explained frame");
            }
        }
    }
}

#[test]
fn interpolation_over_more_frames_than_memory_should_hold_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out.mp4");
    overlay(&bunny(), &out, &["--every", "33", "--between", "interpolate"]).refuses(2, &["--every 33", "32"]);
}

#[test]
fn smoothing_changes_the_picture_and_not_the_numbers() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out.mp4");
    let (_, plain) = lines(folder.path(), &["--smooth", "0", "--layout", "map", "--precision", "f32"]);
    let kept = folder.path().join("plain.mp4");
    std::fs::rename(&out, &kept).expect("renamed");
    let (_, smooth) = lines(folder.path(), &["--smooth", "2", "--layout", "map", "--precision", "f32"]);
    let shares = |lines: &[Value]| lines.iter().map(|line| line["regions"]["left"].as_f64().expect("a share")).collect::<Vec<_>>();
    for (a, b) in shares(&plain).iter().zip(shares(&smooth)) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
    let first = psnr_db(&kept, "trim=end_frame=1", &out, "trim=end_frame=1");
    let last = psnr_db(&kept, "trim=start_frame=19", &out, "trim=start_frame=19");
    assert!(first > 45.0 && last < 35.0, "the first frames are equal ({first} dB), the last are not ({last} dB)");
}
