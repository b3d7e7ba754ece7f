//! The file that is written: refusals before the start, its name at the end, and what is left when the writer dies.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use gradcast::error::Kind;
use gradcast::video::{AudioMode, Sink, Source, part_path};

use crate::copy::{copy, copy_planes, copy_with, reading, writing};
use crate::made::make;
use crate::probe::{installed, probe};

const H264: &str = "-map 0 -map 1 -c:v libx264 -pix_fmt yuv420p -c:a aac";

fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

#[test]
fn an_output_that_cannot_be_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("in.mp4"), "not read here").unwrap();
    fs::write(at(".next.part.mp4"), "the rest of a run that was killed").unwrap();
    fs::write(at("there.mp4"), "precious").unwrap();
    fs::create_dir(at("folder.mp4")).unwrap();
    symlink(at("in.mp4"), at("link.mp4")).unwrap();
    fs::hard_link(at("in.mp4"), at("hard.mp4")).unwrap();
    let input = at("in.mp4").to_string_lossy().into_owned();
    let part = at(".next.part.mp4").to_string_lossy().into_owned();
    let refusal = |name: &str, force: bool, encoder: Option<&str>, input: &str| {
        let mut sink = writing(at(name));
        (sink.force, sink.encoder) = (force, encoder.map(str::to_owned));
        let error = Sink::check(&sink, input).expect_err(name);
        assert_eq!(error.kind(), Kind::Usage, "{name}: {error}");
        error.to_string()
    };
    let cases = [
        (refusal("out.txt", false, None, &input), "end in .mp4"),
        (refusal("out", false, None, &input), "end in .mp4"),
        (refusal("nowhere/out.mp4", false, None, &input), "no folder"),
        (refusal("there.mp4", false, None, &input), "--force"),
        (refusal("folder.mp4", true, None, &input), "is a folder"),
        (refusal("in.mp4", true, None, &input), "the input itself"),
        (refusal("link.mp4", true, None, &input), "the input itself"),
        (refusal("hard.mp4", true, None, &input), "the input itself"),
        (refusal("in.mp4", true, None, &format!("file://{input}")), "the input itself"),
        (refusal("next.mp4", true, None, &part), "written until it is done"),
        (refusal("out.mp4", false, Some("theoraenc"), &input), "x264enc, x265enc"),
        (refusal("out.webm", false, Some("x264enc"), &input), ".mp4 can"),
    ];
    for (error, part) in cases {
        assert!(error.contains(part), "{error} lacks {part}");
    }
    assert_eq!(fs::read_to_string(at("there.mp4")).unwrap(), "precious");
    assert!(!part_path(&at("out.mp4")).exists());
    let mut forced = writing(at("there.mp4"));
    forced.force = true;
    Sink::check(&forced, &input).unwrap();
}

#[test]
fn quality_that_an_encoder_does_not_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |crf: Option<u32>, bitrate_kbps: Option<u32>, preset: Option<&str>| {
        let mut sink = writing(folder.path().join("out.mp4"));
        (sink.crf, sink.bitrate_kbps, sink.preset) = (crf, bitrate_kbps, preset.map(str::to_owned));
        let error = Sink::check(&sink, "in.mp4").unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        error.to_string()
    };
    assert!(refusal(Some(70), None, None).contains("0 (best) to 50"));
    assert!(refusal(Some(20), Some(1000), None).contains("exclude"));
    assert!(refusal(None, Some(0), None).contains("kilobits"));
    assert!(refusal(None, None, Some("quick")).contains("veryfast"));
    assert!(refusal(None, None, Some("fast bitrate=1")).contains("veryfast"));
}

#[test]
fn a_folder_that_is_not_writable_is_refused() {
    if is_root() {
        println!("skipped: root may write everywhere");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let error = Sink::check(&writing(folder.path().join("out.mp4")), "in.mp4").unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("nothing can be written"), "{error}");
}

#[test]
fn inputs_that_are_not_there_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let open = |input: &str| {
        let mut settings = reading(input);
        settings.formats = Sink::formats(&writing("out.mp4")).unwrap();
        Source::open(&settings).map(|_| ()).unwrap_err()
    };
    let shown = |path: PathBuf| path.to_string_lossy().into_owned();
    for input in [shown(folder.path().join("none.mp4")), shown(folder.path().to_owned()), "file:///no/such/video.mp4".to_owned()] {
        let error = open(&input);
        assert_eq!(error.kind(), Kind::NoInput, "{input}: {error}");
    }
    fs::write(folder.path().join("empty.mp4"), "").unwrap();
    fs::write(folder.path().join("text.mp4"), "no video at all\n".repeat(1000)).unwrap();
    for name in ["empty.mp4", "text.mp4"] {
        let error = open(&shown(folder.path().join(name)));
        assert_eq!(error.kind(), Kind::Data, "{name}: {error}");
        println!("{error}");
    }
    if installed() {
        let sound = make(folder.path(), "sound.m4a", "64x64", "-map 1 -c:a aac");
        let error = open(&shown(sound));
        assert_eq!(error.kind(), Kind::Data);
        assert!(error.to_string().contains("no video"), "{error}");
    }
}

