//! Which steps run as one: a convolution, the addition of another value to it, and the activation that clips the result.

use crate::network::ops::{Op, Relu};
use crate::network::structure::{Network, Step};

/// Steps that run as one, at the last one's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The convolution.
    pub conv: usize,
    /// The addition of the convolution's output and another value.
    pub add: Option<usize>,
    /// The activation behind.
    pub activation: Option<usize>,
}

impl Group {
    /// The step at whose place the group runs: all that it reads is made by then.
    pub fn last(&self) -> usize {
        self.activation.or(self.add).unwrap_or(self.conv)
    }

    /// The steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = usize> {
        [Some(self.conv), self.add, self.activation].into_iter().flatten()
    }
}

/// For each step of the network, the group that it belongs to. `readers` counts for each value those who read it.
pub fn groups(network: &Network, readers: &[usize]) -> Vec<Option<Group>> {
    let reader = sole_readers(network, readers);
    let mut groups: Vec<Option<Group>> = vec![None; network.steps.len()];
    // Of two convolutions that are added, the later one takes the addition: the other's output is there by then.
    for conv in (0..network.steps.len()).rev() {
        if !matches!(network.steps[conv].op, Op::Conv(_)) {
            continue;
        }
        let next = |step: usize| reader[network.steps[step].outputs[0]];
        let add = next(conv).filter(|&add| groups[add].is_none() && adds_alike(network, &network.steps[add]));
        let activation = next(add.unwrap_or(conv)).filter(|&next| groups[next].is_none() && clips(&network.steps[next].op));
        let group = Group { conv, add, activation };
        group.steps().for_each(|step| groups[step] = Some(group));
    }
    groups
}

/// True for an activation that clips.
fn clips(op: &Op) -> bool {
    matches!(op, Op::Clip(_) | Op::Relu(Relu { slope: 0.0 }))
}

/// True for the sum of two values of one shape.
fn adds_alike(network: &Network, step: &Step) -> bool {
    let [a, b] = step.inputs[..] else { return false };
    matches!(step.op, Op::Add(_)) && a != b && network.values[a].shape == network.values[b].shape
}

/// For each value, the step that alone reads it.
fn sole_readers(network: &Network, readers: &[usize]) -> Vec<Option<usize>> {
    let mut sole = vec![None; network.values.len()];
    for (index, step) in network.steps.iter().enumerate() {
        step.inputs.iter().filter(|&&value| readers[value] == 1).for_each(|&value| sole[value] = Some(index));
    }
    sole
}
