//! What is known when a network is loaded: shape arithmetic, constants, conditions.

use std::rc::Rc;

use super::{Form, Item, Loader, MAX_KNOWN};
use crate::network::constant_folding;
use crate::network::graph::{Attribute, Constant, ElementType, Node};
use crate::network::reading::{Operand, Reading};
use crate::network::shape_arithmetic::{self, Dim, Known};

impl Loader<'_> {
    /// Whether the node stands under conditions that hold; nodes of the other branch of an `If` are never looked at.
    pub fn runs(&self, index: usize) -> Result<bool, String> {
        for guard in self.graph.guards.get(&index).into_iter().flatten() {
            if self.condition(Some(guard.condition))? != guard.wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A condition's value.
    fn condition(&self, value: Option<usize>) -> Result<bool, String> {
        let known = match self.item(value) {
            Some(Item::Constant(constant, _)) => constant.integers(),
            Some(Item::Known(known)) => known.as_fixed(),
            Some(Item::Activation(..) | Item::Quantised(..) | Item::Sequence(_) | Item::Flat(_) | Item::Places(_)) => {
                return Err("stands under a condition that depends on the picture; only conditions that are known when the network is \
                            loaded are supported"
                    .to_owned());
            }
            None => None,
        };
        match known.as_deref() {
            Some([value]) => Ok(*value != 0),
            _ => Err("stands under a condition that is not known when the network is loaded".to_owned()),
        }
    }

    /// Hands on the outputs of an `If`'s branch. The reader has put the branches' nodes before it: its inputs are the condition, the
    /// outputs of the one branch, and those of the other. True where the node was that.
    pub fn decide(&mut self, node: &Node) -> Result<bool, String> {
        if node.op_type != "If" || !node.domain.is_empty() {
            return Ok(false);
        }
        let count = node.outputs.len();
        let Some((&condition, results)) = node.inputs.split_first().filter(|(_, results)| results.len() == 2 * count) else {
            return Err("its branches do not make as many values as it does".to_owned());
        };
        let first = if self.condition(condition)? { 0 } else { count };
        for (&output, &result) in node.outputs.iter().zip(&results[first..first + count]) {
            if let (Some(output), Some(result)) = (output, result) {
                self.items[output] = self.items[result].clone();
            }
        }
        Ok(true)
    }

    /// Folds shape arithmetic and what works on constants only: true where the node was that.
    pub fn fold(&mut self, node: &Node) -> Result<bool, String> {
        Ok(self.fold_shapes(node)? || self.fold_constants(node)? || self.stretched_to_batch(node)?)
    }

    /// A constant that an Expand repeats for every image stays one image's: it broadcasts. True where the node was that.
    fn stretched_to_batch(&mut self, node: &Node) -> Result<bool, String> {
        let [Some(of), Some(to)] = node.inputs[..] else { return Ok(false) };
        let (Some(Item::Constant(constant, _)), Some(Item::Known(known))) = (self.item(Some(of)), self.item(Some(to))) else {
            return Ok(false);
        };
        let Some((&Dim::BATCH, rest)) = known.values.split_first() else { return Ok(false) };
        let once = constant.shape.len() < known.values.len() || constant.shape.first() == Some(&1);
        let fixed = rest.iter().all(|size| size.as_fixed().is_some());
        if node.op_type != "Expand" || !node.domain.is_empty() || constant.floats().is_none() || !once || !fixed {
            return Ok(false);
        }
        let one = Known { values: [&[Dim::of(1)], rest].concat(), ..(**known).clone() };
        let operands = vec![Operand::Constant(constant), Operand::Known(&one)];
        let reading = Reading { node, operands, opset: self.graph.opset, fixed_batch: self.network.fixed_batch };
        let results = constant_folding::fold(&reading, &self.budget)?.unwrap_or_default();
        for (output, constant) in node.outputs.iter().zip(results) {
            if let Some(output) = output {
                self.items[*output] = Some(Item::Constant(Rc::new(constant), None));
            }
        }
        Ok(true)
    }

    fn fold_shapes(&mut self, node: &Node) -> Result<bool, String> {
        let floats = node.inputs.iter().any(|&input| matches!(self.item(input), Some(Item::Known(known)) if known.float));
        let known: Vec<Option<Rc<Known>>> = node
            .inputs
            .iter()
            .map(|&input| match self.item(input) {
                Some(Item::Constant(constant, None)) if floats => Known::of_floats(constant).map(Rc::new),
                Some(Item::Constant(_, known)) => known.clone(),
                Some(Item::Known(known)) => Some(known.clone()),
                _ => None,
            })
            .collect();
        let of_sizes = |sizes: &[usize]| sizes.iter().map(|&size| Dim::of(size as i64)).collect::<Vec<_>>();
        let shapes: Vec<Option<Vec<Dim>>> = node
            .inputs
            .iter()
            .map(|&input| match self.item(input)? {
                Item::Activation(value, Form::Lifted) => Some(of_sizes(&self.network.values[*value].shape[1..])),
                Item::Activation(value, _) | Item::Quantised(value, _) => {
                    Some([vec![Dim::BATCH], of_sizes(&self.network.values[*value].shape[1..])].concat())
                }
                Item::Constant(constant, _) => Some(of_sizes(&constant.shape)),
                Item::Known(_) | Item::Sequence(_) | Item::Flat(_) | Item::Places(_) => None,
            })
            .collect();
        let input_shapes: Vec<Option<&[Dim]>> = shapes.iter().map(Option::as_deref).collect();
        let folded = |known: &[Option<Rc<Known>>]| {
            let inputs: Vec<Option<&Known>> = known.iter().map(Option::as_deref).collect();
            shape_arithmetic::fold(node, &inputs, &input_shapes).map_err(|error| error.to_string())
        };
        let folded = match (folded(&known)?, self.network.fixed_batch) {
            // What depends on the batch size is known where the file fixes it.
            (None, Some(batch)) if known.iter().flatten().any(|known| known.as_fixed().is_none()) => {
                let resolved = |known: &Known| Known {
                    values: known.values.iter().map(|dim| Dim::of(dim.resolve(batch as i64))).collect(),
                    ..known.clone()
                };
                folded(&known.iter().map(|known| known.as_deref().map(resolved).map(Rc::new)).collect::<Vec<_>>())?
            }
            (folded, _) => folded,
        };
        let Some(results) = folded else { return Ok(false) };
        for (output, known) in node.outputs.iter().zip(results) {
            self.total_known += known.values.len();
            if let Some(output) = output {
                self.items[*output] = Some(Item::Known(Rc::new(known)));
            }
        }
        if self.total_known > MAX_KNOWN {
            return Err(format!("shape arithmetic up to here makes over {MAX_KNOWN} integers"));
        }
        Ok(true)
    }

    /// A CastLike of a constant to an activation's type, as the Cast that it is.
    fn cast_like_activation(&self, node: &Node) -> Option<Node> {
        let like = node.inputs.get(1).and_then(|&input| self.item(input));
        if node.op_type != "CastLike" || !matches!(like, Some(Item::Activation(..))) {
            return None;
        }
        // Numbers of TensorProto.DataType: DOUBLE, FLOAT.
        let double = self.graph.inputs.iter().any(|input| input.element == ElementType::F64);
        let mut cast = node.clone();
        cast.op_type = "Cast".to_owned();
        cast.inputs.truncate(1);
        cast.attributes.insert("to".to_owned(), Attribute::Int(if double { 11 } else { 1 }));
        Some(cast)
    }

    fn fold_constants(&mut self, node: &Node) -> Result<bool, String> {
        let cast = self.cast_like_activation(node);
        let node = cast.as_ref().unwrap_or(node);
        let fixed = |&input: &Option<usize>| match self.item(input) {
            Some(Item::Constant(..)) => true,
            Some(Item::Known(known)) => known.as_fixed().is_some(),
            Some(Item::Activation(..) | Item::Quantised(..) | Item::Sequence(_) | Item::Flat(_) | Item::Places(_)) => false,
            None => input.is_none(),
        };
        if !node.domain.is_empty() || !node.inputs.iter().all(fixed) {
            return Ok(false);
        }
        let results: Vec<Constant> = {
            let (operands, _) = self.operands(node)?;
            let reading = Reading { node, operands, opset: self.graph.opset, fixed_batch: self.network.fixed_batch };
            match constant_folding::fold(&reading, &self.budget)? {
                Some(results) => results,
                None => return Ok(false),
            }
        };
        for (output, constant) in node.outputs.iter().zip(results) {
            if let Some(output) = output {
                let known = Known::of(&constant).map(Rc::new);
                self.items[*output] = Some(Item::Constant(Rc::new(constant), known));
            }
        }
        Ok(true)
    }
}