#[test]
fn nothing_has_the_final_name_before_the_end() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = make(folder.path(), "in.mp4", "320x240", H264);
    let path = folder.path().join("out.mp4");
    fs::write(part_path(&path), "left by a run that was killed").unwrap();
    copy_with(reading(&input), writing(&path), |_| assert!(!path.exists())).unwrap();
    assert!(path.exists() && !part_path(&path).exists());

    // A sink that is dropped leaves what it wrote; one that wrote nothing leaves nothing.
    for frames in [0, 12] {
        let (mut source, sink) = (reading(&input), writing(folder.path().join("dropped.mp4")));
        source.formats = Sink::formats(&sink).unwrap();
        let mut source = Source::open(&source).unwrap();
        let info = source.info().clone();
        let audio = source.take_audio();
        let mut dropped = Sink::create(&sink, &info.picture, &info, audio).unwrap();
        for _ in 0..frames {
            let frame = source.next_frame().unwrap().unwrap();
            let mut out = dropped.buffer().unwrap();
            copy_planes(&frame, &mut out);
            dropped.push(out, frame.pts, frame.duration).unwrap();
        }
        drop(dropped);
        assert!(!sink.path.exists());
        assert_eq!(part_path(&sink.path).exists(), frames > 0);
    }
}

/// The child of the test below: copies slowly enough to be killed in the middle.
#[test]
fn child_that_copies() {
    let (Some(input), Some(path)) = (std::env::var_os("GRADCAST_TEST_INPUT"), std::env::var_os("GRADCAST_TEST_OUTPUT")) else { return };
    let done = copy_with(reading(PathBuf::from(input)), writing(PathBuf::from(path)), |frames| {
        println!("frame {frames}");
        if frames >= 100 {
            std::thread::sleep(Duration::from_secs(100));
        }
    });
    panic!("was to be killed: {done:?}");
}

#[test]
fn a_killed_writer_leaves_a_part_file_that_plays() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.mp4");
    let picture = "testsrc2=size=320x240:rate=25:duration=8";
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=duration=8"]);
    assert!(ffmpeg.args(["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "libopus"]).arg(&input).status().unwrap().success());
    for name in ["out.mp4", "out.mkv", "out.webm"] {
        let path = folder.path().join(name);
        kill_in_the_middle(&input, &path);
        assert!(!path.exists());
        let part = probe(&part_path(&path));
        // A hundred frames went in: four seconds. The encoder's look-ahead and the last second may be missing.
        assert!(part.pts_ms.len() >= 50, "{name}: {} frames are left", part.pts_ms.len());
        assert!(part.audio_packets >= 50, "{name}: {} audio packets are left", part.audio_packets);
        let copied = copy(reading(&input), writing(&path)).unwrap();
        assert!(copied.frames == 200 && !part_path(&path).exists());
    }
}

fn kill_in_the_middle(input: &Path, path: &Path) {
    use std::io::{BufRead, BufReader};
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "files::child_that_copies", "--nocapture"])
        .env("GRADCAST_TEST_INPUT", input)
        .env("GRADCAST_TEST_OUTPUT", path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reached = lines.map_while(Result::ok).any(|line| line == "frame 100");
    assert!(reached, "the copy ended early");
    // What has left the encoder is on its way to the disk.
    std::thread::sleep(Duration::from_millis(500));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_full_disk_is_an_error() {
    if !installed() || !is_root() {
        println!("skipped: mounting a small disk takes root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=96k", "tmpfs"]).arg(&disk).stderr(Stdio::null()).status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("skipped: mounting is not allowed here");
        return;
    }
    let input = make(folder.path(), "in.mp4", "640x480", H264);
    let mut sink = writing(disk.join("out.mp4"));
    sink.crf = Some(1);
    let copied = copy(reading(&input), sink);
    let left = disk.join("out.mp4").exists();
    let unmounted = Command::new("umount").arg("--lazy").arg(&disk).status().unwrap();
    assert!(unmounted.success());
    let error = copied.unwrap_err();
    assert_eq!(error.kind(), Kind::Runtime);
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert!(!left);
}

#[test]
fn audio_that_the_file_cannot_hold_is_refused() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = make(folder.path(), "in.mkv", "160x120", "-map 0 -map 1 -c:v libx264 -pix_fmt yuv420p -c:a libvorbis");
    let path = folder.path().join("out.mp4");
    let error = copy(reading(&input), writing(&path)).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains(".mkv can") && error.to_string().contains("vorbis"), "{error}");
    assert!(!path.exists() && !part_path(&path).exists());

    let with = |audio: AudioMode| {
        let mut source = reading(&input);
        source.audio = audio;
        let mut sink = writing(&path);
        sink.force = true;
        copy(source, sink).unwrap();
        probe(&path)
    };
    assert_eq!(with(AudioMode::Drop).audio_codec, None);
    let transcoded = with(AudioMode::Transcode);
    assert_eq!(transcoded.audio_codec.as_deref(), Some("aac"));
    assert!((34..=42).contains(&transcoded.audio_packets), "{} packets", transcoded.audio_packets);
}
