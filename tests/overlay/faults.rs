//! Outputs that cannot be: one sentence, the right exit code, the input untouched, nothing left behind.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{bunny, ffmpeg, names, overlay};
use crate::probe::decoded_frames;

const NONE: [&str; 0] = [];

/// A short clip named in.mp4 in this folder.
fn short(folder: &Path) -> PathBuf {
    let input = folder.join("in.mp4");
    ffmpeg(&["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=0.4", "-c:v", "libx264", "-preset", "ultrafast"], &input);
    input
}

#[test]
fn an_output_that_is_there_stays_unless_forced() {
    let folder = tempfile::tempdir().expect("folder");
    let (input, out) = (short(folder.path()), folder.path().join("out.mp4"));
    fs::write(&out, "kept").expect("written");
    overlay(&input, &out, &NONE).refuses(2, &["out.mp4", "--force"]);
    assert_eq!(fs::read(&out).expect("the file"), b"kept");
    assert_eq!(overlay(&input, &out, &["--force"]).code, 0);
    assert_eq!(decoded_frames(&out), 10);
    assert_eq!(names(folder.path()), ["in.mp4", "out.mp4"]);
}

#[test]
fn the_input_is_never_the_output() {
    let folder = tempfile::tempdir().expect("folder");
    let input = short(folder.path());
    let (soft, hard, upper) = (folder.path().join("soft.mp4"), folder.path().join("hard.mp4"), folder.path().join("../"));
    symlink(&input, &soft).expect("a link");
    fs::hard_link(&input, &hard).expect("a link");
    let other_way = upper.join(folder.path().file_name().expect("a name")).join("in.mp4");
    let before = fs::read(&input).expect("the clip");
    for out in [&input, &soft, &hard, &other_way] {
        overlay(&input, out, &["--force"]).refuses(2, &["the input itself"]);
        overlay(out, &input, &["--force"]).refuses(2, &["the input itself"]);
    }
    for option in ["--frames", "--maps"] {
        let path = soft.to_str().expect("UTF-8");
        overlay(&input, &folder.path().join("out.mp4"), &[option, path]).refuses(2, &[option, "input"]);
        let out = folder.path().join("out.mp4");
        overlay(&input, &out, &[option, out.to_str().expect("UTF-8")]).refuses(2, &[option, "out.mp4"]);
    }
    assert_eq!(fs::read(&input).expect("the clip"), before, "not a byte is changed");
    assert_eq!(names(folder.path()), ["hard.mp4", "in.mp4", "soft.mp4"]);
}

#[test]
fn a_part_file_that_is_the_input_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let part = folder.path().join(".out.part.mp4");
    fs::rename(short(folder.path()), &part).expect("renamed");
    let before = fs::read(&part).expect("the clip");
    overlay(&part, &folder.path().join("out.mp4"), &NONE).refuses(2, &["another name"]);
    assert_eq!(fs::read(&part).expect("the clip"), before);
}

#[test]
fn folders_that_are_not_there_or_take_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let input = short(folder.path());
    overlay(&input, &folder.path().join("no/out.mp4"), &NONE).refuses(2, &["no folder"]);
    overlay(&input, &input.join("out.mp4"), &NONE).refuses(2, &["no folder"]);
    let out = folder.path().join("out.mp4");
    for option in ["--frames", "--maps"] {
        let lost = folder.path().join("no/file");
        overlay(&input, &out, &[option, lost.to_str().expect("UTF-8")]).refuses(2, &[option, "no folder"]);
    }
    fs::create_dir(&out).expect("a folder");
    overlay(&input, &out, &["--force"]).refuses(2, &["is a folder"]);
    fs::remove_dir(&out).expect("removed");
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).expect("a folder");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).expect("permissions");
    if fs::write(locked.join("probe"), "").is_ok() {
        eprintln!("skipped: permissions do not bind the superuser");
        fs::remove_file(locked.join("probe")).expect("removed");
    } else {
        overlay(&input, &locked.join("out.mp4"), &NONE).refuses(2, &["locked"]);
        assert!(names(&locked).is_empty());
    }
    // Nothing can be created in /proc, whoever asks.
    overlay(&input, Path::new("/proc/out.mp4"), &NONE).refuses(2, &["/proc"]);
    assert_eq!(names(folder.path()), ["in.mp4", "locked"]);
}

#[test]
fn extensions_and_encoders_that_are_not_known() {
    let folder = tempfile::tempdir().expect("folder");
    let input = short(folder.path());
    for name in ["out.avi", "out", "out.mp4.txt"] {
        overlay(&input, &folder.path().join(name), &NONE).refuses(2, &[".mp4, .mkv or .webm"]);
    }
    let mp4 = folder.path().join("out.mp4");
    for (out, arguments, words) in [
        (mp4.clone(), &["--encoder", "h264"][..], &["h264", "x264enc"][..]),
        (mp4.clone(), &["--encoder", "vp8enc"], &["VP8", ".mkv can"]),
        (folder.path().join("out.webm"), &["--encoder", "x264enc"], &["H.264", ".mp4 can"]),
        (mp4.clone(), &["--preset", "fastest"], &["fastest", "veryfast"]),
        (mp4.clone(), &["--crf", "51"], &["51", "x264enc"]),
        (mp4.clone(), &["--model", "nonesuch"], &["nonesuch"]),
    ] {
        let ran = overlay(&input, &out, arguments);
        let code = if words[0] == "nonesuch" { 66 } else { 2 };
        ran.refuses(code, words);
    }
    assert_eq!(names(folder.path()), ["in.mp4"]);
}

/// A file system of one megabyte, where this test may mount one.
struct Small {
    folder: tempfile::TempDir,
}

impl Small {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder.path()).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: no right to mount a small file system");
            return None;
        }
        Some(Small { folder })
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.folder.path()).output();
    }
}

#[test]
fn a_full_disk_is_said_and_nothing_has_the_final_name() {
    let Some(small) = Small::mount() else { return };
    for name in ["out.mp4", "out.mkv"] {
        let out = small.folder.path().join(name);
        let ran = overlay(&bunny(), &out, &["--every", "60", "--crf", "22", "--audio", "drop"]);
        ran.fails(1, &[name, "disk is full", ".out.part."]);
        assert!(!out.exists());
        let part = small.folder.path().join(name.replace("out", ".out.part"));
        assert!(decoded_frames(&part) > 0, "the part file that the sentence names plays");
        fs::remove_file(part).expect("removed");
    }
    let (out, maps) = (small.folder.path().join("out.mp4"), small.folder.path().join("maps.safetensors"));
    overlay(&bunny(), &out, &["--every", "20", "--maps", maps.to_str().expect("UTF-8"), "--crf", "45"]).fails(1, &["maps.safetensors"]);
    assert!(!out.exists() && !maps.exists());
}
