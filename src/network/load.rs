//! From a file's graph to a network of operators: what is constant is folded, conditions are decided, every other node is read by its
//! operator.

mod folding;
mod input;
mod joined;
mod lifted;
mod quantised;
mod sequences;
mod strided;

use std::collections::BTreeMap;
use std::rc::Rc;

pub use self::input::{ImageInput, image_input};
use self::strided::Places;
use super::canonical;
use super::constant_folding::{Budget, Quantisation};
use super::graph::{Constant, Graph, InputDim, Node, ValueId};
use super::manifest::{Final, Layout};
use super::op::Shape;
use super::ops::{ONNX, Op, Read, Transpose};
use super::reading::{Operand, Reading};
use super::shape_arithmetic::Known;
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
    /// How the file lays out its input; `None`: as its sizes tell.
    pub layout: Option<Layout>,
    /// Whether what the file ends in stays; `None`: a Softmax or LogSoftmax does not, a Sigmoid does.
    pub ending: Option<Final>,
}

/// What a value of the file is.
#[derive(Debug, Clone)]
enum Item {
    /// With its integers, where it can take part in shape arithmetic.
    Constant(Rc<Constant>, Option<Rc<Known>>),
    Known(Rc<Known>),
    /// A value of the network, and how the file sees it.
    Activation(usize, Form),
    /// Integers that stand for this value of the network.
    Quantised(usize, Quantisation),
    Sequence(Rc<Vec<Item>>),
    /// A value of the network, all images behind one another on one axis.
    Flat(usize),
    /// Places on that axis.
    Places(Rc<Places>),
}

/// How the file sees a value of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As it is.
    Plain,
    /// Without its batch axis: the file has moved that axis among others. The network keeps the batch in front
    /// of all the file's axes.
    Lifted,
    /// As integers: an input of bytes before it is cast.
    Bytes,
}

struct Loader<'a> {
    graph: &'a Graph,
    /// By the file's values; `None` for those that are not made, or made by an output that is not supported.
    items: Vec<Option<Item>>,
    /// By the file's values: how many nodes and outputs still read it.
    reads: Vec<usize>,
    network: Network,
    budget: Budget,
    total_elements: usize,
    total_known: usize,
    /// Values with the batch in front of all the file's axes, by the plain value.
    lifted: BTreeMap<usize, usize>,
    /// Pairs of QuantizeLinear and DequantizeLinear.
    quantised: usize,
}

/// Reads a graph into a network in the canonical cut.
///
/// # Errors
/// Kind::Data with the node's name, operator and domain where an operator has no rules, its inputs do not fit, or the graph is not of a
/// form that can be explained (several inputs, no input of numbers, a free size that `options` leaves open).
pub fn load(graph: &Graph, options: &LoadOptions) -> Result<Network> {
    let ImageInput { input, shape, layout, bytes } = image_input(graph, options)?;
    let output = input::chosen_output(graph, options)?;
    let (output, ending, note) = canonical::softmax::take_off(graph, output, options.ending);
    let fixed_batch = match input.shape.as_deref() {
        Some([InputDim::Fixed(batch), ..]) => Some(*batch),
        _ => None,
    };
    let name = graph.values[input.value].clone();
    let network = Network::new(graph.name.clone(), Value { name, shape }, fixed_batch);
    let needed = needed_nodes(graph, output);
    let mut loader = Loader {
        graph,
        items: vec![None; graph.values.len()],
        reads: reads(graph, output, &needed),
        network,
        budget: Budget::new(graph.constants.values().map(|constant| constant.elements.len()).sum()),
        total_elements: 0,
        total_known: 0,
        lifted: BTreeMap::new(),
        quantised: 0,
    };
    loader.input(input.value, layout, bytes).map_err(|message| Error::data(format!("the input: {message}")))?;
    for (&value, constant) in &graph.constants {
        loader.items[value] = Some(Item::Constant(Rc::new(constant.clone()), Known::of(constant).map(Rc::new)));
    }
    for (index, node) in graph.nodes.iter().enumerate().filter(|(index, _)| needed[*index]) {
        if loader.runs(index).map_err(|message| located(node, &message))? {
            loader.node(node).map_err(|message| located(node, &message))?;
        }
        loader.forget(node);
    }
    let Some(Item::Activation(result, Form::Plain | Form::Lifted)) = loader.items[output] else {
        return Err(Error::data(format!("output {:?} does not depend on the network's input", graph.values[output])));
    };
    let mut network = loader.finish(result);
    network.ending = ending;
    network.notes.extend(note);
    canonical::apply(&mut network)?;
    Ok(network)
}

