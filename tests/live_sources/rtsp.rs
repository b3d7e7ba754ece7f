//! RTSP cameras that do as they should.

use std::time::Duration;

use gradcast::frame::{Frame, PixelFormat};
use gradcast::secret::Secret;
use gradcast::video::live::{Input, RtspInput, Transport};

use crate::cameras::{Camera, CameraSettings, Codec};
use crate::taking::{has_bars, next, picture, settings, start, take};

pub fn rtsp(camera: &Camera, transport: Transport) -> RtspInput {
    RtspInput { url: camera.url(), transport, user: None, password: None, latency: Duration::from_millis(100) }
}

#[test]
fn every_codec_comes_over_tcp_and_udp() {
    let codecs = [(Codec::H264, "x264enc"), (Codec::H265, "x265enc"), (Codec::Mjpeg, "jpegenc")];
    for (codec, encoder) in codecs {
        if !gradcast::video::has_element(encoder) {
            println!("skipped: {encoder} is not installed");
            continue;
        }
        let camera = Camera::start(CameraSettings { codec, pattern: "smpte", ..CameraSettings::default() });
        for transport in [Transport::Tcp, Transport::Udp, Transport::Auto] {
            let source = start(&settings(Input::Rtsp(rtsp(&camera, transport))));
            let first = next(&source);
            picture(&first, &format!("rtsp-{codec:?}-{transport:?}"));
            has_bars(&first);
            assert_eq!((first.frame.info().width_px, first.frame.info().height_px), (320, 240), "{codec:?}");
            assert_eq!(first.frame.info().format, PixelFormat::I420);
            assert_eq!(first.frame.info().full_range, codec == Codec::Mjpeg, "JPEG's samples use the whole range");
            let seen = take(&source, 15);
            let span = (seen[14].pts - seen[0].pts).as_secs_f64();
            // Fourteen fifteenths of a second; jitter buffers squeeze times where packets come late, and frames may be lost.
            assert!(span > 0.45, "{codec:?}, {transport:?}: fifteen frames of fifteen a second took {span} seconds of running time");
            assert!(source.stop(), "{codec:?} over {transport:?} stops");
        }
    }
}

/// Between two key frames, which come once a second.
#[test]
fn a_viewer_that_comes_late_sees_whole_pictures_from_the_first_on() {
    for (codec, encoder) in [(Codec::H264, "x264enc"), (Codec::H265, "x265enc")] {
        if !gradcast::video::has_element(encoder) {
            println!("skipped: {encoder} is not installed");
            continue;
        }
        let camera = Camera::start(CameraSettings { codec, pattern: "smpte", ..CameraSettings::default() });
        let stays = start(&settings(Input::Rtsp(rtsp(&camera, Transport::Tcp))));
        for number in 0..5 {
            take(&stays, 4 + 3 * number);
            let late = start(&settings(Input::Rtsp(rtsp(&camera, Transport::Tcp))));
            for _ in 0..3 {
                has_bars(&next(&late));
            }
        }
    }
}

#[test]
fn credentials_are_given_to_who_asks() {
    let camera = Camera::start(CameraSettings { credentials: Some(("admin", "hunter2")), ..CameraSettings::default() });
    let with = |user: &str, password: &str| RtspInput {
        user: Some(user.to_owned()),
        password: Some(Secret::new(password)),
        ..rtsp(&camera, Transport::Tcp)
    };
    let source = start(&settings(Input::Rtsp(with("admin", "hunter2"))));
    take(&source, 3);
    assert!(source.stop());
    // As people write it, although the settings say that it does not belong there.
    let url = camera.url().replace("rtsp://", "rtsp://admin:hunter2@");
    let source = start(&settings(Input::Rtsp(RtspInput { url, ..rtsp(&camera, Transport::Tcp) })));
    take(&source, 3);
    assert!(source.stop());
}

#[test]
fn a_viewer_that_does_not_read_loses_frames_and_counts_them() {
    let camera = Camera::start(CameraSettings::default());
    let counters = crate::taking::counters();
    let clock = gradcast::clock::Clock::machine();
    let settings = settings(Input::Rtsp(rtsp(&camera, Transport::Tcp)));
    let source = gradcast::video::live::Source::start(&settings, None, &clock, counters.clone()).unwrap();
    let first = next(&source).decoded;
    // Nobody reads until frames have been thrown away.
    let (_never, waits) = crossbeam_channel::bounded::<()>(0);
    for _ in 0..600 {
        if counters.dropped.get() >= 5 {
            break;
        }
        gradcast::clock::pause(Duration::from_millis(100), &waits);
    }
    assert!(counters.dropped.get() >= 5, "{} of {}", counters.dropped.get(), counters.decoded.get());
    let frames = source.frames().clone();
    assert!(source.stop());
    let left: Vec<_> = frames.try_iter().collect();
    assert_eq!(left.len(), 3);
    assert!(left[0].decoded > first && left[0].decoded <= left[2].decoded && left[2].decoded <= clock.now());
    assert_eq!(counters.decoded.get(), 1 + counters.dropped.get() + 3, "every decoded frame was taken, was dropped or waits");
}
