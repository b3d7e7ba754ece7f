//! The engine on a CUDA device: two workers on one, and a device that fails. Where there is no device these tests say so and end.
//!
//! `gpu-bundle` takes this program along. With `gpu_fault.c` laid before CUDA's runtime, and FAULT_AT set, one wait fails.

use std::env;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use gradcast::engine::{Asked, Batch, Choice, Devices, Engine, Numbers, Precision, Settings, Task};
use gradcast::network::load::{LoadOptions, load};
use gradcast::network::onnx;
use gradcast::network::structure::Network;
use gradcast::saliency::Target;
use gradcast::tensor_file::{Elements, PlainTensor};

fn device() -> Option<Devices> {
    match "cuda:0".parse::<Asked>().expect("a device").open() {
        Ok((devices, _)) => Some(devices),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn network() -> Network {
    let folder = env::var_os("GRADCAST_MODELS").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models"), PathBuf::from);
    let graph = onnx::read_file(&folder.join("efficientnet_lite0.onnx"), &onnx::Limits::default()).expect("the default network");
    load(&graph, &LoadOptions::default()).expect("rules for all")
}

fn engine(devices: Devices, workers: usize) -> Engine {
    let settings = Settings {
        precision: Precision::F32,
        devices,
        workers: NonZeroUsize::new(workers),
        threads: None,
        attribution: Default::default(),
        head: Default::default(),
        max_residual: None,
    };
    Engine::start(&network(), &settings).expect("an engine")
}

fn batch(images: usize, seed: f32) -> Batch {
    let pixels = (0..images * 3 * 224 * 224).map(|at| (at as f32 * 0.37 + seed).sin() * 2.0).collect();
    Batch { pixels, times: Vec::new() }
}

fn largest_difference(a: &PlainTensor, b: &PlainTensor) -> f32 {
    match (&a.elements, &b.elements) {
        (Elements::F32(a), Elements::F32(b)) => {
            let largest = b.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
            a.iter().zip(b).fold(0.0, |most: f32, (a, b)| most.max((a - b).abs())) / largest
        }
        other => panic!("{other:?}"),
    }
}

/// Several batches in flight on streams side by side get what each gets alone on the processor.
#[test]
fn two_workers_on_one_device_give_what_the_processor_gives() {
    if env::var_os("FAULT_AT").is_some() {
        eprintln!("skipped: a fault is laid in the way");
        return;
    }
    let Some(devices) = device() else { return };
    let targets = Arc::new(Choice::Fixed(Target::Index(281)));
    let batches: Vec<Batch> = (0..6).map(|seed| batch(2 + seed % 3, seed as f32)).collect();
    let mut wanted = engine(Devices::Cpu, 1);
    let mut found = engine(devices, 2);
    let tickets: Vec<_> = batches.iter().map(|batch| found.submit(Task::Explain, batch, &targets).expect("taken")).collect();
    for (batch, ticket) in batches.iter().zip(tickets) {
        let wanted: Numbers = wanted.submit(Task::Explain, batch, &targets).expect("taken").numbers().expect("explained");
        let found: Numbers = ticket.numbers().expect("explained");
        assert_eq!(found.target, wanted.target);
        for (name, found, wanted) in [("map", &found.map, &wanted.map), ("logits", &found.logits, &wanted.logits)] {
            let off = largest_difference(found, wanted);
            assert!(off <= 2e-3, "{name} is off by {off}");
        }
    }
    assert_eq!(found.record().counts(), Default::default());
}

/// The batch whose wait fails gets the error, and the worker a new plan, on which the next batch is computed.
#[test]
fn a_worker_whose_device_fails_starts_anew() {
    if env::var_os("FAULT_AT").is_none() {
        eprintln!("skipped: needs gpu_fault.c in LD_PRELOAD, and FAULT_AT");
        return;
    }
    let Some(devices) = device() else { return };
    let mut engine = engine(devices, 1);
    let targets = Arc::new(Choice::Fixed(Target::Argmax));
    let mut faults = 0;
    for seed in 0..12 {
        match engine.submit(Task::Explain, &batch(2, seed as f32), &targets).expect("taken").numbers() {
            Ok(_) => {}
            Err(error) => {
                faults += 1;
                assert!(error.to_string().contains("CUDA error"), "{error}");
            }
        }
    }
    assert_eq!((faults, engine.record().counts().restarts), (1, 1));
}
