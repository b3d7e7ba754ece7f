//! Steps that vanish into the affine step before them.

use crate::network::graph::Constant;
use crate::network::ops::Op;
use crate::network::structure::{Network, Step};

/// Puts a step into the affine one whose output, of this shape, it alone reads; gives a sentence for the notes, or `None` and no change.
pub type Absorb = fn(step: &Step, shape: &[usize], affine: &mut Step) -> Option<String>;

/// Lets `absorb` take every step that alone reads the output of a Conv, ConvTranspose or Linear; what it takes is gone, and its readers read the affine
/// step.
pub fn into_affine(network: &mut Network, absorb: Absorb) {
    let mut readers = network.readers();
    // The affine step that makes a value, and what a value is called by now.
    let mut affine = vec![None; network.values.len()];
    let mut now: Vec<usize> = (0..network.values.len()).collect();
    let mut kept: Vec<Step> = Vec::with_capacity(network.steps.len());
    for mut step in std::mem::take(&mut network.steps) {
        step.inputs.iter_mut().for_each(|input| *input = now[*input]);
        if let ([from], [to]) = (&step.inputs[..], &step.outputs[..])
            && readers[*from] == 1
            && let Some(index) = affine[*from]
            && let Some(note) = absorb(&step, &network.values[*from].shape, &mut kept[index])
        {
            network.notes.push(note);
            now[*to] = *from;
            readers[*from] = readers[*to];
            continue;
        }
        if let Op::Conv(_) | Op::ConvTranspose(_) | Op::Linear(_) = step.op {
            affine[step.outputs[0]] = Some(kept.len());
        }
        kept.push(step);
    }
    network.steps = kept;
    network.output = now[network.output];
}

/// The bias of an affine operator.
pub fn bias_of(op: &mut Op) -> Option<&mut Option<Constant>> {
    match op {
        Op::Conv(conv) => Some(&mut conv.bias),
        Op::ConvTranspose(conv) => Some(&mut conv.bias),
        Op::Linear(linear) => Some(&mut linear.bias),
        _ => None,
    }
}
