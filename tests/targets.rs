//! What is explained, through the program: what a network ends in, the sum of the largest, dense heads, and what reports say of them.

#![allow(clippy::unwrap_used)]

mod onnx_files;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use gradcast::tensor_file::{self, Elements, PlainTensor};
use image::RgbImage;
use onnx_files::{chain, ints, node, value};
use safetensors::SafeTensors;
use serde_json::Value;

const SIDE: usize = 16;

/// A folder with networks of three classes that are the means of the three channels.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    /// `cells` has its means in each of 4 x 4 cells; the others end as they are called.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = [value("x", 1, &[1, 3, 16, 16])];
        let pool = [node("AveragePool", "", &["x"], "y"), ints("kernel_shape", &[4, 4]), ints("strides", &[4, 4])].concat();
        fs::write(folder.path().join("cells.onnx"), chain(std::slice::from_ref(&pool), &image, &["y"])).unwrap();
        let likely = [pool, node("Sigmoid", "", &["y"], "z")];
        fs::write(folder.path().join("likely.onnx"), chain(&likely, &image, &["z"])).unwrap();
        for ending in ["Softmax", "LogSoftmax", "Sigmoid"] {
            let nodes = [
                node("GlobalAveragePool", "", &["x"], "means"),
                node("Flatten", "", &["means"], "scores"),
                node(ending, "", &["scores"], "y"),
            ];
            fs::write(folder.path().join(format!("{ending}.onnx")), chain(&nodes, &image, &["y"])).unwrap();
        }
        let several = [node("GlobalAveragePool", "", &["x"], "means"), node("Relu", "", &["x"], "dense")];
        fs::write(folder.path().join("several.onnx"), chain(&several, &image, &["means", "dense"])).unwrap();
        fs::write(folder.path().join("labels.txt"), "red\ngreen\nblue\n").unwrap();
        Scratch { folder }
    }

    /// NETWORK.toml, with these lines under [output].
    fn manifest(&self, network: &str, output: &str) {
        let text = format!(
            "file = '{network}.onnx'\n[input]\ncolour = 'rgb'\nlayout = 'nchw'\nmean = [0]\nstd = [1]\n[output]\nlabels = 'labels.txt'\n{output}\n"
        );
        fs::write(self.folder.path().join(format!("{network}.toml")), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradcast"));
        let Output { status, stdout, stderr } = command.current_dir(self.folder.path()).args(arguments).output().unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// The numbers of `explain --tensor` in f64, of images of these elements.
    fn numbers(&self, network: &str, images: &[Vec<f32>], more: &[&str]) -> impl Fn(&str) -> Vec<f64> + use<> {
        let shape = vec![images.len(), 3, SIDE, SIDE];
        let input = PlainTensor { shape, elements: Elements::F32(images.concat()) };
        tensor_file::write(&self.folder.path().join("in.safetensors"), &[("input", input)]).unwrap();
        let files = ["--tensor", "in.safetensors", "--save", "out.safetensors", "--precision", "f64", "--force", "--model", network];
        let (code, _, stderr) = self.run(&[&["explain"][..], &files, more].concat());
        assert_eq!((code, stderr.as_str()), (0, ""));
        let bytes = fs::read(self.folder.path().join("out.safetensors")).unwrap();
        move |key| {
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let number = |b: &[u8]| -> f64 {
                if key == "target" { i64::from_le_bytes(b.try_into().unwrap()) as f64 } else { f64::from_le_bytes(b.try_into().unwrap()) }
            };
            file.tensor(key).unwrap().data().chunks_exact(8).map(number).collect()
        }
    }

    /// The report of `explain` on a picture.
    fn report(&self, network: &str, picture: &RgbImage, more: &[&str]) -> Value {
        picture.save(self.folder.path().join("p.png")).unwrap();
        let own = ["explain", "p.png", "-o", "out", "--force", "--precision", "f32", "--model", network];
        let (code, _, stderr) = self.run(&[&own[..], more].concat());
        assert_eq!(code, 0, "{stderr}");
        serde_json::from_slice(&fs::read(self.folder.path().join("out/p.json")).unwrap()).unwrap()
    }
}

/// An image whose channels are these numbers everywhere.
fn flat(channels: [f32; 3]) -> Vec<f32> {
    channels.iter().flat_map(|&channel| [channel; SIDE * SIDE]).collect()
}

/// A black picture with red in the upper left cell, a little less green in the last two, and no blue.
fn patches() -> RgbImage {
    RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| match (x / 4, y / 4) {
        (0, 0) => image::Rgb([255, 0, 0]),
        (2 | 3, 3) => image::Rgb([0, 204, 0]),
        _ => image::Rgb([0, 0, 0]),
    })
}

const CELLS: &str = "[output.cells]\naxis = 1\nclasses = 0";

