//! A viewer that stops reading, beside one that goes on.

use crate::daemon::Daemon;
use crate::programs::Watching;
use crate::stage::{Bystander, engine, lost, sink, test_stream};

/// So much that the kernel's buffers are soon full.
const LOUD: &str = r#"
[[stream]]
name = "yard"
source = { kind = "test", pattern = "snow", size = "320x240", fps = 15 }
stall = "1m"
bitrate_kbps = 20000
every = 5
[[stream.sink]]
kind = "rtsp"
"#;

#[test]
fn a_viewer_that_stops_reading_is_cut_off_and_nobody_else_notices() {
    let mut daemon = Daemon::with(&engine(), &format!("{LOUD}{}", test_stream("gate")));
    let other = Bystander::watch(&mut daemon, "gate");
    let beside = Bystander::watch(&mut daemon, "yard");
    let stuck = Watching::start(&format!("rtsp://127.0.0.1:{}/yard", daemon.rtsp_port.unwrap()));
    daemon.wait_for("both viewers", |daemon| sink(daemon, "yard", "rtsp")["viewers"] == 2);
    stuck.freeze();
    daemon.wait_for("one viewer", |daemon| sink(daemon, "yard", "rtsp")["viewers"] == 1);
    // It is not sent anything any more, and then loses its connection.
    daemon.wait_for("its end", |daemon| daemon.logged("a viewer that takes nothing is cut off"));
    beside.noticed_nothing(&mut daemon);
    other.noticed_nothing(&mut daemon);
    assert_eq!(lost(&daemon, "rtsp", "yard"), 0, "nothing was thrown away for the others");
    drop(stuck);
    // Whoever comes next is served.
    let again = Watching::start(&format!("rtsp://127.0.0.1:{}/yard", daemon.rtsp_port.unwrap()));
    daemon.wait_for("a viewer more", |daemon| sink(daemon, "yard", "rtsp")["viewers"] == 2);
    drop(again);
    daemon.wait_for("a viewer less", |daemon| sink(daemon, "yard", "rtsp")["viewers"] == 1);
}
