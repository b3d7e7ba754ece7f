//! Between frames and packets: what is thrown away, what is counted, when key frames come, and encoders that fail.

use std::fs;
use std::time::{Duration, Instant};

use gradcast::clock::Clock;
use gradcast::error::Kind;
use gradcast::video::live::{Output, OutputSettings, Passage, Shape, SinkKind};

use crate::outside::{frames, packets};
use crate::stage::{Counted, PATIENCE, SIZE_PX, Stage, settings, sink, wait_for};

#[test]
fn a_live_encoder_that_is_behind_loses_the_oldest_and_every_frame_is_counted_once() {
    let mut stage = Stage::start(&settings(Vec::new()), None);
    // Nothing is drawn, so that no encoder is as fast.
    for index in 0..500 {
        let frame = stage.output.buffer().unwrap();
        let passage = Passage { decoded: stage.clock.now(), outcome: stage.counted.outcome.clone() };
        stage.output.push(frame, Duration::from_millis(40) * index, None, Some(passage)).unwrap();
    }
    let counted = stage.counted.clone();
    assert!(stage.output.close(PATIENCE));
    let (taken, dropped) = (counted.outcome.get(), counted.dropped.get());
    assert_eq!(taken + dropped, 500);
    assert!(dropped > 0, "frames came faster than any encoder is");
    assert_eq!(counted.latency.count(), taken, "each frame that was taken came out");
}

#[test]
fn frames_that_come_in_one_go_are_all_encoded() {
    // No frame has waited for long, whatever else the machine does.
    let mut stage = Stage::on(&settings(Vec::new()), None, Clock::simulated());
    stage.push_all(8, Duration::from_millis(40));
    let counted = stage.counted.clone();
    assert!(stage.output.close(PATIENCE));
    assert_eq!((counted.outcome.get(), counted.dropped.get()), (8, 0));
}

#[test]
fn frames_that_wait_when_an_output_is_dropped_are_counted_too() {
    let mut stage = Stage::start(&settings(Vec::new()), None);
    stage.push_all(50, Duration::from_millis(40));
    let counted = stage.counted.clone();
    drop(stage);
    assert_eq!(counted.outcome.get() + counted.dropped.get(), 50);
}

#[test]
fn a_lossless_output_writes_every_frame_at_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.mp4");
    let lossless = OutputSettings { lossless: true, ..settings(vec![sink("whole", SinkKind::File(path.clone()))]) };
    let mut stage = Stage::start(&lossless, None);
    // A rate that varies, and a start that is not zero.
    let times: Vec<Duration> = (0..300_u64).map(|index| Duration::from_millis(7000 + index * 40 + index % 3 * 10)).collect();
    for (index, pts) in times.iter().enumerate() {
        stage.push(index, *pts).unwrap();
    }
    let counted = stage.counted.clone();
    assert!(stage.output.close(PATIENCE));
    assert_eq!((counted.outcome.get(), counted.dropped.get(), counted.lost("whole")), (300, 0, 0));
    assert_eq!(frames(&path), 300);
    let (written, seconds) = packets(&path);
    for ((at, _), pts) in written.iter().zip(&times) {
        assert!((at - (pts.as_secs_f64() - 7.0)).abs() < 0.001, "{at} is not {pts:?}");
    }
    assert!((seconds - 12.0).abs() < 0.1, "{seconds}");
    let keys: Vec<f64> = written.iter().filter(|(_, key)| *key).map(|(at, _)| *at).collect();
    let apart = keys.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(keys[0] == 0.0 && apart.clone().all(|span| (0.9..=1.06).contains(&span)), "a key frame a second: {keys:?}");
}

#[test]
fn a_whole_file_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.mp4");
    fs::write(&path, "something else").unwrap();
    let film = Stage::start(&settings(vec![sink("whole", SinkKind::File(path.clone()))]), None).film(15);
    wait_for("an error", || film.sinks()[0].last_error.as_ref().is_some_and(|error| error.contains("whole.mp4 is there already")));
    assert!(!film.sinks()[0].up);
    fs::remove_file(&path).unwrap();
    wait_for("a file once its name is free", || film.all_up());
    let (stage, _) = film.cut();
    assert!(stage.counted.lost("whole") > 0, "what it missed is counted");
    assert!(stage.output.close(PATIENCE));
    assert!(frames(&path) > 0);
}

