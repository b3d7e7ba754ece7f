//! Small pictures for pages.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use gradcast::video::live::{OutputSettings, Preview};

use crate::stage::{PATIENCE, Stage, settings, wait_for};

#[test]
fn pictures_are_made_while_somebody_looks_and_show_what_was_drawn() {
    let viewers = Arc::new(AtomicUsize::new(0));
    let pictures: Arc<Mutex<Vec<Bytes>>> = Arc::default();
    let takes = Arc::clone(&pictures);
    let deliver = Arc::new(move |picture: Bytes| takes.lock().unwrap().push(picture));
    let preview = Preview { fps: 10, width_px: 160, viewers: Arc::clone(&viewers), deliver };
    let film = Stage::start(&OutputSettings { preview: Some(preview), ..settings(Vec::new()) }, None).film(30);
    wait_for("frames", || film.counted.outcome.get() > 10);
    assert!(pictures.lock().unwrap().is_empty(), "nobody looks");
    viewers.store(1, Ordering::SeqCst);
    wait_for("pictures", || pictures.lock().unwrap().len() >= 5);
    viewers.store(0, Ordering::SeqCst);
    let (stage, _) = film.cut();
    let made = pictures.lock().unwrap().clone();
    assert!(stage.output.close(PATIENCE));
    for picture in &made {
        let decoded = image::load_from_memory_with_format(picture, image::ImageFormat::Jpeg).unwrap().to_rgb8();
        assert_eq!(decoded.dimensions(), (160, 120));
        // Y 40 to 160, U 110, V 170, studio range, BT.601: the left lower corner and the right one.
        let expected = |y: f32| {
            [1.164 * (y - 16.0) + 1.596 * 42.0, 1.164 * (y - 16.0) - 0.813 * 42.0 + 0.392 * 18.0, 1.164 * (y - 16.0) - 2.017 * 18.0]
        };
        for (x, y) in [(2, 40.0 + 5.0 * 120.0 / 320.0), (157, 40.0 + 315.0 * 120.0 / 320.0)] {
            for (is, should) in decoded.get_pixel(x, 110).0.iter().zip(expected(y)) {
                assert!((f32::from(*is) - should.max(0.0)).abs() < 12.0, "{:?} at {x}, not {:?}", decoded.get_pixel(x, 110), expected(y));
            }
        }
    }
}

#[test]
fn a_preview_that_nobody_takes_does_not_hold_the_stream_up() {
    let (hold, held) = crossbeam_channel::bounded::<()>(0);
    let deliver = Arc::new(move |_| held.recv_timeout(PATIENCE).unwrap_or(()));
    let preview = Preview { fps: 30, width_px: 160, viewers: Arc::new(AtomicUsize::new(1)), deliver };
    let film = Stage::start(&OutputSettings { preview: Some(preview), ..settings(Vec::new()) }, None).film(30);
    wait_for("frames", || film.counted.outcome.get() > 60);
    drop(hold);
    thread::sleep(Duration::from_millis(10));
    let (stage, pushed) = film.cut();
    let counted = stage.counted.clone();
    assert!(stage.output.close(PATIENCE));
    assert_eq!(counted.outcome.get() + counted.dropped.get(), pushed);
}
