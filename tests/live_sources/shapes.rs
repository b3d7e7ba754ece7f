//! Every frame comes in one shape, whatever the source is and does; and sources that are made up here.

use std::time::Duration;

use gradcast::error::Kind;
use gradcast::frame::{Frame, Matrix, PixelFormat};
use gradcast::video::live::{DeviceInput, FileInput, Input, Shape, Source, TestInput};

use crate::taking::{colour, counters, failure, ffmpeg, has_bars, is_near, lossless, next, picture, settings, start, start_with, take};

fn pattern(name: &str) -> Input {
    Input::Test(TestInput { pattern: name.to_owned(), size_px: (320, 240), fps: 15 })
}

fn refused(input: Input) -> gradcast::error::Error {
    Source::start(&settings(input), None, &gradcast::clock::Clock::machine(), counters()).unwrap_err()
}

#[test]
fn a_test_pattern_keeps_time_by_itself_or_comes_as_fast_as_it_is_taken() {
    let source = start(&settings(pattern("smpte")));
    let frame = next(&source);
    has_bars(&frame);
    assert_eq!(frame.shape.frame_rate, Some((15, 1)));
    let seen = take(&source, 8);
    assert!(seen[7].pts - seen[0].pts >= Duration::from_millis(460), "seven fifteenths of a second at least");
    assert!(source.stop());
    let source = start(&lossless(pattern("ball")));
    let seen = take(&source, 300);
    assert!((seen[299].pts - seen[0].pts).abs_diff(Duration::from_secs_f64(299.0 / 15.0)) < Duration::from_millis(2));
    assert!(source.stop());
    let error = refused(pattern("plaid"));
    assert!(error.kind() == Kind::Config && error.to_string().contains("no test pattern plaid"), "{error}");
}

#[test]
fn a_shape_that_is_given_holds_for_any_source() {
    // Wide into high: borders above and below.
    let shape = Shape::of_size(240, 320).unwrap();
    let source = start_with(&settings(pattern("smpte")), Some(&shape));
    let frame = next(&source);
    picture(&frame, "shape-240x320");
    assert_eq!(frame.shape.picture, shape.picture);
    assert_eq!((frame.frame.info().width_px, frame.frame.info().height_px), (240, 320));
    assert_eq!(frame.frame.info().matrix, Matrix::Bt601);
    assert!(is_near(colour(&frame, 0.5, 0.1), [0; 3]) && is_near(colour(&frame, 0.5, 0.9), [0; 3]));
    assert!(is_near(colour(&frame, 0.5 / 7.0, 0.4), [255; 3]), "{:?}", colour(&frame, 0.5 / 7.0, 0.4));
    // The whole range into the usual one.
    let full = "videotestsrc is-live=true pattern=smpte ! video/x-raw,format=BGRx,width=320,height=240,framerate=15/1 ! \
                videoconvert ! video/x-raw,format=I420,colorimetry=(string)1:4:0:0";
    let source = start(&settings(Input::Text(full.to_owned())));
    let frame = next(&source);
    assert!(frame.frame.info().full_range);
    has_bars(&frame);
    let back = next(&start_with(&settings(pattern("smpte")), Some(&frame.shape)));
    assert!(back.frame.info().full_range);
    has_bars(&back);
    let source = start_with(&settings(Input::Text(full.to_owned())), Some(&Shape::of_size(320, 240).unwrap()));
    let frame = next(&source);
    assert!(!frame.frame.info().full_range);
    has_bars(&frame);
    // Into other colours: BT.709 for 720 rows, and the colours stay.
    let large = Shape::of_size(960, 720).unwrap();
    let source = start_with(&settings(pattern("smpte")), Some(&large));
    let frame = next(&source);
    assert_eq!(frame.frame.info().matrix, Matrix::Bt709);
    has_bars(&frame);
}

#[test]
fn layouts_of_cameras_become_ours() {
    let text = |caps: &str| {
        Input::Text(format!("videotestsrc is-live=true pattern=smpte ! video/x-raw,width=320,height=240,framerate=15/1,{caps}"))
    };
    for (caps, format) in [
        ("format=YUY2", PixelFormat::I420),
        ("format=UYVY", PixelFormat::I420),
        ("format=BGRx", PixelFormat::I420),
        ("format=RGB", PixelFormat::I420),
        ("format=Y42B", PixelFormat::I420),
        ("format=NV12", PixelFormat::Nv12),
        ("format=I420_10LE", PixelFormat::I420),
        ("format=I420,colorimetry=bt709", PixelFormat::I420),
    ] {
        let source = start(&settings(text(caps)));
        let frame = next(&source);
        assert_eq!(frame.frame.info().format, format, "{caps}");
        has_bars(&frame);
        assert!(source.stop(), "{caps}");
    }
    // Ten bits stay where they are taken.
    let mut deep = settings(text("format=I420_10LE"));
    deep.formats.push(PixelFormat::I420Ten);
    assert_eq!(next(&start(&deep)).frame.info().format, PixelFormat::I420Ten);
}

