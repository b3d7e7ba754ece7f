//! What stands at the very end: a Softmax or LogSoftmax is taken off, so that logits are explained; a Sigmoid stays.

use crate::network::graph::{Graph, ValueId};
use crate::network::manifest::Final;
use crate::network::structure::{Ending, EndingOp};

/// The value that is explained, what the file ends in, and a sentence about it. `asked` is what the manifest says.
pub fn take_off(graph: &Graph, output: ValueId, asked: Option<Final>) -> (ValueId, Option<Ending>, Option<String>) {
    let last = graph.nodes.iter().find(|node| node.domain.is_empty() && node.outputs.contains(&Some(output)));
    let Some((node, &Some(input))) = last.and_then(|node| Some((node, node.inputs.first()?))) else { return (output, None, None) };
    let op = match node.op_type.as_str() {
        "Softmax" => EndingOp::Softmax,
        "LogSoftmax" => EndingOp::LogSoftmax,
        "Sigmoid" => EndingOp::Sigmoid,
        _ => return (output, None, None),
    };
    let kept = match asked {
        Some(Final::Keep) => true,
        Some(Final::Off) => false,
        None => op == EndingOp::Sigmoid,
    };
    let what = format!("final {} {:?}", node.op_type, node.name);
    let note = match (kept, op) {
        (false, _) => format!("{what} taken off: its input is explained"),
        (true, EndingOp::Sigmoid) if asked.is_none() => {
            format!("{what} kept: what it makes is explained; output.final = \"off\" in the manifest explains its input")
        }
        (true, _) => format!("{what} kept: what it makes is explained"),
    };
    (if kept { output } else { input }, Some(Ending { op, kept }), Some(note))
}
