//! Clips that ffmpeg makes: layouts, interlacing, odd sizes, varying rates, cut-off files, old codecs.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::command::{ffmpeg, overlay, summary};
use crate::compare::assert_same_video;
use crate::probe::{Probe, decoded_frames, interlaced, probe};

/// A folder with a clip and room for an output.
struct Clip {
    folder: TempDir,
    input: PathBuf,
}

/// A second of a moving test picture of this size, made with these arguments.
fn clip(name: &str, size: &str, arguments: &[&str]) -> Clip {
    let folder = tempfile::tempdir().expect("folder");
    let input = folder.path().join(name);
    let picture = format!("testsrc2=size={size}:rate=25:duration=1");
    let all: Vec<&str> = ["-f", "lavfi", "-i", picture.as_str()].iter().chain(arguments).copied().collect();
    ffmpeg(&all, &input);
    Clip { folder, input }
}

impl Clip {
    fn out(&self, extension: &str) -> PathBuf {
        self.folder.path().join("out").with_extension(extension)
    }

    /// Overlays it and compares.
    #[track_caller]
    fn same(&self, extension: &str) -> Probe {
        self.same_with(extension, &[])
    }

    #[track_caller]
    fn same_with(&self, extension: &str, arguments: &[&str]) -> Probe {
        let out = self.out(extension);
        let summary = summary(&self.input, &out, arguments);
        let to = assert_same_video(&self.input, &out);
        assert_eq!((&summary["frames_out"], &summary["frames_lost"]), (&to.video.packets.len().into(), &0.into()));
        to
    }
}

#[test]
fn chroma_in_other_layouts_becomes_4_2_0() {
    for (layout, wanted) in [
        ("yuv422p", "yuv420p"),
        ("yuv444p", "yuv420p"),
        ("gray", "yuvj420p"),
        ("yuv420p10le", "yuv420p10le"),
        ("yuv422p10le", "yuv420p10le"),
        ("yuv444p10le", "yuv420p10le"),
    ] {
        let to = clip("in.mkv", "320x180", &["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", layout]).same("mp4");
        assert_eq!(to.video.field("pix_fmt"), wanted, "{layout}");
    }
}

#[test]
fn ten_bits_are_taken_to_eight_where_the_encoder_has_no_more() {
    let clip = clip("in.mkv", "320x180", &["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le"]);
    assert_eq!(clip.same_with("webm", &["--encoder", "vp8enc"]).video.field("pix_fmt"), "yuv420p");
}

#[test]
fn odd_sizes() {
    for (size, extension, wanted) in [("161:121", "mp4", (162, 122)), ("161:120", "mkv", (162, 120)), ("160:121", "webm", (160, 121))] {
        let to =
            clip("in.mkv", "320x240", &["-vf", &format!("scale={size},setsar=1"), "-c:v", "ffv1", "-pix_fmt", "yuv420p"]).same(extension);
        assert_eq!(to.video.size_px(), wanted);
    }
}

#[test]
fn interlaced_video_comes_out_progressive_frame_for_frame() {
    let deep = ["-c:v", "libx264", "-preset", "ultrafast", "-flags", "+ildct+ilme", "-x264opts", "tff=1", "-pix_fmt", "yuv420p10le"];
    for (name, arguments) in [
        ("in.mpg", &["-vf", "tinterlace=interleave_top,fps=25", "-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-top", "1"][..]),
        ("in.mp4", &["-vf", "setfield=tff", "-c:v", "libx264", "-preset", "ultrafast", "-flags", "+ildct+ilme", "-x264opts", "tff=1"]),
        ("in.mkv", &[&["-vf", "setfield=tff"], &deep[..]].concat()),
    ] {
        let clip = clip(name, "320x240", arguments);
        let frames = decoded_frames(&clip.input);
        let out = clip.out("mp4");
        assert_eq!(summary(&clip.input, &out, &[])["frames_out"], frames, "{name}");
        assert_eq!(decoded_frames(&out), frames, "{name}");
        assert!(interlaced(&out).iter().all(|&mark| !mark), "{name}: no frame is marked interlaced");
        assert_eq!(probe(&out).video.size_px(), (320, 240));
    }
}

#[test]
fn a_varying_frame_rate_stays_varying() {
    // Every frame a little later than the one before: gaps of 40 ms to 120 ms.
    let stretch =
        ["-vf", "setpts='(N*0.04+N*N*0.002)/TB'", "-fps_mode", "vfr", "-enc_time_base", "1:90000", "-video_track_timescale", "90000"];
    let coded = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2"];
    for (name, extension) in [("in.mp4", "mp4"), ("in.mp4", "mkv"), ("in.mkv", "mp4"), ("in.mkv", "webm")] {
        let to = clip(name, "320x180", &[&stretch[..], &coded].concat()).same(extension);
        let times = to.video.times();
        let (first, last) = (times[1] - times[0], times[24] - times[23]);
        assert!(first < 0.045 && last > 0.115, "{first} {last}");
    }
}

