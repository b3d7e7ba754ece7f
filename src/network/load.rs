//! From a file's graph to a network of operators: shape arithmetic is folded, every other node is read by its operator.

use std::rc::Rc;

use super::canonical;
use super::graph::{Constant, ElementType, Graph, GraphInput, InputDim, Node, ValueId};
use super::op::Shape;
use super::ops::{ONNX, Read};
use super::reading::{Operand, Reading};
use super::shape_arithmetic::{self, Dim, Known};
use super::structure::{Network, Step, Value};
use crate::error::{Error, Result};

/// Most elements that one value may have for one image: 2^28, a gigabyte of f32.
const MAX_VALUE_ELEMENTS: usize = 1 << 28;
/// Most elements of all values for one image.
const MAX_TOTAL_ELEMENTS: usize = 1 << 31;
/// Most axes that a value may have.
const MAX_AXES: usize = 16;
/// Most integers that shape arithmetic may make in all; a large network makes some ten thousand.
const MAX_KNOWN: usize = 1 << 22;

/// What the caller decides about a graph.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Rows and columns where the file leaves them free.
    pub input_size: Option<(usize, usize)>,
    /// Which output is explained, where there are several.
    pub output: Option<String>,
}

/// What a value of the file is.
#[derive(Clone)]
enum Item<'a> {
    /// With its integers, where it can take part in shape arithmetic.
    Constant(&'a Constant, Option<Rc<Known>>),
    Known(Rc<Known>),
    /// Index into the network's values.
    Activation(usize),
}

struct Loader<'a> {
    graph: &'a Graph,
    /// By the file's values; `None` for those that are not made, or made by an output that is not supported.
    items: Vec<Option<Item<'a>>>,
    /// By the file's values: whether a node or an output of the graph reads it.
    read: Vec<bool>,
    network: Network,
    total_elements: usize,
    total_known: usize,
}

/// Reads a graph into a network in the canonical cut.
///
/// # Errors
/// Kind::Data with the node's name, operator and domain where an operator has no rules, its inputs do not fit, or the graph is not of a
/// form that can be explained (several inputs, no floating-point input, a free size that `options` leaves open).
pub fn load(graph: &Graph, options: &LoadOptions) -> Result<Network> {
    let (input, shape) = image_input(graph, options)?;
    let output = chosen_output(graph, options)?;
    let (output, softmax) = canonical::softmax::take_off(graph, output);
    let fixed_batch = match input.shape.as_deref() {
        Some([InputDim::Fixed(batch), ..]) => Some(*batch),
        _ => None,
    };
    let name = graph.values[input.value].clone();
    let network = Network::new(graph.name.clone(), Value { name, shape }, fixed_batch);
    let items = vec![None; graph.values.len()];
    let mut loader = Loader { graph, items, read: read_values(graph), network, total_elements: 0, total_known: 0 };
    loader.items[input.value] = Some(Item::Activation(0));
    for (&value, constant) in &graph.constants {
        loader.items[value] = Some(Item::Constant(constant, Known::of(constant).map(Rc::new)));
    }
    let needed = needed_nodes(graph, output);
    for (node, _) in graph.nodes.iter().zip(&needed).filter(|(_, needed)| **needed) {
        loader.node(node).map_err(|message| located(node, &message))?;
    }
    let Some(Item::Activation(result)) = loader.items[output] else {
        return Err(Error::data(format!("output {:?} does not depend on the network's input", graph.values[output])));
    };
    let mut network = loader.network;
    network.output = result;
    if let Some(note) = softmax {
        network.notes.push(note);
    }
    canonical::apply(&mut network)?;
    Ok(network)
}

fn located(node: &Node, message: &str) -> Error {
    let domain = if node.domain.is_empty() { "ai.onnx" } else { &node.domain };
    Error::data(format!("node {:?} ({}, domain {domain}): {message}", node.name, node.op_type))
}

