//! Files that move the batch axis among others, as a channel shuffle of (N, C, H, W) through (N * C / 2, 2, H * W) does, and fix a batch of
//! one or write sizes that hold N. What such a file says of an image is what it says of a batch of one.
//!
//! The network keeps the batch in front of all the file's axes, (N, C / 2, 2, H * W), and the file's axis i is the network's i + 1. When the
//! file's first axis is 1 again, it is the batch again.

use super::{Form, Item, Loader};
use crate::network::graph::{Attribute, Constant, Elements, Node};
use crate::network::op::Shape;
use crate::network::ops::{Read, Reshape, Slice};
use crate::network::reading::{self, Operand, Reading};

/// What a node's operator is told about axes.
#[derive(Clone, Copy)]
enum Axes {
    /// Nothing but a new shape for the same elements.
    Shape,
    /// Attribute `perm`, all axes reversed where it is left out.
    Order,
    /// Attribute `axis`, with its default.
    One(i64),
    /// Attribute `axes`, or this input; all axes where they are left out.
    Several(usize),
    /// A border for each axis: attribute or input `pads`, and the axes that they are for.
    Borders,
    /// Nothing: element by element.
    None,
    /// Nothing: it works on the last two.
    LastTwo,
}

const UNDERSTOOD: &[(&str, Axes)] = &[
    ("Abs", Axes::None),
    ("Add", Axes::None),
    ("Clip", Axes::None),
    ("Concat", Axes::One(1)),
    ("Div", Axes::None),
    ("Dropout", Axes::None),
    ("Elu", Axes::None),
    ("Erf", Axes::None),
    ("Exp", Axes::None),
    ("Flatten", Axes::Shape),
    ("Gather", Axes::One(0)),
    ("Gelu", Axes::None),
    ("HardSigmoid", Axes::None),
    ("HardSwish", Axes::None),
    ("Identity", Axes::None),
    ("LayerNormalization", Axes::One(-1)),
    ("LeakyRelu", Axes::None),
    ("Log", Axes::None),
    ("LogSoftmax", Axes::One(-1)),
    ("MatMul", Axes::LastTwo),
    ("Max", Axes::None),
    ("Min", Axes::None),
    ("Mul", Axes::None),
    ("Neg", Axes::None),
    ("Pad", Axes::Borders),
    ("Pow", Axes::None),
    ("Reciprocal", Axes::None),
    ("ReduceL2", Axes::Several(1)),
    ("ReduceMax", Axes::Several(1)),
    ("ReduceMean", Axes::Several(1)),
    ("ReduceMin", Axes::Several(1)),
    ("ReduceSum", Axes::Several(1)),
    ("Relu", Axes::None),
    ("Reshape", Axes::Shape),
    ("Sigmoid", Axes::None),
    ("Slice", Axes::Several(3)),
    ("Softmax", Axes::One(-1)),
    ("Softplus", Axes::None),
    ("Split", Axes::One(0)),
    ("Sqrt", Axes::None),
    ("Squeeze", Axes::Shape),
    ("Sub", Axes::None),
    ("Tanh", Axes::None),
    ("Transpose", Axes::Order),
    ("Unsqueeze", Axes::Shape),
];

fn axes_of(node: &Node) -> Option<Axes> {
    let row = UNDERSTOOD.iter().find(|(name, _)| node.domain.is_empty() && *name == node.op_type);
    row.map(|(_, axes)| *axes)
}

