//! Other programs, which may hang: each gets an end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A command that is ended after a minute and a half.
pub fn bounded(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=2", "90", program]);
    command
}

/// What ffprobe says, with these arguments.
pub fn ffprobe(arguments: &[&str], input: &str) -> Value {
    let output = bounded("ffprobe").args(["-v", "error", "-of", "json"]).args(arguments).arg(input).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{input}: {said}");
    assert_eq!(said.trim(), "", "{input}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Time of each packet in seconds, whether it is a key frame, and how long the whole lasts.
pub fn packets(path: &Path) -> (Vec<(f64, bool)>, f64) {
    let said = ffprobe(&["-show_packets", "-show_format"], path.to_str().unwrap());
    let packets = said["packets"].as_array().unwrap().iter();
    let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let times = packets.map(|packet| (number(&packet["pts_time"]), packet["flags"].as_str().unwrap().starts_with('K'))).collect();
    (times, number(&said["format"]["duration"]))
}

/// Decodes a whole file; says how many frames there are, and fails where anything in it is broken.
pub fn frames(path: &Path) -> u64 {
    let arguments = ["-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames"];
    let said = ffprobe(&arguments, path.to_str().unwrap());
    said["streams"][0]["nb_read_frames"].as_str().unwrap().parse().unwrap()
}

/// The files of a folder with this extension, sorted.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_part = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|own| own == extension) && !is_part(path)).collect();
    files.sort();
    files
}

/// A process that is killed when the test ends.
pub struct Process(pub Child);

impl Process {
    pub fn start(command: &mut Command) -> Self {
        Process(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
