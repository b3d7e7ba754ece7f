//! The contract of `gradcast explain --tensor IN --save OUT`, through the program.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use gradcast::tensor_file::{self, Elements, PlainTensor};
use safetensors::{Dtype, SafeTensors};

/// Rows and columns of the small network's input.
const SIZE: [usize; 2] = [33, 37];
const CLASSES: usize = 7;
const KEYS: [&str; 7] = ["bias_term_total", "input_term", "logits", "map", "residual", "target", "value"];

struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    values: Vec<f64>,
}

fn read(path: &Path) -> BTreeMap<String, Stored> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |dtype: Dtype, data: &[u8]| -> Vec<f64> {
        match dtype {
            Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
            Dtype::F64 => data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            Dtype::I64 => data.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
            other => panic!("a tensor of {other:?}"),
        }
    };
    let stored = |view: &safetensors::tensor::TensorView| Stored {
        dtype: view.dtype(),
        shape: view.shape().to_vec(),
        values: values(view.dtype(), view.data()),
    };
    file.tensors().iter().map(|(name, view)| (name.clone(), stored(view))).collect()
}

/// Random-looking images, with targets where they are given.
fn write_input(path: &Path, count: usize, targets: Option<&[i64]>) {
    let mut state = 9u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let elements = Elements::F32(std::iter::repeat_with(next).take(count * 3 * SIZE[0] * SIZE[1]).collect());
    let mut tensors = vec![
        ("input", PlainTensor { shape: vec![count, 3, SIZE[0], SIZE[1]], elements }),
        ("ignored", PlainTensor { shape: vec![1], elements: Elements::F64(vec![1.0]) }),
    ];
    if let Some(targets) = targets {
        tensors.push(("target", PlainTensor { shape: vec![targets.len()], elements: Elements::I64(targets.to_vec()) }));
    }
    tensor_file::write(path, &tensors).unwrap();
}

fn small_network() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/onnx_read/squeeze_fire.onnx")).unwrap()
}

/// The network with a batch of `count` in place of its free one. In the file the free axis is `12 01 'N'` (a name of one letter); a
/// number is `08` and a varint, which may be longer than it has to be, so that lengths stay.
fn with_fixed_batch(mut network: Vec<u8>, count: u8) -> Vec<u8> {
    let mut found = 0;
    for at in 0..network.len() - 3 {
        if network[at..at + 3] == *b"\x12\x01N" {
            network[at..at + 3].copy_from_slice(&[0x08, 0x80 | count, 0]);
            found += 1;
        }
    }
    assert_eq!(found, 2, "the batch of the input and of the output");
    network
}

fn explain(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_gradcast")).current_dir(folder).arg("explain").args(arguments).output().unwrap();
    assert_eq!(output.stdout, b"", "tensors are silent");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

const IN_OUT: [&str; 6] = ["--model", "net.onnx", "--tensor", "in.safetensors", "--save", "out.safetensors"];

fn explained(folder: &Path, more: &[&str]) -> BTreeMap<String, Stored> {
    let (code, stderr) = explain(folder, &[&IN_OUT[..], &["--force"], more].concat());
    assert_eq!((code, stderr.as_str()), (0, ""));
    read(&folder.join("out.safetensors"))
}

fn assert_close(name: &str, a: &Stored, b: &Stored, bound: f64) {
    assert_eq!(a.shape, b.shape, "{name}");
    let largest = b.values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let error = a.values.iter().zip(&b.values).fold(0.0f64, |error, (a, b)| error.max((a - b).abs()));
    assert!(error <= bound * largest, "{name} is off by {error}, the largest is {largest}");
}

#[test]
fn keys_shapes_and_types() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("net.onnx"), small_network()).unwrap();
    write_input(&folder.path().join("in.safetensors"), 5, None);
    for (precision, dtype, residual) in [(None, Dtype::F32, 1e-4), (Some("f32"), Dtype::F32, 1e-4), (Some("f64"), Dtype::F64, 1e-9)] {
        let more: Vec<&str> = precision.iter().flat_map(|precision| ["--precision", precision]).chain(["--batch", "2"]).collect();
        let out = explained(folder.path(), &more);
        assert_eq!(out.keys().map(String::as_str).collect::<Vec<_>>(), KEYS, "{precision:?}");
        let shapes = [vec![5], vec![5], vec![5, CLASSES], vec![5, 1, SIZE[0], SIZE[1]], vec![5], vec![5], vec![5]];
        for (key, shape) in KEYS.iter().zip(shapes) {
            let wanted = if *key == "target" { Dtype::I64 } else { dtype };
            assert_eq!((out[*key].dtype, &out[*key].shape), (wanted, &shape), "{precision:?} {key}");
        }
        assert!(out["residual"].values.iter().all(|value| *value <= residual), "{precision:?}: {:?}", out["residual"].values);
        for image in 0..5 {
            let logits = &out["logits"].values[image * CLASSES..][..CLASSES];
            let target = out["target"].values[image] as usize;
            assert!(logits.iter().all(|logit| *logit <= logits[target]), "argmax");
            assert_eq!(out["value"].values[image], logits[target]);
            let sum = out["input_term"].values[image] + out["bias_term_total"].values[image];
            assert!((sum - logits[target]).abs() <= 1e-3 * logits[target].abs(), "{sum} is not {}", logits[target]);
        }
    }
}

