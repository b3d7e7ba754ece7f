//! Every clip of the shared folder.

use std::path::{Path, PathBuf};

use gradcast::error::Kind;

use crate::copy::{copy, reading, writing};
use crate::probe::{installed, likeness_db, probe};

pub fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media");
    if !folder.is_dir() {
        println!("skipped: there is no {}", folder.display());
        return None;
    }
    installed().then_some(folder)
}

/// A clip that gives a video: its size upright, its frames where ffprobe counts others, and whether frames are lost.
struct Clip {
    file: &'static str,
    size_px: (u64, u64),
    frames: usize,
    loses: bool,
}

const CLIPS: &[Clip] = &[
    Clip { file: "demo_clip.mp4", size_px: (960, 540), frames: 275, loses: false },
    Clip { file: "bikes.mp4", size_px: (640, 272), frames: 250, loses: false },
    Clip { file: "bigbuckbunny.mp4", size_px: (1280, 720), frames: 132, loses: false },
    Clip { file: "solidWhiteRight.mp4", size_px: (960, 540), frames: 221, loses: false },
    Clip { file: "nasa_13013_rotated.mp4", size_px: (270, 480), frames: 17, loses: false },
    Clip { file: "pixel7_videoOnly_cleaned.mp4", size_px: (1920, 1080), frames: 36, loses: false },
    Clip { file: "trim_optimization_failure.mp4", size_px: (518, 488), frames: 167, loses: false },
    Clip { file: "bear-vp9-odd-dimensions.webm", size_px: (162, 122), frames: 30, loses: false },
    Clip { file: "h265_bframes.mp4", size_px: (854, 480), frames: 30, loses: false },
    Clip { file: "sample_h265.ts", size_px: (854, 480), frames: 30, loses: false },
    Clip { file: "sample_av1.mkv", size_px: (720, 1280), frames: 30, loses: false },
    Clip { file: "sample_with_invalid_nalu.mp4", size_px: (1080, 720), frames: 30, loses: true },
    Clip { file: "no_duration.webm", size_px: (1280, 720), frames: 74, loses: false },
    Clip { file: "resolution_change.264", size_px: (352, 288), frames: 6, loses: false },
];

#[test]
fn every_clip_gives_a_right_video() {
    let Some(folder) = folder() else { return };
    let out = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for clip in CLIPS {
        let input = folder.join(clip.file);
        // Opus goes to Matroska; MP4 is tried by the others.
        let extension = if clip.file == "no_duration.webm" { "mkv" } else { "mp4" };
        let path = out.path().join(format!("{}.{extension}", clip.file));
        let copied = match copy(reading(&input), writing(&path)) {
            Ok(copied) => copied,
            Err(error) => {
                wrong.push(format!("{}: {error}", clip.file));
                continue;
            }
        };
        let (before, after) = (probe(&input), probe(&path));
        let mut check = |holds: bool, what: String| {
            if !holds {
                wrong.push(format!("{}: {what}", clip.file));
            }
        };
        check(copied.info.video_codec == before.codec, format!("codec {}", copied.info.video_codec));
        let audio = copied.info.audio.as_ref().map(|audio| audio.codec.clone());
        check(audio == before.audio_codec, format!("audio codec {audio:?}"));
        check(copied.finished.bytes == path.metadata().unwrap().len(), "its size is another".to_owned());
        check(copied.frames == clip.frames, format!("{} frames came in", copied.frames));
        check(after.pts_ms.len() == clip.frames, format!("{} frames came out", after.pts_ms.len()));
        check((after.width_px, after.height_px) == clip.size_px, format!("size {}x{}", after.width_px, after.height_px));
        check((copied.losses.total() > 0) == clip.loses, format!("{:?}", copied.losses));
        if before.pts_ms.len() == clip.frames {
            let off = before.pts_ms.iter().zip(&after.pts_ms).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            check(off <= 1.0, format!("a frame is {off} ms off: {:?} became {:?}", before.pts_ms, after.pts_ms));
            check(
                (before.duration_ms - after.duration_ms).abs() < 2.5,
                format!("{} ms became {} ms", before.duration_ms, after.duration_ms),
            );
        }
        let known = |text: &str| !matches!(text, "" | "unknown");
        for (what, before, after) in [
            ("matrix", &before.colour_matrix, &after.colour_matrix),
            ("range", &before.colour_range, &after.colour_range),
            ("aspect", &before.sample_aspect, &after.sample_aspect),
            ("bits", &before.pixel_format.replace("yuvj", "yuv"), &after.pixel_format.replace("yuvj", "yuv")),
        ] {
            check(!known(before) || before == "N/A" || before == after, format!("{what} {before} became {after}"));
        }
        if !clip.loses && clip.file != "resolution_change.264" {
            let psnr = likeness_db(&input, &path, (clip.size_px.0 - 2, clip.size_px.1 - 2));
            check(psnr > 32.0, format!("pictures differ: PSNR {psnr} dB"));
        }
        check(after.audio_codec == before.audio_codec, format!("audio {:?} became {:?}", before.audio_codec, after.audio_codec));
        check(
            after.audio_packets == before.audio_packets,
            format!("{} audio packets became {}", before.audio_packets, after.audio_packets),
        );
        if before.audio_codec.is_some() {
            let offset = |probed: &crate::probe::Probed| probed.first_audio_ms - probed.first_frame_ms;
            check(
                (offset(&before) - offset(&after)).abs() <= 1.0,
                format!("audio offset {} ms became {} ms", offset(&before), offset(&after)),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_cannot_be_decoded_says_so() {
    let Some(folder) = folder() else { return };
    let out = tempfile::tempdir().unwrap();
    for file in ["sample_malformed_free_box.mp4", "invalid-bitstream.webm", "README.md"] {
        let path = out.path().join("out.mp4");
        let error = copy(reading(folder.join(file)), writing(&path)).unwrap_err();
        assert_eq!(error.kind(), Kind::Data, "{file}: {error}");
        println!("{error}");
        assert!(error.to_string().contains(file) && !path.exists());
    }
}
