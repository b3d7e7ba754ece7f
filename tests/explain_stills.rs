//! `gradcast explain` of still pictures, through the program: formats, results, order, faults and exit codes.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gradcast::tensor_file::{self, Elements, PlainTensor};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// The small network's input.
const WIDTH: usize = 37;
const HEIGHT: usize = 33;

/// A folder with a small network of seven classes, and room for pictures.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/onnx_read/squeeze_fire.onnx");
        fs::copy(seed, folder.path().join("net.onnx")).unwrap();
        let manifest = "file = 'net.onnx'\n[input]\ncolour = 'rgb'\nmean = [0]\nstd = [1]\n[output]\nlabels = 'labels.txt'\n";
        fs::write(folder.path().join("net.toml"), manifest).unwrap();
        fs::write(folder.path().join("labels.txt"), "ant\nbee\ncat\ndog\nelk\nfox\ngnu\n").unwrap();
        Scratch { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn explain(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradcast"));
        command.current_dir(self.folder.path()).args(["explain", "--model", "net.toml", "--precision", "f32"]).args(arguments);
        let Output { status, stdout, stderr } = command.output().unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// `map` of a file, and its shape.
    fn map(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let bytes = fs::read(self.path(name)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let map = file.tensor("map").unwrap();
        assert_eq!(map.dtype(), Dtype::F32);
        let values = map.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        (map.shape().to_vec(), values)
    }

    fn png(&self, name: &str, picture: &[u8]) {
        write_png(&self.path(name), picture, ExtendedColorType::Rgb8);
    }
}

fn write_png(path: &Path, data: &[u8], colour: ExtendedColorType) {
    let file = fs::File::create(path).unwrap();
    PngEncoder::new(file).write_image(data, WIDTH as u32, HEIGHT as u32, colour).unwrap();
}

/// RGB of the network's own size, without a pattern; another `seed` gives another picture.
fn picture(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(WIDTH * HEIGHT * 3).collect()
}

fn assert_close(a: &[f32], b: &[f32], bound: f32) {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let error = a.iter().zip(b).fold(0.0f32, |error, (a, b)| error.max((a - b).abs()));
    assert!(error <= bound * largest, "off by {error}, the largest is {largest}");
}

#[test]
fn a_picture_s_numbers_are_the_tensor_s() {
    let place = Scratch::new();
    let rgb = picture(1);
    place.png("p.png", &rgb);
    // (H, W, C) of bytes to (1, C, H, W) of 0..=1, which is all that this network's manifest asks for.
    let plane = |channel: usize| rgb.iter().skip(channel).step_by(3).map(|&sample| f32::from(sample) / 255.0);
    let elements = Elements::F32((0..3).flat_map(plane).collect());
    tensor_file::write(&place.path("in.safetensors"), &[("input", PlainTensor { shape: vec![1, 3, HEIGHT, WIDTH], elements })]).unwrap();

    let (code, stdout, stderr) = place.explain(&["p.png", "-o", "out/deep"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert_eq!(place.explain(&["--tensor", "in.safetensors", "--save", "exact.safetensors"]).0, 0);
    let (shape, map) = place.map("out/deep/p.map.safetensors");
    let (_, exact) = place.map("exact.safetensors");
    assert_eq!(shape, [1, 1, HEIGHT, WIDTH]);
    assert_close(&map, &exact, 1e-4);
    assert!(map.iter().all(|value| *value >= 0.0) && map.iter().any(|value| *value > 1.0), "S is not normalised");

    let json = place.json("out/deep/p.json");
    assert_eq!((&json["width_px"], &json["height_px"]), (&37.into(), &33.into()));
    assert_eq!((&json["picture"], &json["precision"]), (&"p.png".into(), &"f32".into()));
    assert_eq!(json["method"], "fullgrad");
    let classes = json["classes"].as_array().unwrap();
    let probabilities: Vec<f64> = classes.iter().map(|class| class["probability"].as_f64().unwrap()).collect();
    assert!(probabilities.is_sorted_by(|a, b| a >= b) && classes.len() == 5, "{json}");
    assert_eq!(json["target"], classes[0]);
    let bytes = fs::read(place.path("exact.safetensors")).unwrap();
    let exact = SafeTensors::deserialize(&bytes).unwrap();
    let value = f32::from_le_bytes(exact.tensor("value").unwrap().data().try_into().unwrap());
    assert!((json["value"].as_f64().unwrap() as f32 - value).abs() <= 1e-4 * value.abs(), "{json}");
    assert!(json["residual"].as_f64().unwrap() < 1e-4, "{json}");
    let label = json["target"]["label"].as_str().unwrap();
    assert!(stdout.starts_with(&format!("p.png: {label} ")) && stdout.ends_with("; out/deep/p.overlay.png\n"), "{stdout}");
}

#[test]
fn every_format_becomes_an_upright_overlay() {
    let place = Scratch::new();
    let rgb = picture(2);
    let (width, height) = (WIDTH as u32, HEIGHT as u32);
    // EXIF (TIFF, little-endian) that says orientation 6: to be turned by a quarter.
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([6, 0, 0, 0, 0, 0, 0, 0]);
    let mut jpeg = JpegEncoder::new_with_quality(fs::File::create(place.path("turned.jpg")).unwrap(), 95);
    jpeg.set_exif_metadata(exif).unwrap();
    jpeg.write_image(&rgb, width, height, ExtendedColorType::Rgb8).unwrap();
    let webp = WebPEncoder::new_lossless(fs::File::create(place.path("web.webp")).unwrap());
    webp.write_image(&rgb, width, height, ExtendedColorType::Rgb8).unwrap();
    write_png(&place.path("grey16.png"), &rgb[..2 * WIDTH * HEIGHT], ExtendedColorType::L16);
    // The content says what it is, not the name.
    place.png("misnamed.jpg", &rgb);

    let (code, stdout, stderr) = place.explain(&["turned.jpg", "web.webp", "grey16.png", "misnamed.jpg", "-o", "out"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    for (name, size) in [("turned", (33, 37)), ("web", (37, 33)), ("grey16", (37, 33)), ("misnamed", (37, 33))] {
        let overlay = image::open(place.path(&format!("out/{name}.overlay.png"))).unwrap();
        assert_eq!((overlay.width(), overlay.height()), size, "{name}");
        let json = place.json(&format!("out/{name}.json"));
        assert_eq!((&json["width_px"], &json["height_px"]), (&size.0.into(), &size.1.into()), "{name}");
        assert_eq!(place.map(&format!("out/{name}.map.safetensors")).0, [1, 1, HEIGHT, WIDTH], "{name}");
    }
    assert_eq!(fs::read_dir(place.path("out")).unwrap().count(), 12, "no part file is left");
    assert_close(&place.map("out/web.map.safetensors").1, &place.map("out/misnamed.map.safetensors").1, 2e-3);
}

#[test]
fn the_target_is_the_one_that_is_asked_for() {
    let place = Scratch::new();
    place.png("p.png", &picture(3));
    for (target, index) in [("dog", 3), ("5", 5)] {
        assert_eq!(place.explain(&["p.png", "-o", target, "--target", target]).0, 0);
        assert_eq!(place.json(&format!("{target}/p.json"))["target"]["index"], index);
    }
    for (target, wanted) in [("cow", "none of the network's 7 labels"), ("7", "has 7 classes")] {
        let (code, _, stderr) = place.explain(&["p.png", "-o", "none", "--target", target]);
        assert_eq!(code, 2);
        assert!(stderr.contains(wanted), "{stderr}");
    }
    assert!(!place.path("none").exists(), "nothing is made before the options are known to be right");
}

#[test]
fn the_look_is_the_one_that_is_asked_for() {
    let place = Scratch::new();
    let rgb = picture(4);
    place.png("p.png", &rgb);
    assert_eq!(place.explain(&["p.png", "-o", "side", "--layout", "side"]).0, 0);
    let side = image::open(place.path("side/p.overlay.png")).unwrap().into_rgb8();
    assert_eq!((side.width() as usize, side.height() as usize), (2 * WIDTH, HEIGHT));
    let left: Vec<u8> = side.rows().flat_map(|row| row.take(WIDTH).flat_map(|pixel| pixel.0).collect::<Vec<_>>()).collect();
    assert_eq!(left, rgb, "the picture is untouched at the left");
    assert_eq!(place.explain(&["p.png", "-o", "bare", "--opacity", "0"]).0, 0);
    assert_eq!(image::open(place.path("bare/p.overlay.png")).unwrap().into_rgb8().into_raw(), rgb, "an opacity of 0 shows nothing");
    assert_eq!(place.explain(&["p.png", "-o", "map", "--layout", "map"]).0, 0);
    assert_ne!(image::open(place.path("map/p.overlay.png")).unwrap().into_rgb8().into_raw(), rgb);
}

#[test]
fn methods_are_compared_on_a_sheet() {
    let place = Scratch::new();
    for seed in [20, 21, 22] {
        place.png(&format!("p{seed}.png"), &picture(seed));
    }
    fs::write(place.path("broken.png"), "no picture").unwrap();
    let pictures = ["p20.png", "broken.png", "p21.png", "p22.png"];
    let own = ["-o", "out", "--methods", "gradient,fullgrad,grad-cam", "--method", "input-x-gradient", "--batch", "2"];
    let (code, stdout, stderr) = place.explain(&[&pictures[..], &own].concat());
    assert_eq!(code, 65, "{stderr}");
    assert!(stdout.lines().all(|line| line.contains("input-x-gradient, residual") && line.ends_with(".methods.png")), "{stdout}");
    assert_eq!(fs::read_dir(place.path("out")).unwrap().count(), 3 * 4);
    let sheet = |name: &str| image::open(place.path(name)).unwrap().into_rgb8();
    let first = sheet("out/p20.methods.png");
    // Four panels in two columns, each enlarged to 256 columns.
    assert_eq!(first.width(), 2 * 256 + 3 * 8);
    assert_ne!(first, sheet("out/p21.methods.png"));
    for name in ["p20", "p21", "p22"] {
        // The method that explains is the one of the other results.
        let alone = ["-o", "alone", "--method", "input-x-gradient"];
        assert_eq!(place.explain(&[&[format!("{name}.png").as_str()], &alone[..]].concat()).0, 0);
        assert_eq!(place.json(&format!("out/{name}.json"))["method"], "input-x-gradient");
        let (together, alone) = (place.map(&format!("out/{name}.map.safetensors")), place.map(&format!("alone/{name}.map.safetensors")));
        assert_close(&together.1, &alone.1, 2e-3);
    }
    // A sheet of one picture is the same whatever else is compared with it, panel by panel.
    assert_eq!(place.explain(&["p20.png", "-o", "one", "--methods", "gradient"]).0, 0);
    let one = sheet("one/p20.methods.png");
    let panel = |sheet: &image::RgbImage, x: u32| image::imageops::crop_imm(sheet, x, 8, 256, 228).to_image();
    for x in [8, 8 + 256 + 8] {
        assert_eq!(panel(&one, x), panel(&first, x));
    }
    let (code, _, stderr) = place.explain(&["p20.png", "-o", "one", "--methods", "all"]);
    assert_eq!(code, 2, "{stderr}");
    fs::remove_dir_all(place.path("one")).unwrap();
    fs::create_dir(place.path("one")).unwrap();
    fs::write(place.path("one/p20.methods.png"), "kept").unwrap();
    let (code, _, stderr) = place.explain(&["p20.png", "-o", "one", "--methods", "all"]);
    assert_eq!((code, fs::read(place.path("one/p20.methods.png")).unwrap()), (2, b"kept".to_vec()), "{stderr}");
    assert_eq!(place.explain(&["p20.png", "-o", "one", "--methods", "all", "--force", "--samples", "2", "--steps", "2"]).0, 0);
    assert_eq!(sheet("one/p20.methods.png").width(), 3 * 256 + 4 * 8);
}

#[test]
fn order_is_kept_over_batches() {
    let place = Scratch::new();
    let names: Vec<String> = (0..7).map(|index| format!("p{index}.png")).collect();
    for (index, name) in names.iter().enumerate() {
        place.png(name, &picture(10 + index as u64));
    }
    fs::write(place.path("p3.png"), "no picture").unwrap();
    let mut arguments = vec!["-o", "together", "--batch", "3"];
    arguments.extend(names.iter().map(String::as_str));
    let (code, stdout, stderr) = place.explain(&arguments);
    assert_eq!(code, 65, "{stdout}{stderr}");
    let told: Vec<&str> = stdout.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(told, ["p0.png", "p1.png", "p2.png", "p4.png", "p5.png", "p6.png"]);
    for index in [0, 2, 4, 6] {
        let name = format!("p{index}.png");
        assert_eq!(place.explain(&[&name, "-o", "alone"]).0, 0);
        let (together, alone) = (format!("together/p{index}.map.safetensors"), format!("alone/p{index}.map.safetensors"));
        assert_close(&place.map(&together).1, &place.map(&alone).1, 2e-3);
        let value = |folder: &str| place.json(&format!("{folder}/p{index}.json"))["value"].as_f64().unwrap();
        assert!((value("together") - value("alone")).abs() < 2e-3 * value("alone").abs());
    }
}

#[test]
fn one_broken_picture_does_not_stop_the_others() {
    let place = Scratch::new();
    place.png("good.png", &picture(5));
    fs::write(place.path("broken.jpg"), "no picture at all").unwrap();
    let whole = fs::read(place.path("good.png")).unwrap();
    fs::write(place.path("short.png"), &whole[..whole.len() / 2]).unwrap();
    let (code, stdout, stderr) = place.explain(&["broken.jpg", "absent.png", "short.png", "good.png", "-o", "out"]);
    assert_eq!(code, 65, "{stderr}");
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    let lines: Vec<&str> = stderr.lines().filter(|line| line.starts_with("gradcast: ")).collect();
    let starts = ["gradcast: broken.jpg: is not a PNG", "gradcast: absent.png: there is no such file", "gradcast: short.png: is"];
    assert!(lines.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{stderr}");
    assert_eq!(lines[3..], ["gradcast: 3 of 4 pictures could not be read; the lines above say why, and the others are explained"]);
    assert_eq!(fs::read_dir(place.path("out")).unwrap().count(), 3, "results of the good one only");

    let (code, _, stderr) = place.explain(&["absent.png", "good.png", "-o", "out2"]);
    assert_eq!(code, 66, "only absent ones went wrong: {stderr}");
    let (code, _, stderr) = place.explain(&["absent.png", "-o", "out3"]);
    assert_eq!((code, stderr.lines().next()), (66, Some("gradcast: absent.png: there is no such file")));
    let (code, _, stderr) = place.explain(&["out", "-o", "out4"]);
    assert_eq!(code, 66);
    assert!(stderr.contains("is a folder"), "{stderr}");
}

#[test]
fn what_is_there_is_refused_before_anything_is_computed() {
    let place = Scratch::new();
    place.png("a.png", &picture(6));
    place.png("b.png", &picture(7));
    fs::create_dir(place.path("out")).unwrap();
    fs::write(place.path("out/b.json"), "kept").unwrap();
    let (code, stdout, stderr) = place.explain(&["a.png", "b.png", "-o", "out"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("b.json: is there already") && stderr.contains("--force"), "{stderr}");
    assert_eq!(fs::read_dir(place.path("out")).unwrap().count(), 1);
    assert_eq!(fs::read(place.path("out/b.json")).unwrap(), b"kept");
    assert_eq!(place.explain(&["a.png", "b.png", "-o", "out", "--force"]).0, 0);
    assert_eq!(place.json("out/b.json")["picture"], "b.png");

    fs::copy(place.path("a.png"), place.path("out/a.png")).unwrap();
    let (code, _, stderr) = place.explain(&["a.png", "out/a.png", "-o", "new"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("a.png and out/a.png would both become new/a.overlay.png"), "{stderr}");
    let (code, _, stderr) = place.explain(&["a.png", "-o", "b.png"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("b.png: this folder cannot be made"), "{stderr}");
}

#[test]
fn a_network_without_preprocessing_is_refused_for_pictures() {
    let place = Scratch::new();
    place.png("p.png", &picture(8));
    fs::remove_file(place.path("net.toml")).unwrap();
    let explain = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradcast"));
        command.current_dir(place.folder.path()).args(["explain", "p.png", "-o", "out", "--model", "net.onnx"]).args(more);
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, stderr) = explain(&[]);
    assert_eq!(code, 2);
    assert!(stderr.contains("inspect --model net.onnx --write-manifest"), "{stderr}");
    let (code, stderr) = explain(&["--colour", "bgr", "--mean", "0.5", "--std", "0.25"]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(place.json("out/p.json")["target"]["label"].as_str().map(|label| label.parse::<usize>().is_ok()), Some(true));
}