/// docs/method.md says what the sums are with each method.
#[test]
fn every_method_gives_the_same_keys_and_the_same_logits() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("net.onnx"), small_network()).unwrap();
    write_input(&folder.path().join("in.safetensors"), 3, None);
    let fullgrad = explained(folder.path(), &["--precision", "f64"]);
    for method in ["simple-fullgrad", "smooth-fullgrad", "input-x-gradient", "gradient", "smoothgrad", "integrated-gradients", "grad-cam"] {
        let out = explained(folder.path(), &["--precision", "f64", "--method", method, "--samples", "5", "--steps", "400"]);
        assert_eq!(out.keys().map(String::as_str).collect::<Vec<_>>(), KEYS, "{method}");
        for key in ["logits", "target", "value"] {
            assert_eq!(out[key].values, fullgrad[key].values, "{method} {key}");
        }
        assert_eq!(out["map"].shape, fullgrad["map"].shape, "{method}");
        assert_ne!(out["map"].values, fullgrad["map"].values, "{method}");
        let bound = if method == "integrated-gradients" { 1e-2 } else { 1e-9 };
        assert!(out["residual"].values.iter().all(|residual| *residual <= bound), "{method}: {:?}", out["residual"].values);
    }
    let (code, stderr) = explain(folder.path(), &[&IN_OUT[..], &["--force", "--method", "grad-cam:nowhere"]].concat());
    assert_eq!(code, 2);
    assert!(stderr.contains("grad-cam:nowhere: is no node of the network; perhaps \""), "{stderr}");
    let named = stderr.split('"').nth(1).unwrap();
    let method = format!("grad-cam:{named}");
    let out = explained(folder.path(), &["--precision", "f64", "--method", &method]);
    assert!(out["map"].values.iter().all(|value| *value >= 0.0), "{method}");
}

#[test]
fn a_target_in_the_file_goes_before_the_option() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("net.onnx"), small_network()).unwrap();
    write_input(&folder.path().join("in.safetensors"), 3, None);
    assert_eq!(explained(folder.path(), &["--target", "4"])["target"].values, [4.0; 3]);
    write_input(&folder.path().join("in.safetensors"), 3, Some(&[6, 0, 2]));
    assert_eq!(explained(folder.path(), &["--target", "4", "--batch", "2"])["target"].values, [6.0, 0.0, 2.0]);
    write_input(&folder.path().join("in.safetensors"), 3, Some(&[6, 7, 2]));
    let (code, stderr) = explain(folder.path(), &[&IN_OUT[..], &["--force"]].concat());
    assert_eq!(code, 65);
    assert!(stderr.contains("target 7 is outside the network's 7 classes"), "{stderr}");
}

#[test]
fn a_graph_with_a_fixed_batch_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    write_input(&folder.path().join("in.safetensors"), 5, None);
    fs::write(folder.path().join("net.onnx"), small_network()).unwrap();
    let free = explained(folder.path(), &["--precision", "f64"]);
    for count in [1, 2] {
        fs::write(folder.path().join("net.onnx"), with_fixed_batch(small_network(), count)).unwrap();
        let fixed = explained(folder.path(), &["--precision", "f64"]);
        for key in ["logits", "target", "value", "map", "input_term", "bias_term_total"] {
            assert_close(key, &fixed[key], &free[key], 1e-9);
        }
    }
}

#[test]
fn golden_answers_come_back() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    if !golden.is_dir() {
        eprintln!("skipped: {} is not there", golden.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("net.onnx"), small_network()).unwrap();
    fs::copy(golden.join("squeeze_fire.safetensors"), folder.path().join("in.safetensors")).unwrap();
    let wanted = read(&golden.join("squeeze_fire.safetensors"));
    for (more, bound) in [(&["--precision", "f64"][..], 1e-4), (&[], 2e-3)] {
        let found = explained(folder.path(), more);
        for key in KEYS.iter().filter(|key| **key != "residual") {
            assert_close(key, &found[*key], &wanted[*key], bound);
        }
    }
}

#[test]
fn faults_have_their_exit_codes_and_leave_no_result() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("net.onnx"), small_network()).unwrap();
    let (code, stderr) = explain(folder.path(), &IN_OUT);
    assert_eq!((code, stderr.lines().next()), (66, Some("gradcast: in.safetensors: cannot be read")));
    fs::write(folder.path().join("in.safetensors"), "nothing like it").unwrap();
    assert_eq!(explain(folder.path(), &IN_OUT).0, 65);
    let elements = Elements::F32(vec![0.0; 3 * 8 * 8]);
    tensor_file::write(&folder.path().join("in.safetensors"), &[("input", PlainTensor { shape: vec![1, 3, 8, 8], elements })]).unwrap();
    let (code, stderr) = explain(folder.path(), &IN_OUT);
    assert_eq!(code, 65);
    assert!(stderr.contains("33"), "says what the network takes: {stderr}");
    assert!(!folder.path().join("out.safetensors").exists());
    write_input(&folder.path().join("in.safetensors"), 1, None);
    fs::write(folder.path().join("out.safetensors"), "kept").unwrap();
    assert_eq!(explain(folder.path(), &IN_OUT).0, 2, "results that are there are refused");
    assert_eq!(fs::read(folder.path().join("out.safetensors")).unwrap(), b"kept");
    let nowhere = ["--model", "net.onnx", "--tensor", "in.safetensors", "--save", "no/such/out.safetensors"];
    assert_eq!(explain(folder.path(), &nowhere).0, 1);
}
