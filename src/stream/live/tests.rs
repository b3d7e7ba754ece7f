//! Streams with an engine that loses its workers: white frames break it, black ones do not.

use std::sync::atomic::Ordering;

use super::*;
use crate::clock::pause;
use crate::engine::faulty::{World, metered};
use crate::engine::{self, BatchSettings, Rule};
use crate::frame::PixelFormat;
use crate::overlay;
use crate::saliency::Target;
use crate::saliency::preprocess::{Colour, Fit, Preprocessing};
use crate::telemetry::Registry;
use crate::video::live::{Input, OutputSettings, SourceSettings, TestInput};

const MINUTE: Duration = Duration::from_secs(60);

/// What the injected faults do with a first pixel of this value.
const DEVICE_FAILS: f32 = 666.5;
const PANICS: f32 = 667.5;
const THROWS: f32 = 668.5;

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let (clock, (_never, stop)) = (Clock::machine(), bounded::<()>(0));
    while !is_so() {
        assert!(clock.now() < 2 * MINUTE, "waited in vain for {what}");
        pause(Duration::from_millis(20), &stop);
    }
}

/// A test pattern, of which the engine sees two pixels; white is `white`.
fn settings(name: &str, pattern: &str, white: f32) -> Settings {
    let input = Input::Test(TestInput { pattern: pattern.to_owned(), size_px: (96, 64), fps: 20 });
    Settings {
        name: name.to_owned(),
        source: SourceSettings { input, formats: vec![PixelFormat::I420], lossless: false, pipelines: None },
        output: OutputSettings {
            encoder: None,
            bitrate_kbps: 200,
            key_interval: Duration::from_secs(1),
            lossless: false,
            sinks: Vec::new(),
            preview: None,
            pipelines: None,
        },
        lossless: false,
        deadline: Duration::from_millis(100),
        stall: MINUTE,
        size_px: None,
        look: Look {
            every: 1,
            max_fps: None,
            target: Aim { text: "argmax".to_owned(), rule: Rule::Fixed(Target::Argmax) },
            method: Method::Fullgrad,
            overlay: overlay::Settings::default(),
            smooth: Duration::ZERO,
            fade: Duration::from_secs(2),
        },
        preprocessing: Arc::new(Preprocessing {
            width: 2,
            height: 1,
            colour: Colour::Grey,
            mean: vec![0.0],
            std: vec![1.0],
            scale: white,
            fit: Fit::Stretch,
            pad: 0.0,
        }),
    }
}

/// Two streams with one engine.
struct House {
    registry: Registry,
    world: Arc<World>,
    parts: Parts,
    families: Families,
}

impl House {
    fn new() -> Self {
        crate::video::init().expect("GStreamer");
        let (registry, world, clock) = (Registry::default(), Arc::new(World::default()), Clock::machine());
        let meters = engine::Meters::register(&registry);
        let (made, metering) = (Arc::clone(&world), meters.clone());
        let make = move || Ok(metered(&made, 1, &metering));
        // The first picture of a batch decides its fault: each has its own.
        let batches = BatchSettings { max_batch: 1, max_wait: Duration::ZERO };
        let batcher = Batcher::start(Box::new(make), batches, &clock, &meters).expect("a batcher");
        let methods = Arc::new(vec![Method::Fullgrad]);
        let families = Families::register(&registry, &meters);
        let parts = Parts { clock, batcher: Arc::new(batcher), labels: Labels(Vec::new()), methods, rtsp: None };
        House { registry, world, parts, families }
    }

    fn stream(&self, settings: Settings) -> Stream {
        let meters = Arc::new(self.families.stream(&settings.name, &[]));
        Stream::start(settings, &self.parts, meters).expect("a stream")
    }

    fn has(&self, series: &str) -> bool {
        self.registry.text().contains(series)
    }
}

fn explained(stream: &Stream) -> u64 {
    stream.meters().frames()[1]
}

fn late(stream: &Stream) -> u64 {
    stream.meters().frames()[3]
}

/// Ends a stream: everything that was decoded is accounted for.
fn end(stream: Stream) {
    let meters = Arc::clone(stream.meters());
    assert!(stream.stop().wait(MINUTE), "it ends");
    // Its source is stopped by another thread.
    wait_for("the account", || {
        let [decoded, explained, held, late, dropped] = meters.frames();
        assert!(explained + held + late + dropped <= decoded);
        decoded == explained + held + late + dropped
    });
}

#[test]
fn while_the_engine_is_started_anew_frames_go_on_and_are_explained_again_afterwards() {
    let house = House::new();
    let black = house.stream(settings("gate", "black", DEVICE_FAILS));
    wait_for("explained frames", || explained(&black) >= 5);
    let since = black.standing().since;
    let white = house.stream(settings("yard", "white", DEVICE_FAILS));
    // One plan, three that the worker made anew, and the next engine's.
    wait_for("another engine", || house.world.made.load(Ordering::Relaxed) >= 5);
    assert!(
        house.has("gradcast_worker_restarts_total{reason=\"device\"} ")
            && !house.has("gradcast_worker_restarts_total{reason=\"device\"} 0\n")
    );
    assert!(!house.has("gradcast_worker_restarts_total{reason=\"engine\"} 0\n"));
    assert_eq!((explained(&white), white.standing().up), (0, Up::Up), "its frames are shown, late");
    wait_for("late frames of both", || late(&white) > 5 && late(&black) > 5);
    let words = white.standing().last_error.expect("words");
    assert!(words.starts_with("a frame is not explained: ") && words.contains("illegal memory access"), "{words}");
    end(white);
    let before = explained(&black);
    wait_for("explained frames again", || explained(&black) >= before + 10);
    let standing = black.standing();
    assert_eq!((standing.up, standing.since, black.meters().retries()), (Up::Up, since, 0), "its source was never interrupted");
    end(black);
}

#[test]
fn a_worker_that_panics_or_throws_costs_its_own_frames_their_explanation() {
    for (fault, said, series) in [
        (PANICS, "a worker panicked: a pixel of 667", "gradcast_worker_restarts_total{reason=\"panic\"} 0\n"),
        (THROWS, "shapes do not fit", "gradcast_worker_restarts_total{reason=\"panic\"} 1\n"),
    ] {
        let house = House::new();
        let black = house.stream(settings("gate", "black", fault));
        let white = house.stream(settings("yard", "white", fault));
        wait_for("words", || white.standing().last_error.is_some_and(|words| words.contains(said)));
        wait_for("late frames", || late(&white) > 5);
        assert!(!house.has(series), "a panic restarts the worker, an error does not");
        assert_eq!((explained(&white), white.standing().up, black.standing().up), (0, Up::Up, Up::Up));
        end(white);
        let before = explained(&black);
        wait_for("explained frames", || explained(&black) >= before + 10);
        end(black);
    }
}
