//! A Softmax or LogSoftmax at the very end is taken off: logits are explained.

use crate::network::graph::{Graph, ValueId};

/// The value before a final Softmax, and a sentence that says so; else the output itself.
pub fn take_off(graph: &Graph, output: ValueId) -> (ValueId, Option<String>) {
    let last = graph.nodes.iter().find(|node| node.outputs.contains(&Some(output)));
    match last {
        Some(node) if node.domain.is_empty() && matches!(node.op_type.as_str(), "Softmax" | "LogSoftmax") => match node.inputs.first() {
            Some(&Some(input)) => (input, Some(format!("final {} {:?} taken off: its input is explained", node.op_type, node.name))),
            _ => (output, None),
        },
        _ => (output, None),
    }
}
