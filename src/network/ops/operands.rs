//! Operands of an operator that takes activations and constants in any order.

use tch::Tensor;

use crate::error::Result;
use crate::network::broadcast;
use crate::network::graph::{Constant, Elements};
use crate::network::op::{Place, Shape};
use crate::network::reading::{Operand, Reading};
use crate::network::weights;

/// The operands in their order: a constant, or `None` for the next activation. A truth value is 1 or 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Operands(pub Vec<Option<Constant>>);

impl Operands {
    /// All inputs of a node.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let each = reading.operands.iter().enumerate().map(|(index, operand)| match operand {
            Operand::Activation(_) => Ok(None),
            Operand::Constant(constant) if matches!(constant.elements, Elements::Bool(_)) => Ok(Some((*constant).clone())),
            _ => reading.weights(index).cloned().map(Some),
        });
        Ok(Operands(each.collect::<Result<_, String>>()?))
    }

    /// The number of activations.
    pub fn activations(&self) -> usize {
        self.0.iter().filter(|operand| operand.is_none()).count()
    }

    /// The constants.
    pub fn constants(&self) -> impl Iterator<Item = &Constant> {
        self.0.iter().flatten()
    }

    /// What all broadcast to, for activations of these shapes.
    pub fn shape(&self, inputs: &[&[usize]]) -> Result<Shape, String> {
        broadcast::images(inputs, self.constants())
    }

    /// The operands on a device, for activations of these shapes.
    pub fn compile(&self, place: Place, inputs: &[&[usize]]) -> Result<Compiled> {
        let constants = self.0.iter().map(|operand| operand.as_ref().map(|c| weights::tensor(c, place)).transpose());
        Ok(Compiled { constants: constants.collect::<Result<_>>()?, inputs: inputs.iter().map(|shape| shape.to_vec()).collect() })
    }
}

/// Operands on a device.
#[derive(Debug)]
pub struct Compiled {
    constants: Vec<Option<Tensor>>,
    /// Shapes of the activations, for a batch of one.
    inputs: Vec<Shape>,
}

impl Compiled {
    /// All operands in their order.
    pub fn all<'a>(&'a self, activations: &[&'a Tensor]) -> Vec<&'a Tensor> {
        let mut activations = activations.iter();
        let next = |constant: &'a Option<Tensor>| match constant {
            Some(constant) => constant,
            None => *activations.next().expect("an operand is a constant or an activation"),
        };
        self.constants.iter().map(next).collect()
    }

    /// For each activation its place among the operands and its shape.
    pub fn activations(&self) -> impl Iterator<Item = (usize, &Shape)> {
        self.constants.iter().enumerate().filter(|(_, constant)| constant.is_none()).map(|(place, _)| place).zip(&self.inputs)
    }

    /// The constant at a place, if it is one.
    pub fn constant(&self, place: usize) -> Option<&Tensor> {
        self.constants[place].as_ref()
    }
}
