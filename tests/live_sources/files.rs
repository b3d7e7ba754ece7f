//! Recorded files as live sources: once, repeated, in real time.

use std::path::Path;
use std::time::Duration;

use gradcast::clock::{Clock, Stopwatch};
use gradcast::error::Kind;
use gradcast::video::live::{Event, FileInput, Input, Source};

use crate::taking::{PATIENCE, Seen, counters, failure, ffmpeg, lossless, media, next, see, settings, start, take, take_all};

fn file(path: &Path, repeat: bool, real_time: bool) -> Input {
    Input::File(FileInput { path: path.to_owned(), repeat, real_time })
}

#[test]
fn a_file_gives_every_frame_once_and_ends() {
    for (name, frames) in [("bigbuckbunny.mp4", 132), ("demo_clip.mp4", 275)] {
        let settings = lossless(file(&media(name), false, false));
        let counters = counters();
        let source = Source::start(&settings, None, &Clock::machine(), counters.clone()).unwrap();
        let seen = take_all(&source);
        assert_eq!(seen.len(), frames, "{name}");
        assert_eq!((counters.decoded.get(), counters.dropped.get()), (frames as u64, 0), "{name}");
        for pair in seen.windows(2) {
            let step = pair[1].pts - pair[0].pts;
            assert!(step.abs_diff(Duration::from_millis(40)) < Duration::from_millis(1), "{name}: {step:?}");
        }
        assert!(source.stop());
    }
}

/// What a decoder gives of a file: one round, and then rounds without an end.
fn is_whole_in_every_round(path: &Path, frames: usize) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let once = take_all(&start(&lossless(file(path, false, false))));
    assert_eq!(once.len(), frames, "{name}");
    let rounds = 4;
    let source = start(&lossless(file(path, true, false)));
    let seen = take(&source, rounds * frames);
    assert!(source.stop());
    let same = |a: &Seen, b: &Seen| a.print == b.print && a.size_px == b.size_px;
    for (number, frame) in seen.iter().enumerate() {
        assert!(same(frame, &once[number % frames]), "{name}: frame {number} is none of a whole round");
    }
    for (number, pair) in seen.windows(2).enumerate() {
        let step = pair[1].pts - pair[0].pts;
        let place = (number + 1) % frames;
        let expected = if place == 0 { once[frames - 1].duration } else { once[place].pts - once[place - 1].pts };
        assert!(step.abs_diff(expected) < Duration::from_millis(1), "{name}: {step:?} before frame {}, not {expected:?}", number + 1);
    }
}

#[test]
fn a_file_that_repeats_loses_and_doubles_no_frame() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, coding: &str| {
        ffmpeg(folder.path(), name, &format!("-f lavfi -i testsrc2=size=160x120:rate=25:duration=1 -pix_fmt yuv420p {coding}"))
    };
    let h264 = "-c:v libx264 -bf 2 -g 12";
    for (name, coding) in [
        ("round.mp4", h264),
        ("round.mkv", h264),
        ("round.ts", h264),
        ("plain.ts", "-c:v libx264 -bf 0"),
        ("parts.mp4", "-c:v libx264 -movflags +frag_keyframe+empty_moov"),
        ("round.webm", "-c:v libvpx -b:v 500k"),
        ("round.avi", "-c:v mjpeg"),
    ] {
        is_whole_in_every_round(&made(name, coding), 25);
    }
    is_whole_in_every_round(&media("bigbuckbunny.mp4"), 132);
}

#[test]
fn real_time_goes_by_the_clock_over_rounds() {
    let folder = tempfile::tempdir().unwrap();
    let made =
        ffmpeg(folder.path(), "second.mp4", "-f lavfi -i testsrc2=size=160x120:rate=25:duration=1 -pix_fmt yuv420p -c:v libx264 -bf 0");
    let clock = Clock::machine();
    let source = Source::start(&lossless(file(&made, true, true)), None, &clock, counters()).unwrap();
    let first = next(&source);
    let mut last = first;
    let (start, start_pts) = (last.decoded, last.frame.pts);
    for _ in 0..75 {
        last = next(&source);
        let (by_clock, by_pts) = (last.decoded - start, last.frame.pts - start_pts);
        // Never early but for what the first frame itself was late; late only where the machine is busy.
        assert!(by_clock + Duration::from_millis(500) > by_pts, "{by_clock:?} after the first frame came that of {by_pts:?}");
    }
    assert_eq!((last.frame.pts - start_pts).as_millis(), 3000);
    assert!(source.stop());
}

