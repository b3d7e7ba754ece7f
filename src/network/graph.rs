//! A network as a file gives it: nodes, values and constants, plain data. No tch, no protobuf.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Index of a value in [`Graph::values`].
pub type ValueId = usize;

/// The type of a tensor's elements. Types that no network of ours computes with are refused by the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ElementType {
    F16,
    Bf16,
    F32,
    F64,
    I8,
    U8,
    I32,
    I64,
    Bool,
}

/// A constant's elements, row-major. f16 and bf16 are widened to f32 when read.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Elements {
    F32(Arc<[f32]>),
    F64(Arc<[f64]>),
    I8(Arc<[i8]>),
    U8(Arc<[u8]>),
    I32(Arc<[i32]>),
    I64(Arc<[i64]>),
    Bool(Arc<[bool]>),
}

impl Elements {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Elements::F32(v) => v.len(),
            Elements::F64(v) => v.len(),
            Elements::I8(v) => v.len(),
            Elements::U8(v) => v.len(),
            Elements::I32(v) => v.len(),
            Elements::I64(v) => v.len(),
            Elements::Bool(v) => v.len(),
        }
    }

    /// True without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A tensor with known contents. `elements.len()` is the product of `shape`; the reader has checked it.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// Sizes of the axes; empty for a scalar.
    pub shape: Vec<usize>,
    /// The contents.
    pub elements: Elements,
}

impl Constant {
    /// The elements as f64 where they are floating point, else `None`.
    pub fn floats(&self) -> Option<Vec<f64>> {
        match &self.elements {
            Elements::F32(v) => Some(v.iter().map(|&x| f64::from(x)).collect()),
            Elements::F64(v) => Some(v.to_vec()),
            _ => None,
        }
    }

    /// The elements as i64 where they are integers or booleans, else `None`.
    pub fn integers(&self) -> Option<Vec<i64>> {
        match &self.elements {
            Elements::I8(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            Elements::U8(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            Elements::I32(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            Elements::I64(v) => Some(v.to_vec()),
            Elements::Bool(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            _ => None,
        }
    }

    /// A floating-point constant of f64.
    pub fn from_floats(shape: Vec<usize>, values: Vec<f64>) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        Self { shape, elements: Elements::F64(values.into()) }
    }
}

/// What a node is told beside its inputs.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Attribute {
    Int(i64),
    Float(f32),
    Text(String),
    Tensor(Constant),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<String>),
    /// Of a type that is not read (subgraphs, sparse tensors, types); the text names it.
    Other(&'static str),
}

/// One operator of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The file's name for it; where it has none, `OpType_index`.
    pub name: String,
    /// The operator set; empty for ONNX's own (`ai.onnx` is read as empty).
    pub domain: String,
    /// The operator, as "Conv".
    pub op_type: String,
    /// Values read; `None` for an optional input that is left out.
    pub inputs: Vec<Option<ValueId>>,
    /// Values made; `None` for an optional output that is left out.
    pub outputs: Vec<Option<ValueId>>,
    /// By name.
    pub attributes: BTreeMap<String, Attribute>,
}

/// The size of an axis of a graph's input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputDim {
    /// Fixed by the file.
    Fixed(usize),
    /// Free; the file's name for it, or empty.
    Free(String),
}

/// A value that whoever runs the graph gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphInput {
    /// The value.
    pub value: ValueId,
    /// Its elements.
    pub element: ElementType,
    /// Its axes; `None` where the file does not even tell how many.
    pub shape: Option<Vec<InputDim>>,
}

/// A condition under which a node runs: that of an `If` in whose branch it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// The value.
    pub condition: ValueId,
    /// What it has to be.
    pub wanted: bool,
}

/// A whole network. Nodes are in an order in which each reads only inputs, constants and outputs of earlier nodes; every value
/// has exactly one maker. The reader guarantees both. The nodes of an `If`'s branches stand among the others, under guards, and the `If`
/// reads its condition, the outputs of the one branch, and those of the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// The file's name for the graph.
    pub name: String,
    /// Version of ONNX's own operator set.
    pub opset: i64,
    /// Names of all values, by id.
    pub values: Vec<String>,
    /// Inputs that are not constants.
    pub inputs: Vec<GraphInput>,
    /// Outputs, in the file's order.
    pub outputs: Vec<ValueId>,
    /// Constants (initializers), by value.
    pub constants: BTreeMap<ValueId, Constant>,
    /// The operators, sorted.
    pub nodes: Vec<Node>,
    /// By index of the node: conditions that all have to hold, made by earlier nodes. Most nodes have none.
    pub guards: BTreeMap<usize, Vec<Guard>>,
}
