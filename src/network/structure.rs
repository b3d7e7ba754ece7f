//! A network of operators: steps in order, values with shapes. Plain data; the plan compiles it.

use super::op::Shape;
use super::ops::Op;

/// Something that a step makes, or the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The file's name.
    pub name: String,
    /// For a batch of one.
    pub shape: Shape,
}

/// One operator at work.
#[derive(Debug, Clone)]
pub struct Step {
    /// The file's name of the node, or of the first of several that became one.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// Values read.
    pub inputs: Vec<usize>,
    /// Values made.
    pub outputs: Vec<usize>,
}

/// An operator at the very end of a file's network that makes scores to numbers from 0 to 1, or their logarithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum EndingOp {
    Softmax,
    LogSoftmax,
    Sigmoid,
}

/// What a file's network ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// The operator.
    pub op: EndingOp,
    /// False where it was taken off: its input is the network's output.
    pub kept: bool,
}

/// A network. Value 0 is the input; a step reads only values made before it.
#[derive(Debug, Clone)]
pub struct Network {
    /// The file's name for the graph.
    pub name: String,
    /// By index.
    pub values: Vec<Value>,
    /// In order of execution.
    pub steps: Vec<Step>,
    /// The value that is explained.
    pub output: usize,
    /// What the file ends in, if it is one of those.
    pub ending: Option<Ending>,
    /// The batch size that the file fixes, if it does.
    pub fixed_batch: Option<usize>,
    /// What the canonical cut changed, a sentence each.
    pub notes: Vec<String>,
}

impl Network {
    /// A network without steps whose output is its input.
    pub fn new(name: String, input: Value, fixed_batch: Option<usize>) -> Self {
        Network { name, values: vec![input], steps: Vec::new(), output: 0, ending: None, fixed_batch, notes: Vec::new() }
    }

    /// The input's shape (1, C, H, W).
    pub fn input_shape(&self) -> &Shape {
        &self.values[0].shape
    }

    /// The output's shape.
    pub fn output_shape(&self) -> &Shape {
        &self.values[self.output].shape
    }

    /// For each value, the number of inputs of steps that read it; the network's output counts as one more.
    pub fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.values.len()];
        self.steps.iter().flat_map(|step| &step.inputs).chain([&self.output]).for_each(|&value| readers[value] += 1);
        readers
    }

    /// Shapes of a step's inputs.
    pub fn input_shapes(&self, step: &Step) -> Vec<&[usize]> {
        step.inputs.iter().map(|&value| self.values[value].shape.as_slice()).collect()
    }

    /// Number of trained parameters.
    pub fn parameters(&self) -> usize {
        self.steps.iter().map(|step| step.op.rules().parameters()).sum()
    }

    /// Multiply-accumulates of the forward pass for one image.
    pub fn macs(&self) -> u64 {
        self.steps
            .iter()
            .map(|step| {
                let outputs: Vec<Shape> = step.outputs.iter().map(|&value| self.values[value].shape.clone()).collect();
                step.op.rules().macs(&self.input_shapes(step), &outputs)
            })
            .sum()
    }
}
