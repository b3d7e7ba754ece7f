//! Sequences of activations, as exporters write a split whose parts are taken one by one.

use std::rc::Rc;

use super::{Form, Item, Loader};
use crate::network::graph::Node;
use crate::network::ops::{Concat, Slice};
use crate::network::reading::{self, Operand, Reading};

/// Most parts of a split.
const MAX_PARTS: usize = 1024;

impl Loader<'_> {
    /// Makes, joins and takes apart sequences: true where the node was that.
    pub fn sequence(&mut self, node: &Node) -> Result<bool, String> {
        if !node.domain.is_empty() {
            return Ok(false);
        }
        let item = match node.op_type.as_str() {
            "SplitToSequence" => self.split_to_sequence(node)?,
            "SequenceConstruct" => {
                let part = |&input: &Option<usize>| self.item(input).filter(|item| !matches!(item, Item::Sequence(_))).cloned();
                let parts: Option<Vec<Item>> = node.inputs.iter().map(part).collect();
                Item::Sequence(Rc::new(parts.ok_or("a part of the sequence is none, or is a sequence itself")?))
            }
            "SequenceAt" => self.sequence_at(node)?,
            "ConcatFromSequence" => self.concat_from_sequence(node)?,
            _ => return Ok(false),
        };
        if let Some(Some(output)) = node.outputs.first() {
            self.items[*output] = Some(item);
        }
        Ok(true)
    }

    fn parts(&self, node: &Node) -> Result<Rc<Vec<Item>>, String> {
        match node.inputs.first().and_then(|&input| self.item(input)) {
            Some(Item::Sequence(parts)) => Ok(parts.clone()),
            _ => Err("input 0 is no sequence that is known when the network is loaded".to_owned()),
        }
    }

    fn split_to_sequence(&mut self, node: &Node) -> Result<Item, String> {
        let Some(&Item::Activation(value, form @ (Form::Plain | Form::Lifted))) = node.inputs.first().and_then(|&input| self.item(input))
        else {
            return Err("splits what is no activation".to_owned());
        };
        let slice = {
            let (operands, _) = self.operands(node)?;
            let reading = Reading { node, operands, opset: self.graph.opset, fixed_batch: self.network.fixed_batch };
            let shape = &self.network.values[value].shape;
            let moved = usize::from(form == Form::Lifted);
            let axis = reading::axis(reading.int("axis", 0)?, shape.len() - moved)? + moved;
            if axis == 0 {
                return Err("cuts the batch (axis 0)".to_owned());
            }
            let scalar = match reading.operand(1) {
                Operand::Constant(constant) => constant.shape.is_empty(),
                Operand::Known(known) => known.shape.is_empty(),
                _ => false,
            };
            let size = shape[axis];
            let lengths: Vec<i64> = match reading.optional_integers(1)? {
                Some(length) if scalar && length[0] > 0 => {
                    let length = length[0].min(size as i64) as usize;
                    (0..size.div_ceil(length).min(MAX_PARTS + 1)).map(|i| length.min(size - i * length) as i64).collect()
                }
                Some(lengths) => lengths,
                None if reading.int("keepdims", 1)? != 0 => vec![1; size.min(MAX_PARTS + 1)],
                None => return Err("splits an axis that then vanishes; export it as a Split".to_owned()),
            };
            if lengths.len() > MAX_PARTS {
                return Err(format!("splits into over {MAX_PARTS} parts"));
            }
            let mut ranges = Vec::with_capacity(lengths.len());
            let mut first = 0;
            for &length in &lengths {
                let end = usize::try_from(length).ok().and_then(|length| length.checked_add(first)).filter(|&end| end <= size);
                let end = end.ok_or_else(|| format!("lengths {lengths:?} do not divide {size}"))?;
                ranges.push((first, end));
                first = end;
            }
            if first != size {
                return Err(format!("lengths {lengths:?} do not divide {size}"));
            }
            Slice { axis, ranges }
        };
        let values = self.step(&node.name, slice.into(), vec![value])?;
        Ok(Item::Sequence(Rc::new(values.into_iter().map(|value| Item::Activation(value, form)).collect())))
    }

    fn sequence_at(&self, node: &Node) -> Result<Item, String> {
        let parts = self.parts(node)?;
        let index = match node.inputs.get(1).and_then(|&input| self.item(input)) {
            Some(Item::Constant(constant, _)) => constant.integers(),
            Some(Item::Known(known)) => known.as_fixed(),
            _ => None,
        };
        let Some(&[index]) = index.as_deref() else { return Err("the place in the sequence is not a known number".to_owned()) };
        Ok(parts[reading::axis(index, parts.len())?].clone())
    }

    fn concat_from_sequence(&mut self, node: &Node) -> Result<Item, String> {
        let parts = self.parts(node)?;
        let values = parts.iter().map(|part| if let Item::Activation(value, Form::Plain) = part { Some(*value) } else { None });
        let values: Vec<usize> = values.collect::<Option<_>>().ok_or("joins parts that are not all activations of the form (N, ...)")?;
        let axis = {
            let reading = Reading { node, operands: Vec::new(), opset: self.graph.opset, fixed_batch: self.network.fixed_batch };
            if reading.int("new_axis", 0)? != 0 {
                return Err("joins parts on a new axis; export it as Unsqueeze and Concat".to_owned());
            }
            let rank = values.first().map_or(0, |&value| self.network.values[value].shape.len());
            reading::axis(reading.int("axis", 0)?, rank)?
        };
        if axis == 0 {
            return Err("joins images of the batch (axis 0)".to_owned());
        }
        let joined = self.named_step(node, Concat { axis }.into(), values)?;
        Ok(Item::Activation(joined[0], Form::Plain))
    }
}
