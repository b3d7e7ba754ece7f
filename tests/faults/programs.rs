//! Other programs that say what a file or a stream is; each gets an end.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A command that is ended after a minute and a half.
fn bounded(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=2", "90", program]).stdin(Stdio::null());
    command
}

/// Times of a file's frames in seconds, decoded; fails where a player would complain of anything.
pub fn frame_times(path: &Path) -> Vec<f64> {
    let mut ffprobe = bounded("ffprobe");
    ffprobe.args(["-v", "error", "-of", "json", "-select_streams", "v:0", "-show_entries", "frame=pts_time"]).arg(path);
    let output = ffprobe.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{}: {said}", path.display());
    let frames: Value = serde_json::from_slice(&output.stdout).unwrap();
    frames["frames"].as_array().unwrap().iter().map(|frame| frame["pts_time"].as_str().unwrap().parse().unwrap()).collect()
}

/// Frames that ffmpeg decodes without a word.
pub fn frames(path: &Path) -> u64 {
    // Frames keep the times that they have; the null muxer would put them on a grid.
    let as_they_are = ["-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-f", "null", "-"];
    let output = bounded("ffmpeg").args(["-v", "error", "-i"]).arg(path).args(as_they_are).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{}: {said}", path.display());
    frame_times(path).len() as u64
}

/// The files of a folder with this extension, sorted; none that is half written.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|own| own == extension) && !is_hidden(path)).collect();
    files.sort();
    files
}

/// Makes a clip of `frames` frames at 25 a second.
pub fn make_clip(path: &Path, frames: u32) {
    let mut ffmpeg = bounded("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=25", "-frames:v", &frames.to_string()]);
    let status = ffmpeg.args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]).arg(path).status().unwrap();
    assert!(status.success());
}

/// ffmpeg that looks at a stream until it is dropped.
pub struct Watching(Child);

impl Watching {
    pub fn start(url: &str) -> Self {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-rtsp_transport", "tcp", "-i", url, "-f", "null", "-"]);
        Watching(ffmpeg.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// It reads nothing any more, and says nothing.
    pub fn freeze(&self) {
        // SAFETY: kill only sends a signal, to a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(self.0.id() as i32, libc::SIGSTOP) }, 0);
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
