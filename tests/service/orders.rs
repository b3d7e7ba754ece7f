//! Streams that are added, changed and removed over HTTP while others go on.

use serde_json::json;

use super::daemon::Daemon;

/// Two test patterns, small and slow enough for any machine.
pub const TWO: &str = r#"
[[stream]]
name = "front"
source = { kind = "test", pattern = "smpte", size = "160x120", fps = 5 }
[[stream.sink]]
kind = "rtsp"

[[stream]]
name = "back"
source = { kind = "test", pattern = "ball", size = "160x120", fps = 5 }
every = 2
"#;

#[test]
fn streams_run_and_every_frame_is_accounted_for() {
    let mut daemon = Daemon::start(TWO);
    daemon.wait_for_frames("front", 10);
    daemon.wait_for_frames("back", 10);
    let back = daemon.state("back");
    assert!(back["frames"]["held"].as_u64() > Some(2), "every second frame is held: {back}");
    assert!(back["size_px"] == json!([160, 120]) && back["last_residual"].as_f64() < Some(1e-2), "{back}");
    for stream in ["front", "back"] {
        let (decoded, accounted) = daemon.accounts(stream);
        assert!(accounted <= decoded && decoded - accounted < 40, "{decoded} decoded, {accounted} accounted for");
    }
    assert_eq!(daemon.metric("stream_up{stream=\"front\"}"), Some(1.0));
    assert!(daemon.metric("batch_size_count") > Some(5.0));
    for stage in ["forward", "adjoint", "preprocess", "overlay", "encode"] {
        let series = format!("stage_duration_seconds_count{{stage=\"{stage}\"}}");
        daemon.wait_for(&series, |daemon| daemon.metric(&series) > Some(5.0));
    }
    assert!(daemon.metric("completeness_residual_count{stream=\"front\"}") > Some(2.0));
    let entropy = daemon.metric("saliency_entropy{stream=\"front\"}").expect("exported");
    assert!(entropy > 0.1 && entropy < 1.0, "{entropy}");
}

#[test]
fn a_stream_is_added_changed_and_removed_and_the_other_does_not_notice() {
    let mut daemon = Daemon::start(TWO);
    daemon.wait_for_frames("front", 3);
    let since = daemon.state("front")["since_unix_seconds"].clone();

    let source = json!({ "kind": "test", "pattern": "snow", "size": "160x120", "fps": 5 });
    let added = daemon.post("/api/v1/streams", &json!({ "name": "gate", "source": source }));
    assert_eq!(added.status, 201, "{}", added.body);
    assert_eq!(daemon.post("/api/v1/streams", &json!({ "name": "gate", "source": source })).status, 409);
    daemon.wait_for_frames("gate", 3);
    assert_eq!(daemon.metric("stream_up{stream=\"gate\"}"), Some(1.0));

    let changed = daemon.patch("/api/v1/streams/gate", &json!({ "opacity": 0.25, "colour_map": "viridis", "target": "3" }));
    assert_eq!(changed.status, 200, "{}", changed.body);
    daemon.wait_for("another look", |daemon| daemon.state("gate")["look"]["opacity"] == json!(0.25));
    daemon.wait_for_frames("gate", 3);
    let gate = daemon.state("gate");
    assert_eq!((&gate["look"]["colour_map"], &gate["look"]["target"]), (&json!("viridis"), &json!("3")));
    daemon.wait_for("another target", |daemon| daemon.state("gate")["target_label"] == "tiger shark");
    let refused = daemon.patch("/api/v1/streams/gate", &json!({ "opacity": 7, "colour": "red" }));
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert_eq!(refused.json()["faults"].as_array().map(Vec::len), Some(2), "{}", refused.body);
    assert_eq!(daemon.state("gate")["look"]["opacity"], json!(0.25));

    // A change of its size is a new beginning.
    let changed = daemon.patch("/api/v1/streams/gate", &json!({ "size": "96x64" }));
    assert_eq!(changed.status, 200, "{}", changed.body);
    daemon.wait_for("another size", |daemon| daemon.state("gate")["size_px"] == json!([96, 64]));

    assert_eq!(daemon.delete("/api/v1/streams/gate").status, 204);
    assert_eq!(daemon.get("/api/v1/streams/gate").status, 404);
    let metrics = daemon.get("/metrics").body;
    assert!(!metrics.contains("gate"), "its series have gone:\n{metrics}");
    assert_eq!(daemon.state("front")["since_unix_seconds"], since);
    assert_eq!(daemon.metric("stream_reconnects_total{reason=\"error\",stream=\"front\"}"), Some(0.0));
}