fn close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6), "{a:?} for {b:?}");
}

#[test]
fn a_final_softmax_is_taken_off_and_a_sigmoid_stays_unless_the_manifest_says_otherwise() {
    let place = Scratch::new();
    let scores = [0.5f64, 2.0, 1.0];
    let image = [flat(scores.map(|score| score as f32))];
    let sum: f64 = scores.iter().map(|score| score.exp()).sum();
    let softmax = scores.map(|score| score.exp() / sum);
    let sigmoid = scores.map(|score| 1.0 / (1.0 + (-score).exp()));
    for (ending, asked, wanted) in [
        ("Softmax", "", scores),
        ("Softmax", "final = 'off'", scores),
        ("Softmax", "final = 'keep'", softmax),
        ("LogSoftmax", "", scores),
        ("LogSoftmax", "final = 'keep'", softmax.map(f64::ln)),
        ("Sigmoid", "", sigmoid),
        ("Sigmoid", "final = 'keep'", sigmoid),
        ("Sigmoid", "final = 'off'", scores),
    ] {
        place.manifest(ending, asked);
        let numbers = place.numbers(&format!("{ending}.toml"), &image, &[]);
        close(&numbers("logits"), &wanted);
        close(&numbers("value"), &wanted[1..2]);
        assert_eq!(numbers("target"), [1.0]);
        assert!(numbers("residual")[0] < 1e-9, "{ending} {asked}: {:?}", numbers("residual"));
        // Whatever is explained, the probabilities are those of the file's last operator.
        let picture = RgbImage::from_pixel(SIDE as u32, SIDE as u32, image::Rgb([51, 204, 102]));
        let report = place.report(&format!("{ending}.toml"), &picture, &[]);
        let scores = [0.2f64, 0.8, 0.4];
        let sum: f64 = scores.iter().map(|score| score.exp()).sum();
        let wanted = if ending == "Sigmoid" { 1.0 / (1.0 + (-0.8f64).exp()) } else { 0.8f64.exp() / sum };
        // f32 explains a kept LogSoftmax too: softmax of it is softmax.
        close(&[report["target"]["probability"].as_f64().unwrap()], &[wanted]);
        let (_, text, _) = place.run(&["inspect", "--model", &format!("{ending}.toml")]);
        let kept = asked.contains("keep") || (ending == "Sigmoid" && asked.is_empty());
        assert!(text.contains(&format!("note: final {ending} \"the_node\" {}", if kept { "kept" } else { "taken off" })), "{text}");
    }
}

#[test]
fn the_sum_of_the_largest_has_no_index() {
    let place = Scratch::new();
    place.manifest("Softmax", "");
    let images = [flat([0.5, 2.0, 1.0]), flat([3.0, -1.0, -2.0])];
    let numbers = place.numbers("Softmax.toml", &images, &["--target", "topk:2"]);
    close(&numbers("value"), &[3.0, 2.0]);
    assert_eq!(numbers("target"), [-1.0, -1.0]);
    assert!(numbers("residual").iter().all(|residual| *residual < 1e-9));
    let (code, _, stderr) = place.run(&["explain", "p.png", "-o", "out", "--model", "Softmax.toml", "--target", "topk:4"]);
    assert!(code == 2 && stderr.contains("topk:4: the network has 3 classes"), "{stderr}");
    let report = place.report("Softmax.toml", &patches(), &["--target", "topk:3"]);
    assert_eq!((&report["target"]["label"], &report["target"]["index"]), (&"top 3".into(), &(-1).into()));
    close(&[report["target"]["probability"].as_f64().unwrap()], &[1.0]);
}

#[test]
fn a_dense_head_s_classes_are_their_best_cells() {
    let place = Scratch::new();
    place.manifest("cells", CELLS);
    let best = place.report("cells.toml", &patches(), &[]);
    let label = |class: &Value| class["label"].as_str().unwrap().to_owned();
    assert_eq!(best["classes"].as_array().unwrap().iter().map(label).collect::<Vec<_>>(), ["red", "green", "blue"]);
    close(&[best["classes"][0]["probability"].as_f64().unwrap(), best["value"].as_f64().unwrap()], &[1.0, 1.0]);
    assert_eq!(best["target"], best["classes"][0]);
    for target in ["green", "cell:green", "cell:1", "1"] {
        let green = place.report("cells.toml", &patches(), &["--target", target]);
        assert_eq!((&green["target"]["label"], &green["target"]["index"]), (&"green".into(), &1.into()));
        close(&[green["value"].as_f64().unwrap()], &[0.8]);
    }
    let above = place.report("cells.toml", &patches(), &["--target", "cells:green:0.5"]);
    assert_eq!((&above["target"]["label"], &above["target"]["cells"]), (&"cells of green above 0.5".into(), &2.into()));
    close(&[above["value"].as_f64().unwrap(), above["residual"].as_f64().unwrap()], &[1.6, 0.0]);
    // In the manifest the same words do.
    place.manifest("cells", &format!("target = 'cells:blue:0.5'\n{CELLS}"));
    let none = place.report("cells.toml", &patches(), &[]);
    assert_eq!((&none["target"]["cells"], &none["value"], &none["residual"]), (&0.into(), &0.0.into(), &0.0.into()));
    assert_eq!(none["fault"], Value::Null);
}

