//! The whole of it: model to graph.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use super::attribute::AttributeReader;
use super::external::ExternalData;
use super::flatten::{FlatNode, Flattener, own};
use super::order::{self, Maker};
use super::proto::{GraphProto, ModelProto, OperatorSetIdProto, TensorName, TensorProto, TensorShapeProto, ValueInfoProto};
use super::tensor::{ConstantReader, element_type};
use super::{Limits, OPSETS, wire};
use crate::error::{Error, Result};
use crate::network::graph::{Attribute, Constant, ElementType, Graph, GraphInput, Guard, InputDim, Node, ValueId};

/// The oldest version of the format that names its operator sets.
const OLDEST_IR: i64 = 3;
/// Axes of an input.
const MAX_RANK: usize = 32;

pub fn graph(bytes: Bytes, folder: Option<&Path>, limits: &Limits) -> Result<Graph> {
    // Nodes are the most of a graph's fields; initializers and types of inner values are a few for each.
    let max_fields = limits.max_nodes.saturating_mul(8);
    let model: ModelProto = wire::decode(&bytes, max_fields, || "not an ONNX model, or a damaged one".to_owned())?;
    let opset = opset_of(&model)?;
    let proto = model.graph.as_ref().ok_or_else(|| Error::data("not an ONNX model: it has no graph"))?;
    let proto: GraphProto = wire::decode(proto, max_fields, || "the graph".to_owned())?;
    if !proto.sparse_initializer.is_empty() {
        return Err(Error::data("sparse initializers are not supported; export the model with dense ones"));
    }

    // A file without functions has its names once, with them as often as they are called.
    let mut flat = Flattener::new(limits.max_nodes, bytes.len().saturating_mul(16).saturating_add(1 << 20));
    for function in &model.functions {
        flat.add_function(function, opset)?;
    }
    let mut makers = Makers::default();
    for (index, initializer) in proto.initializer.iter().enumerate() {
        let name: TensorName = wire::decode(initializer, usize::MAX, || format!("initializer {index}"))?;
        if name.name.is_empty() {
            return Err(Error::data(format!("initializer {index} has no name")));
        }
        let value = flat.value(&name.name)?;
        if makers.enter(value, Maker::Initializer(index)).is_some() {
            return Err(Error::data(format!("two initializers are named '{}'", name.name)));
        }
    }
    let inputs = inputs_of(&proto, &mut flat, &mut makers)?;
    for (index, node) in proto.node.iter().enumerate() {
        flat.add_node(node, index)?;
    }
    let mut outputs = Vec::with_capacity(proto.output.len());
    for (index, output) in proto.output.iter().enumerate() {
        let info: ValueInfoProto = wire::decode(output, max_fields, || format!("output {index}"))?;
        outputs.push(flat.value(&info.name)?);
    }
    let has_functions = flat.has_functions();
    let Flattener { values, nodes, initializers: of_branches, .. } = flat;
    let mut initializers = proto.initializer;
    for (value, bytes) in of_branches {
        makers.enter(value, Maker::Initializer(initializers.len()));
        initializers.push(bytes);
    }
    let mut makers = makers.of_all(values.len());
    order::enter_nodes(&mut makers, &nodes, &values)?;
    check_outputs(&outputs, &makers, &values)?;
    let sorted = order::sorted(&makers, &nodes, &values)?;
    let needed = order::needed(&makers, &nodes, &outputs);

    // An element has at least a byte of file. Only functions, whose attributes are copied into each call, can come to more.
    let file_elements = (bytes.len() as u64).saturating_mul(8).saturating_add(limits.max_external_bytes).saturating_add(1 << 20);
    let constants = ConstantReader::new(ExternalData::new(folder, limits.max_external_bytes), limits.max_elements.min(file_elements));
    let mut assembly = Assembly {
        attributes: AttributeReader::new(has_functions),
        constants,
        found: BTreeMap::new(),
        nodes: Vec::new(),
        guards: BTreeMap::new(),
    };
    let mut nodes: Vec<Option<FlatNode>> = nodes.into_iter().map(Some).collect();
    for index in sorted {
        let node = nodes[index].take().filter(|_| needed[index]);
        let Some(node) = node else { continue };
        let read = node.inputs.iter().flatten().copied().chain(node.guards.iter().map(|guard| guard.condition));
        assembly.initializers(read, &makers, &initializers, &values)?;
        assembly.node(node)?;
    }
    assembly.initializers(outputs.iter().copied(), &makers, &initializers, &values)?;
    let Assembly { found: constants, nodes, guards, .. } = assembly;
    Ok(Graph { name: proto.name, opset, values, inputs, outputs, constants, nodes, guards })
}

