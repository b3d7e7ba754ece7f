//! A node as its operator reads it: typed attributes, and inputs that are activations, constants or known shape arithmetic.

use super::graph::{Attribute, Constant, Node};
use super::op::Shape;
use super::shape_arithmetic::Known;

/// A node's input as the loader knows it.
#[derive(Debug, Clone, Copy)]
pub enum Operand<'a> {
    /// Left out.
    Missing,
    /// Depends on the network's input; its shape.
    Activation(&'a Shape),
    /// Fixed by the file.
    Constant(&'a Constant),
    /// Integers made of shapes.
    Known(&'a Known),
}

/// A node being read. Every error is a sentence without the node's name; the loader puts it before.
#[derive(Debug)]
pub struct Reading<'a> {
    /// The node.
    pub node: &'a Node,
    /// Its inputs.
    pub operands: Vec<Operand<'a>>,
    /// Version of the operator set.
    pub opset: i64,
    /// The batch size that the file fixes, if it does.
    pub fixed_batch: Option<usize>,
}

impl<'a> Reading<'a> {
    /// Input `index`, `Missing` past the end.
    pub fn operand(&self, index: usize) -> Operand<'a> {
        self.operands.get(index).copied().unwrap_or(Operand::Missing)
    }

    /// Input `index`, which has to be an activation.
    pub fn activation(&self, index: usize) -> Result<&'a Shape, String> {
        match self.operand(index) {
            Operand::Activation(shape) => Ok(shape),
            Operand::Missing => Err(format!("input {index} is missing")),
            _ => Err(format!("input {index} is a constant where an activation is expected")),
        }
    }

    /// Input `index`, which has to be a floating-point constant.
    pub fn weights(&self, index: usize) -> Result<&'a Constant, String> {
        self.optional_weights(index)?.ok_or_else(|| format!("input {index} is missing"))
    }

    /// Input `index`, a floating-point constant where it is given.
    pub fn optional_weights(&self, index: usize) -> Result<Option<&'a Constant>, String> {
        match self.operand(index) {
            Operand::Missing => Ok(None),
            Operand::Constant(c) if c.floats().is_some() => Ok(Some(c)),
            Operand::Constant(_) | Operand::Known(_) => {
                Err(format!("input {index} holds integers where floating-point weights are expected"))
            }
            Operand::Activation(_) => Err(format!("input {index} depends on the network's input; only constants are supported there")),
        }
    }

    /// Input `index` as one number, where it is given.
    pub fn optional_scalar(&self, index: usize) -> Result<Option<f64>, String> {
        let Some(constant) = self.optional_weights(index)? else { return Ok(None) };
        match constant.floats().as_deref() {
            Some([value]) => Ok(Some(*value)),
            _ => Err(format!("input {index} is not one number")),
        }
    }

    /// Input `index` as integers where it is given; sizes that depend on the batch are refused.
    pub fn optional_integers(&self, index: usize) -> Result<Option<Vec<i64>>, String> {
        match self.operand(index) {
            Operand::Missing => Ok(None),
            Operand::Constant(c) => c.integers().map(Some).ok_or_else(|| format!("input {index} holds no integers")),
            Operand::Known(known) => known
                .values
                .iter()
                .map(|dim| (dim.per_batch == 0).then_some(dim.fixed))
                .collect::<Option<Vec<i64>>>()
                .map(Some)
                .ok_or_else(|| format!("input {index} depends on the batch size")),
            Operand::Activation(_) => Err(format!("input {index} depends on the network's input; only constants are supported there")),
        }
    }

    /// Attribute `name` as an integer, or the default.
    pub fn int(&self, name: &str, default: i64) -> Result<i64, String> {
        match self.node.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::Int(value)) => Ok(*value),
            Some(_) => Err(format!("attribute {name} is not an integer")),
        }
    }

    /// Attribute `name` as a number, or the default.
    pub fn float(&self, name: &str, default: f32) -> Result<f32, String> {
        match self.node.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::Float(value)) => Ok(*value),
            Some(_) => Err(format!("attribute {name} is not a number")),
        }
    }

    /// Attribute `name` as integers where it is given.
    pub fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, String> {
        match self.node.attributes.get(name) {
            None => Ok(None),
            Some(Attribute::Ints(values)) => Ok(Some(values.clone())),
            Some(_) => Err(format!("attribute {name} is not a list of integers")),
        }
    }

    /// Attribute `name` as text, or the default.
    pub fn text(&self, name: &str, default: &str) -> Result<String, String> {
        match self.node.attributes.get(name) {
            None => Ok(default.to_owned()),
            Some(Attribute::Text(value)) => Ok(value.clone()),
            Some(_) => Err(format!("attribute {name} is not a text")),
        }
    }

    /// Axes given as an attribute before opset `since`, as input `index` from then on.
    pub fn axes(&self, index: usize, name: &str) -> Result<Option<Vec<i64>>, String> {
        match self.optional_integers(index)? {
            Some(axes) => Ok(Some(axes)),
            None => self.ints(name),
        }
    }
}

/// An axis of ONNX, negative ones counted from the end.
pub fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let positive = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(positive).ok().filter(|&a| a < rank).ok_or_else(|| format!("axis {axis} is outside a value of {rank} axes"))
}

/// What a Reshape's target means for an input of this shape.
pub fn target_shape(input: &[usize], target: &[i64], allow_zero: bool) -> Result<Vec<usize>, String> {
    let total: usize = input.iter().product();
    let misfit = || format!("{input:?} cannot become {target:?}");
    let mut shape = Vec::with_capacity(target.len());
    let mut open = None;
    for (axis, &size) in target.iter().enumerate() {
        shape.push(match size {
            -1 if open.is_none() => {
                open = Some(axis);
                1
            }
            0 if !allow_zero => *input.get(axis).ok_or_else(misfit)?,
            size => usize::try_from(size).map_err(|_| misfit())?,
        });
    }
    let product = |shape: &[usize]| shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    if let Some(axis) = open {
        let rest = product(&shape).filter(|&rest| rest > 0 && total.is_multiple_of(rest)).ok_or_else(misfit)?;
        shape[axis] = total / rest;
    }
    if product(&shape) == Some(total) { Ok(shape) } else { Err(misfit()) }
}