fn located(node: &Node, message: &str) -> Error {
    let domain = if node.domain.is_empty() { "ai.onnx" } else { &node.domain };
    Error::data(format!("node {:?} ({}, domain {domain}): {message}", node.name, node.op_type))
}

/// The number of elements of a value.
fn elements(shape: &[usize]) -> Result<usize, String> {
    let product = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    product
        .filter(|&elements| elements <= MAX_VALUE_ELEMENTS)
        .ok_or_else(|| format!("is a value of shape {shape:?}, over the limit of {MAX_VALUE_ELEMENTS} elements"))
}

/// Which nodes the output needs; of an `If`, both branches, since its condition is not yet known.
fn needed_nodes(graph: &Graph, output: ValueId) -> Vec<bool> {
    let mut wanted = vec![false; graph.values.len()];
    wanted[output] = true;
    let mut needed = vec![false; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        needed[index] = node.outputs.iter().flatten().any(|&value| wanted[value]);
        if needed[index] {
            node.inputs.iter().flatten().for_each(|&value| wanted[value] = true);
            graph.guards.get(&index).into_iter().flatten().for_each(|guard| wanted[guard.condition] = true);
        }
    }
    needed
}

/// How many needed nodes and outputs read each value.
fn reads(graph: &Graph, output: ValueId, needed: &[bool]) -> Vec<usize> {
    let mut reads = vec![0; graph.values.len()];
    let nodes = graph.nodes.iter().zip(needed).filter(|(_, needed)| **needed);
    nodes.flat_map(|(node, _)| node.inputs.iter().flatten()).chain([&output]).for_each(|&value| reads[value] += 1);
    reads
}

