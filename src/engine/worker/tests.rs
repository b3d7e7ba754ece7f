//! Memory that ends and devices that fail, without a device: a network of one sum stands for the plan, and faults are injected.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tch::{Kind, Tensor};

use super::*;
use crate::engine::compute::Choose;
use crate::engine::{Batch, Choice, Devices, Engine, Precision, Settings};
use crate::saliency::Timing;

const MEMORY: &str = "libtorch: CUDA out of memory. Tried to allocate 2.00 GiB";
const DEVICE: &str = "libtorch: CUDA error: an illegal memory access was encountered";

/// What the injected faults are decided by, shared with the test.
#[derive(Default)]
pub(crate) struct World {
    /// More images than this find no memory; any number does where it is 0. Inference takes twice as many.
    room: i64,
    /// Whether memory ends before the target is chosen, or behind.
    early: bool,
    /// Plans made.
    pub made: AtomicUsize,
}

/// A "network" with two scores an image: its first pixel, and its negative. The map is the image.
struct Sum(Arc<World>);

impl Compute for Sum {
    fn begin(&self, task: Task, input: &Tensor, choose: Choose) -> Result<Launched> {
        let count = input.size()[0];
        let first: f64 = input.f_double_value(&[0, 0, 0, 0])?;
        match first as i64 {
            666 => return Err(Error::runtime(DEVICE)),
            667 => panic!("a pixel of {first}"),
            668 => return Err(Error::runtime("libtorch: shapes do not fit")),
            _ => {}
        }
        let room = self.0.room;
        let short = |factor: i64| room > 0 && count > room * factor;
        if short(if task == Task::Infer { 2 } else { 1 }) && (self.0.early || task == Task::Infer) {
            return Err(Error::runtime(MEMORY));
        }
        let pixel = input.f_narrow(3, 0, 1)?.f_reshape([count, 1])?;
        let logits = Tensor::f_cat(&[&pixel, &pixel.f_neg()?], 1)?;
        let nothing = || Tensor::f_zeros([count], (Kind::Float, tch::Device::Cpu));
        let mut explanation = Explanation {
            target: Vec::new(),
            value: nothing()?,
            map: input.shallow_clone(),
            input_term: nothing()?,
            bias_term_total: nothing()?,
            residual: nothing()?,
            terms: Tensor::f_zeros([count, 0], (Kind::Double, tch::Device::Cpu))?,
            timing: Timing::default(),
            logits,
        };
        if task != Task::Infer {
            let selected = choose(&explanation.logits)?.select(&explanation.logits)?;
            if short(1) {
                return Err(Error::runtime(MEMORY));
            }
            explanation.value = selected.value;
            explanation.target = Vec::try_from(selected.indices)?;
        }
        Ok(explanation.into())
    }
}

fn engine(world: &Arc<World>, workers: usize) -> Engine {
    metered(world, workers, &Meters::unregistered())
}

pub(crate) fn metered(world: &Arc<World>, workers: usize, meters: &Meters) -> Engine {
    let count = NonZeroUsize::new(workers);
    let settings = Settings {
        precision: Precision::F32,
        devices: Devices::Cpu,
        workers: count,
        threads: count,
        attribution: Default::default(),
        head: Default::default(),
        max_residual: None,
    };
    let world = world.clone();
    let make = move |_| -> Result<Box<dyn Compute>> {
        world.made.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Sum(world.clone())))
    };
    Engine::with(make, &[1, 1, 1, 2], &settings, meters).expect("an engine")
}

/// Images of two pixels: a first one as given, and the image's number.
fn batch(first: &[f32]) -> Batch {
    Batch {
        pixels: first.iter().enumerate().flat_map(|(number, &pixel)| [pixel, number as f32]).collect(),
        times: (0..first.len() as u64).map(Duration::from_secs).collect(),
    }
}

fn fixed(target: Target) -> Arc<Choice> {
    Arc::new(Choice::Fixed(target))
}

