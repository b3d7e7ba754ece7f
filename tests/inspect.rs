//! `gradcast inspect` through the program: the table, JSON, the list of operators, and manifests that are written.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use gradcast::network::load::{LoadOptions, load};
use gradcast::network::op::Place;
use gradcast::network::ops::ONNX;
use gradcast::network::plan::{Plan, term_places};
use gradcast::network::{manifest, onnx};
use serde_json::Value;
use tch::{Device, Kind};

fn seed(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/onnx_read").join(name)
}

/// A folder with net.onnx: three channels, 33 rows, 37 columns, seven classes.
fn scratch() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(seed("squeeze_fire.onnx"), folder.path().join("net.onnx")).unwrap();
    folder
}

fn gradcast(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradcast"));
    let Output { status, stdout, stderr } = command.current_dir(folder).args(arguments).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn json(folder: &Path, model: &str) -> Value {
    let (code, stdout, stderr) = gradcast(folder, &["inspect", "--model", model, "--json"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn the_default_network_s_numbers() {
    let folder = scratch();
    let facts = json(folder.path(), "efficientnet_lite0");
    // Published: 4.65 M parameters and 0.39 GMAC; folding BatchNorm takes the first below. The file's constants have 66 elements more,
    // bounds of Clip and the like.
    assert_eq!(facts["parameters"], 4_631_000);
    let macs = facts["macs"].as_u64().unwrap();
    assert!((380_000_000..400_000_000).contains(&macs), "{macs}");
    assert_eq!(facts["gflops"].as_f64().unwrap(), 2.0 * macs as f64 / 1e9);
    assert_eq!(facts["input"]["shape"], serde_json::json!([null, 3, 224, 224]));
    assert_eq!(facts["output"]["labels"], 1000);
    assert_eq!(facts["manifest"]["licence"], "Apache-2.0");
    let nodes = facts["nodes"].as_array().unwrap();
    let sum = |key: &str| nodes.iter().map(|node| node[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("parameters"), sum("macs")), (facts["parameters"].as_u64().unwrap(), macs), "the totals are those of the nodes");
    let terms = nodes.iter().filter(|node| !node["term"].is_null()).count();
    assert_eq!((&facts["terms"], &nodes[0]["term"]), (&terms.into(), &"input".into()));
    assert!(facts["map_terms"].as_u64().unwrap() < terms as u64, "the classifier's bias is not in the map");
}

#[test]
fn the_table_names_every_node_and_the_totals() {
    let folder = scratch();
    let (code, text, stderr) = gradcast(folder.path(), &["inspect", "--model", "net.onnx"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let facts = json(folder.path(), "net.onnx");
    let (_, table) = text.split_once("\n\n").unwrap();
    for node in facts["nodes"].as_array().unwrap() {
        let line = table.lines().find(|line| line.split_whitespace().next() == node["name"].as_str()).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1], node["op"].as_str().unwrap(), "{line}");
        assert_eq!(*words.last().unwrap(), if node["spatial"] == true { "yes" } else { "no" }, "{line}");
    }
    assert!(text.contains("input     input (N, 3, 33, 37)\n"), "{text}");
    assert!(text.contains("manifest  none"), "{text}");
    assert!(text.contains("\n7 nodes, 287 parameters, "), "{text}");
    assert!(text.contains(&format!("\n{} terms, the input's among them; {} of them are in the map", facts["terms"], facts["map_terms"])));
}

#[test]
fn the_terms_are_those_of_the_plan() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/efficientnet_lite0.onnx");
    for file in [seed("squeeze_fire.onnx"), seed("mobile_relu6.onnx"), models] {
        let graph = onnx::read_file(&file, &onnx::Limits::default()).unwrap();
        let network = load(&graph, &LoadOptions::default()).unwrap();
        for kind in [Kind::Float, Kind::Double] {
            let plan = Plan::new(&network, Place { device: Device::Cpu, kind }).unwrap();
            let wanted: Vec<bool> = plan.sites().iter().map(|site| site.layout.is_some()).collect();
            let found: Vec<bool> = term_places(&network).iter().filter(|place| place.term).map(|place| place.spatial).collect();
            assert_eq!(found, wanted, "{}", file.display());
        }
    }
}

#[test]
fn operators_are_listed_without_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text, _) = gradcast(folder.path(), &["inspect", "--ops", "--model", "absent.onnx"]);
    assert_eq!(code, 0);
    assert_eq!(text.lines().collect::<Vec<_>>(), ONNX.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let (_, text, _) = gradcast(folder.path(), &["inspect", "--ops", "--json"]);
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list["operators"].as_array().unwrap().len(), ONNX.len());
}

const PREPARED: [&str; 6] = ["--colour", "bgr", "--mean", "0.1,0.2,0.3", "--std", "0.5"];

#[test]
fn a_manifest_with_all_that_is_needed_can_be_used_at_once() {
    let folder = scratch();
    let write = |more: &[&str]| gradcast(folder.path(), &[&["inspect", "--model", "net.onnx", "--write-manifest"], more].concat());
    assert_eq!(write(&PREPARED), (0, "net.toml: written\n".to_owned(), String::new()));
    let written = manifest::Manifest::read(&folder.path().join("net.toml")).unwrap();
    written.verify().unwrap();
    assert!(written.sha256.is_some());
    assert_eq!((written.input.colour, written.input.size), (manifest::Colour::Bgr, None), "the network fixes its size");
    assert_eq!((written.input.mean, written.input.std), (vec![0.1, 0.2, 0.3], vec![0.5]));
    let (code, _, stderr) = write(&PREPARED);
    assert_eq!(code, 2);
    assert!(stderr.contains("net.toml: is there already; --force"), "{stderr}");
    assert_eq!(write(&[&PREPARED[..], &["--force", "--fit", "crop"]].concat()).0, 0);
    let written = manifest::Manifest::read(&folder.path().join("net.toml")).unwrap();
    assert_eq!(written.input.fit, manifest::Fit::Crop);
    assert_eq!(json(folder.path(), "net.onnx")["manifest"]["input"]["colour"], "bgr", "the manifest beside the file is taken");
}

#[test]
fn a_manifest_names_the_labels_that_fit() {
    let folder = scratch();
    let write = |labels: &str| {
        let named = ["inspect", "--model", "net.onnx", "--write-manifest", "--force", "--labels", labels];
        gradcast(folder.path(), &[&named[..], &PREPARED].concat())
    };
    let (code, _, stderr) = write("names.txt");
    assert_eq!((code, stderr.contains("--labels names.txt: cannot be read")), (66, true), "{stderr}");
    let classes = load_classes(folder.path());
    let names: Vec<String> = (0..classes).map(|class| format!("class {class}")).collect();
    std::fs::write(folder.path().join("names.txt"), names[1..].join("\n")).unwrap();
    let (code, _, stderr) = write("names.txt");
    let wanted = format!("has {} lines, and the network {classes} classes", classes - 1);
    assert_eq!((code, stderr.contains(&wanted)), (65, true), "{stderr}");
    std::fs::write(folder.path().join("names.txt"), names.join("\n")).unwrap();
    assert_eq!(write("names.txt").0, 0);
    let text = std::fs::read_to_string(folder.path().join("net.toml")).unwrap();
    assert!(text.contains("labels = \"names.txt\"\n"), "{text}");
    let written = manifest::Manifest::read(&folder.path().join("net.toml")).unwrap();
    assert_eq!(written.labels().unwrap().unwrap(), names);
}

fn load_classes(folder: &Path) -> usize {
    let graph = gradcast::network::onnx::read_file(&folder.join("net.onnx"), &Default::default()).unwrap();
    gradcast::network::load::load(&graph, &Default::default()).unwrap().output_shape().iter().product()
}

#[test]
fn a_manifest_that_is_not_filled_in_is_refused() {
    let folder = scratch();
    let write = |more: &[&str]| gradcast(folder.path(), &[&["inspect", "--model", "net.onnx", "--write-manifest"], more].concat());
    assert_eq!(write(&[]), (0, "net.toml: written; fill in colour, mean, std before it is used\n".to_owned(), String::new()));
    let path = folder.path().join("net.toml");
    for (key, filled) in [("colour", "\"rgb\""), ("mean", "[0.5]"), ("std", "[0.5]")] {
        let (code, _, stderr) = gradcast(folder.path(), &["bench", "--model", "net.onnx"]);
        assert_eq!(code, 78, "{key}: {stderr}");
        assert!(stderr.contains("net.toml: line ") && stderr.contains("fill in: "), "{key}: {stderr}");
        let text = fs::read_to_string(&path).unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
        fs::write(&path, text.replace(line, &format!("{key} = {filled}"))).unwrap();
    }
    assert_eq!(json(folder.path(), "net.onnx")["manifest"]["input"]["std"], serde_json::json!([0.5]));
    assert_eq!(write(&["--force", "--mean", "0.5"]).1, "net.toml: written; fill in colour, std before it is used\n");
}

#[test]
fn what_a_manifest_cannot_say_is_refused() {
    let folder = scratch();
    let write = |model: &str, more: &[&str]| gradcast(folder.path(), &[&["inspect", "--model", model, "--write-manifest"], more].concat());
    for (model, more, code, wanted) in [
        ("efficientnet_lite0", &[][..], 2, "--write-manifest wants FILE.onnx"),
        ("absent.onnx", &[], 66, "no such file"),
        ("net.onnx", &["--colour", "grey"], 2, "3 channels, which --colour does not give"),
        ("net.onnx", &["--input-size", "64"], 65, "33 rows, 64 are asked for"),
        ("net.onnx", &["--json"], 2, "cannot be used with"),
        ("free.onnx", &[], 65, "give --input-size"),
    ] {
        // In the file the input's rows and columns are `08` and a number; `12 00` is a name of no letters: a free axis.
        let free = fs::read(folder.path().join("net.onnx")).unwrap();
        let at = free.windows(8).position(|bytes| bytes == b"\x0a\x02\x08\x21\x0a\x02\x08\x25").unwrap();
        let free: Vec<u8> = free
            .iter()
            .enumerate()
            .map(|(i, &b)| {
                if i == at + 2 || i == at + 6 {
                    0x12
                } else if i == at + 3 || i == at + 7 {
                    0
                } else {
                    b
                }
            })
            .collect();
        fs::write(folder.path().join("free.onnx"), free).unwrap();
        let (found, _, stderr) = write(model, more);
        assert_eq!(found, code, "{model} {more:?}: {stderr}");
        assert!(stderr.contains(wanted), "{model} {more:?}: {stderr}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is written");
    }
    assert_eq!(write("free.onnx", &[&PREPARED[..], &["--input-size", "48x40"]].concat()).0, 0);
    let written = manifest::Manifest::read(&folder.path().join("free.toml")).unwrap();
    assert_eq!(written.input.size, Some([48, 40]));
    assert_eq!(json(folder.path(), "free.onnx")["input"]["shape"], serde_json::json!([null, 3, 40, 48]));
}
