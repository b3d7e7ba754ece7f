//! How the process ends: by signals under load, and before it has begun.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use super::daemon::Daemon;
use super::orders::TWO;

#[test]
fn signals_end_it_with_success() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut daemon = Daemon::start(TWO);
        daemon.wait_for_frames("front", 3);
        let status = daemon.end(signal);
        assert_eq!(status.code(), Some(0), "{}", daemon.log().join("\n"));
        assert!(daemon.logged("ended"));
    }
}

#[test]
fn a_port_that_is_taken_ends_the_start_with_its_address() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    for table in ["http", "rtsp"] {
        let other = if table == "http" { "rtsp" } else { "http" };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("gradcast.toml");
        let text = format!("[{table}]\nlisten = \"{address}\"\n[{other}]\nlisten = \"127.0.0.1:0\"\n{TWO}");
        std::fs::write(&file, text).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradcast"));
        command.env("GRADCAST_MODELS", concat!(env!("CARGO_MANIFEST_DIR"), "/models")).stdin(Stdio::null());
        let output = command.args(["run", "--config"]).arg(&file).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{table}: {said}");
        assert!(said.contains(&address.to_string()) && (said.contains("taken") || said.contains("in use")), "{table}: {said}");
    }
}
