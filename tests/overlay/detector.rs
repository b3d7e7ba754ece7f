//! A detector on the road: its map has to light up the cars.
//!
//! The network and the clips lie in a folder beside the project; without them this test says so and ends.

#![allow(clippy::print_stdout)] // what was found beside its bound is shown with --nocapture

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{media, overlay};
use crate::numbers::lines_of;

/// FastestDet (COCO, 80 classes) with a manifest beside it: BGR, v / 255, cells of objectness, four box values and the classes.
fn detector(folder: &Path) -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models");
    let network = shared.join("fastestdet.onnx");
    if !network.is_file() {
        eprintln!("skipped: {} is not there", network.display());
        return None;
    }
    let manifest = format!(
        "file = {network:?}\n[input]\ncolour = 'bgr'\nmean = [0]\nstd = [1]\n\
         [output]\nlabels = {:?}\n[output.cells]\naxis = 1\nclasses = 5\nobjectness = 0\n",
        shared.join("coco80.txt")
    );
    let path = folder.join("detector.toml");
    fs::write(&path, manifest).expect("written");
    Some(path)
}

/// The lines of a tenth of a second of a clip.
fn lines(clip: &Path, model: &Path, more: &[&str]) -> (Value, Vec<Value>) {
    let folder = tempfile::tempdir().expect("folder");
    let frames = folder.path().join("frames.jsonl");
    let own = ["--json", "--duration", "0.1", "--model", model.to_str().expect("UTF-8"), "--frames", frames.to_str().expect("UTF-8")];
    let summary = overlay(clip, &folder.path().join("out.mp4"), &[&own[..], more].concat()).json();
    (summary, lines_of(&frames))
}

#[test]
fn cars_are_lit_up() {
    let folder = tempfile::tempdir().expect("folder");
    let Some(model) = detector(folder.path()) else { return };
    // Boxes drawn around the cars of the frame by eye, as x, y, width, height.
    let road: &[[f64; 4]] = &[[0.112, 0.537, 0.09, 0.105], [0.336, 0.546, 0.193, 0.058]];
    let street: &[[f64; 4]] = &[[0.585, 0.37, 0.115, 0.22], [0.817, 0.36, 0.116, 0.225]];
    for (clip, start, boxes) in [("solidWhiteRight.mp4", "3", road), ("bikes.mp4", "7", street)] {
        let Some(clip) = media(clip) else { return };
        let regions: Vec<String> = boxes.iter().enumerate().map(|(i, [x, y, w, h])| format!("--region=car{i}={x},{y},{w},{h}")).collect();
        let area: f64 = boxes.iter().map(|[_, _, w, h]| w * h).sum();
        for target in ["cell:car", "cells:car:0.3"] {
            let more: Vec<&str> = ["--start", start, "--target", target].into_iter().chain(regions.iter().map(String::as_str)).collect();
            let (summary, lines) = lines(&clip, &model, &more);
            assert_eq!(summary["numeric_faults"], 0);
            let shares = lines[0]["regions"].as_object().expect("regions");
            let share: f64 = shares.values().map(|share| share.as_f64().expect("a number")).sum();
            println!("{} {target}: {share:.3} of the saliency on {area:.3} of the picture", clip.display());
            assert!(share > 3.0 * area, "{} {target}: {share:.3} of the saliency on {area:.3} of the picture", clip.display());
            assert_eq!(lines[0]["target"]["index"], 2);
        }
    }
}

#[test]
fn a_class_that_is_nowhere_has_no_explanation_and_no_fault() {
    let folder = tempfile::tempdir().expect("folder");
    let Some(model) = detector(folder.path()) else { return };
    let Some(clip) = media("solidWhiteRight.mp4") else { return };
    let (summary, lines) = lines(&clip, &model, &["--target", "cells:zebra:0.3", "--region", "all=0,0,1,1"]);
    assert_eq!(summary["numeric_faults"], 0);
    for line in lines {
        assert_eq!((&line["target"]["label"], &line["target"]["cells"]), (&"cells of zebra above 0.3".into(), &0.into()));
        assert_eq!((&line["residual"], &line["regions"]["all"], &line["fault"]), (&0.0.into(), &0.0.into(), &Value::Null));
    }
}
