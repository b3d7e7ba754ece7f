//! What the program says of networks that are broken: exit 65, one line with the file and the place, nothing written.

#![allow(clippy::unwrap_used)]

mod onnx_files;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use onnx_files::{model, node, value};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

/// Exit code and standard error of `explain --tensor` with this model, on an image of 3 x 8 x 8; the output is there where it is 0.
fn explain(folder: &Path, bytes: &[u8]) -> (i32, String) {
    let path = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let (model, from, to) = (path("bad.onnx"), path("in.safetensors"), path("out.safetensors"));
    fs::write(&model, bytes).unwrap();
    let image: Vec<u8> = [0.5f32; 3 * 64].iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensors = HashMap::from([("input", TensorView::new(Dtype::F32, vec![1, 3, 8, 8], &image).unwrap())]);
    serialize_to_file(&tensors, None, Path::new(&from)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradcast"));
    let output = command.args(["explain", "--model", &model, "--tensor", &from, "--save", &to]).output().expect("gradcast starts");
    let code = output.status.code().expect("no signal");
    assert_eq!(Path::new(&to).exists(), code == 0, "an output is written where there is one");
    (code, String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn broken_networks_are_65_with_one_line() {
    let image = value("x", 1, &[1, 3, 8, 8]);
    let relu = || node("Relu", "", &["x"], "y");
    let whole = model(&relu(), std::slice::from_ref(&image));
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("empty", Vec::new(), &["bad.onnx"]),
        ("text", b"no network at all".repeat(9), &["bad.onnx"]),
        ("truncated", whole[..whole.len() - 9].to_vec(), &["bad.onnx"]),
        (
            "an unknown operator",
            model(&node("Whirl", "com.example", &["x"], "y"), std::slice::from_ref(&image)),
            &["\"the_node\"", "Whirl", "com.example", "no FullGrad rules"],
        ),
        ("a cycle", model(&node("Add", "", &["x", "y"], "y"), std::slice::from_ref(&image)), &["bad.onnx"]),
        ("two inputs", model(&node("Add", "", &["x", "z"], "y"), &[image.clone(), value("z", 1, &[1, 3, 8, 8])]), &["2 inputs (x, z)"]),
        ("integers", model(&relu(), &[value("x", 7, &[1, 3, 8, 8])]), &["no floating-point input"]),
        ("a row", model(&relu(), &[value("x", 1, &[1, 3])]), &["\"x\"", "four axes"]),
        ("another size", model(&relu(), &[value("x", 1, &[1, 3, 9, 8])]), &["9 rows, 8 are asked for"]),
        ("other channels", model(&relu(), &[value("x", 1, &[1, 4, 8, 8])]), &["4 x 8 x 8"]),
        ("no classes", whole.clone(), &["(N, K)"]),
    ];
    for (name, bytes, parts) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (code, stderr) = explain(folder.path(), &bytes);
        assert_eq!(code, 65, "{name}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{name}: {stderr}");
        assert!(stderr.starts_with("gradcast: ") && parts.iter().all(|part| stderr.contains(part)), "{name}: {stderr}");

        // A network that is whole can be looked at, whatever the picture.
        let whole = ["another size", "other channels", "no classes"].contains(&name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradcast"));
        let output = command.args(["inspect", "--model"]).arg(folder.path().join("bad.onnx")).output().expect("gradcast starts");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(if whole { 0 } else { 65 }), "inspect, {name}: {stderr}");
        assert!(whole || (stderr.lines().count() == 1 && parts.iter().all(|part| stderr.contains(part))), "inspect, {name}: {stderr}");
    }
}

/// The fuzzer's seeds: whatever is wrong with one, the program ends by itself.
#[test]
fn the_fuzzer_s_seeds_are_answered() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/onnx_read");
    let mut seen = 0;
    for seed in fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()) {
        let folder = tempfile::tempdir().unwrap();
        let (code, stderr) = explain(folder.path(), &fs::read(&seed).unwrap());
        // One is whole and takes pictures of any size; no other takes one of 8 x 8.
        let whole = seed.ends_with("condition.onnx");
        assert_eq!(code, if whole { 0 } else { 65 }, "{}: {stderr}", seed.display());
        assert_eq!(stderr.lines().count(), usize::from(!whole), "{}: {stderr}", seed.display());
        seen += 1;
    }
    assert!(seen >= 15);
}
