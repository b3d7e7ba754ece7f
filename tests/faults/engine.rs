//! An engine that hangs, and one whose numbers are none.

use std::fs;

use crate::daemon::Daemon;
use crate::programs::frames;
use crate::stage::{Bystander, engine, lost, shown, small_network, test_stream, wait_for_explained};

/// A thread of a child process that stands still until this is dropped.
struct Held(libc::pid_t);

impl Held {
    /// The thread of this name.
    fn hold(process: u32, name: &str) -> Held {
        let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
        let is_it = |thread: &fs::DirEntry| fs::read_to_string(thread.path().join("comm")).is_ok_and(|own| own.trim() == name);
        let thread = threads.into_iter().find(is_it).unwrap_or_else(|| panic!("no thread {name}"));
        let thread: libc::pid_t = thread.file_name().to_str().unwrap().parse().unwrap();
        // SAFETY: these only stop a thread of a child, and wait until it stands.
        unsafe {
            assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, thread, 0, 0), 0, "{}", std::io::Error::last_os_error());
            assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, thread, 0, 0), 0, "{}", std::io::Error::last_os_error());
            assert_eq!(libc::waitpid(thread, std::ptr::null_mut(), libc::__WALL), thread);
        }
        Held(thread)
    }

    /// A process is not seen to end before whoever holds a thread of it has heard of that thread's end: listens for it.
    fn listen(&self) {
        let thread = self.0;
        // SAFETY: only waits.
        std::thread::spawn(move || unsafe { libc::waitpid(thread, std::ptr::null_mut(), libc::__WALL) });
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: lets a thread go on that was stopped above, or hears of its end.
        unsafe {
            if libc::ptrace(libc::PTRACE_DETACH, self.0, 0, 0) != 0 {
                libc::waitpid(self.0, std::ptr::null_mut(), libc::__WALL | libc::WNOHANG);
            }
        }
    }
}

#[test]
fn while_the_engine_hangs_frames_go_on_and_are_late() {
    let mut daemon = Daemon::with(&engine(), &format!("{}{}", test_stream("yard"), test_stream("gate")));
    let (yard, gate) = (Bystander::watch(&mut daemon, "yard"), Bystander::watch(&mut daemon, "gate"));
    wait_for_explained(&mut daemon, "yard", 5);
    let count = |daemon: &Daemon, stream: &str, key: &str| daemon.state(stream)["frames"][key].as_u64().unwrap();
    for _ in 0..2 {
        let held = Held::hold(daemon.pid(), "engine-0");
        // Answers that were on their way still come.
        let late = count(&daemon, "yard", "late");
        daemon.wait_for("late frames", |daemon| count(daemon, "yard", "late") >= late + 5);
        let explained = ["yard", "gate"].map(|stream| count(&daemon, stream, "explained"));
        let late = ["yard", "gate"].map(|stream| count(&daemon, stream, "late"));
        daemon.wait_for("nothing but late frames", |daemon| {
            ["yard", "gate"].iter().zip(late).all(|(stream, late)| count(daemon, stream, "late") >= late + 20)
        });
        assert_eq!(["yard", "gate"].map(|stream| count(&daemon, stream, "explained")), explained);
        assert_eq!(daemon.get("/-/healthy").status, 200, "it has not hung for long");
        yard.noticed_nothing(&mut daemon);
        drop(held);
        wait_for_explained(&mut daemon, "yard", 5);
        wait_for_explained(&mut daemon, "gate", 5);
    }
    for stream in ["yard", "gate"] {
        let (decoded, accounted) = daemon.accounts(stream);
        assert!(accounted <= decoded && decoded - accounted < 40, "{accounted} of {decoded}");
    }
    gate.noticed_nothing(&mut daemon);
}

#[test]
fn told_to_end_while_the_engine_hangs_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let sink = |name: &str| format!("[[stream.sink]]\nkind = \"file\"\npath = \"{}\"\n", file(name).display());
    let streams = format!("{}{}{}", test_stream("yard"), sink("yard.mp4"), test_stream("gate"));
    let mut daemon = Daemon::with(&engine(), &streams);
    wait_for_explained(&mut daemon, "yard", 5);
    let held = Held::hold(daemon.pid(), "engine-0");
    held.listen();
    daemon.wait_for_frames("yard", 10);
    let wanted = shown(&daemon, "yard") - lost(&daemon, "file", "yard");
    assert_eq!(daemon.end(libc::SIGTERM).code(), Some(0), "{}", daemon.log().join("\n"));
    assert!(daemon.logged("the engine hangs and is left behind"));
    assert!(frames(&file("yard.mp4")) >= wanted);
}

#[test]
fn numbers_that_overflow_mark_their_frames_and_end_nothing() {
    // White overflows f32 in the first convolution, and black is zero.
    let manifest = fs::read_to_string(small_network()).unwrap().replace("mean = [0.5]\nstd = [0.5]", "mean = [0.0]\nstd = [3e-39]");
    let overflowing = small_network().with_file_name("overflowing.toml");
    fs::write(&overflowing, manifest).unwrap();
    let tables = format!("[engine]\nmodel = \"{}\"\nthreads = 1\nprecision = \"f32\"\n", overflowing.display());
    let of = |name: &str, pattern: &str| test_stream(name).replace("smpte", pattern);
    let mut daemon = Daemon::with(&tables, &format!("{}{}", of("yard", "white"), of("gate", "black")));
    let gate = Bystander::watch(&mut daemon, "gate");
    let faults = |daemon: &Daemon, stream: &str| daemon.metric(&format!("numeric_faults_total{{stream=\"{stream}\"}}")).unwrap();
    daemon.wait_for("numeric faults", |daemon| faults(daemon, "yard") >= 5.0);
    wait_for_explained(&mut daemon, "gate", 5);
    assert_eq!(faults(&daemon, "gate"), 0.0);
    assert!(daemon.logged("numeric fault"));
    let told = daemon.log().iter().filter(|line| line.contains("numeric fault")).count() as f64;
    assert!(told < faults(&daemon, "yard"), "one line a second");
    assert!(daemon.is_up("yard"));
    gate.noticed_nothing(&mut daemon);
}

/// An operator's encoder text that fails after so many frames, each time anew.
#[test]
fn an_encoder_that_fails_is_made_anew_while_frames_come() {
    let text = include_str!("../../pipelines/live_encoder.gst")
        .replace("{encoder} name=encoder !", "identity error-after=12 ! {encoder} name=encoder !");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("live_encoder.gst"), text).unwrap();
    let tables = engine() + &format!("[pipelines]\nfolder = \"{}\"\n", folder.path().display());
    let mut daemon = Daemon::with(&tables, &test_stream("front"));
    // More than one encoder encodes.
    daemon.wait_for_frames("front", 40);
    assert!(daemon.logged("the output failed and is made anew"), "{}", daemon.log().join("\n"));
    let (decoded, accounted) = daemon.accounts("front");
    assert!(accounted <= decoded && decoded - accounted < 40, "{decoded} decoded, {accounted} accounted for");
    // One that lacks what the program speaks to is a fault that is told, and the stream goes on trying.
    fs::write(folder.path().join("live_encoder.gst"), "appsrc name=frames ! {encoder} name=encoder ! h264parse ! appsink").unwrap();
    daemon.wait_for("the fault", |daemon| daemon.state("front")["last_error"].as_str().is_some_and(|error| error.contains("name=packets")));
    fs::remove_file(folder.path().join("live_encoder.gst")).unwrap();
    daemon.wait_for_frames("front", 20);
}