fn image_input<'a>(graph: &'a Graph, options: &LoadOptions) -> Result<(&'a GraphInput, Shape)> {
    let floats: Vec<&GraphInput> = graph
        .inputs
        .iter()
        .filter(|input| matches!(input.element, ElementType::F32 | ElementType::F64 | ElementType::F16 | ElementType::Bf16))
        .collect();
    let input = match floats[..] {
        [input] if graph.inputs.len() == 1 => input,
        [] => return Err(Error::data("the network has no floating-point input; a network that takes an image tensor is expected")),
        _ => {
            let names: Vec<&str> = graph.inputs.iter().map(|input| graph.values[input.value].as_str()).collect();
            return Err(Error::data(format!("the network has {} inputs ({}); one is expected", names.len(), names.join(", "))));
        }
    };
    let name = &graph.values[input.value];
    let Some([batch, channels, rows, columns]) = input.shape.as_deref() else {
        return Err(Error::data(format!("input {name:?} is not of four axes (N, C, H, W)")));
    };
    if let InputDim::Fixed(0) = batch {
        return Err(Error::data(format!("input {name:?} has a batch of zero")));
    }
    let size = |dim: &InputDim, free: Option<usize>, what: &str| match (dim, free) {
        (InputDim::Fixed(size), Some(asked)) if *size != asked => {
            Err(Error::data(format!("input {name:?} has {size} {what}, {asked} are asked for")))
        }
        (InputDim::Fixed(0), _) | (InputDim::Free(_), Some(0)) => Err(Error::data(format!("input {name:?} has zero {what}"))),
        (InputDim::Fixed(size), _) => Ok(*size),
        (InputDim::Free(_), Some(size)) => Ok(size),
        (InputDim::Free(_), None) => {
            Err(Error::data(format!("input {name:?} leaves its {what} free; give --input-size or the manifest's input.size")))
        }
    };
    let asked = options.input_size;
    let shape =
        vec![1, size(channels, None, "channels")?, size(rows, asked.map(|s| s.0), "rows")?, size(columns, asked.map(|s| s.1), "columns")?];
    elements(&shape).map_err(|message| Error::data(format!("input {name:?} {message}")))?;
    Ok((input, shape))
}

fn chosen_output(graph: &Graph, options: &LoadOptions) -> Result<ValueId> {
    let names = || graph.outputs.iter().map(|&id| graph.values[id].as_str()).collect::<Vec<_>>().join(", ");
    match (&options.output, &graph.outputs[..]) {
        (None, [output]) => Ok(*output),
        (None, []) => Err(Error::data("the network has no output")),
        (None, _) => Err(Error::data(format!("the network has several outputs ({}); choose one with --output", names()))),
        (Some(name), outputs) => outputs
            .iter()
            .copied()
            .find(|&id| graph.values[id] == *name)
            .ok_or_else(|| Error::data(format!("the network has no output {name:?}; it has {}", names()))),
    }
}

/// The number of elements of a value.
fn elements(shape: &[usize]) -> Result<usize, String> {
    let product = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    product
        .filter(|&elements| elements <= MAX_VALUE_ELEMENTS)
        .ok_or_else(|| format!("is a value of shape {shape:?}, over the limit of {MAX_VALUE_ELEMENTS} elements"))
}

/// Which values a node or an output of the graph reads.
fn read_values(graph: &Graph) -> Vec<bool> {
    let mut read = vec![false; graph.values.len()];
    graph.nodes.iter().flat_map(|node| node.inputs.iter().flatten()).chain(&graph.outputs).for_each(|&value| read[value] = true);
    read
}

/// Which nodes the output needs.
fn needed_nodes(graph: &Graph, output: ValueId) -> Vec<bool> {
    let mut wanted = vec![false; graph.values.len()];
    wanted[output] = true;
    let mut needed = vec![false; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        needed[index] = node.outputs.iter().flatten().any(|&value| wanted[value]);
        if needed[index] {
            node.inputs.iter().flatten().for_each(|&value| wanted[value] = true);
        }
    }
    needed
}

impl<'a> Loader<'a> {
    fn node(&mut self, node: &'a Node) -> Result<(), String> {
        if self.fold(node)? {
            return Ok(());
        }
        let reader = ONNX.iter().find(|(name, _)| node.domain.is_empty() && *name == node.op_type).map(|(_, reader)| reader);
        let Some(reader) = reader else {
            return Err("has no FullGrad rules here; `gradcast inspect --ops` lists the operators that do".to_owned());
        };
        let (operands, inputs) = self.operands(node)?;
        if inputs.is_empty() {
            return Err("works on constants only, which is not folded for this operator; export with constant folding".to_owned());
        }
        let reading = Reading { node, operands, opset: self.graph.opset, fixed_batch: self.network.fixed_batch };
        match reader(&reading)? {
            Read::Same => {
                let Some(Some(output)) = node.outputs.first() else { return Ok(()) };
                self.refuse_more_outputs(node, 1)?;
                self.items[*output] = Some(Item::Activation(inputs[0]));
                Ok(())
            }
            Read::Op(op) => {
                let shapes = {
                    let input_shapes: Vec<&[usize]> = inputs.iter().map(|&v| self.network.values[v].shape.as_slice()).collect();
                    op.rules().shapes(&input_shapes)?
                };
                self.refuse_more_outputs(node, shapes.len())?;
                let mut outputs = Vec::with_capacity(shapes.len());
                for (index, shape) in shapes.into_iter().enumerate() {
                    outputs.push(self.value(node, index, shape)?);
                }
                self.network.steps.push(Step { name: node.name.clone(), op, inputs, outputs });
                Ok(())
            }
        }
    }

