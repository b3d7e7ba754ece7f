//! Activations that pass through integers.
//!
//! Rounding to the nearest level has derivative 0 almost everywhere, which explains nothing. A quantised network was trained, or
//! calibrated, as if the derivative were that of saturation alone; so a QuantizeLinear with its DequantizeLinear is read as the Clip to the
//! range that the integers span. That keeps a ReLU whose zero a quantiser has put at the lowest integer.

use super::{Form, Item, Loader};
use crate::network::constant_folding::Quantisation;
use crate::network::graph::Node;
use crate::network::ops::Clip;
use crate::network::reading::Reading;

/// What the readers of a quantised value are told.
pub const INTEGERS: &str = "computes with integers that a QuantizeLinear makes; export the quantised network in QDQ form, in which every \
                            QuantizeLinear is followed by a DequantizeLinear";

impl Loader<'_> {
    /// QuantizeLinear and DequantizeLinear of activations: true where the node was one.
    pub fn quantised(&mut self, node: &Node) -> Result<bool, String> {
        if !node.domain.is_empty() {
            return Ok(false);
        }
        match node.op_type.as_str() {
            "QuantizeLinear" => self.quantize(node)?,
            "DequantizeLinear" => self.dequantize(node)?,
            // Handed on as they are.
            "Identity" => match node.inputs.first().and_then(|&input| self.item(input)) {
                Some(Item::Quantised(value, how)) => {
                    let item = Item::Quantised(*value, *how);
                    self.set(node, item);
                }
                _ => return Ok(false),
            },
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set(&mut self, node: &Node, item: Item) {
        if let Some(Some(output)) = node.outputs.first() {
            self.items[*output] = Some(item);
        }
    }

    /// The node's scale and zero point.
    fn quantisation(&self, node: &Node) -> Result<Quantisation, String> {
        // The value itself is no operand here: of a DequantizeLinear it is integers.
        let mut rest = node.clone();
        if let Some(first) = rest.inputs.first_mut() {
            *first = None;
        }
        let (operands, _) = self.operands(&rest)?;
        Quantisation::read(&Reading { node, operands, opset: self.graph.opset, fixed_batch: self.network.fixed_batch })
    }

    fn quantize(&mut self, node: &Node) -> Result<(), String> {
        let Some(&Item::Activation(value, Form::Plain)) = node.inputs.first().and_then(|&input| self.item(input)) else {
            return Err("quantises what is no activation of the form (N, ...)".to_owned());
        };
        let how = self.quantisation(node)?;
        let (low, high) = how.range();
        let value = if how.levels.1 < 1e6 { self.named_step(node, Clip { low, high }.into(), vec![value])?[0] } else { value };
        self.quantised += 1;
        self.set(node, Item::Quantised(value, how));
        Ok(())
    }

    fn dequantize(&mut self, node: &Node) -> Result<(), String> {
        let Some(&Item::Quantised(value, made)) = node.inputs.first().and_then(|&input| self.item(input)) else {
            return Err("reads integers that no QuantizeLinear makes; export the quantised network in QDQ form".to_owned());
        };
        let how = self.quantisation(node)?;
        if how != made {
            return Err("has another scale or zero point than the QuantizeLinear before it".to_owned());
        }
        self.set(node, Item::Activation(value, Form::Plain));
        Ok(())
    }
}