#[test]
fn pictures_are_turned_upright_and_fields_are_put_together() {
    let folder = tempfile::tempdir().unwrap();
    let bars = "videotestsrc is-live=true pattern=smpte ! video/x-raw,width=320,height=180,framerate=15/1";
    let source = start(&settings(Input::Text(format!("{bars} ! taginject tags=\"image-orientation=rotate-90\""))));
    let frame = next(&source);
    picture(&frame, "turned");
    assert_eq!((frame.shape.picture.width_px, frame.shape.picture.height_px), (180, 320));
    // Clockwise: what was at the left is above, what was above is at the right.
    assert!(is_near(colour(&frame, 0.7, 0.5 / 7.0), [255; 3]), "{:?}", colour(&frame, 0.7, 0.5 / 7.0));
    assert!(is_near(colour(&frame, 0.7, 6.5 / 7.0), [0, 0, 255]), "{:?}", colour(&frame, 0.7, 6.5 / 7.0));
    take(&source, 5);
    let file = |path| Input::File(FileInput { path, repeat: true, real_time: false });
    let fields = ffmpeg(
        folder.path(),
        "fields.ts",
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=1 -pix_fmt yuv420p -c:v libx264 -flags +ildct+ilme -x264opts tff=1:bframes=0",
    );
    let source = start(&lossless(file(fields)));
    let seen = take(&source, 50);
    assert!(seen.windows(2).all(|pair| (pair[1].pts - pair[0].pts).abs_diff(Duration::from_millis(40)) < Duration::from_millis(2)));
}

#[test]
fn a_text_may_end_in_coded_video_and_its_faults_are_said() {
    let coded = "videotestsrc is-live=true pattern=smpte ! video/x-raw,width=320,height=240,framerate=15/1,format=BGRx ! \
                 videoconvert ! video/x-raw,format=I420,colorimetry=(string)1:4:0:0 ! jpegenc";
    let source = start(&settings(Input::Text(format!(" {coded} ! "))));
    has_bars(&next(&source));
    assert!(source.stop());
    let error = refused(Input::Text("videotestsrc ! nosuchelement".to_owned()));
    assert!(error.to_string().contains("GStreamer has no nosuchelement"), "{error}");
    let error = refused(Input::Text("videotestsrc nosuchproperty=1 ! identity name=hunter2".to_owned()));
    assert!(error.to_string().contains("no property \"nosuchproperty\"") && !error.to_string().contains("hunter2"), "{error}");
    let error = failure(&start(&settings(Input::Text("audiotestsrc is-live=true".to_owned()))));
    assert!(error.to_string().ends_with("there is no video in it"), "{error}");
    let source = start(&settings(Input::Text("videotestsrc num-buffers=5".to_owned())));
    assert!(matches!(crate::taking::event(&source), gradcast::video::live::Event::Ended));
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let path = "/dev/video-of-nobody";
    let input = DeviceInput { path: path.into(), size_px: Some((640, 480)), fps: Some(30) };
    let error = failure(&start(&settings(Input::Device(input)))).to_string();
    assert!(error.starts_with(path) && error.contains("No such file"), "{error}");
}

#[test]
fn a_text_of_the_operator_s_goes_before_the_one_that_is_built_in() {
    let folder = tempfile::tempdir().unwrap();
    let with = |text: &str| {
        std::fs::write(folder.path().join("live_source_test.gst"), text).unwrap();
        let mut settings = settings(pattern("smpte"));
        settings.pipelines = Some(folder.path().to_owned());
        settings
    };
    let own = "# Turned upside down.\nvideotestsrc name=input is-live={live} ! capsfilter name=asked !\nvideoflip method=rotate-180 ! decodebin name=decode\n";
    let source = start(&with(own));
    let frame = next(&source);
    assert!(is_near(colour(&frame, 0.5 / 7.0, 0.7), [0, 0, 255]), "{:?}", colour(&frame, 0.5 / 7.0, 0.7));
    assert!(source.stop());
    let lacking = with("videotestsrc name=input ! capsfilter name=asked ! decodebin");
    let error = Source::start(&lacking, None, &gradcast::clock::Clock::machine(), counters()).unwrap_err();
    assert!(error.kind() == Kind::Config && error.to_string().contains("name=decode"), "{error}");
}

#[test]
fn a_pipeline_that_hangs_is_left_behind_and_counts_no_more() {
    let text = "fakesrc num-buffers=1 sizetype=fixed ! identity sleep-time=120000000 ! fakesink async=false \
                videotestsrc is-live=true ! video/x-raw,width=160,height=120";
    let counters = counters();
    let source =
        Source::start(&settings(Input::Text(text.to_owned())), None, &gradcast::clock::Clock::machine(), counters.clone()).unwrap();
    take(&source, 10);
    let frames = source.frames().clone();
    assert!(!source.stop(), "an element sleeps for two minutes, and the pipeline stops when it has slept");
    let decoded = counters.decoded.get();
    let waiting = frames.try_iter().count() as u64;
    assert!(frames.recv_timeout(Duration::from_secs(1)).is_err());
    assert_eq!(counters.decoded.get(), decoded);
    assert_eq!(decoded, 10 + waiting + counters.dropped.get());
}
