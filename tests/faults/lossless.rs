//! Streams that are files lose nothing, whatever goes on beside them.

use crate::daemon::Daemon;
use crate::programs::{frame_times, make_clip};
use crate::stage::{Bystander, engine, test_stream};

#[test]
fn a_file_comes_out_with_every_frame_at_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (clip, out) = (folder.path().join("clip.mp4"), folder.path().join("out.mp4"));
    make_clip(&clip, 400);
    let streams = format!(
        "{}[[stream]]\nname = \"lane\"\nmode = \"file\"\nsource = \"{}\"\nevery = 3\nsink = [{{ kind = \"file\", path = \"{}\" }}]\n",
        test_stream("gate"),
        clip.display(),
        out.display()
    );
    let mut daemon = Daemon::with(&engine(), &streams);
    let gate = Bystander::watch(&mut daemon, "gate");
    // Orders that come meanwhile cost it nothing.
    daemon.patch("/api/v1/streams/lane", &serde_json::json!({ "opacity": 0.9 }));
    daemon.signal(libc::SIGHUP);
    daemon.wait_for("the end of the file", |daemon| daemon.state("lane")["up"] == "ended" && out.exists());
    let state = daemon.state("lane");
    let frames = &state["frames"];
    assert_eq!((&frames["decoded"], &frames["late"]), (&400.into(), &0.into()), "{state}");
    assert_eq!((&frames["explained"], &frames["held"]), (&134.into(), &266.into()), "every third: {state}");
    assert_eq!(daemon.accounts("lane"), (400, 400));
    assert_eq!(state["last_error"], serde_json::Value::Null, "{state}");
    let (wanted, found) = (frame_times(&clip), frame_times(&out));
    assert_eq!(found.len(), 400);
    assert!(wanted.iter().zip(&found).all(|(a, b)| (a - b).abs() < 0.001), "{wanted:?} and {found:?}");
    gate.noticed_nothing(&mut daemon);
}