/// The version of ONNX's own operator set.
fn opset_of(model: &ModelProto) -> Result<i64> {
    match model.ir_version {
        None => return Err(Error::data("not an ONNX model: it has no IR version")),
        Some(version) if version < OLDEST_IR => {
            return Err(Error::data(format!("IR version {version} is too old; versions from {OLDEST_IR} on are read")));
        }
        Some(_) => {}
    }
    let mut opset = None;
    for import in &model.opset_import {
        let import: OperatorSetIdProto = wire::decode(import, 2, || "an operator set".to_owned())?;
        if own(&import.domain).is_empty() && opset.replace(import.version).is_some_and(|other| other != import.version) {
            return Err(Error::data("two versions of ONNX's own operator set at once"));
        }
    }
    match opset {
        Some(version) if OPSETS.contains(&version) => Ok(version),
        Some(version) => Err(Error::data(format!("opset {version} is not supported; opsets {} to {} are", OPSETS.start(), OPSETS.end()))),
        None => Err(Error::data("the model does not say which opset it is written for")),
    }
}

/// Makers by value while values are still being found.
#[derive(Debug, Default)]
struct Makers(Vec<Option<Maker>>);

impl Makers {
    /// Enters the maker of a value; gives the one that was there.
    fn enter(&mut self, value: ValueId, maker: Maker) -> Option<Maker> {
        if value >= self.0.len() {
            self.0.resize(value + 1, None);
        }
        self.0[value].replace(maker)
    }

    fn get(&self, value: ValueId) -> Option<Maker> {
        self.0.get(value).copied().flatten()
    }

    fn of_all(mut self, values: usize) -> Vec<Option<Maker>> {
        self.0.resize(values, None);
        self.0
    }
}

/// The graph's inputs, without those that have an initializer: these are constants.
fn inputs_of(proto: &GraphProto, flat: &mut Flattener, makers: &mut Makers) -> Result<Vec<GraphInput>> {
    let mut inputs: Vec<GraphInput> = Vec::new();
    for (index, input) in proto.input.iter().enumerate() {
        let info: ValueInfoProto = wire::decode(input, MAX_RANK, || format!("input {index}"))?;
        let value = flat.value(&info.name)?;
        match makers.get(value) {
            Some(Maker::Initializer(_)) => continue,
            Some(_) => return Err(Error::data(format!("two inputs are named '{}'", info.name))),
            None => makers.enter(value, Maker::Input),
        };
        let at = || format!("input '{}'", info.name);
        let tensor = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
        let tensor = tensor.ok_or_else(|| Error::data(format!("{} is not a tensor; only tensors can be given", at())))?;
        let element = element_type(tensor.elem_type).map_err(|e| e.at(at()))?;
        let shape = tensor.shape.as_ref().map(|shape| shape_of(shape, &at)).transpose()?;
        inputs.push(GraphInput { value, element, shape });
    }
    // Networks may take bytes and cast them.
    let number = |input: &GraphInput| {
        matches!(input.element, ElementType::F16 | ElementType::Bf16 | ElementType::F32 | ElementType::F64 | ElementType::U8)
    };
    if !inputs.iter().any(number) {
        return Err(Error::data("the graph has no floating-point input, so there is nothing to explain"));
    }
    Ok(inputs)
}

fn shape_of(shape: &Bytes, at: &impl Fn() -> String) -> Result<Vec<InputDim>> {
    let shape: TensorShapeProto = wire::decode(shape, MAX_RANK, || format!("{}, its shape", at()))?;
    let dims = shape.dim.into_iter().map(|dim| match dim.dim_value {
        Some(size) => {
            let size = usize::try_from(size).map_err(|_| Error::data(format!("{}: negative size {size}", at())))?;
            Ok(InputDim::Fixed(size))
        }
        None => Ok(InputDim::Free(dim.dim_param.unwrap_or_default())),
    });
    dims.collect()
}