    fn item(&self, input: Option<ValueId>) -> Option<&Item<'a>> {
        self.items[input?].as_ref()
    }

    /// Shape arithmetic over known values, and constants handed on: true where the node was that.
    fn fold(&mut self, node: &Node) -> Result<bool, String> {
        if node.op_type == "Identity"
            && node.domain.is_empty()
            && let ([input], [Some(output)]) = (&node.inputs[..], &node.outputs[..])
            && let Some(item @ Item::Constant(..)) = self.item(*input)
        {
            self.items[*output] = Some(item.clone());
            return Ok(true);
        }
        let known: Vec<Option<&Known>> = node
            .inputs
            .iter()
            .map(|&input| match self.item(input) {
                Some(Item::Constant(_, known)) => known.as_deref(),
                Some(Item::Known(known)) => Some(&**known),
                _ => None,
            })
            .collect();
        let shapes: Vec<Option<Vec<Dim>>> = node
            .inputs
            .iter()
            .map(|&input| match self.item(input) {
                Some(Item::Activation(value)) => {
                    let sizes = self.network.values[*value].shape[1..].iter().map(|&size| Dim::of(size as i64));
                    Some(std::iter::once(Dim::BATCH).chain(sizes).collect())
                }
                _ => None,
            })
            .collect();
        let input_shapes: Vec<Option<&[Dim]>> = shapes.iter().map(Option::as_deref).collect();
        let folded = shape_arithmetic::fold(node, &known, &input_shapes).map_err(|error| error.to_string())?;
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

    /// The operands, and the network values of those that are activations.
    fn operands(&self, node: &Node) -> Result<(Vec<Operand<'_>>, Vec<usize>), String> {
        let mut activations = Vec::new();
        let mut operands = Vec::with_capacity(node.inputs.len());
        for &input in &node.inputs {
            operands.push(match (input, self.item(input)) {
                (None, _) => Operand::Missing,
                (_, Some(Item::Constant(constant, _))) => Operand::Constant(constant),
                (_, Some(Item::Known(known))) => Operand::Known(known),
                (_, Some(Item::Activation(value))) => {
                    activations.push(*value);
                    Operand::Activation(&self.network.values[*value].shape)
                }
                (Some(id), None) => return Err(format!("input {:?} is made by an output that is not supported", self.graph.values[id])),
            });
        }
        Ok((operands, activations))
    }

    fn refuse_more_outputs(&self, node: &Node, supported: usize) -> Result<(), String> {
        match node.outputs.iter().skip(supported).flatten().find(|&&id| self.read[id]) {
            Some(&id) => {
                Err(format!("output {:?} is read, but only the first {supported} of this operator are supported", self.graph.values[id]))
            }
            None => Ok(()),
        }
    }

    fn value(&mut self, node: &Node, index: usize, shape: Shape) -> Result<usize, String> {
        if shape.len() > MAX_AXES {
            return Err(format!("makes a value of {} axes; at most {MAX_AXES} are supported", shape.len()));
        }
        let elements = elements(&shape).map_err(|message| format!("its output {message}"))?;
        self.total_elements += elements;
        if self.total_elements > MAX_TOTAL_ELEMENTS {
            return Err(format!("the network's values together are over the limit of {MAX_TOTAL_ELEMENTS} elements an image"));
        }
        if elements == 0 {
            return Err(format!("makes a value of shape {shape:?}, which holds nothing"));
        }
        let file_value = node.outputs.get(index).copied().flatten();
        let name = file_value.map_or_else(|| format!("{}:{index}", node.name), |id| self.graph.values[id].clone());
        self.network.values.push(Value { name, shape });
        let value = self.network.values.len() - 1;
        if let Some(id) = file_value {
            self.items[id] = Some(Item::Activation(value));
        }
        Ok(value)
    }
}
