//! Constants joined to activations, as a class token is put before the tokens of a picture: zeros take the constants' places, and the
//! constants are added to them. Where the constants stand they are the bias, as they are a Concat's.

use super::{Form, Item, Loader};
use crate::network::graph::{Constant, Node};
use crate::network::ops::{AddConstant, Border, Concat, Pad};
use crate::network::reading::{self, Operand, Reading};

/// A Concat's operand.
enum Part {
    Activation(usize),
    Constant(Constant),
}

impl Loader<'_> {
    /// Joins constants and activations: true where the node was that.
    pub fn joined(&mut self, node: &Node) -> Result<bool, String> {
        let constant =
            |&input: &Option<usize>| matches!(self.item(input), Some(Item::Constant(constant, _)) if constant.floats().is_some());
        let plain = |&input: &Option<usize>| matches!(self.item(input), Some(Item::Activation(_, Form::Plain)));
        let inputs = &node.inputs;
        let all = inputs.iter().all(|input| constant(input) || plain(input));
        if node.op_type != "Concat" || !node.domain.is_empty() || !all || !inputs.iter().any(plain) || !inputs.iter().any(constant) {
            return Ok(false);
        }
        let (parts, axis) = self.parts_of(node)?;
        let size = |part: &Part| match part {
            Part::Activation(value) => self.network.values[*value].shape[axis],
            Part::Constant(constant) => constant.shape[axis],
        };
        let is_activation = |part: &Part| matches!(part, Part::Activation(_));
        let first = parts.iter().position(is_activation).expect("an activation is among the operands");
        let last = parts.iter().rposition(is_activation).expect("an activation is among the operands");
        let activations: Vec<usize> =
            parts[first..=last].iter().filter_map(|part| if let Part::Activation(value) = part { Some(*value) } else { None }).collect();
        if activations.len() != last - first + 1 {
            return Err("joins a constant between two activations; only constants before or behind them are supported".to_owned());
        }
        let (before, behind): (usize, usize) = (parts[..first].iter().map(size).sum(), parts[last + 1..].iter().map(size).sum());
        let middle: usize = parts[first..=last].iter().map(size).sum();
        let constant = placed(&parts, axis, &self.network.values[activations[0]].shape, [before, middle, behind])?;
        let joined = match activations[..] {
            [one] => one,
            _ => self.step(&node.name, Concat { axis }.into(), activations)?[0],
        };
        let mut pads = vec![[0, 0]; self.network.values[joined].shape.len()];
        pads[axis] = [before as i64, behind as i64];
        let padded = self.step(&node.name, Pad { pads, border: Border::Constant(0.0) }.into(), vec![joined])?;
        let outputs = self.named_step(node, AddConstant { constant, sign: 1.0 }.into(), padded)?;
        self.enter(node, &outputs, Form::Plain);
        Ok(true)
    }

    fn parts_of(&self, node: &Node) -> Result<(Vec<Part>, usize), String> {
        let (operands, activations) = self.operands(node)?;
        let shape = &self.network.values[activations[0]].shape;
        let mut activations = activations.iter();
        let part = |operand: &Operand| match operand {
            Operand::Constant(constant) => Part::Constant((*constant).clone()),
            _ => Part::Activation(*activations.next().expect("one for each activation")),
        };
        let parts: Vec<Part> = operands.iter().map(part).collect();
        let reading = Reading { node, operands, opset: self.graph.opset, fixed_batch: self.network.fixed_batch };
        let axis = reading::axis(reading.int("axis", 1)?, shape.len())?;
        if axis == 0 {
            return Err("joins images of the batch (axis 0)".to_owned());
        }
        for part in &parts {
            if let Part::Constant(constant) = part {
                let fits = |(i, &size): (usize, &usize)| i == axis || size == shape[i];
                if constant.elements.is_empty() {
                    return Err(format!("joins a constant of shape {:?}, which holds nothing", constant.shape));
                }
                if constant.shape.len() != shape.len() || !constant.shape.iter().enumerate().all(fits) {
                    return Err(format!("{:?} cannot be joined to {shape:?} on axis {axis}", constant.shape));
                }
            }
        }
        Ok((parts, axis))
    }
}

/// The constants at their places on the axis, and zeros for the activations; `sizes` are those before, of and behind the activations.
fn placed(parts: &[Part], axis: usize, shape: &[usize], sizes: [usize; 3]) -> Result<Constant, String> {
    let [before, middle, behind] = sizes;
    let total = before.checked_add(middle).and_then(|sum| sum.checked_add(behind)).ok_or("sizes overflow")?;
    let (outer, inner): (usize, usize) = (shape[..axis].iter().product(), shape[axis + 1..].iter().product());
    super::elements(&[outer, total, inner]).map_err(|message| format!("its output {message}"))?;
    let mut values = vec![0.0; outer * total * inner];
    let (mut at, mut passed) = (0, false);
    for part in parts {
        let Part::Constant(constant) = part else {
            if !std::mem::replace(&mut passed, true) {
                at += middle;
            }
            continue;
        };
        let run = constant.shape[axis] * inner;
        let floats = constant.floats().expect("a constant of numbers");
        for (row, part) in values.chunks_exact_mut(total * inner).zip(floats.chunks_exact(run)) {
            row[at * inner..][..run].copy_from_slice(part);
        }
        at += constant.shape[axis];
    }
    let shape = [&shape[..axis], &[total], &shape[axis + 1..]].concat();
    Ok(Constant::from_floats(shape, values))
}
