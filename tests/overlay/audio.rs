//! Audio: passed through where the container holds it, refused before the first frame where not, in sync either way.

use std::path::{Path, PathBuf};

use crate::command::{ffmpeg, names, overlay, summary};
use crate::compare::assert_same_video;
use crate::probe::probe;

/// A second of video and a second of a tone with this codec; `offset` is when the tone begins, after the first frame.
fn clip(folder: &Path, name: &str, codec: &str, offset: f64) -> PathBuf {
    let input = folder.join(name);
    let (video, audio) = ("testsrc2=size=320x180:rate=25:duration=1", "sine=sample_rate=48000:duration=1");
    // Moves both, so that neither begins before zero.
    let (early, late) = ((-offset).max(0.0).to_string(), offset.max(0.0).to_string());
    let inputs = ["-itsoffset", &early, "-f", "lavfi", "-i", video, "-itsoffset", &late, "-f", "lavfi", "-i", audio];
    let coded = [
        "-map",
        "0",
        "-map",
        "1",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-bf",
        "0",
        "-fps_mode",
        "passthrough",
        "-c:a",
        codec,
        "-strict",
        "-2",
    ];
    ffmpeg(&[&inputs[..], &coded].concat(), &input);
    input
}

#[test]
fn what_the_container_holds_passes_untouched() {
    let folder = tempfile::tempdir().expect("folder");
    for (codec, from, extensions) in [
        ("aac", "in.mp4", &["mp4", "mkv"][..]),
        ("libopus", "in.mkv", &["mp4", "mkv", "webm"]),
        ("libvorbis", "in.mkv", &["mkv", "webm"]),
        ("pcm_s16le", "in.mkv", &["mkv"]),
        ("aac", "in.mkv", &["mp4", "mkv"]),
        ("flac", "in.mkv", &["mkv"]),
        ("libmp3lame", "in.mp4", &["mp4", "mkv"]),
        ("ac3", "in.mkv", &["mp4", "mkv"]),
    ] {
        let input = clip(folder.path(), from, codec, 0.0);
        for extension in extensions {
            let out = folder.path().join("out").with_extension(extension);
            summary(&input, &out, &["--force"]);
            assert_same_video(&input, &out);
        }
    }
}

#[test]
fn what_it_does_not_hold_is_refused_before_the_first_frame() {
    for (codec, extension, able) in [
        ("aac", "webm", "mp4"),
        ("pcm_s16le", "webm", "mkv"),
        ("pcm_s16le", "mp4", "mkv"),
        ("libvorbis", "mp4", "mkv"),
        ("libmp3lame", "webm", "mp4"),
    ] {
        let folder = tempfile::tempdir().expect("folder");
        let input = clip(folder.path(), "in.mkv", codec, 0.0);
        let out = folder.path().join("out").with_extension(extension);
        let lines = folder.path().join("frames.jsonl");
        overlay(&input, &out, &["--frames", lines.to_str().expect("UTF-8")]).refuses(2, &[&format!(".{able} can"), "--audio transcode"]);
        assert_eq!(names(folder.path()), ["in.mkv"], "{codec} in {extension}");
    }
}

#[test]
fn transcoded_or_dropped() {
    let folder = tempfile::tempdir().expect("folder");
    let input = clip(folder.path(), "in.mkv", "pcm_s16le", 0.0);
    for (extension, codec) in [("mp4", "aac"), ("mkv", "opus"), ("webm", "opus")] {
        let out = folder.path().join("out").with_extension(extension);
        summary(&input, &out, &["--audio", "transcode"]);
        let to = probe(&out);
        let audio = to.audio.expect("audio");
        assert_eq!(audio.field("codec_name"), codec);
        let (first, last) = (audio.times()[0], *audio.times().last().expect("packets"));
        assert!(first.abs() < 0.03 && (last - 1.0).abs() < 0.05, "{extension}: from {first} s to {last} s");
        assert_eq!(to.video.packets.len(), 25);
        summary(&input, &out, &["--audio", "drop", "--force"]);
        assert!(probe(&out).audio.is_none(), "{extension}");
    }
}

#[test]
fn audio_that_begins_before_or_after_the_video_keeps_its_distance() {
    for offset in [-0.5, 0.5] {
        for (from, extensions) in [("in.mkv", &["mkv", "mp4"]), ("in.mp4", &["mkv", "mp4"]), ("in.ts", &["mkv", "mp4"])] {
            let folder = tempfile::tempdir().expect("folder");
            let input = clip(folder.path(), from, "aac", offset);
            for extension in extensions {
                let out = folder.path().join("out").with_extension(extension);
                summary(&input, &out, &[]);
                let distance = |path: &Path| {
                    let all = probe(path);
                    // The last packet: what an edit list leaves out of the first ones is not passed on.
                    all.audio.expect("audio").times().last().expect("packets") - all.video.times()[0]
                };
                let (wanted, got) = (distance(&input), distance(&out));
                assert!((wanted - offset - 1.0).abs() < 0.05, "{from}: {wanted} s");
                assert!((wanted - got).abs() < 0.001_05, "{from} to {extension}: {got} s, not {wanted} s");
            }
        }
    }
}

#[test]
fn a_part_has_its_part_of_the_audio() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out.mp4");
    summary(&crate::command::bunny(), &out, &["--start", "1", "--duration", "2"]);
    let to = probe(&out);
    let audio = to.audio.expect("audio");
    let length = audio.times().last().expect("packets") - audio.times()[0];
    assert!((length - 2.0).abs() < 0.06, "{length} s of audio");
    let distance = audio.times()[0] - to.video.times()[0];
    assert!(distance.abs() < 0.025, "audio begins {distance} s after the first frame");
}
