//! Any bytes give a graph that keeps its promises, or an error; any graph a network that keeps its own, or an error: never a panic,
//! never memory without bound.
#![no_main]

use bytes::Bytes;
use gradcast::error::Kind;
use gradcast::network::graph::{Graph, InputDim};
use gradcast::network::load::{LoadOptions, load};
use gradcast::network::onnx::{Limits, read_bytes};
use gradcast::network::structure::Network;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(graph) = read_bytes(Bytes::copy_from_slice(data), None, &Limits::default()) {
        check(&graph);
        match load(&graph, &options(&graph)) {
            Ok(network) => check_network(&network),
            Err(error) => assert!(error.kind() == Kind::Data && error.to_string().len() > 10, "no sentence: {error}"),
        }
    }
});

/// 32 rows and columns where the file leaves them free, and the first of several outputs.
fn options(graph: &Graph) -> LoadOptions {
    let size = |dim: &InputDim| if let InputDim::Fixed(size) = dim { *size } else { 32 };
    let input_size = match graph.inputs.first().and_then(|input| input.shape.as_deref()) {
        Some([_, _, rows, columns]) => Some((size(rows), size(columns))),
        _ => None,
    };
    LoadOptions { input_size, output: graph.outputs.first().map(|&output| graph.values[output].clone()), ..LoadOptions::default() }
}

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
    for (index, guards) in &graph.guards {
        assert!(*index < graph.nodes.len() && guards.iter().all(|guard| made[guard.condition]), "a guard of nothing");
    }
    assert!(!graph.outputs.is_empty() && graph.outputs.iter().all(|&output| made[output]), "an output is not made");
}

/// What `load` promises of a network: steps read what is made before them, and shapes are what the operators say.
fn check_network(network: &Network) {
    let mut made = vec![false; network.values.len()];
    made[0] = true;
    for step in &network.steps {
        assert!(step.inputs.iter().all(|&input| made[input]), "a step reads what is not yet made");
        let shapes = step.op.rules().shapes(&network.input_shapes(step)).expect("the loader has asked before");
        assert_eq!(shapes.len(), step.outputs.len());
        for (&output, shape) in step.outputs.iter().zip(&shapes) {
            assert!(!std::mem::replace(&mut made[output], true), "a step makes a value again");
            assert_eq!(&network.values[output].shape, shape);
            assert!(shape[0] == 1 && !shape.contains(&0), "{shape:?} is no shape for a batch of one");
        }
    }
    assert!(made[network.output], "the output is not made");
}