/// An output whose encoder's pipeline is this text, in place of the usual one.
fn with_encoder(text: &str) -> (tempfile::TempDir, OutputSettings) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("live_encoder.gst"), text).unwrap();
    let settings = OutputSettings { pipelines: Some(folder.path().to_owned()), ..settings(Vec::new()) };
    (folder, settings)
}

fn usual_encoder(inserted: &str) -> String {
    let usual = include_str!("../../pipelines/live_encoder.gst");
    assert!(usual.contains("{encoder} name=encoder"));
    usual.replace("{encoder} name=encoder", &format!("{inserted} ! {{encoder}} name=encoder"))
}

#[test]
fn an_encoder_that_hangs_is_told_and_holds_nobody_up() {
    let (_folder, hangs) = with_encoder(&usual_encoder("identity sleep-time=3600000000"));
    let clock = Clock::simulated();
    let mut stage = Stage::on(&hangs, None, clock.clone());
    let started = Instant::now();
    for index in 0..10 {
        stage.push(index, Duration::from_millis(40 * index as u64)).unwrap();
    }
    wait_for("a frame in the encoder", || stage.counted.outcome.get() == 1);
    clock.advance(Duration::from_secs(11));
    let error = stage.push(10, Duration::from_secs(1)).unwrap_err();
    assert!(error.to_string().contains("hangs"), "{error}");
    assert!(!stage.output.close(Duration::from_secs(2)), "a frame is still inside");
    assert!(started.elapsed() < PATIENCE);
    // The frame that was refused was not taken over.
    assert_eq!(stage.counted.outcome.get() + stage.counted.dropped.get(), 10);
}

#[test]
fn an_encoder_that_fails_is_told() {
    let (_folder, fails) = with_encoder(&usual_encoder("identity error-after=5"));
    let mut stage = Stage::start(&fails, None);
    let mut index = 0;
    wait_for("an error", || {
        index += 1;
        match stage.push(index, Duration::from_millis(40 * index as u64)) {
            Ok(()) => false,
            Err(error) => error.kind() == Kind::Runtime && error.to_string().contains("encoder failed"),
        }
    });
    assert!(!stage.output.close(PATIENCE));
}

#[test]
fn odd_sizes_and_side_by_side_pictures_are_encoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.mp4");
    let lossless = OutputSettings { lossless: true, ..settings(vec![sink("whole", SinkKind::File(path.clone()))]) };
    let shape = Shape::of_size(161, 121).unwrap();
    let wide = gradcast::frame::PictureInfo { width_px: 323, ..shape.picture };
    let counted = Counted::new();
    let mut output = Output::start(&lossless, "odd", &wide, &shape, &Clock::machine(), counted.counters(), None).unwrap();
    for index in 0..20 {
        let mut frame = output.buffer().unwrap();
        crate::stage::draw(&mut frame, index);
        output.push(frame, Duration::from_millis(40 * index as u64), None, None).unwrap();
    }
    assert!(output.close(PATIENCE));
    assert_eq!(frames(&path), 20);
    let said = crate::outside::ffprobe(&["-show_entries", "stream=width,height"], path.to_str().unwrap());
    assert_eq!((said["streams"][0]["width"].as_u64(), said["streams"][0]["height"].as_u64()), (Some(324), Some(122)));
}

#[test]
fn an_encoder_that_is_not_here_is_refused() {
    let shape = Shape::of_size(SIZE_PX.0, SIZE_PX.1).unwrap();
    let start = |encoder: &str| {
        let settings = OutputSettings { encoder: Some(encoder.to_owned()), ..settings(Vec::new()) };
        Output::start(&settings, "front", &shape.picture, &shape, &Clock::machine(), Counted::new().counters(), None)
    };
    assert_eq!(start("vp9enc").err().unwrap().kind(), Kind::Config);
    let output = start("openh264enc").unwrap();
    assert_eq!(output.encoder(), "openh264enc");
}