impl Loader<'_> {
    /// Enters the network's input.
    fn input(&mut self, value: ValueId, layout: Layout, bytes: bool) -> Result<(), String> {
        let form = if bytes { Form::Bytes } else { Form::Plain };
        if bytes {
            let name = &self.network.values[0].name;
            self.network.notes.push(format!("input {name:?} takes bytes in the file; here it takes the same numbers as floating point"));
        }
        self.items[value] = Some(Item::Activation(0, form));
        if layout == Layout::Nhwc {
            let name = self.network.values[0].name.clone();
            self.network.notes.push(format!("input {name:?} is laid out (N, H, W, C) in the file; here it is (N, C, H, W)"));
            let values = self.step(&name, Transpose { perm: vec![0, 2, 3, 1] }.into(), vec![0])?;
            self.items[value] = Some(Item::Activation(values[0], form));
        }
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Result<(), String> {
        if self.decide(node)?
            || self.strided(node)?
            || self.fold(node)?
            || self.quantised(node)?
            || self.sequence(node)?
            || self.joined(node)?
            || self.bytes(node)?
        {
            return Ok(());
        }
        if self.forms(node).any(|form| form == Form::Lifted) {
            return self.lifted(node);
        }
        match self.plain(node) {
            Err(message) if self.may_lift(node) => self.lifted(node).map_err(|_| message),
            done => done,
        }
    }

    /// Reads a node whose operands have the batch axis in front.
    fn plain(&mut self, node: &Node) -> Result<(), String> {
        let (operands, inputs) = self.operands(node)?;
        let outputs = self.read(node, operands, &inputs)?;
        let outputs = match outputs {
            Read::Same => {
                self.refuse_more_outputs(node, 1)?;
                vec![inputs[0]]
            }
            Read::Op(op) => self.undone(&op, &inputs).map_or_else(|| self.named_step(node, op, inputs), |before| Ok(vec![before]))?,
        };
        self.enter(node, &outputs, Form::Plain);
        Ok(())
    }

    /// What a node's operator makes of it.
    fn read(&self, node: &Node, operands: Vec<Operand<'_>>, inputs: &[usize]) -> Result<Read, String> {
        if inputs.is_empty() {
            let batch = operands.iter().any(|operand| matches!(operand, Operand::Known(known) if known.as_fixed().is_none()));
            return Err(match batch {
                true => "computes with the batch size in a way that is not understood; export with a fixed batch of 1",
                false => "works on constants only, which is not folded for this operator; export with constant folding",
            }
            .to_owned());
        }
        let reader = ONNX.iter().find(|(name, _)| node.domain.is_empty() && *name == node.op_type).map(|(_, reader)| reader);
        let Some(reader) = reader else {
            return Err("has no FullGrad rules here; `gradcast inspect --ops` lists the operators that do".to_owned());
        };
        reader(&Reading { node, operands, opset: self.graph.opset, fixed_batch: self.network.fixed_batch })
    }

    /// A step for the node.
    fn named_step(&mut self, node: &Node, op: Op, inputs: Vec<usize>) -> Result<Vec<usize>, String> {
        let first = self.network.values.len();
        let outputs = self.step(&node.name, op, inputs)?;
        self.refuse_more_outputs(node, outputs.len())?;
        for (file_value, value) in node.outputs.iter().zip(first..self.network.values.len()) {
            if let Some(id) = file_value {
                self.network.values[value].name.clone_from(&self.graph.values[*id]);
            }
        }
        Ok(outputs)
    }

    /// The value before a Transpose that this operator undoes.
    fn undone(&self, op: &Op, inputs: &[usize]) -> Option<usize> {
        let (Op::Transpose(Transpose { perm: second }), Some(first)) = (op, self.network.steps.first()) else { return None };
        let Op::Transpose(Transpose { perm }) = &first.op else { return None };
        let back = perm.len() == second.len() && second.iter().enumerate().all(|(i, &axis)| perm[axis] == i);
        (back && first.outputs == inputs).then(|| first.inputs[0])
    }

    /// Says what the node's outputs are.
    fn enter(&mut self, node: &Node, values: &[usize], form: Form) {
        for (output, &value) in node.outputs.iter().zip(values) {
            if let Some(output) = output {
                self.items[*output] = Some(Item::Activation(value, form));
            }
        }
    }

    fn item(&self, input: Option<ValueId>) -> Option<&Item> {
        self.items[input?].as_ref()
    }

    /// Forms of the activations that a node reads.
    fn forms(&self, node: &Node) -> impl Iterator<Item = Form> {
        let form = |&input: &Option<ValueId>| match self.item(input) {
            Some(Item::Activation(_, form)) => Some(*form),
            _ => None,
        };
        node.inputs.iter().filter_map(form).collect::<Vec<_>>().into_iter()
    }

    /// An input of bytes may be handed on and cast, no more. True where the node was that.
    fn bytes(&mut self, node: &Node) -> Result<bool, String> {
        let Some(&Item::Activation(value, Form::Bytes)) = node.inputs.first().and_then(|&input| self.item(input)) else {
            return match self.forms(node).any(|form| form == Form::Bytes) {
                true => Err("computes with the bytes of the input; cast them to floating point first".to_owned()),
                false => Ok(false),
            };
        };
        match node.op_type.as_str() {
            "Cast" => self.items[node.inputs[0].expect("was an item")] = Some(Item::Activation(value, Form::Plain)),
            "Identity" | "Transpose" => {}
            _ => return Err("computes with the bytes of the input; cast them to floating point first".to_owned()),
        }
        self.plain(node)?;
        self.items[node.inputs[0].expect("was an item")] = Some(Item::Activation(value, Form::Bytes));
        if node.op_type != "Cast"
            && let Some(Some(output)) = node.outputs.first()
            && let Some(Item::Activation(_, form)) = &mut self.items[*output]
        {
            *form = Form::Bytes;
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
                (_, Some(Item::Activation(value, _))) => {
                    activations.push(*value);
                    Operand::Activation(&self.network.values[*value].shape)
                }
                (Some(_), Some(Item::Quantised(..))) => return Err(quantised::INTEGERS.to_owned()),
                (Some(_), Some(Item::Sequence(_))) => {
                    return Err("reads a sequence of values, which is not supported for this operator".to_owned());
                }
                (Some(_), Some(Item::Flat(_) | Item::Places(_))) => {
                    return Err("lays the images of a batch behind one another in a way that is not understood".to_owned());
                }
                (Some(id), None) => return Err(format!("input {:?} is made by an output that is not supported", self.graph.values[id])),
            });
        }
        Ok((operands, activations))
    }

    fn refuse_more_outputs(&self, node: &Node, supported: usize) -> Result<(), String> {
        match node.outputs.iter().skip(supported).flatten().find(|&&id| self.reads[id] > 0 || self.graph.outputs.contains(&id)) {
            Some(&id) => {
                Err(format!("output {:?} is read, but only the first {supported} of this operator are supported", self.graph.values[id]))
            }
            None => Ok(()),
        }
    }

    /// Adds a step; gives the values that it makes.
    fn step(&mut self, name: &str, op: Op, inputs: Vec<usize>) -> Result<Vec<usize>, String> {
        let shapes = {
            let input_shapes: Vec<&[usize]> = inputs.iter().map(|&v| self.network.values[v].shape.as_slice()).collect();
            op.rules().shapes(&input_shapes)?
        };
        let first = self.network.values.len();
        for (index, shape) in shapes.into_iter().enumerate() {
            self.check_value(&shape)?;
            self.network.values.push(Value { name: format!("{name}:{index}"), shape });
        }
        let outputs: Vec<usize> = (first..self.network.values.len()).collect();
        self.network.steps.push(Step { name: name.to_owned(), op, inputs, outputs: outputs.clone() });
        Ok(outputs)
    }

    fn check_value(&mut self, shape: &Shape) -> Result<(), String> {
        if shape.len() > MAX_AXES {
            return Err(format!("makes a value of {} axes; at most {MAX_AXES} are supported", shape.len()));
        }
        let elements = elements(shape).map_err(|message| format!("its output {message}"))?;
        self.total_elements += elements;
        if self.total_elements > MAX_TOTAL_ELEMENTS {
            return Err(format!("the network's values together are over the limit of {MAX_TOTAL_ELEMENTS} elements an image"));
        }
        if elements == 0 {
            return Err(format!("makes a value of shape {shape:?}, which holds nothing"));
        }
        Ok(())
    }

    /// Drops constants that nothing reads any more.
    fn forget(&mut self, node: &Node) {
        for &input in node.inputs.iter().flatten() {
            self.reads[input] -= 1;
            if self.reads[input] == 0 && matches!(self.items[input], Some(Item::Constant(..))) {
                self.items[input] = None;
            }
        }
    }

    fn finish(self, output: usize) -> Network {
        let mut network = self.network;
        network.output = output;
        if self.quantised > 0 {
            network.notes.push(format!(
                "{} pairs of QuantizeLinear and DequantizeLinear are read as Clip to the range that their integers span: what rounding \
                 does to a value is left out",
                self.quantised
            ));
        }
        // A transpose before the file's nodes that the file undoes at once.
        if let Some(first) = network.steps.first()
            && matches!(first.op, Op::Transpose(_))
            && network.readers()[first.outputs[0]] == 0
        {
            network.steps.remove(0);
        }
        network
    }
}