#[test]
fn without_real_time_a_file_comes_as_fast_as_it_is_taken() {
    let watch = Stopwatch::start();
    let source = start(&lossless(file(&media("bigbuckbunny.mp4"), true, false)));
    let seen = take(&source, 660);
    let played = seen[659].pts - seen[0].pts;
    assert!(played > Duration::from_secs(26));
    println!("{played:?} of video in {:?}", watch.elapsed());
    assert!(source.stop());
}

#[test]
fn a_file_that_nobody_takes_waits_and_is_stopped() {
    let settings = lossless(file(&media("bigbuckbunny.mp4"), false, false));
    let counters = counters();
    let source = Source::start(&settings, None, &Clock::machine(), counters.clone()).unwrap();
    let first = see(&next(&source));
    let (_never, waits) = crossbeam_channel::bounded::<()>(0);
    for _ in 0..600 {
        if source.frames().is_full() {
            break;
        }
        gradcast::clock::pause(Duration::from_millis(100), &waits);
    }
    let frames = source.frames().clone();
    assert!(frames.is_full());
    assert!(source.stop());
    let rest: Vec<Seen> = frames.try_iter().map(|frame| see(&frame)).collect();
    assert_eq!(counters.decoded.get(), 1 + rest.len() as u64, "each that was counted is there");
    assert!(rest.len() >= 4 && rest[0].pts > first.pts);
}

#[test]
fn files_that_are_none_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |path: &Path| {
        let error = failure(&start(&settings(file(path, true, false))));
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
        error
    };
    let error = fails(&folder.path().join("absent.mp4"));
    assert_eq!(error.kind(), Kind::NoInput, "{error}");
    let text = folder.path().join("text.mp4");
    std::fs::write(&text, "this is no video, and never was one\n".repeat(100)).unwrap();
    let error = fails(&text);
    assert_eq!(error.kind(), Kind::Data, "{error}");
    let sound = ffmpeg(folder.path(), "sound.mp4", "-f lavfi -i sine=duration=1 -c:a aac");
    let error = fails(&sound);
    assert!(error.kind() == Kind::Data && error.to_string().ends_with("there is no video in it"), "{error}");
    let empty = folder.path().join("empty.mp4");
    std::fs::write(&empty, "").unwrap();
    println!("{}", fails(&empty));
    println!("{}", fails(folder.path()));
}

/// A file that is cut off in its middle gives what is there; one that repeats gives it again and again, where its container allows it.
#[test]
fn a_broken_file_gives_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let made = "-f lavfi -i testsrc2=size=160x120:rate=25:duration=2 -pix_fmt yuv420p -c:v libx264 -bf 0 -g 10 -movflags +faststart";
    let cut = |name: &str| {
        let bytes = std::fs::read(ffmpeg(folder.path(), name, made)).unwrap();
        let path = folder.path().join(format!("cut-{name}"));
        std::fs::write(&path, &bytes[..bytes.len() / 2 + 77]).unwrap();
        path
    };
    let source = start(&lossless(file(&cut("whole.ts"), true, false)));
    take(&source, 100);
    assert!(source.stop());
    let source = start(&lossless(file(&cut("whole.mp4"), false, false)));
    let mut frames = 0;
    let told = loop {
        crossbeam_channel::select! {
            recv(source.frames()) -> frame => { see(&frame.unwrap()); frames += 1 }
            recv(source.events()) -> event => break event.unwrap(),
            default(PATIENCE) => panic!("neither a frame nor the end"),
        }
    };
    frames += source.frames().try_iter().count();
    println!("half an MP4 file: {frames} frames, {told:?}");
    assert!((10..50).contains(&frames), "{frames}");
}

/// However slowly they are taken: the fault is known long before the last frame is taken.
#[test]
fn frames_before_a_fault_are_not_lost() {
    let text = "videotestsrc num-buffers=100 ! video/x-raw,width=160,height=120,framerate=25/1 ! jpegenc ! identity error-after=50 ! queue";
    let count = |wait: Duration| {
        let source = start(&lossless(Input::Text(text.to_owned())));
        let (_never, waits) = crossbeam_channel::bounded::<()>(0);
        let mut frames = 0;
        loop {
            crossbeam_channel::select! {
                recv(source.frames()) -> frame => { drop(frame.unwrap()); frames += 1 }
                recv(source.events()) -> event => {
                    let told = event.unwrap();
                    assert!(matches!(told, Event::Failed(_)), "{told:?}");
                    return frames + source.frames().try_iter().count();
                }
                default(PATIENCE) => panic!("neither a frame nor the end"),
            }
            if frames == 10 {
                gradcast::clock::pause(wait, &waits);
            }
        }
    };
    assert_eq!((count(Duration::ZERO), count(Duration::from_secs(5))), (49, 49));
}
