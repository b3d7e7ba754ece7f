//! Runs that do not reach their end: killed, or asked to stop.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::{bunny, ffmpeg, names, overlay_command, summary};
use crate::probe::{decoded_frames, probe};

/// The project's clip many times over, in this folder: half a minute, with audio.
fn long(folder: &Path) -> PathBuf {
    let input = folder.join("in.mp4");
    ffmpeg(&["-stream_loop", "11", "-i", bunny().to_str().expect("UTF-8"), "-c", "copy"], &input);
    input
}

/// Starts a run that tells each frame in `frames.jsonl`, and waits until it has told some.
fn started(input: &Path, out: &Path, lines: usize) -> Child {
    let records = out.with_file_name("frames.jsonl");
    let arguments = ["--every", "60", "--json", "--force", "--frames", records.to_str().expect("UTF-8")];
    let child = overlay_command(input, out, &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("gradcast starts");
    let begun = Instant::now();
    while told(&records) < lines {
        assert!(begun.elapsed() < Duration::from_secs(120), "no progress");
        thread::sleep(Duration::from_millis(20));
    }
    child
}

fn told(records: &Path) -> usize {
    fs::File::open(records).map_or(0, |file| BufReader::new(file).lines().count())
}

fn signal(child: &Child, signal: i32) {
    // SAFETY: kill has no memory to break; the child is not waited for yet, so its number is still its own.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

fn ended(mut child: Child) -> (i32, String, String) {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    child.stdout.take().expect("piped").read_to_string(&mut stdout).expect("UTF-8");
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("UTF-8");
    (child.wait().expect("ended").code().unwrap_or(-1), stdout, stderr)
}

#[test]
fn killed_the_part_file_plays_to_its_last_second_and_the_next_run_replaces_it() {
    for extension in ["mp4", "mkv"] {
        let folder = tempfile::tempdir().expect("folder");
        let (input, out) = (long(folder.path()), folder.path().join("out").with_extension(extension));
        let child = started(&input, &out, 300);
        signal(&child, libc::SIGKILL);
        ended(child);
        assert!(!out.exists(), "nothing at the final name");
        let part = folder.path().join(format!(".out.part.{extension}"));
        let (written, told) = (decoded_frames(&part), told(&folder.path().join("frames.jsonl")) as u64);
        // 25 frames of the last fragment, and up to 50 on their way through the encoder.
        assert!(written + 75 >= told && written > 0, "{extension}: {written} frames play of {told}");
        assert!(probe(&part).audio.is_some(), "{extension}: with audio");
        let all = summary(&input, &out, &["--duration", "4"]);
        assert_eq!((decoded_frames(&out), &all["frames_out"]), (100, &100.into()));
        assert!(!part.exists(), "the next run has taken the part file's place");
    }
}

#[test]
fn asked_to_stop_it_closes_the_file_and_says_how_far_it_got() {
    for (number, code, extension) in [(libc::SIGINT, 130, "mp4"), (libc::SIGTERM, 143, "mkv")] {
        let folder = tempfile::tempdir().expect("folder");
        let (input, out) = (long(folder.path()), folder.path().join("out").with_extension(extension));
        let child = started(&input, &out, 100);
        signal(&child, number);
        let (exit, stdout, stderr) = ended(child);
        assert_eq!(exit, code, "{stderr}");
        let all: serde_json::Value = serde_json::from_str(&stdout).expect("the summary");
        let frames = all["frames_out"].as_u64().expect("a number");
        assert!((100..12 * 132).contains(&frames), "{frames}");
        assert!(stderr.contains(&format!("stopped after {frames} frames")), "{stderr}");
        assert_eq!((decoded_frames(&out), &all["frames_in"]), (frames, &frames.into()));
        assert_eq!(told(&folder.path().join("frames.jsonl")) as u64, frames);
        let to = probe(&out);
        let (video, audio) = (to.video.times(), to.audio.expect("audio").times());
        let (video, audio) = (video.last().expect("frames"), audio.last().expect("packets"));
        assert!((video - audio).abs() < 0.5, "video ends at {video} s, audio at {audio} s");
        assert_eq!(names(folder.path()).len(), 3, "no part file is left");
    }
}

#[test]
fn asked_to_stop_before_the_first_frame_nothing_is_left() {
    let folder = tempfile::tempdir().expect("folder");
    // A pipe that nobody fills: the run waits for its first byte.
    let (input, out) = (folder.path().join("in.mp4"), folder.path().join("out.mp4"));
    let made = std::process::Command::new("mkfifo").arg(&input).status().expect("mkfifo is installed");
    assert!(made.success());
    let child = overlay_command(&input, &out, &["--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("gradcast starts");
    thread::sleep(Duration::from_secs(3));
    signal(&child, libc::SIGINT);
    thread::sleep(Duration::from_millis(200));
    signal(&child, libc::SIGINT);
    let (code, stdout, _) = ended(child);
    assert_eq!((code, stdout.as_str()), (130, ""), "the second signal ends it at once");
    assert_eq!(names(folder.path()), ["in.mp4"]);
}
