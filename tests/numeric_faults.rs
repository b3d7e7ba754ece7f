//! Numbers that overflow or miss their bound, through the program: they mark their frame, are counted and told, and end nothing.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use gradcast::tensor_file::{self, Elements, PlainTensor};
use image::RgbImage;
use safetensors::SafeTensors;
use serde_json::Value;

/// Columns and rows of the small network's input.
const SIZE: [usize; 2] = [37, 33];
/// With it white overflows f32 in the first convolution, and black is zero.
const OVERFLOWING: [&str; 6] = ["--colour", "rgb", "--mean", "0", "--std", "3e-39"];

fn gradcast(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradcast"));
    let Output { status, stdout, stderr } = command.current_dir(folder).args(arguments).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A folder with net.onnx, black.png and white.png.
fn scratch() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/onnx_read/squeeze_fire.onnx");
    fs::copy(seed, folder.path().join("net.onnx")).unwrap();
    for (name, sample) in [("black.png", 0), ("white.png", 255)] {
        RgbImage::from_pixel(SIZE[0] as u32, SIZE[1] as u32, image::Rgb([sample; 3])).save(folder.path().join(name)).unwrap();
    }
    folder
}

fn report(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.join("out").join(name)).unwrap()).unwrap()
}

#[test]
fn a_picture_that_overflows_is_marked_and_shown_without_a_map() {
    let folder = scratch();
    let own = ["explain", "white.png", "black.png", "-o", "out", "--model", "net.onnx", "--precision", "f32", "--colour-map", "grey"];
    let (code, stdout, stderr) = gradcast(folder.path(), &[&own[..], &OVERFLOWING].concat());
    assert_eq!(code, 0, "{stderr}");
    let white = report(folder.path(), "white.json");
    assert!(["nan", "infinite"].contains(&white["fault"].as_str().unwrap()), "{white}");
    assert_eq!(white["residual"], Value::Null);
    assert_eq!(report(folder.path(), "black.json")["fault"], Value::Null);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("white.png: numeric fault: "), "{stderr}");
    assert!(stdout.lines().next().unwrap().contains("no map: "), "{stdout}");
    let drawn = image::open(folder.path().join("out/white.overlay.png")).unwrap().into_rgb8();
    assert!(drawn.pixels().all(|pixel| pixel.0 == [255; 3]), "the picture as it was");
}

#[test]
fn a_residual_above_its_bound_is_a_fault_and_the_map_is_shown() {
    let folder = scratch();
    let own = ["explain", "white.png", "-o", "out", "--force", "--model", "net.onnx", "--colour", "rgb", "--mean", "0.4", "--std", "0.3"];
    for (precision, bound, fault) in
        [("f32", "0", Value::from("residual")), ("f32", "1e-3", Value::Null), ("bf16", "1e-9", Value::from("residual"))]
    {
        let (code, _, stderr) = gradcast(folder.path(), &[&own[..], &["--precision", precision, "--max-residual", bound]].concat());
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(report(folder.path(), "white.json")["fault"], fault, "{precision} {bound}");
        assert_eq!(stderr.is_empty(), fault.is_null(), "{stderr}");
    }
    // What rounding makes is none: the usual bounds go with the precision.
    for precision in ["f64", "f32", "f16", "bf16"] {
        let (code, _, stderr) = gradcast(folder.path(), &[&own[..], &["--precision", precision]].concat());
        assert_eq!((code, stderr.as_str(), &report(folder.path(), "white.json")["fault"]), (0, "", &Value::Null), "{precision}");
    }
    let (code, _, stderr) = gradcast(folder.path(), &[&own[..], &["--max-residual=-1"]].concat());
    assert!(code == 2 && stderr.contains("--max-residual"), "{stderr}");
}

#[test]
fn tensors_keep_their_numbers_and_standard_error_tells() {
    let folder = scratch();
    let image = 3 * SIZE[0] * SIZE[1];
    let elements = [vec![0.5f32; image], vec![3e38; image], vec![-0.5; image]].concat();
    let input = PlainTensor { shape: vec![3, 3, SIZE[1], SIZE[0]], elements: Elements::F32(elements) };
    tensor_file::write(&folder.path().join("in.safetensors"), &[("input", input)]).unwrap();
    let own = ["explain", "--tensor", "in.safetensors", "--save", "out.safetensors", "--model", "net.onnx", "--batch", "2"];
    let (code, stdout, stderr) = gradcast(folder.path(), &own);
    assert_eq!((code, stdout.as_str()), (0, ""));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("numeric faults in 1 of 3 images; the first is image 1: its numbers are "), "{stderr}");
    let bytes = fs::read(folder.path().join("out.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let finite: Vec<bool> =
        file.tensor("residual").unwrap().data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).is_finite()).collect();
    assert_eq!(finite, [true, false, true]);
}

#[test]
fn a_video_whose_frames_overflow_comes_out_whole() {
    let folder = scratch();
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("media/bigbuckbunny.mp4");
    let own = ["overlay", clip.to_str().unwrap(), "-o", "out.mp4", "--json", "--frames", "out.jsonl", "--start", "2", "--duration", "0.48"];
    let more =
        ["--every", "3", "--region", "all=0,0,1,1", "--caption", "--precision", "f32", "--between", "interpolate", "--model", "net.onnx"];
    let (code, stdout, stderr) = gradcast(folder.path(), &[&own[..], &more, &OVERFLOWING].concat());
    assert_eq!(code, 0, "{stderr}");
    let summary: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&summary["frames_out"], &summary["frames_explained"], &summary["numeric_faults"]), (&12.into(), &4.into(), &4.into()));
    let text = fs::read_to_string(folder.path().join("out.jsonl")).unwrap();
    for line in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        assert!(["nan", "infinite"].contains(&line["fault"].as_str().unwrap()), "{line}");
        assert_eq!(line["regions"]["all"], Value::Null, "a broken map has no shares");
    }
    let told = stderr.lines().filter(|line| line.contains("numeric fault")).count() as f64;
    assert!((1.0..=1.0 + summary["seconds"].as_f64().unwrap()).contains(&told), "{stderr}");
}