fn check_outputs(outputs: &[ValueId], makers: &[Option<Maker>], values: &[String]) -> Result<()> {
    if outputs.is_empty() {
        return Err(Error::data("the graph has no output"));
    }
    let mut seen = vec![false; values.len()];
    for &output in outputs {
        if makers[output].is_none() {
            return Err(Error::data(format!("output '{}' is made by nothing in the graph", values[output])));
        }
        if std::mem::replace(&mut seen[output], true) {
            return Err(Error::data(format!("two outputs are named '{}'", values[output])));
        }
    }
    Ok(())
}

/// Nodes and constants that the outputs need.
struct Assembly {
    attributes: AttributeReader,
    constants: ConstantReader,
    found: BTreeMap<ValueId, Constant>,
    nodes: Vec<Node>,
    guards: BTreeMap<usize, Vec<Guard>>,
}

impl Assembly {
    /// Reads those of `wanted` that are initializers and not yet read.
    fn initializers(
        &mut self,
        wanted: impl Iterator<Item = ValueId>,
        makers: &[Option<Maker>],
        initializers: &[Bytes],
        values: &[String],
    ) -> Result<()> {
        for value in wanted {
            let Some(Maker::Initializer(index)) = makers[value] else { continue };
            if self.found.contains_key(&value) {
                continue;
            }
            let at = || format!("initializer '{}'", values[value]);
            let tensor: TensorProto = wire::decode(&initializers[index], usize::MAX, at)?;
            let constant = self.constants.read(&tensor).map_err(|e| e.at(at()))?;
            self.found.insert(value, constant);
        }
        Ok(())
    }

    /// Enters a node; a `Constant` becomes a constant.
    fn node(&mut self, node: FlatNode) -> Result<()> {
        let mut attributes = BTreeMap::new();
        for (key, bytes) in node.attributes {
            let read = self.attributes.read(&bytes, &mut self.constants);
            let attribute = read.map_err(|e| e.at(format!("node '{}' ({}), attribute '{key}'", node.name, node.op_type)))?;
            attributes.insert(key, attribute);
        }
        if node.op_type == "Constant" && node.domain.is_empty() {
            let at = || format!("node '{}' (Constant)", node.name);
            let [Some(output)] = node.outputs[..] else {
                return Err(Error::data(format!("{}: it has {} outputs instead of one", at(), node.outputs.len())));
            };
            self.found.insert(output, constant_of(&attributes).map_err(|e| e.at(at()))?);
            return Ok(());
        }
        let FlatNode { name, domain, op_type, inputs, outputs, guards, .. } = node;
        if !guards.is_empty() {
            self.guards.insert(self.nodes.len(), guards);
        }
        self.nodes.push(Node { name, domain, op_type, inputs, outputs, attributes });
        Ok(())
    }
}

/// The value of a `Constant` node.
fn constant_of(attributes: &BTreeMap<String, Attribute>) -> Result<Constant> {
    use crate::network::graph::Elements::{F32, I64};
    let mut entries = attributes.iter();
    let (Some((key, attribute)), None) = (entries.next(), entries.next()) else {
        return Err(Error::data("it wants exactly one attribute"));
    };
    Ok(match (key.as_str(), attribute) {
        ("value", Attribute::Tensor(constant)) => constant.clone(),
        ("value_float", &Attribute::Float(x)) => Constant { shape: vec![], elements: F32([x].into()) },
        ("value_floats", Attribute::Floats(v)) => Constant { shape: vec![v.len()], elements: F32(v.as_slice().into()) },
        ("value_int", &Attribute::Int(x)) => Constant { shape: vec![], elements: I64([x].into()) },
        ("value_ints", Attribute::Ints(v)) => Constant { shape: vec![v.len()], elements: I64(v.as_slice().into()) },
        _ => return Err(Error::data(format!("attribute '{key}' is not a tensor, a number or numbers"))),
    })
}
