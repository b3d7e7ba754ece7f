//! Parts of a file, variable rates, lost frames: what the times are then.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use gradcast::error::Kind;
use gradcast::video::{AudioMode, Sink, Source};

use crate::copy::{copy, copy_planes, reading, writing};
use crate::probe::{installed, probe};

/// Ten seconds at 25 frames a second with a key frame every four, and AAC.
fn ten_seconds(folder: &Path, name: &str, arguments: &str) -> PathBuf {
    let path = folder.join(name);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=10"]);
    ffmpeg.args(["-f", "lavfi", "-i", "sine=duration=10:sample_rate=48000", "-pix_fmt", "yuv420p", "-g", "100"]);
    assert!(ffmpeg.args(arguments.split_whitespace()).arg(&path).status().unwrap().success());
    path
}

#[test]
fn a_part_of_a_file_begins_and_ends_where_asked() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let inputs = [
        ten_seconds(folder.path(), "in.mp4", "-c:v libx264 -c:a aac"),
        ten_seconds(folder.path(), "in.mkv", "-c:v libx264 -c:a aac"),
        ten_seconds(folder.path(), "in.ts", "-c:v libx264 -c:a aac"),
        ten_seconds(folder.path(), "in.webm", "-c:v libvpx -deadline realtime -c:a libopus"),
    ];
    // Start and duration in milliseconds, frames, audio in milliseconds.
    let parts = [
        (Some(3000), Some(2000), 50, 2000.0),
        (None, Some(1000), 25, 1000.0),
        (Some(9000), None, 25, 1000.0),
        (Some(40), None, 249, 9960.0),
    ];
    let mut wrong = Vec::new();
    for input in &inputs {
        for (start, duration, frames, audio_ms) in parts {
            let path = folder.path().join("out.mp4");
            let (mut source, mut sink) = (reading(input), writing(&path));
            sink.force = true;
            (source.start, source.duration) = (start.map(Duration::from_millis), duration.map(Duration::from_millis));
            let what = format!("{} from {start:?} for {duration:?}", input.extension().unwrap().to_string_lossy());
            if let Err(error) = copy(source, sink) {
                wrong.push(format!("{what}: {error}"));
                continue;
            }
            let part = probe(&path);
            if part.pts_ms.len() != frames {
                wrong.push(format!("{what}: {} frames", part.pts_ms.len()));
            }
            let packet_ms = if what.starts_with("webm") { 20.0 } else { 1024.0 / 48.0 };
            let got_ms = part.audio_packets as f64 * packet_ms;
            if (got_ms - audio_ms).abs() > 2.5 * packet_ms {
                wrong.push(format!("{what}: {got_ms} ms of audio"));
            }
            let offset_ms = part.first_audio_ms - part.first_frame_ms;
            if offset_ms.abs() > packet_ms + 1.0 {
                wrong.push(format!("{what}: audio is {offset_ms} ms after video"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let mut late = reading(&inputs[0]);
    late.start = Some(Duration::from_secs(11));
    let error = copy(late, writing(folder.path().join("late.mp4"))).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("after the end"), "{error}");
}

/// The frame after a start that is no key frame is the right one: the picture shows its own number.
#[test]
fn a_start_between_key_frames_is_exact() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = ten_seconds(folder.path(), "in.mp4", "-an -c:v libx264");
    let (mut source, path) = (reading(&input), folder.path().join("out.mp4"));
    source.start = Some(Duration::from_millis(5040));
    source.duration = Some(Duration::from_millis(400));
    copy(source, writing(&path)).unwrap();
    let expected = folder.path().join("expected.mkv");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(&input).args(["-vf", "trim=start_frame=126:end_frame=136", "-c:v", "ffv1"]);
    assert!(ffmpeg.arg(&expected).status().unwrap().success());
    assert_eq!(probe(&path).pts_ms.len(), 10);
    let psnr = crate::probe::likeness_db(&expected, &path, (160, 120));
    assert!(psnr > 30.0, "PSNR {psnr} dB");
}

#[test]
fn a_variable_rate_stays_variable() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Every frame whose number is 0, 1 or 4 of each seven; a long stand at the end.
    let select = "select='eq(mod(n,7),0)+eq(mod(n,7),1)+eq(mod(n,7),4)'";
    for (name, arguments) in [("in.mp4", ""), ("in.mkv", ""), ("b.mp4", "-bf 3")] {
        let input = ten_seconds(folder.path(), name, &format!("-vf {select} -fps_mode vfr -c:v libx264 {arguments} -c:a aac"));
        for extension in ["mp4", "mkv", "webm"] {
            let path = folder.path().join(format!("{name}.out.{extension}"));
            let mut source = reading(&input);
            if extension == "webm" {
                source.audio = AudioMode::Transcode;
            }
            copy(source, writing(&path)).unwrap();
            let (before, after) = (probe(&input), probe(&path));
            assert_eq!(before.pts_ms.len(), after.pts_ms.len(), "{name} to {extension}");
            for (a, b) in before.pts_ms.iter().zip(&after.pts_ms) {
                assert!((a - b).abs() <= 1.0, "{name} to {extension}: {a} ms became {b} ms");
            }
        }
    }
}

#[test]
fn a_truncated_file_gives_what_is_there() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let whole = ten_seconds(folder.path(), "in.mkv", "-c:v libx264 -c:a aac");
    let bytes = fs::read(&whole).unwrap();
    for (name, cut) in [("cut.mkv", bytes.len() / 2), ("cut2.mkv", bytes.len() * 9 / 10)] {
        let input = folder.path().join(name);
        fs::write(&input, &bytes[..cut]).unwrap();
        let path = folder.path().join(format!("{name}.mp4"));
        let copied = copy(reading(&input), writing(&path)).unwrap();
        let (before, after) = (probe(&input), probe(&path));
        assert!(copied.frames.abs_diff(before.pts_ms.len()) <= 2, "{name}: {} of {}", copied.frames, before.pts_ms.len());
        assert_eq!(after.pts_ms.len(), copied.frames);
    }
    // An MP4 whose index is there and whose end is not.
    let whole = ten_seconds(folder.path(), "in.mp4", "-c:v libx264 -c:a aac -movflags +faststart");
    let bytes = fs::read(&whole).unwrap();
    let input = folder.path().join("cut.mp4");
    fs::write(&input, &bytes[..bytes.len() / 2]).unwrap();
    let copied = copy(reading(&input), writing(folder.path().join("cut.out.mp4"))).unwrap();
    assert!(copied.frames >= 100, "{} frames", copied.frames);
    assert!(copied.losses.total() > 0, "{:?}", copied.losses);
}

