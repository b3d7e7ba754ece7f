//! What each fault of a camera gives.

use std::net::TcpListener;
use std::time::Duration;

use gradcast::error::Kind;
use gradcast::secret::Secret;
use gradcast::video::live::{Event, Input, RtspInput, Source, Transport};

use crate::cameras::{Camera, CameraSettings, Codec};
use crate::rtsp::rtsp;
use crate::taking::{PATIENCE, event, failure, next, picture, settings, start, take};

fn over_tcp(camera: &Camera) -> Source {
    start(&settings(Input::Rtsp(rtsp(camera, Transport::Tcp))))
}

/// How an attempt ends that the camera breaks off: it ends or fails; both make a stream try again.
fn breaks_off(source: &Source) -> String {
    match event(source) {
        Event::Failed(error) => error.to_string(),
        Event::Ended => "ended".to_owned(),
        Event::Changed { from, to } => panic!("{from} to {to}"),
    }
}

#[test]
fn a_camera_that_is_killed_ends_the_source_and_is_there_again_after_its_restart() {
    let mut camera = Camera::start(CameraSettings::default());
    let source = over_tcp(&camera);
    take(&source, 3);
    camera.kill();
    println!("killed: {}", breaks_off(&source));
    assert!(source.stop());

    let source = over_tcp(&camera);
    let error = failure(&source);
    assert!(error.to_string().starts_with(&format!("{}: connection refused", camera.url())), "{error}");
    assert!(source.stop());

    camera.restart();
    let source = over_tcp(&camera);
    take(&source, 3);
    assert!(source.stop());
}

#[test]
fn a_camera_that_is_killed_over_udp_is_noticed_too() {
    let mut camera = Camera::start(CameraSettings::default());
    let source = start(&settings(Input::Rtsp(rtsp(&camera, Transport::Udp))));
    take(&source, 3);
    camera.kill();
    println!("killed over UDP: {}", breaks_off(&source));
    assert!(source.stop());
}

#[test]
fn a_camera_that_hangs_gives_nothing_at_all_and_its_source_stops_all_the_same() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let camera = Camera::start(CameraSettings::default());
        let source = start(&settings(Input::Rtsp(rtsp(&camera, transport))));
        take(&source, 3);
        camera.hang(true);
        // What is on its way still comes; then nothing. That it is too long is for the stream to say.
        let mut quiet = false;
        for _ in 0..200 {
            quiet = source.frames().recv_timeout(Duration::from_secs(1)).is_err();
            if quiet {
                break;
            }
        }
        assert!(quiet, "{transport:?}");
        assert!(source.stop(), "{transport:?}");
        camera.hang(false);
        let source = start(&settings(Input::Rtsp(rtsp(&camera, transport))));
        take(&source, 3);
        assert!(source.stop());
    }
}

#[test]
fn a_camera_that_hangs_from_the_beginning_is_stopped() {
    let camera = Camera::start(CameraSettings::default());
    camera.hang(true);
    let source = over_tcp(&camera);
    assert!(source.frames().recv_timeout(Duration::from_secs(1)).is_err());
    assert!(source.stop());
    // One that takes connections and never answers.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtsp://{}/x", deaf.local_addr().unwrap());
    let source = start(&settings(Input::Rtsp(RtspInput { url, ..rtsp(&camera, Transport::Tcp) })));
    assert!(source.frames().recv_timeout(Duration::from_secs(1)).is_err());
    assert!(source.stop());
}

#[test]
fn a_camera_that_changes_its_size_is_fitted_to_the_old_one() {
    let mut camera = Camera::start(CameraSettings { pattern: "smpte", ..CameraSettings::default() });
    let source = over_tcp(&camera);
    take(&source, 3);
    camera.resize(320, 120);
    let Event::Changed { from, to } = event(&source) else { panic!("no change") };
    assert_eq!((from.as_str(), to.as_str()), ("320x240 I420", "320x120 I420"));
    // Twice as wide as high: a quarter is left above and below.
    let fitted = (0..200).map(|_| next(&source)).find(|frame| crate::taking::colour(frame, 0.5, 0.1) == [0, 0, 0]).unwrap();
    picture(&fitted, "changed-in-mid-stream");
    assert_eq!((fitted.shape.picture.width_px, fitted.shape.picture.height_px), (320, 240));
    assert!(crate::taking::is_near(crate::taking::colour(&fitted, 0.5 / 7.0, 0.3), [255, 255, 255]));
    assert_eq!(crate::taking::colour(&fitted, 0.5, 0.95), [0, 0, 0]);
    take(&source, 5);
    assert!(source.stop());
}

