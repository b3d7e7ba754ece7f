//! A source that is tried again and again for months leaves nothing behind: threads and file descriptors are counted over many attempts,
//! in a process of their own.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod cameras;

use std::time::Duration;

use cameras::{Camera, CameraSettings};
use gradcast::clock::{Clock, pause};
use gradcast::frame::PixelFormat;
use gradcast::telemetry::Counter;
use gradcast::video::live::{Event, FileInput, Input, RtspInput, Source, SourceCounters, SourceSettings, Transport};

const PATIENCE: Duration = Duration::from_secs(60);

fn start(input: Input) -> Source {
    let settings = SourceSettings { input, formats: vec![PixelFormat::I420], lossless: false, pipelines: None };
    let counters = SourceCounters { decoded: Counter::unregistered(), dropped: Counter::unregistered() };
    Source::start(&settings, None, &Clock::machine(), counters).unwrap()
}

fn rtsp(url: &str, transport: Transport) -> Input {
    Input::Rtsp(RtspInput { url: url.to_owned(), transport, user: None, password: None, latency: Duration::from_millis(100) })
}

fn frames(source: &Source, count: usize) {
    for _ in 0..count {
        source.frames().recv_timeout(PATIENCE).unwrap();
    }
}

/// Threads and open files of this process.
fn held() -> (usize, usize) {
    let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

/// What is held when it has not changed for two seconds: threads end a little after they are not wanted any more.
fn at_rest() -> (usize, usize) {
    let (_never, waits) = crossbeam_channel::bounded::<()>(0);
    let (mut last, mut same) = (held(), 0);
    for _ in 0..300 {
        pause(Duration::from_millis(100), &waits);
        let now = held();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        if same == 20 {
            break;
        }
    }
    last
}

#[test]
fn many_attempts_leave_nothing_behind() {
    let mut camera = Camera::start(CameraSettings::default());
    let clip = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("media/bigbuckbunny.mp4");
    let mut round = |number: usize| {
        for transport in [Transport::Tcp, Transport::Udp] {
            let source = start(rtsp(&camera.url(), transport));
            frames(&source, 2);
            assert!(source.stop());
        }
        // Before the first frame, at any place.
        let source = start(rtsp(&camera.url(), Transport::Tcp));
        let _ = source.frames().recv_timeout(Duration::from_millis(7 * number as u64));
        assert!(source.stop());
        // Dropped without a word.
        frames(&start(rtsp(&camera.url(), Transport::Tcp)), 1);
        let source = start(rtsp(&camera.url(), Transport::Tcp));
        frames(&source, 1);
        camera.kill();
        source.events().recv_timeout(PATIENCE).unwrap();
        assert!(source.stop());
        let source = start(rtsp(&camera.url(), Transport::Tcp));
        assert!(matches!(source.events().recv_timeout(PATIENCE).unwrap(), Event::Failed(_)));
        assert!(source.stop());
        camera.restart();
        // Two rounds of the clip and more.
        let source = start(Input::File(FileInput { path: clip.clone(), repeat: true, real_time: false }));
        while source.frames().recv_timeout(PATIENCE).unwrap().frame.pts < Duration::from_secs(11) {}
        assert!(source.stop());
    };
    // Whatever is made once for a process is made here.
    (0..3).for_each(&mut round);
    let before = at_rest();
    (0..15).for_each(&mut round);
    let after = at_rest();
    println!("threads and open files: {before:?} before, {after:?} after");
    assert!(after.0 <= before.0 + 3 && after.1 <= before.1 + 6, "{before:?} became {after:?}");
}