#[test]
fn damage_in_the_middle_is_counted_and_survived() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let whole = ten_seconds(folder.path(), "in.ts", "-c:v libx264 -c:a aac");
    let mut bytes = fs::read(&whole).unwrap();
    let middle = bytes.len() / 2;
    for packet in (middle..middle + 188 * 40).step_by(188) {
        let start = packet / 188 * 188 + 8;
        bytes[start..start + 170].iter_mut().enumerate().for_each(|(index, byte)| *byte ^= (index * 37 + 11) as u8);
    }
    let input = folder.path().join("damaged.ts");
    fs::write(&input, bytes).unwrap();
    let copied = copy(reading(&input), writing(folder.path().join("out.mp4"))).unwrap();
    assert!(copied.frames > 150, "{} frames", copied.frames);
    assert!(copied.losses.total() > 0 && copied.losses.last_message.is_some(), "{:?}", copied.losses);
}

/// Audio that lies far from its video in the file: neither waits for the other for ever.
#[test]
fn badly_interleaved_audio_does_not_block() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("late.mp4", "-c:v libx264 -c:a aac -af adelay=4000:all=1,atrim=start=4"),
        ("short.mkv", "-c:v libx264 -c:a aac -af atrim=end=2"),
        ("apart.mkv", "-c:v libx264 -b:v 3M -c:a pcm_s16le -max_interleave_delta 100000000"),
        ("gap.mkv", "-c:v libx264 -c:a libopus -af aselect='lt(t,1)+gt(t,8)'"),
    ];
    for (name, arguments) in cases {
        let input = ten_seconds(folder.path(), name, arguments);
        let path = folder.path().join(format!("{name}.out.mkv"));
        let copied = copy(reading(&input), writing(&path)).unwrap();
        let (before, after) = (probe(&input), probe(&path));
        assert_eq!((copied.frames, after.pts_ms.len()), (250, 250), "{name}");
        assert_eq!(before.audio_packets, after.audio_packets, "{name}");
        let offset = |probed: &crate::probe::Probed| probed.first_audio_ms - probed.first_frame_ms;
        // GStreamer's Matroska demuxer knows no delay of AAC: one packet.
        assert!((offset(&before) - offset(&after)).abs() <= 22.0, "{name}: {} became {}", offset(&before), offset(&after));
    }
}

