//! Running the program, and the clips it runs on.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What a run of the program left.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ran { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The summary of `--json`.
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {:?}", self.stdout))
    }

    /// Ended with `code` at once and said why in one sentence, which holds each of `words`.
    #[track_caller]
    pub fn refuses(&self, code: i32, words: &[&str]) {
        self.fails(code, words);
        assert!(self.stderr.starts_with("gradcast: "), "{}", self.stderr);
    }

    /// The same after some progress.
    #[track_caller]
    pub fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{}", self.stderr);
        let sentence = self.stderr.lines().find(|line| line.starts_with("gradcast: ")).unwrap_or_default();
        assert!(!sentence.ends_with('.'), "{}", self.stderr);
        for word in words {
            assert!(sentence.contains(word), "no {word:?} in {}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

/// `gradcast overlay INPUT -o OUT --threads 2 ARGUMENTS`; not started yet.
pub fn overlay_command<A: AsRef<OsStr>>(input: &Path, out: &Path, arguments: &[A]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradcast"));
    command.arg("overlay").arg(input).arg("-o").arg(out).args(["--threads", "2"]).args(arguments);
    command.env_remove("GRADCAST_MODELS").stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn overlay<A: AsRef<OsStr>>(input: &Path, out: &Path, arguments: &[A]) -> Ran {
    Ran::of(overlay_command(input, out, arguments).output().expect("gradcast starts"))
}

/// Runs it with few frames explained, and gives the summary.
#[track_caller]
pub fn summary(input: &Path, out: &Path, arguments: &[&str]) -> Value {
    let all: Vec<&str> = ["--json", "--every", "60"].iter().chain(arguments).copied().collect();
    overlay(input, out, &all).json()
}

/// Makes a file with ffmpeg.
pub fn ffmpeg(arguments: &[&str], out: &Path) {
    let output =
        Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(arguments).arg(out).output().expect("ffmpeg is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The clips beside the project.
pub fn media(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media").join(name);
    if !path.is_file() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// The clips of the project: 132 frames of 1280x720 with audio.
pub fn bunny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("media/bigbuckbunny.mp4")
}

/// What lies in a folder, hidden or not, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder");
    let mut names: Vec<String> = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