#[test]
fn only_the_cell_that_is_explained_is_in_the_map() {
    let place = Scratch::new();
    place.manifest("cells", CELLS);
    let ones = [flat([1.0; 3])];
    let lit = |target: &str| -> Vec<usize> {
        let map = place.numbers("cells.toml", &ones, &["--target", target])("map");
        assert_eq!(map.len(), SIDE * SIDE);
        (0..map.len()).filter(|&at| map[at] > 0.0).collect()
    };
    let first: Vec<usize> = (0..SIDE * SIDE).filter(|at| at / SIDE < 4 && at % SIDE < 4).collect();
    assert_eq!(lit("cell:blue"), first, "all cells are alike: the first in row-major order");
    // With an objectness the product's own bias closes the decomposition.
    place.manifest("cells", "[output.cells]\naxis = 1\nclasses = 1\nobjectness = 0\n");
    let image = [flat([0.5, 2.0, 3.0])];
    for (target, value) in [("argmax", 1.5), ("cells:0:0.9", 16.0), ("topk:2", 2.5)] {
        let numbers = place.numbers("cells.toml", &image, &["--target", target, "--terms", "terms.csv"]);
        close(&numbers("value"), &[value]);
        close(&[numbers("input_term")[0], numbers("bias_term_total")[0]], &[2.0 * value, -value]);
        assert!(numbers("residual")[0] < 1e-9);
        let text = fs::read_to_string(place.folder.path().join("terms.csv")).unwrap();
        let last: Vec<&str> = text.lines().last().unwrap().split(',').collect();
        assert_eq!(last[..4], ["0", "target", "Mul", "no"]);
        close(&[last[4].parse().unwrap()], &[-value]);
    }
}

#[test]
fn outputs_that_are_not_what_is_asked_are_refused() {
    let place = Scratch::new();
    patches().save(place.folder.path().join("p.png")).unwrap();
    let refused = |model: &str, more: &[&str], code: i32, part: &str| {
        let own = ["explain", "p.png", "-o", "none", "--colour", "rgb", "--mean", "0", "--std", "1", "--model", model];
        let (found, _, stderr) = place.run(&[&own[..], more].concat());
        assert_eq!(found, code, "{model} {more:?}: {stderr}");
        assert!(stderr.contains(part), "{model} {more:?}: {stderr}");
        assert!(!place.folder.path().join("none").exists());
    };
    refused("cells.onnx", &[], 65, "[output.cells]");
    refused("several.onnx", &[], 65, "several outputs (means, dense)");
    refused("several.onnx", &["--output", "dense"], 65, "(N, K)");
    refused("several.onnx", &["--output", "means", "--target", "cell:0"], 2, "has no cells");
    for (cells, code, part) in [
        ("axis = 1\nclasses = 3", 78, "no 1 classes from channel 3"),
        ("axis = 1\nclasses = 1\ncount = 3", 78, "no 3 classes from channel 1"),
        ("axis = 4\nclasses = 0", 78, "no axis 4"),
        ("axis = 0\nclasses = 0", 78, "axis 0 is the batch"),
        ("axis = 1\nclasses = 0\nobjectness = 2", 78, "objectness = 2"),
    ] {
        place.manifest("cells", &format!("[output.cells]\n{cells}"));
        refused("cells.toml", &[], code, part);
    }
    place.manifest("likely", "final = 'off'\n[output.cells]\naxis = 1\nclasses = 1\nobjectness = 0");
    refused("likely.toml", &[], 78, "output.final = \"keep\"");
    place.manifest("Softmax", CELLS);
    refused("Softmax.toml", &[], 78, "has no cells");
    place.manifest("cells", CELLS);
    refused("cells.toml", &["--target", "cells:grene:0.5"], 2, "perhaps 1 \"green\"");
    refused("cells.toml", &["--target", "cell:3"], 2, "3 classes");
    // One of several outputs is explained where it is named; axes of size one behind the classes do not matter.
    let own = ["explain", "p.png", "-o", "out", "--colour", "rgb", "--mean", "0", "--std", "1", "--model", "several.onnx"];
    let (code, stdout, _) = place.run(&[&own[..], &["--output", "means"]].concat());
    assert!(code == 0 && stdout.contains("p.png: 1 "), "{stdout}");
}