/// The user has seen enough: the file ends with the last frame that was written, and so does its audio, whether the source is still there
/// or not.
#[test]
fn an_early_end_is_a_whole_file() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = ten_seconds(folder.path(), "in.mp4", "-c:v libx264 -c:a aac");
    for keep_source in [true, false] {
        let (mut source, mut sink) = (reading(&input), writing(folder.path().join("out.mp4")));
        sink.force = true;
        source.formats = Sink::formats(&sink).unwrap();
        let mut source = Source::open(&source).unwrap();
        let info = source.info().clone();
        let audio = source.take_audio();
        let mut written = Sink::create(&sink, &info.picture, &info, audio).unwrap();
        for _ in 0..50 {
            let frame = source.next_frame().unwrap().unwrap();
            let mut out = written.buffer().unwrap();
            copy_planes(&frame, &mut out);
            written.push(out, frame.pts, frame.duration).unwrap();
        }
        let source = keep_source.then_some(source);
        written.finish().unwrap();
        drop(source);
        let after = probe(&sink.path);
        assert_eq!(after.pts_ms.len(), 50);
        // Two seconds and a tenth at most; a part of it may not have been read.
        assert!((80..=100).contains(&after.audio_packets), "{} packets", after.audio_packets);
    }
}

/// Every encoder that is installed keeps times, ten bits or not, and every frame.
#[test]
fn every_encoder_keeps_every_frame() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let select = "select='eq(mod(n,7),0)+eq(mod(n,7),1)+eq(mod(n,7),4)'";
    let varying = ten_seconds(folder.path(), "vfr.mp4", &format!("-an -vf {select} -fps_mode vfr -c:v libx264"));
    let odd = ten_seconds(folder.path(), "odd.mkv", "-an -t 1 -vf scale=161:121 -c:v ffv1");
    for (encoder, extension) in [("x265enc", "mp4"), ("vp8enc", "webm"), ("vp9enc", "webm"), ("av1enc", "mkv"), ("openh264enc", "mp4")] {
        if !gradcast::video::has_element(encoder) {
            println!("skipped: {encoder} is not installed");
            continue;
        }
        for (input, frames) in [(&varying, 108), (&odd, 25)] {
            let path = folder.path().join(format!("{encoder}.{extension}"));
            let mut sink = writing(&path);
            (sink.force, sink.encoder) = (true, Some(encoder.to_owned()));
            let copied = copy(reading(input), sink).unwrap();
            let after = probe(&path);
            assert_eq!((copied.frames, after.pts_ms.len()), (frames, frames), "{encoder}");
            for (a, b) in copied.pts_ms.iter().zip(&after.pts_ms) {
                assert!((a - b).abs() <= 1.0, "{encoder}: {a} ms became {b} ms");
            }
            let pads = matches!(encoder, "x265enc" | "openh264enc");
            assert!(input == &varying || after.width_px == if pads { 162 } else { 161 }, "{encoder}: {} px", after.width_px);
        }
    }
}
