//! Any bytes give a graph that keeps its promises, or an error: never a panic, never memory without bound.
#![no_main]

use bytes::Bytes;
use gradcast::network::graph::Graph;
use gradcast::network::onnx::{Limits, read_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(graph) = read_bytes(Bytes::copy_from_slice(data), None, &Limits::default()) {
        check(&graph);
    }
});

/// What `read_bytes` promises of a graph.
fn check(graph: &Graph) {
    let mut made = vec![false; graph.values.len()];
    for input in &graph.inputs {
        assert!(!std::mem::replace(&mut made[input.value], true), "an input is made twice");
    }
    for (&value, constant) in &graph.constants {
        assert!(!std::mem::replace(&mut made[value], true), "a constant is made twice");
        assert_eq!(constant.shape.iter().product::<usize>(), constant.elements.len());
    }
    for node in &graph.nodes {
        assert!(node.inputs.iter().flatten().all(|&input| made[input]), "a node reads what is not yet made");
        for &output in node.outputs.iter().flatten() {
            assert!(!std::mem::replace(&mut made[output], true), "a node makes a value again");
        }
        assert!(!node.name.is_empty() || node.op_type.is_empty());
    }
    assert!(!graph.outputs.is_empty() && graph.outputs.iter().all(|&output| made[output]), "an output is not made");
}