fn floats(tensor: &crate::tensor_file::PlainTensor) -> Vec<f32> {
    match &tensor.elements {
        crate::tensor_file::Elements::F32(values) => values.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_part_without_memory_is_halved_until_it_fits() {
    for early in [true, false] {
        for room in 1..=7 {
            let world = Arc::new(World { room, early, ..World::default() });
            let mut engine = engine(&world, 1);
            let pixels = [3.0, -1.0, 2.0, -5.0, 4.0, 1.0, -2.0];
            let images = batch(&pixels);
            let wanted: Vec<i64> = pixels.iter().map(|&pixel| i64::from(pixel < 0.0)).collect();
            let answer = engine.submit(Task::Explain, &images, &fixed(Target::Argmax)).expect("taken").numbers().expect("explained");
            assert_eq!(answer.target, wanted, "room for {room}");
            assert_eq!(floats(&answer.map), images.pixels, "room for {room}");
            assert_eq!(floats(&answer.value), pixels.map(f32::abs), "room for {room}");
            let counts = engine.record().counts();
            assert_eq!((counts.out_of_memory > 0, counts.restarts), (room < 7, 0), "room for {room}");
            // The size that fitted is kept to: no further fault.
            let each: Vec<i64> = vec![0, 1, 1, 0, 1, 0, 0];
            let answer = engine.submit(Task::Explain, &images, &fixed(Target::Each(each.clone()))).expect("taken").numbers();
            assert_eq!(answer.expect("explained").target, each);
            assert_eq!(engine.record().counts(), counts, "room for {room}");
        }
    }
}

#[test]
fn a_single_image_without_memory_is_an_error_of_its_batch() {
    struct Never;
    impl Compute for Never {
        fn begin(&self, _: Task, _: &Tensor, _: Choose) -> Result<Launched> {
            Err(Error::runtime(MEMORY))
        }
    }
    let settings = Settings {
        precision: Precision::F32,
        devices: Devices::Cpu,
        workers: NonZeroUsize::new(1),
        threads: None,
        attribution: Default::default(),
        head: Default::default(),
        max_residual: None,
    };
    let mut never =
        Engine::with(|_| Ok(Box::new(Never) as Box<dyn Compute>), &[1, 1, 1, 2], &settings, &Meters::unregistered()).expect("an engine");
    for _ in 0..2 {
        let ticket = never.submit(Task::Explain, &batch(&[1.0, 2.0, 3.0]), &fixed(Target::Index(0))).expect("taken");
        let message = ticket.numbers().expect_err("no memory").to_string();
        assert!(message.starts_with("there is no memory for a single image: give a smaller --input-size"), "{message}");
    }
    assert_eq!(never.record().counts().restarts, 0);
}

#[test]
fn a_held_class_is_chosen_once_for_a_halved_part() {
    let leaders = [3.0, -1.0, -2.0, -5.0, 4.0, 1.0, -2.0];
    let run = |world: World| {
        let mut engine = engine(&Arc::new(world), 1);
        let choice = Arc::new(Choice::hold(Duration::from_secs(2)));
        let mut targets = Vec::new();
        for half in [&leaders[..4], &leaders[4..]] {
            let mut images = batch(half);
            if half.len() == 3 {
                images.times.iter_mut().for_each(|time| *time += Duration::from_secs(4));
            }
            targets.extend(engine.submit(Task::Explain, &images, &choice).expect("taken").numbers().expect("explained").target);
        }
        targets
    };
    let wanted = run(World::default());
    assert_eq!(wanted, [0, 0, 0, 1, 1, 1, 1], "held for two seconds");
    for early in [true, false] {
        assert_eq!(run(World { room: 1, early, ..World::default() }), wanted);
    }
}

#[test]
fn a_device_that_fails_gets_a_new_plan_and_the_batch_its_error() {
    for (pixel, wanted) in [(666.0, "illegal memory access"), (667.0, "a worker panicked: a pixel of 667")] {
        let world = Arc::new(World::default());
        let mut engine = engine(&world, 1);
        let mut explain = |pixel: f32| {
            let ticket = engine.submit(Task::Explain, &batch(&[pixel]), &fixed(Target::Index(0))).expect("taken");
            ticket.numbers().map(|numbers| floats(&numbers.value)[0]).map_err(|error| error.to_string())
        };
        for round in 1..=MOST_RESTARTS {
            assert!(explain(pixel).expect_err("a fault").contains(wanted));
            assert_eq!(explain(5.0), Ok(5.0), "a plan of its own is there again");
            assert_eq!(world.made.load(Ordering::Relaxed), 1 + round);
        }
        assert!(explain(pixel).expect_err("a fault").contains(wanted));
        // From now on there is an answer, and it is why.
        for _ in 0..5 {
            let message = explain(5.0).expect_err("no worker is left");
            assert!(
                message.starts_with("no worker is left to compute: given up after 3 restarts: ") && message.contains(wanted),
                "{message}"
            );
        }
        assert_eq!(engine.record().counts().restarts, MOST_RESTARTS as u64);
    }
}

#[test]
fn others_go_on_without_a_worker_that_is_given_up() {
    let world = Arc::new(World::default());
    let mut engine = engine(&world, 2);
    let mut explain = |pixel: f32| {
        let ticket = engine.submit(Task::Explain, &batch(&[pixel]), &fixed(Target::Index(0))).expect("taken");
        ticket.numbers().is_ok()
    };
    // Whoever takes them, no worker is given up before its fourth fault, and one has all four only after seven at most.
    for _ in 0..=2 * MOST_RESTARTS {
        assert!(!explain(666.0));
    }
    assert!((0..10).all(|_| explain(1.0)), "the other one is there");
    assert!(!explain(666.0));
    assert!((0..10).all(|_| !explain(1.0)), "nobody is");
}

#[test]
fn a_batch_s_own_fault_restarts_nobody() {
    let world = Arc::new(World::default());
    let mut engine = engine(&world, 1);
    for _ in 0..3 * MOST_RESTARTS {
        let ticket = engine.submit(Task::Explain, &batch(&[668.0]), &fixed(Target::Index(0))).expect("taken");
        assert!(ticket.numbers().expect_err("a fault").to_string().contains("shapes"));
    }
    assert_eq!(world.made.load(Ordering::Relaxed), 1);
}

#[test]
fn an_engine_whose_plan_cannot_be_made_does_not_start() {
    let settings = Settings {
        precision: Precision::F32,
        devices: Devices::Cpu,
        workers: NonZeroUsize::new(2),
        threads: None,
        attribution: Default::default(),
        head: Default::default(),
        max_residual: None,
    };
    let made = Arc::new(AtomicUsize::new(0));
    let make = move |_| -> Result<Box<dyn Compute>> {
        match made.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(Box::new(Sum(Arc::new(World::default())))),
            _ => Err(Error::runtime(MEMORY)),
        }
    };
    let error = Engine::with(make, &[1, 1, 1, 2], &settings, &Meters::unregistered()).err().expect("one of two has no memory");
    assert_eq!(error.to_string(), MEMORY);
}

/// The default network where no tensor may be larger than two images need: libtorch's own fault, through a plan half run.
#[test]
fn a_network_without_memory_for_its_part_explains_it_in_halves() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/efficientnet_lite0.onnx");
    let graph = crate::network::onnx::read_file(&file, &Default::default()).expect("the default network");
    let network = Arc::new(crate::network::load::load(&graph, &Default::default()).expect("rules for all"));
    let count = NonZeroUsize::new(1);
    let settings = Settings {
        precision: Precision::F32,
        devices: Devices::Cpu,
        workers: count,
        threads: count,
        attribution: Default::default(),
        head: Default::default(),
        max_residual: None,
    };
    let pixels: Vec<f32> = (0..3 * 3 * 224 * 224).map(|at| (at as f32 * 0.37).sin()).collect();
    let images = Batch { pixels, times: Vec::new() };
    let explain = |largest_bytes: usize| {
        let network = network.clone();
        let make = move |place| -> Result<Box<dyn Compute>> {
            crate::network::blocks::tests::LARGEST_BYTES.set(usize::MAX);
            let plan = crate::network::plan::Plan::new(&network, place)?;
            crate::network::blocks::tests::LARGEST_BYTES.set(largest_bytes);
            Ok(Box::new(crate::saliency::Explainer::new(plan, crate::saliency::Rescale::Node)))
        };
        let mut engine = Engine::with(make, &[1, 3, 224, 224], &settings, &Meters::unregistered()).expect("an engine");
        let answer = engine.submit(Task::Explain, &images, &fixed(Target::Argmax)).expect("taken").numbers();
        (answer, engine.record().counts().out_of_memory)
    };
    // 96 channels of 112 x 112 in f32.
    let image_bytes = 96 * 112 * 112 * 4;
    let (whole, none) = explain(usize::MAX);
    let (halved, some) = explain(2 * image_bytes);
    let (whole, halved) = (whole.expect("explained"), halved.expect("explained"));
    assert_eq!((none, some), (0, 1));
    assert_eq!(halved.target, whole.target);
    let (wanted, found) = (floats(&whole.map), floats(&halved.map));
    let largest = wanted.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
    assert!(wanted.iter().zip(&found).all(|(w, f)| (w - f).abs() <= 2e-3 * largest), "the maps differ");
    let (none, most) = explain(image_bytes / 2);
    assert!(none.expect_err("too little for one").to_string().starts_with("there is no memory for a single image"));
    assert!(most > 1);
}