#[test]
fn cells_that_end_in_a_sigmoid_are_probabilities() {
    let place = Scratch::new();
    let sigmoid = |score: f64| 1.0 / (1.0 + (-score).exp());
    place.manifest("likely", "[output.cells]\naxis = 1\nclasses = 1\nobjectness = 0");
    let kept = place.report("likely.toml", &patches(), &["--target", "cell:0"]);
    // Class 0 is green and red the objectness: the red cell without green, 0.73 x 0.5, is before the green one without red, 0.5 x 0.69.
    let wanted = sigmoid(1.0) * sigmoid(0.0);
    close(&[kept["value"].as_f64().unwrap(), kept["target"]["probability"].as_f64().unwrap()], &[wanted, wanted]);
    assert!(kept["residual"].as_f64().unwrap() < 1e-5);
    place.manifest("likely", "final = 'off'\n[output.cells]\naxis = 1\nclasses = 0");
    let off = place.report("likely.toml", &patches(), &["--target", "cell:1"]);
    close(&[off["value"].as_f64().unwrap(), off["target"]["probability"].as_f64().unwrap()], &[0.8, sigmoid(0.8)]);
}

#[test]
fn a_dense_network_s_manifest_is_left_to_fill_in() {
    let place = Scratch::new();
    let own = ["inspect", "--model", "cells.onnx", "--write-manifest", "--colour", "rgb", "--mean", "0", "--std", "1"];
    let (code, stdout, _) = place.run(&own);
    assert_eq!((code, stdout.as_str()), (0, "cells.toml: written; fill in output.cells before it is used\n"));
    let path = place.folder.path().join("cells.toml");
    let text = fs::read_to_string(&path).unwrap();
    let filled: Vec<&str> = text
        .lines()
        .map(|line| match line.split(' ').next() {
            Some("axis") => "axis = 1",
            Some("classes") => "classes = 0",
            _ => line,
        })
        .collect();
    assert_eq!(place.run(&["bench", "--model", "cells.toml"]).0, 78);
    fs::write(&path, filled.join("\n")).unwrap();
    let (_, text, _) = place.run(&["inspect", "--model", "cells.toml"]);
    assert!(text.contains("cells: channels on axis 1, all classes from 0, no objectness"), "{text}");
    assert_eq!(place.report("cells.toml", &patches(), &["--target", "cell:0"])["target"]["index"], 0);
}

#[test]
fn the_terms_add_up_to_the_value() {
    let place = Scratch::new();
    let network = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/onnx_read/mobile_relu6.onnx");
    let (_, facts, _) = place.run(&["inspect", "--json", "--model", network.to_str().unwrap()]);
    let facts: Value = serde_json::from_str(&facts).unwrap();
    let shape: Vec<usize> = facts["input"]["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap_or(3) as usize).collect();
    let elements: Vec<f32> = (0..shape.iter().product()).map(|i: usize| (i * 7919 % 1009) as f32 / 504.5 - 1.0).collect();
    let input = PlainTensor { shape, elements: Elements::F32(elements) };
    tensor_file::write(&place.folder.path().join("in.safetensors"), &[("input", input)]).unwrap();
    for (precision, bound) in [("f64", 1e-9), ("f32", 1e-4)] {
        let files = ["--tensor", "in.safetensors", "--save", "out.safetensors", "--precision", precision, "--terms", "terms.csv"];
        let (code, _, stderr) =
            place.run(&[&["explain", "--force", "--batch", "2", "--model", network.to_str().unwrap()], &files[..]].concat());
        assert_eq!((code, stderr.as_str()), (0, ""));
        let bytes = fs::read(place.folder.path().join("out.safetensors")).unwrap();
        let value = SafeTensors::deserialize(&bytes).unwrap().tensor("value").unwrap().data().to_vec();
        let value: Vec<f64> = match precision {
            "f64" => value.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            _ => value.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
        };
        let text = fs::read_to_string(place.folder.path().join("terms.csv")).unwrap();
        let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len() as u64, 3 * facts["terms"].as_u64().unwrap(), "a line an image and term");
        for (image, value) in value.iter().enumerate() {
            let own = || rows.iter().filter(|row| row[0] == image.to_string());
            let sum = |column: usize| own().map(|row| row[column].parse::<f64>().unwrap()).sum::<f64>();
            assert!((sum(4) - value).abs() <= bound * value.abs(), "image {image} in {precision}: {} for {value}", sum(4));
            assert!((sum(5) - 1.0).abs() < 1e-9, "shares of the magnitudes");
            assert_eq!(own().filter(|row| row[3] == "yes").count() as u64, facts["map_terms"].as_u64().unwrap());
        }
        let chart = image::open(place.folder.path().join("terms.png")).unwrap();
        assert!(chart.width() > 600 && chart.height() > 100);
    }
}
