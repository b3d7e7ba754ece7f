//! Reading real ONNX files, and the same files damaged.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use gradcast::error::Kind;
use gradcast::network::graph::{Graph, InputDim};
use gradcast::network::onnx::{Limits, read_bytes, read_file};
use proptest::prelude::*;

/// File, nodes, constants and their elements (of what the outputs need), name and shape of the input (0: free), output. From
/// Python's `onnx` package, `Constant` nodes counted as constants.
type Expected = (&'static str, usize, usize, usize, &'static str, [usize; 4], &'static str);

const EXPECTED: [Expected; 15] = [
    ("golden/activations", 21, 18, 1562, "input", [0, 3, 24, 28], "logits"),
    ("golden/convnext_gelu_ln", 35, 27, 2133, "input", [0, 3, 48, 52], "logits"),
    ("golden/dense_concat", 30, 37, 6343, "input", [0, 3, 24, 28], "logits"),
    ("golden/efficient_silu_se", 33, 24, 2935, "input", [0, 3, 40, 44], "logits"),
    ("golden/inception_branches", 26, 20, 3519, "input", [0, 3, 30, 34], "logits"),
    ("golden/mobile_hardswish_se", 28, 24, 2935, "input", [0, 3, 40, 44], "logits"),
    ("golden/mobile_relu6", 10, 16, 733, "input", [0, 3, 40, 44], "logits"),
    ("golden/resnet_relu", 22, 18, 7351, "input", [0, 3, 48, 52], "logits"),
    ("golden/shuffle_split", 77, 52, 447, "input", [0, 3, 32, 36], "logits"),
    ("golden/squeeze_fire", 7, 4, 287, "input", [0, 3, 33, 37], "logits"),
    ("golden/transposed_bn", 13, 18, 1087, "input", [0, 3, 26, 30], "logits"),
    ("golden/transposed_upsample", 11, 10, 809, "input", [0, 3, 24, 28], "logits"),
    ("golden/vgg_bn_bias", 10, 8, 13523, "input", [0, 3, 32, 32], "logits"),
    ("models/efficientnet_lite0", 94, 166, 4_631_066, "image", [0, 3, 224, 224], "logits"),
    ("models/fastestdet", 211, 195, 240_443, "input.1", [1, 3, 352, 352], "758"),
];

/// A file that is handed about beside the checkout, where it is there.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there", path.display());
    None
}

/// What a graph promises, whatever it was read from.
fn check_promises(graph: &Graph) {
    let mut made = vec![false; graph.values.len()];
    for value in graph.inputs.iter().map(|input| input.value).chain(graph.constants.keys().copied()) {
        assert!(!std::mem::replace(&mut made[value], true), "'{}' is made twice", graph.values[value]);
    }
    for constant in graph.constants.values() {
        assert_eq!(constant.shape.iter().product::<usize>(), constant.elements.len());
    }
    for node in &graph.nodes {
        for &input in node.inputs.iter().flatten() {
            assert!(made[input], "'{}' reads '{}' too early", node.name, graph.values[input]);
        }
        for &output in node.outputs.iter().flatten() {
            assert!(!std::mem::replace(&mut made[output], true), "'{}' is made twice", graph.values[output]);
        }
    }
    assert!(!graph.outputs.is_empty());
    assert!(graph.outputs.iter().all(|&output| made[output]));
}

#[test]
fn real_files_are_read() {
    for (name, nodes, constants, elements, input, shape, output) in EXPECTED {
        let Some(path) = shared(&format!("{name}.onnx")) else { continue };
        let graph = read_file(&path, &Limits::default()).unwrap();
        check_promises(&graph);
        assert_eq!(graph.nodes.len(), nodes, "{name}: nodes");
        assert_eq!(graph.constants.len(), constants, "{name}: constants");
        assert_eq!(graph.constants.values().map(|c| c.elements.len()).sum::<usize>(), elements, "{name}: elements");
        let [given] = &graph.inputs[..] else { panic!("{name}: {} inputs", graph.inputs.len()) };
        assert_eq!(graph.values[given.value], input, "{name}");
        let dims = given.shape.as_ref().unwrap().iter().map(|dim| match dim {
            InputDim::Fixed(size) => *size,
            InputDim::Free(name) => {
                assert_eq!(name, "N");
                0
            }
        });
        assert_eq!(dims.collect::<Vec<_>>(), shape, "{name}: shape");
        assert_eq!(graph.outputs.iter().map(|&o| graph.values[o].as_str()).collect::<Vec<_>>(), [output], "{name}");
        assert!(graph.nodes.iter().all(|node| !node.name.is_empty() && node.domain.is_empty()));
    }
}

#[test]
fn absent_and_odd_paths() {
    let folder = tempfile::tempdir().unwrap();
    let error = read_file(&folder.path().join("absent.onnx"), &Limits::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::NoInput);
    assert!(error.to_string().contains("absent.onnx"));
    let error = read_file(folder.path(), &Limits::default()).unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains("not a regular file")), (Kind::Data, true));
    let empty = folder.path().join("empty.onnx");
    std::fs::write(&empty, b"").unwrap();
    let error = read_file(&empty, &Limits::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    std::fs::write(&empty, [0; 11]).unwrap();
    let error = read_file(&empty, &Limits { max_file_bytes: 10, ..Limits::default() }).unwrap_err();
    assert!(error.to_string().ends_with("11 bytes; at most 10 are read"), "{error}");
}

/// The smallest of the seeds that the fuzzer starts from; always there.
fn seed() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/onnx_read/mobile_relu6.onnx")).unwrap()
}

fn read_damaged(bytes: Vec<u8>) {
    match read_bytes(Bytes::from(bytes), None, &Limits::default()) {
        Ok(graph) => check_promises(&graph),
        Err(error) => {
            assert_eq!(error.kind(), Kind::Data);
            assert!(error.to_string().len() > 10, "no sentence: {error}");
        }
    }
}

#[test]
fn every_truncation_is_an_answer() {
    let bytes = seed();
    for length in 0..bytes.len() {
        read_damaged(bytes[..length].to_vec());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_are_an_answer(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = seed();
        for (at, to) in flips {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        read_damaged(bytes);
    }

    #[test]
    fn cut_and_repeated_pieces_are_an_answer(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), repeats in 0_usize..4) {
        let bytes = seed();
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        let (from, to) = (from.min(to), from.max(to));
        let changed = [&bytes[..from], &bytes[from..to].repeat(repeats), &bytes[to..]].concat();
        read_damaged(changed);
    }
}