#[test]
fn rubbish_on_the_connection_breaks_it_off_or_gives_silence() {
    let camera = Camera::start(CameraSettings::default());
    let source = over_tcp(&camera);
    take(&source, 3);
    camera.send_rubbish(true);
    let mut quiet = false;
    let told = loop {
        crossbeam_channel::select! {
            recv(source.frames()) -> _ => {}
            recv(source.events()) -> event => break Some(event.unwrap()),
            default(Duration::from_secs(5)) => { quiet = true; break None },
        }
    };
    println!("rubbish: {told:?}");
    assert!(quiet || matches!(told, Some(Event::Failed(_) | Event::Ended)), "{told:?}");
    assert!(source.stop());
    camera.send_rubbish(false);
    let source = over_tcp(&camera);
    take(&source, 3);
    assert!(source.stop());
}

#[test]
fn rubbish_in_packets_passes_by() {
    let camera = Camera::start(CameraSettings::default());
    let source = over_tcp(&camera);
    take(&source, 3);
    camera.spoil_packets(true);
    let (_never, waits) = crossbeam_channel::bounded::<()>(0);
    gradcast::clock::pause(Duration::from_secs(2), &waits);
    camera.spoil_packets(false);
    let mut frames = 0;
    let told = loop {
        crossbeam_channel::select! {
            recv(source.frames()) -> _ => frames += 1,
            recv(source.events()) -> event => break Some(event.unwrap()),
            default(PATIENCE) => break None,
        }
        if frames > 40 {
            break None;
        }
    };
    println!("spoilt packets: {frames} frames, {told:?}");
    assert!(frames > 40 || matches!(told, Some(Event::Failed(_))), "{told:?}");
    assert!(source.stop());
}

#[test]
fn a_trickle_is_slow_and_no_fault() {
    let camera = Camera::start(CameraSettings { pattern: "snow", ..CameraSettings::default() });
    let source = over_tcp(&camera);
    take(&source, 3);
    camera.slow(Some(8_000));
    take(&source, 5);
    camera.slow(None);
    take(&source, 30);
    assert!(source.stop());
}

#[test]
fn credentials_that_are_refused_say_what_to_set_and_no_secret() {
    let camera = Camera::start(CameraSettings { credentials: Some(("admin", "hunter2")), ..CameraSettings::default() });
    let source = over_tcp(&camera);
    let error = failure(&source).to_string();
    assert!(error.contains("set `user` and `password_file`"), "{error}");
    let wrong = RtspInput { user: Some("admin".to_owned()), password: Some(Secret::new("swordfish")), ..rtsp(&camera, Transport::Tcp) };
    let source = start(&settings(Input::Rtsp(wrong)));
    let error = format!("{:?}", failure(&source));
    assert!(error.contains("check `user` and what `password_file` holds"), "{error}");
    assert!(!error.contains("swordfish"), "{error}");
    // In the URL, where it does not belong.
    let url = camera.url().replace("rtsp://", "rtsp://admin:swordfish@");
    let source = start(&settings(Input::Rtsp(RtspInput { url, ..rtsp(&camera, Transport::Tcp) })));
    let error = format!("{:?}", failure(&source));
    assert!(error.contains("check `user`") && !error.contains("swordfish"), "{error}");
    // Refused after it was taken.
    let open = Camera::start(CameraSettings::default());
    let source = over_tcp(&open);
    take(&source, 3);
    open.refuse_credentials(true);
    let other = over_tcp(&open);
    let error = failure(&other).to_string();
    assert!(error.contains("set `user`"), "{error}");
    take(&source, 3);
}

#[test]
fn places_that_are_wrong_are_said_to_be() {
    let camera = Camera::start(CameraSettings::default());
    let at = |url: String| failure(&start(&settings(Input::Rtsp(RtspInput { url, ..rtsp(&camera, Transport::Tcp) }))));
    let error = at(camera.url().replace("/camera", "/garden"));
    assert_eq!(error.kind(), Kind::NoInput, "{error}");
    assert!(error.to_string().contains("/garden: Not found"), "{error}");
    let error = at("rtsp://no-such-host.invalid/camera".to_owned());
    assert!(error.to_string().contains("there is no host no-such-host.invalid"), "{error}");
    let sound = Camera::start(CameraSettings { codec: Codec::Sound, ..CameraSettings::default() });
    let error = at(sound.url());
    assert_eq!(error.kind(), Kind::Data, "{error}");
    assert!(error.to_string().contains("there is no video in it"), "{error}");
    let refused = |url: &str| {
        let settings = settings(Input::Rtsp(RtspInput { url: url.to_owned(), ..rtsp(&camera, Transport::Tcp) }));
        Source::start(&settings, None, &gradcast::clock::Clock::machine(), crate::taking::counters()).unwrap_err()
    };
    let error = refused("rtsp://me:hunter2@/");
    assert!(error.kind() == Kind::Config && !error.to_string().contains("hunter2"), "{error}");
}