impl Loader<'_> {
    /// Whether what a plain reading of the node refuses may only have moved a batch axis of one image.
    pub fn may_lift(&self, node: &Node) -> bool {
        let holds_batch = |&input: &Option<usize>| matches!(self.item(input), Some(Item::Known(known)) if known.as_fixed().is_none());
        match self.network.fixed_batch {
            Some(batch) => batch == 1 && axes_of(node).is_some(),
            None => node.op_type == "Reshape" && node.domain.is_empty() && node.inputs.iter().any(holds_batch),
        }
    }

    /// Reads a node with the batch in front of the file's axes.
    pub fn lifted(&mut self, node: &Node) -> Result<(), String> {
        let Some(axes) = axes_of(node) else {
            return Err("the file has moved the batch axis among others, where this operator is not supported; export it in another form"
                .to_owned());
        };
        let inputs = self.lift_inputs(node)?;
        let outputs = match axes {
            Axes::Shape => {
                let shape = self.target(node, inputs[0])?;
                self.reshaped(&node.name, inputs[0], [vec![1], shape].concat()).map(|value| vec![value])?
            }
            Axes::One(_) if node.op_type == "Gather" => vec![self.picked(node, inputs[0])?],
            _ => self.moved(node, axes, inputs)?,
        };
        for (output, value) in node.outputs.iter().zip(outputs) {
            if let Some(output) = output {
                self.items[*output] = Some(self.lowered(&node.name, value)?);
            }
        }
        Ok(())
    }

    /// The node's activations with the batch in front of the file's axes.
    fn lift_inputs(&mut self, node: &Node) -> Result<Vec<usize>, String> {
        let mut inputs = Vec::new();
        for &input in &node.inputs {
            match self.item(input) {
                Some(&Item::Activation(value, Form::Lifted)) => inputs.push(value),
                Some(&Item::Activation(value, _)) => inputs.push(self.lift(value)?),
                _ => {}
            }
        }
        if inputs.is_empty() {
            return Err("works on constants only".to_owned());
        }
        Ok(inputs)
    }

    fn lift(&mut self, value: usize) -> Result<usize, String> {
        if let Some(&lifted) = self.lifted.get(&value) {
            return Ok(lifted);
        }
        let (name, shape) = (self.network.values[value].name.clone(), self.network.values[value].shape.clone());
        let lifted = self.reshaped(&name, value, [vec![1], shape].concat())?;
        self.lifted.insert(value, lifted);
        Ok(lifted)
    }

    pub fn reshaped(&mut self, name: &str, value: usize, shape: Shape) -> Result<usize, String> {
        let unchanged = self.network.values[value].shape == shape;
        if unchanged {
            return Ok(value);
        }
        Ok(self.step(name, Reshape { shape, unchanged }.into(), vec![value])?[0])
    }

    /// A value whose first file axis is 1 has its batch again.
    fn lowered(&mut self, name: &str, value: usize) -> Result<Item, String> {
        match &self.network.values[value].shape[1..] {
            [1, rest @ ..] => {
                let shape = [&[1], rest].concat();
                Ok(Item::Activation(self.reshaped(name, value, shape)?, Form::Plain))
            }
            _ => Ok(Item::Activation(value, Form::Lifted)),
        }
    }

    /// The file's shape of the output of a node that only changes the shape.
    fn target(&self, node: &Node, input: usize) -> Result<Vec<usize>, String> {
        let (operands, _) = self.operands(node)?;
        let reading = Reading { node, operands, opset: self.graph.opset, fixed_batch: self.network.fixed_batch };
        let file = &self.network.values[input].shape[1..];
        let given = |rank: usize| -> Result<Option<Vec<usize>>, String> {
            let axes = reading.axes(1, "axes")?;
            axes.map(|axes| axes.iter().map(|&axis| reading::axis(axis, rank)).collect()).transpose()
        };
        let shape = match node.op_type.as_str() {
            "Reshape" => {
                let target: Vec<i64> = match reading.operand(1) {
                    // The batch is one.
                    Operand::Known(known) => known.values.iter().map(|dim| dim.resolve(1)).collect(),
                    _ => reading.optional_integers(1)?.ok_or("input 1 is missing")?,
                };
                reading::target_shape(file, &target, reading.int("allowzero", 0)? != 0)?
            }
            "Flatten" => {
                let axis = reading.int("axis", 1)?;
                let axis = if axis == file.len() as i64 { file.len() } else { reading::axis(axis, file.len())? };
                vec![file[..axis].iter().product(), file[axis..].iter().product()]
            }
            "Squeeze" => {
                let gone = given(file.len())?;
                let vanishes = |axis: usize| gone.as_ref().map_or(file[axis] == 1, |gone| gone.contains(&axis));
                (0..file.len()).filter(|&axis| !vanishes(axis)).map(|axis| file[axis]).collect()
            }
            _ => {
                let count = reading.axes(1, "axes")?.ok_or("axes are missing")?.len().min(super::MAX_AXES);
                let new = given(file.len() + count)?.unwrap_or_default();
                let mut rest = file.iter().copied();
                (0..file.len() + count).map(|axis| if new.contains(&axis) { 1 } else { rest.next().unwrap_or(1) }).collect()
            }
        };
        if shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size)) != Some(file.iter().product()) {
            return Err(format!("{file:?} cannot become {shape:?}"));
        }
        Ok(shape)
    }

    /// A Gather of one place on an axis, which vanishes.
    fn picked(&mut self, node: &Node, input: usize) -> Result<usize, String> {
        let file = self.network.values[input].shape[1..].to_vec();
        let (axis, index) = {
            let (operands, _) = self.operands(node)?;
            let reading = Reading { node, operands, opset: self.graph.opset, fixed_batch: self.network.fixed_batch };
            let axis = reading::axis(reading.int("axis", 0)?, file.len())?;
            let scalar = match reading.operand(1) {
                Operand::Constant(constant) => constant.shape.is_empty(),
                Operand::Known(known) => known.shape.is_empty(),
                _ => false,
            };
            match reading.optional_integers(1)?.as_deref() {
                Some(&[index]) if scalar => (axis, reading::axis(index, file[axis])?),
                _ => return Err("picks several places where the file has moved the batch axis; one is supported".to_owned()),
            }
        };
        let cut = self.step(&node.name, Slice { axis: axis + 1, ranges: vec![(index, index + 1)] }.into(), vec![input])?[0];
        let rest = file.iter().enumerate().filter(|(other, _)| *other != axis).map(|(_, &size)| size);
        self.reshaped(&node.name, cut, std::iter::once(1).chain(rest).collect())
    }

    /// Reads the node with its axes moved by one; gives the values that it makes.
    fn moved(&mut self, node: &Node, axes: Axes, inputs: Vec<usize>) -> Result<Vec<usize>, String> {
        let rank = self.network.values[inputs[0]].shape.len();
        if inputs.iter().any(|&value| self.network.values[value].shape.len() != rank) {
            return Err("joins values of different numbers of axes where the file has moved the batch axis".to_owned());
        }
        let mut moved = node.clone();
        let mut constants: Vec<Option<Constant>> = vec![None; node.inputs.len()];
        let set = |moved: &mut Node, name: &str, value: Attribute| {
            moved.attributes.insert(name.to_owned(), value);
        };
        let (operands, _) = self.operands(node)?;
        let reading = Reading { node, operands, opset: self.graph.opset, fixed_batch: self.network.fixed_batch };
        let up = |axis: i64| reading::axis(axis, rank - 1).map(|axis| axis as i64 + 1);
        match axes {
            Axes::Shape | Axes::None => {}
            Axes::LastTwo if rank >= 3 => {}
            Axes::LastTwo => return Err("works on matrices where the file has moved the batch axis".to_owned()),
            Axes::Order => {
                let given = reading.ints("perm")?.unwrap_or_else(|| (0..rank as i64 - 1).rev().collect());
                let perm: Vec<i64> = given.iter().map(|&axis| up(axis)).collect::<Result<_, _>>()?;
                set(&mut moved, "perm", Attribute::Ints([vec![0], perm].concat()));
            }
            Axes::One(default) => set(&mut moved, "axis", Attribute::Int(up(reading.int("axis", default)?)?)),
            Axes::Borders => {
                let pads = if self.graph.opset < 11 { reading.ints("pads")? } else { reading.optional_integers(1)? };
                let pads = pads.ok_or("the pads are missing")?;
                let integers = |values: Vec<i64>| Constant { shape: vec![values.len()], elements: Elements::I64(values.into()) };
                if let Some(axes) = reading.optional_integers(3)? {
                    constants[3] = Some(integers(axes.iter().map(|&axis| up(axis)).collect::<Result<_, _>>()?));
                } else {
                    let (before, behind) = pads.split_at(pads.len() / 2);
                    let pads = [&[0], before, &[0], behind].concat();
                    match self.graph.opset < 11 {
                        true => set(&mut moved, "pads", Attribute::Ints(pads)),
                        false => constants[1] = Some(integers(pads)),
                    }
                }
            }
            Axes::Several(index) => {
                let given = match reading.axes(index, "axes")? {
                    Some(axes) if !axes.is_empty() => axes,
                    // Those of a Slice go from the first on, those of a reduction are all.
                    _ if index == 3 => (0..reading.axes(1, "starts")?.ok_or("starts are missing")?.len() as i64).collect(),
                    _ => (0..rank as i64 - 1).collect(),
                };
                let axes: Vec<i64> = given.iter().map(|&axis| up(axis)).collect::<Result<_, _>>()?;
                match constants.get_mut(index) {
                    Some(slot) if !matches!(reading.operand(index), Operand::Missing) => {
                        *slot = Some(Constant { shape: vec![axes.len()], elements: Elements::I64(axes.into()) });
                    }
                    _ => set(&mut moved, "axes", Attribute::Ints(axes)),
                }
            }
        }
        // A constant goes with the file's axes from the last on; one that has as many as the batch adds would meet the batch.
        let too_long = |operand: &Operand| matches!(operand, Operand::Constant(constant) if constant.shape.len() >= rank);
        if matches!(axes, Axes::None | Axes::LastTwo) && reading.operands.iter().any(too_long) {
            return Err("adds axes where the file has moved the batch axis".to_owned());
        }
        let mut activations = inputs.iter();
        let operands = reading.operands.iter().enumerate().map(|(index, operand)| match (operand, &constants[index]) {
            (_, Some(constant)) => Operand::Constant(constant),
            (Operand::Activation(_), None) => {
                let value = activations.next().expect("one for each activation");
                Operand::Activation(&self.network.values[*value].shape)
            }
            (operand, None) => *operand,
        });
        match self.read(&moved, operands.collect(), &inputs)? {
            Read::Same => Ok(vec![inputs[0]]),
            Read::Op(op) => self.named_step(&moved, op, inputs),
        }
    }
}
