//! Kinds of video that no clip has, made by ffmpeg.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::copy::{copy, reading, writing};
use crate::probe::{installed, likeness_db, probe};

/// A video of ffmpeg's: `arguments` follow a moving test picture of `size`, 20 frames at 25 a second, and a tone.
pub fn make(folder: &Path, name: &str, size: &str, arguments: &str) -> PathBuf {
    let path = folder.join(name);
    let picture = format!("testsrc2=size={size}:rate=25:duration=0.8");
    let mut command = Command::new("ffmpeg");
    command.args([
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        &picture,
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440:duration=0.8:sample_rate=48000",
    ]);
    let made = command.args(arguments.split_whitespace()).arg(&path).status().unwrap();
    assert!(made.success(), "ffmpeg makes no {name}");
    path
}

struct Made {
    name: &'static str,
    size: &'static str,
    arguments: &'static str,
    /// What comes out: size, ffmpeg's pixel format, pixel aspect.
    size_px: (u64, u64),
    pixel_format: &'static str,
    aspect: &'static str,
    /// The least PSNR to the input as ffmpeg shows it.
    like_db: f64,
}

const fn plain(name: &'static str, arguments: &'static str) -> Made {
    Made { name, size: "320x240", arguments, size_px: (320, 240), pixel_format: "yuv420p", aspect: "1:1", like_db: 30.0 }
}

const MADE: &[Made] = &[
    plain("422.mp4", "-map 0:v -c:v libx264 -pix_fmt yuv422p"),
    plain("444.mp4", "-map 0:v -c:v libx264 -pix_fmt yuv444p"),
    Made { pixel_format: "yuv420p10le", ..plain("ten.mp4", "-map 0:v -c:v libx264 -pix_fmt yuv420p10le") },
    Made { pixel_format: "yuv420p10le", ..plain("422ten.mp4", "-map 0:v -c:v libx264 -pix_fmt yuv422p10le") },
    Made { pixel_format: "yuv420p10le", ..plain("prores.mov", "-map 0:v -c:v prores_ks") },
    plain("full.mp4", "-map 0:v -c:v libx264 -pix_fmt yuvj420p"),
    plain("rgb.mkv", "-map 0:v -c:v ffv1 -pix_fmt bgr0"),
    plain("grey.mkv", "-map 0:v -c:v ffv1 -pix_fmt gray"),
    plain("motion.avi", "-map 0 -map 1 -c:v mjpeg -q:v 2 -c:a mp3"),
    plain("old.mpg", "-map 0:v -c:v mpeg2video -q:v 2"),
    plain("asp.mp4", "-map 0:v -c:v mpeg4 -q:v 2 -bf 2"),
    plain("vp8.webm", "-map 0 -map 1 -c:v libvpx -auto-alt-ref 1 -lag-in-frames 10 -b:v 2M -c:a libvorbis"),
    plain("alpha.webm", "-map 0:v -vf format=yuva420p -c:v libvpx-vp9 -b:v 2M"),
    plain("sound.ts", "-map 0 -map 1 -c:v libx264 -pix_fmt yuv420p -c:a aac"),
    plain("sound.flv", "-map 0 -map 1 -c:v libx264 -pix_fmt yuv420p -c:a aac -ar 44100"),
    Made { aspect: "4:3", ..plain("wide.mp4", "-map 0:v -vf setsar=4/3 -c:v libx264 -pix_fmt yuv420p") },
    Made { size: "321x241", size_px: (322, 242), ..plain("odd.mkv", "-map 0:v -vf scale=321:241 -c:v ffv1 -pix_fmt yuv420p") },
    Made {
        size: "321x241",
        size_px: (322, 242),
        pixel_format: "yuv420p10le",
        ..plain("oddten.mkv", "-map 0:v -vf scale=321:241 -c:v ffv1 -pix_fmt yuv420p10le")
    },
    Made { size: "322x250", size_px: (322, 250), ..plain("strides.mp4", "-map 0:v -c:v libx264 -pix_fmt yuv420p") },
    // Without B-frames: threads of libav's decoder race for the positions of a B-field's references, and now and then report an error.
    Made { like_db: 20.0, ..plain("tff.mp4", "-map 0:v -c:v libx264 -flags +ildct+ilme -x264opts tff=1:bframes=0 -pix_fmt yuv420p") },
    Made { like_db: 20.0, ..plain("bff.mpg", "-map 0:v -c:v mpeg2video -flags +ildct+ilme -q:v 2 -top 0") },
    Made {
        like_db: 20.0,
        ..plain("tenfields.mkv", "-map 0:v -c:v libx264 -flags +ildct+ilme -x264opts tff=1:bframes=0 -pix_fmt yuv420p10le")
    },
    Made { like_db: 20.0, ..plain("422fields.mp4", "-map 0:v -c:v libx264 -flags +ildct+ilme -x264opts tff=1:bframes=0 -pix_fmt yuv422p") },
];

#[test]
fn every_kind_of_video_goes_through() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for made in MADE {
        let input = make(folder.path(), made.name, made.size, made.arguments);
        // MP4 holds no Vorbis.
        let extension = if made.name == "vp8.webm" { "mkv" } else { "mp4" };
        let path = folder.path().join(format!("{}.out.{extension}", made.name));
        let copied = match copy(reading(&input), writing(&path)) {
            Ok(copied) => copied,
            Err(error) => {
                wrong.push(format!("{}: {error}", made.name));
                continue;
            }
        };
        let (before, after) = (probe(&input), probe(&path));
        let mut check = |holds: bool, what: String| {
            if !holds {
                wrong.push(format!("{}: {what}", made.name));
            }
        };
        check(copied.losses.total() == 0, format!("{:?}", copied.losses));
        check(
            before.pts_ms.len() == copied.frames && copied.frames == after.pts_ms.len(),
            format!("{} frames, {} came in, {} came out", before.pts_ms.len(), copied.frames, after.pts_ms.len()),
        );
        let off = before.pts_ms.iter().zip(&after.pts_ms).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        check(off <= 1.0, format!("a frame is {off} ms off: {:?} became {:?}", before.pts_ms, after.pts_ms));
        check((after.width_px, after.height_px) == made.size_px, format!("size {}x{}", after.width_px, after.height_px));
        check(after.pixel_format.replace("yuvj", "yuv") == made.pixel_format, format!("format {}", after.pixel_format));
        let range = if matches!(made.name, "full.mp4" | "motion.avi") { "pc" } else { "tv" };
        check(after.colour_range == range, format!("range {}", after.colour_range));
        check(after.sample_aspect == made.aspect, format!("aspect {}", after.sample_aspect));
        check(
            // GStreamer's demuxers of these begin with the first frame: an audio packet that ends before it is lost.
            after.audio_packets + usize::from(matches!(made.name, "sound.ts" | "sound.flv")) >= before.audio_packets,
            format!("{} audio packets became {}", before.audio_packets, after.audio_packets),
        );
        let psnr = likeness_db(&input, &path, (made.size_px.0 - 2, made.size_px.1 - 2));
        check(psnr > made.like_db, format!("pictures differ: PSNR {psnr} dB"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
