//! Graphs as the ONNX reader would give them, built node by node.

// Each test file uses its own part.
#![allow(dead_code)]

use std::collections::BTreeMap;

use gradcast::network::graph::{Attribute, Constant, ElementType, Elements, Graph, GraphInput, InputDim, Node, ValueId};

/// A graph under construction; value 0 is its input.
pub struct Builder {
    pub graph: Graph,
    state: u64,
}

impl Builder {
    /// With an f32 input of a free batch and this size.
    pub fn new(channels: usize, rows: usize, columns: usize) -> Self {
        let dims = [channels, rows, columns].map(InputDim::Fixed);
        Self::with_input(Some([vec![InputDim::Free("N".to_owned())], dims.to_vec()].concat()))
    }

    pub fn with_input(shape: Option<Vec<InputDim>>) -> Self {
        let input = GraphInput { value: 0, element: ElementType::F32, shape };
        let graph = Graph { name: "test".to_owned(), opset: 17, values: vec!["input".to_owned()], inputs: vec![input], ..Graph::default() };
        Builder { graph, state: 1 }
    }

    /// Uniform from -1 to 1, the same in every run.
    pub fn random(&mut self) -> f64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    pub fn value(&mut self, name: impl Into<String>) -> ValueId {
        self.graph.values.push(name.into());
        self.graph.values.len() - 1
    }

    pub fn constant(&mut self, constant: Constant) -> ValueId {
        let value = self.value(format!("constant {}", self.graph.values.len()));
        self.graph.constants.insert(value, constant);
        value
    }

    /// A constant of random numbers.
    pub fn weights(&mut self, shape: &[usize]) -> ValueId {
        let values = (0..shape.iter().product()).map(|_| self.random()).collect();
        self.constant(Constant::from_floats(shape.to_vec(), values))
    }

    pub fn floats(&mut self, values: &[f64]) -> ValueId {
        self.constant(Constant::from_floats(vec![values.len()], values.to_vec()))
    }

    pub fn scalar(&mut self, value: f64) -> ValueId {
        self.constant(Constant::from_floats(vec![], vec![value]))
    }

    pub fn integers(&mut self, values: &[i64]) -> ValueId {
        self.constant(Constant { shape: vec![values.len()], elements: Elements::I64(values.into()) })
    }

    /// A node of one output, named by its number and operator.
    pub fn node(&mut self, op_type: &str, inputs: &[ValueId]) -> ValueId {
        self.with(op_type, inputs, &[])
    }

    pub fn with(&mut self, op_type: &str, inputs: &[ValueId], attributes: &[(&str, Attribute)]) -> ValueId {
        self.many(op_type, inputs, attributes, 1)[0]
    }

    pub fn many(&mut self, op_type: &str, inputs: &[ValueId], attributes: &[(&str, Attribute)], outputs: usize) -> Vec<ValueId> {
        let name = format!("{op_type}_{}", self.graph.nodes.len());
        let outputs: Vec<ValueId> = (0..outputs).map(|i| self.value(format!("{name}:{i}"))).collect();
        let attributes: BTreeMap<String, Attribute> = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.graph.nodes.push(Node {
            name,
            domain: String::new(),
            op_type: op_type.to_owned(),
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: outputs.iter().copied().map(Some).collect(),
            attributes,
        });
        outputs
    }

    /// A convolution of `kernel` x `kernel` with random weights.
    pub fn conv(&mut self, x: ValueId, inputs: usize, outputs: usize, kernel: usize, bias: bool) -> ValueId {
        let border = (kernel / 2) as i64;
        let mut operands = vec![x, self.weights(&[outputs, inputs, kernel, kernel])];
        if bias {
            operands.push(self.weights(&[outputs]));
        }
        self.with("Conv", &operands, &[("pads", ints(&[border; 4]))])
    }

    /// A BatchNormalization with random statistics.
    pub fn batch_norm(&mut self, x: ValueId, channels: usize) -> ValueId {
        let [gamma, beta, mean] = [0; 3].map(|_| self.weights(&[channels]));
        let variance: Vec<f64> = (0..channels).map(|_| self.random().abs() + 0.1).collect();
        let variance = self.floats(&variance);
        self.node("BatchNormalization", &[x, gamma, beta, mean, variance])
    }

    /// The mean of all pixels, and `classes` scores.
    pub fn classes(&mut self, x: ValueId, channels: usize, classes: usize) -> ValueId {
        let mean = self.node("GlobalAveragePool", &[x]);
        let rows = self.node("Flatten", &[mean]);
        let (weight, bias) = (self.weights(&[channels, classes]), self.weights(&[classes]));
        self.node("Gemm", &[rows, weight, bias])
    }

    pub fn finish(mut self, output: ValueId) -> Graph {
        self.graph.outputs.push(output);
        self.graph
    }
}

pub fn ints(values: &[i64]) -> Attribute {
    Attribute::Ints(values.to_vec())
}
