//! The wall clock steps, forwards and back.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cameras::{Camera, CameraSettings};
use crate::daemon::Daemon;
use crate::programs::{files, frame_times};
use crate::stage::{Bystander, engine, wait_for_explained};

const HOUR_NS: i64 = 3_600_000_000_000;

/// A wall clock that the test sets.
struct WallClock<'a> {
    folder: &'a Path,
}

impl<'a> WallClock<'a> {
    fn make(folder: &'a Path) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/wall_clock.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-shared", "-fPIC", "-o"]).arg(folder.join("wall_clock.so")).arg(source);
        assert!(compiler.status().unwrap().success());
        let clock = WallClock { folder };
        clock.shift(0);
        clock
    }

    fn shift(&self, ns: i64) {
        // In place: the daemon has it mapped.
        let mut file = fs::File::options().create(true).write(true).truncate(false).open(self.folder.join("shift")).unwrap();
        std::io::Write::write_all(&mut file, &ns.to_ne_bytes()).unwrap();
    }

    fn give(&self, command: &mut Command) {
        command.env("LD_PRELOAD", self.folder.join("wall_clock.so")).env("WALL_CLOCK_SHIFT", self.folder.join("shift"));
    }
}

#[test]
fn steps_of_the_wall_clock_touch_names_only() {
    let folder = tempfile::tempdir().unwrap();
    let clock = WallClock::make(folder.path());
    let camera = Camera::start(CameraSettings { size_px: (160, 120), fps: 10, ..CameraSettings::default() });
    let (below, whole) = (folder.path().join("segments"), folder.path().join("whole.mp4"));
    let streams = format!(
        "[[stream]]\nname = \"yard\"\nsource = \"{}\"\nstall = \"20s\"\nkey_interval = \"1s\"\n\
         sink = [\"rtsp\", {{ kind = \"segments\", folder = \"{}\", every = \"1s\" }}, {{ kind = \"file\", path = \"{}\" }}]\n",
        camera.url(),
        below.display(),
        whole.display()
    );
    let mut daemon = Daemon::launch(&engine(), &streams, |command| clock.give(command));
    daemon.wait_for_frames("yard", 5);
    let yard = Bystander::watch(&mut daemon, "yard");
    let unix = |daemon: &Daemon| daemon.state("yard")["last_frame_unix_seconds"].as_f64().unwrap();
    let mut written = 0;
    for (shift_ns, hours) in [(HOUR_NS, 1.0), (-2 * HOUR_NS, -3.0), (0, 2.0)] {
        let before = unix(&daemon);
        clock.shift(shift_ns);
        daemon.wait_for("the step", |daemon| (unix(daemon) - before - hours * 3600.0).abs() < 600.0);
        daemon.wait_for("two segments more", |_| files(&below, "mp4").len() >= written + 2);
        written = files(&below, "mp4").len();
        wait_for_explained(&mut daemon, "yard", 3);
        yard.noticed_nothing(&mut daemon);
    }
    let (decoded, accounted) = daemon.accounts("yard");
    assert!(accounted <= decoded && decoded - accounted < 40, "{accounted} of {decoded}");
    assert_eq!(daemon.metric("stream_reconnects_total{reason=\"stalled\",stream=\"yard\"}"), Some(0.0));
    assert_eq!(daemon.metric("sink_restarts_total{sink=\"segments\",stream=\"yard\"}"), Some(0.0));
    assert_eq!(daemon.end(libc::SIGTERM).code(), Some(0));
    // In the order of their names they follow each other, as the whole file says.
    let segments: Vec<Vec<f64>> = files(&below, "mp4").iter().map(|path| frame_times(path)).collect();
    let whole = frame_times(&whole);
    assert!(whole.windows(2).all(|pair| pair[1] > pair[0] && pair[1] - pair[0] < 20.0), "{whole:?}");
    let lengths: Vec<usize> = segments.iter().map(Vec::len).collect();
    let total: usize = lengths.iter().sum();
    assert!(total.abs_diff(whole.len()) <= 10, "both began at a key frame of theirs: {lengths:?}, {}", whole.len());
    let steps = |times: &[f64]| times.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<f64>>();
    let mut at = whole.len() - total.min(whole.len());
    for segment in segments.iter().skip_while(|_| total > whole.len()) {
        let (own, of_whole) = (steps(segment), steps(&whole[at..at + segment.len()]));
        assert!(own.iter().zip(&of_whole).all(|(a, b)| (a - b).abs() < 0.002), "out of order: {own:?} and {of_whole:?}");
        at += segment.len();
    }
}