#[test]
fn rotation_tags_and_oblong_pixels() {
    let folder = tempfile::tempdir().expect("folder");
    let (plain, turned, out) = (folder.path().join("plain.mp4"), folder.path().join("turned.mp4"), folder.path().join("out.mp4"));
    let picture = "testsrc2=size=320x180:rate=25:duration=1";
    ffmpeg(&["-f", "lavfi", "-i", picture, "-vf", "setsar=16/11", "-c:v", "libx264", "-preset", "ultrafast"], &plain);
    for degrees in [90, 180, 270] {
        let tag = format!("rotate={degrees}");
        ffmpeg(&["-i", plain.to_str().expect("UTF-8"), "-c", "copy", "-metadata:s:v", &tag], &turned);
        summary(&turned, &out, &["--force"]);
        let to = assert_same_video(&turned, &out);
        let wanted = if degrees == 180 { "16:11" } else { "11:16" };
        assert_eq!(to.video.field("sample_aspect_ratio"), wanted, "{degrees} degrees turn the pixels too");
    }
}

#[test]
fn colour_tags_are_kept() {
    for (space, primaries, transfer) in [
        ("bt709", "bt709", "bt709"),
        ("smpte170m", "smpte170m", "smpte170m"),
        ("bt2020nc", "bt2020", "smpte2084"),
        ("bt470bg", "bt470bg", "bt709"),
    ] {
        for range in ["tv", "pc"] {
            let tags = ["-colorspace", space, "-color_primaries", primaries, "-color_trc", transfer, "-color_range", range];
            let coded = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"];
            clip("in.mp4", "128x96", &[&coded[..], &tags].concat()).same("mp4");
        }
    }
}

#[test]
fn other_codecs_and_containers() {
    for (name, arguments) in [
        ("in.avi", &["-c:v", "mjpeg", "-q:v", "3"][..]),
        ("in.avi", &["-c:v", "mpeg4", "-q:v", "3", "-bf", "0"]),
        ("in.ts", &["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2"]),
        ("in.webm", &["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"]),
        ("in.flv", &["-c:v", "libx264", "-preset", "ultrafast"]),
        ("in.mov", &["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]),
    ] {
        clip(name, "320x180", arguments).same("mp4");
    }
}

#[test]
fn one_frame_is_a_video_too() {
    let to = clip("in.mp4", "320x180", &["-frames:v", "1", "-c:v", "libx264", "-preset", "ultrafast"]).same("mp4");
    assert_eq!(to.video.packets.len(), 1);
}

/// The first `share` of a file's bytes.
fn cut_off(path: &Path, share: f64) {
    let bytes = fs::read(path).expect("the clip");
    fs::write(path, &bytes[..(bytes.len() as f64 * share) as usize]).expect("written");
}

#[test]
fn a_cut_off_file_gives_what_is_there() {
    for (name, arguments) in [
        ("in.mkv", &["-c:v", "libx264", "-preset", "ultrafast", "-g", "5"][..]),
        ("in.ts", &["-c:v", "libx264", "-preset", "ultrafast", "-g", "5"]),
        ("in.mp4", &["-c:v", "libx264", "-preset", "ultrafast", "-g", "5", "-movflags", "+faststart"]),
    ] {
        let clip = clip(name, "320x180", arguments);
        cut_off(&clip.input, 0.6);
        let out = clip.out("mp4");
        let summary = summary(&clip.input, &out, &[]);
        let frames = summary["frames_out"].as_u64().expect("a number");
        assert!((12..25).contains(&frames), "{name}: {frames}");
        assert_eq!((decoded_frames(&out), &summary["frames_in"]), (frames, &frames.into()), "{name}");
    }
}

#[test]
fn a_file_without_its_index_is_65() {
    let clip = clip("in.mp4", "320x180", &["-c:v", "libx264", "-preset", "ultrafast"]);
    cut_off(&clip.input, 0.6);
    overlay(&clip.input, &clip.out("mp4"), &["--json"]).refuses(65, &["in.mp4"]);
    assert!(!clip.out("mp4").exists());
}

#[test]
fn what_is_no_video_is_65_or_66() {
    let folder = tempfile::tempdir().expect("folder");
    let (input, out) = (folder.path().join("in.mp4"), folder.path().join("out.mp4"));
    fs::write(&input, "a text\n").expect("written");
    overlay(&input, &out, &[""; 0]).refuses(65, &["in.mp4"]);
    fs::write(&input, "").expect("written");
    overlay(&input, &out, &[""; 0]).refuses(65, &["in.mp4"]);
    ffmpeg(&["-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac"], &input);
    overlay(&input, &out, &[""; 0]).refuses(65, &["in.mp4", "no video"]);
    fs::remove_file(&input).expect("removed");
    overlay(&input, &out, &[""; 0]).refuses(66, &["in.mp4"]);
    overlay(folder.path(), &out, &[""; 0]).refuses(66, &["folder"]);
    assert!(crate::command::names(folder.path()).is_empty());
}
