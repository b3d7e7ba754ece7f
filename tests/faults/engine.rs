//! An engine that hangs, and one whose numbers are none.

use std::fs;

use crate::daemon::Daemon;
use crate::stage::{Bystander, engine, small_network, test_stream, wait_for_explained};

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
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: lets a thread go on that was stopped above.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, 0, 0) };
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
