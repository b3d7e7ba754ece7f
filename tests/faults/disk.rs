//! A disk that is full under a stream's segments.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::daemon::Daemon;
use crate::programs::{files, frames};
use crate::stage::{Bystander, engine, look_at, lost, sink, test_stream};

/// Bytes of the disk.
const DISK: &str = "size=400k";

/// Gives the process a small disk of its own at `folder`; it is gone with the process. Needs the rights of root.
fn mount_small_disk(command: &mut Command, folder: &Path) {
    let text = |text: &str| std::ffi::CString::new(text).unwrap();
    let (target, options, root, tmpfs) = (text(folder.to_str().unwrap()), text(DISK), text("/"), text("tmpfs"));
    let checked = |result: i32| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: only system calls between fork and exec, with texts that were made before.
    unsafe {
        command.pre_exec(move || {
            checked(libc::unshare(libc::CLONE_NEWNS))?;
            let private = libc::MS_REC | libc::MS_PRIVATE;
            checked(libc::mount(std::ptr::null(), root.as_ptr(), std::ptr::null(), private, std::ptr::null()))?;
            checked(libc::mount(tmpfs.as_ptr(), target.as_ptr(), tmpfs.as_ptr(), 0, options.as_ptr().cast()))
        });
    }
}

/// Whether this process may make disks.
fn may_mount() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("true");
    mount_small_disk(&mut command, folder.path());
    command.status().is_ok_and(|status| status.success())
}

/// Where segments are written while there is no room, and how there comes to be some.
enum Disk {
    /// A small one, which only the daemon sees.
    Small(PathBuf),
    /// Everything is written to /dev/full, too, by a pipeline of the operator's own.
    Device(tempfile::TempDir),
}

impl Disk {
    fn make_room(&self, daemon: &Daemon) {
        match self {
            Disk::Small(folder) => {
                let seen = Path::new("/proc").join(daemon.pid().to_string()).join("root").join(folder.strip_prefix("/").unwrap());
                std::fs::remove_file(seen.join("in-the-way")).unwrap();
            }
            Disk::Device(folder) => std::fs::remove_file(folder.path().join("live_sink_segments.gst")).unwrap(),
        }
    }
}

#[test]
fn a_full_disk_stops_its_sink_only_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (below, whole) = (folder.path().join("disk"), folder.path().join("whole.mp4"));
    std::fs::create_dir(&below).unwrap();
    let own = tempfile::tempdir().unwrap();
    let streams = format!(
        "[[stream]]\nname = \"yard\"\nsource = {{ kind = \"test\", size = \"160x120\", fps = 10 }}\nstall = \"1m\"\nkey_interval = \"1s\"\n\
         sink = [\"rtsp\", {{ kind = \"segments\", folder = \"{}\", every = \"1s\" }}, {{ kind = \"file\", path = \"{}\" }}]\n{}",
        below.display(),
        whole.display(),
        test_stream("gate")
    );
    let tables = format!("{}[pipelines]\nfolder = \"{}\"\n", engine(), own.path().display());
    let disk = if may_mount() {
        Disk::Small(below.clone())
    } else {
        let usual = include_str!("../../pipelines/live_sink_segments.gst");
        let twice = usual
            .replace("filesink name=file", "tee name=both ! filesink location=/dev/full async=false both. ! queue ! filesink name=file");
        assert_ne!(twice, usual);
        std::fs::write(own.path().join("live_sink_segments.gst"), twice).unwrap();
        Disk::Device(own)
    };
    let is_small = matches!(disk, Disk::Small(_));
    let mut daemon = Daemon::launch(&tables, &streams, |command| {
        if is_small {
            mount_small_disk(command, &below);
        }
    });
    let seen = if is_small { Path::new("/proc").join(daemon.pid().to_string()).join("root") } else { PathBuf::from("/") };
    let seen = seen.join(below.strip_prefix("/").unwrap());
    if is_small {
        // Somebody else's file takes the room while it is written.
        daemon.wait_for("segments", |daemon| sink(daemon, "yard", "segments")["up"] == true && !files(&seen, "mp4").is_empty());
        let filled = std::fs::write(seen.join("in-the-way"), vec![1; 1 << 20]);
        assert_eq!(filled.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
    let gate = Bystander::watch(&mut daemon, "gate");
    let viewer = look_at(&daemon, "yard");
    daemon.wait_for("an error", |daemon| sink(daemon, "yard", "segments")["last_error"].as_str().is_some());
    let state = sink(&daemon, "yard", "segments");
    let words = state["last_error"].as_str().unwrap();
    println!("full: {words}");
    assert!(words.contains("the disk is full") && words.contains("make room") && words.contains(below.to_str().unwrap()), "{words}");
    let restarts = "sink_restarts_total{sink=\"segments\",stream=\"yard\"}";
    daemon.wait_for("another try", |daemon| daemon.metric(restarts) >= Some(1.0));
    daemon.wait_for("the sink to be down", |daemon| daemon.metric("sink_up{sink=\"segments\",stream=\"yard\"}") == Some(0.0));
    viewer.sees(5);
    let state = daemon.state("yard");
    assert_eq!((&state["up"], &state["last_error"]), (&"up".into(), &serde_json::Value::Null), "the stream itself has no fault: {state}");
    for name in ["rtsp", "file"] {
        let other = sink(&daemon, "yard", name);
        assert_eq!((&other["up"], &other["last_error"]), (&true.into(), &serde_json::Value::Null), "{other}");
    }
    gate.noticed_nothing(&mut daemon);

    let before = files(&seen, "mp4").len();
    disk.make_room(&daemon);
    daemon.wait_for("segments again", |daemon| sink(daemon, "yard", "segments")["up"] == true && files(&seen, "mp4").len() >= before + 2);
    daemon.wait_for("the metric, too", |daemon| daemon.metric("sink_up{sink=\"segments\",stream=\"yard\"}") == Some(1.0));
    assert!(lost(&daemon, "segments", "yard") > 0, "what was not written is counted");
    let written = files(&seen, "mp4");
    for path in &written[..written.len() - 1] {
        assert!(frames(path) > 0, "{}: what could not be written has left nothing", path.display());
    }
    let (shown, missed) = (crate::stage::shown(&daemon, "yard"), lost(&daemon, "file", "yard"));
    viewer.sees(5);
    assert_eq!(viewer.fault(), None);
    assert_eq!(daemon.end(libc::SIGTERM).code(), Some(0));
    assert!(frames(&whole) >= shown - missed, "the other file has everything");
}
