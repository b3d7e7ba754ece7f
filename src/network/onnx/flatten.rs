//! Nodes in the file's order, calls of the model's own functions replaced by their bodies, value names by numbers. The branches of an
//! `If` are put before it, their nodes under guards.

mod branches;

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::attribute::AttributeName;
use super::proto::{FunctionProto, NodeProto, OperatorSetIdProto};
use super::wire;
use crate::error::{Error, Result};
use crate::network::graph::{Guard, ValueId};

/// Inputs, outputs and attributes that one node may have, and formals of a function.
const MAX_NODE_FIELDS: usize = 1 << 16;
/// Functions that call functions and branches within branches, so deep.
const MAX_CALL_DEPTH: usize = 32;

/// A node whose attributes are still bytes of the file.
#[derive(Debug)]
pub struct FlatNode {
    pub name: String,
    pub domain: String,
    pub op_type: String,
    pub inputs: Vec<Option<ValueId>>,
    pub outputs: Vec<Option<ValueId>>,
    /// `AttributeProto`s by name.
    pub attributes: BTreeMap<String, Bytes>,
    /// Conditions under which it runs.
    pub guards: Vec<Guard>,
}

/// A node as written, its attributes by name: either bytes, or the name of the caller's attribute that stands there.
#[derive(Debug)]
struct WrittenNode {
    proto: NodeProto,
    attributes: Vec<(String, Written)>,
}

#[derive(Debug)]
enum Written {
    Here(Bytes),
    OfCaller(String),
}

#[derive(Debug)]
struct Function {
    inputs: Vec<String>,
    outputs: Vec<String>,
    nodes: Vec<WrittenNode>,
    defaults: BTreeMap<String, Bytes>,
}

type FunctionKey = (String, String, String);

/// What names mean where a node stands; `None` for a function's input that the caller leaves out.
type Scope = HashMap<String, Option<ValueId>>;

/// Where a node stands.
struct Place<'p, 'f> {
    functions: &'f HashMap<FunctionKey, Function>,
    /// What names mean: those of the graph or of the function's body, and of the branches that the node stands in, the innermost last.
    scopes: &'p mut Vec<Scope>,
    /// In a function's body: the attributes that it is called with.
    caller: Option<&'p BTreeMap<String, Bytes>>,
    /// Begins the names of the nodes.
    prefix: &'p str,
    /// Begins the names of the values of the graph or of the function's body.
    around: &'p str,
    /// Functions whose bodies it stands in.
    calls: &'p mut Vec<&'f FunctionKey>,
    /// Conditions under which it runs.
    guards: &'p mut Vec<Guard>,
}

/// Collects nodes and values.
#[derive(Debug)]
pub struct Flattener {
    /// Names of the values so far.
    pub values: Vec<String>,
    /// The nodes so far.
    pub nodes: Vec<FlatNode>,
    /// `TensorProto`s of the branches' own initializers.
    pub initializers: Vec<(ValueId, Bytes)>,
    scope: Scope,
    functions: HashMap<FunctionKey, Function>,
    max_nodes: usize,
    seen_nodes: usize,
    left_text_bytes: usize,
}

impl Flattener {
    /// At most `max_nodes` nodes after inlining; at most `max_text_bytes` of names made.
    pub fn new(max_nodes: usize, max_text_bytes: usize) -> Self {
        Self {
            values: Vec::new(),
            nodes: Vec::new(),
            initializers: Vec::new(),
            scope: Scope::new(),
            functions: HashMap::new(),
            max_nodes,
            seen_nodes: 0,
            left_text_bytes: max_text_bytes,
        }
    }

    /// The value of that name in the main graph, new where it was not named before.
    pub fn value(&mut self, name: &str) -> Result<ValueId> {
        if let Some(Some(id)) = self.scope.get(name) {
            return Ok(*id);
        }
        let id = self.fresh(name.to_owned())?;
        self.scope.insert(name.to_owned(), Some(id));
        Ok(id)
    }

    /// True when the model has functions of its own.
    pub fn has_functions(&self) -> bool {
        !self.functions.is_empty()
    }

    /// Makes a function known. `opset` is the model's version of ONNX's own operators, which the function has to share.
    pub fn add_function(&mut self, bytes: &Bytes, opset: i64) -> Result<()> {
        let index = self.functions.len();
        let mut proto: FunctionProto = wire::decode(bytes, self.max_nodes.max(MAX_NODE_FIELDS), || format!("function {index}"))?;
        let at = || format!("function '{}'", proto.name);
        for import in &proto.opset_import {
            let import: OperatorSetIdProto = wire::decode(import, 2, at)?;
            if own(&import.domain).is_empty() && import.version != opset {
                let versions = format!("is written for opset {}, the model for opset {opset}; export both for one", import.version);
                return Err(Error::data(format!("{}: {versions}", at())));
            }
        }
        let mut nodes = Vec::new();
        for (index, node) in proto.node.iter().enumerate() {
            self.count_node()?;
            nodes.push(written(node, || format!("{}, node {index}", at()))?);
        }
        let mut defaults = BTreeMap::new();
        for attribute in &proto.attribute_proto {
            let name: AttributeName = wire::decode(attribute, MAX_NODE_FIELDS, at)?;
            defaults.insert(name.name, attribute.clone());
        }
        for formals in [&proto.input, &proto.output] {
            let mut sorted: Vec<&String> = formals.iter().collect();
            sorted.sort_unstable();
            if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(Error::data(format!("{}: two formal inputs or outputs are named '{}'", at(), pair[0])));
            }
        }
        let key = (own(&proto.domain).to_owned(), proto.name.clone(), std::mem::take(&mut proto.overload));
        let function = Function { inputs: proto.input, outputs: proto.output, nodes, defaults };
        if self.functions.insert(key, function).is_some() {
            return Err(Error::data(format!("function '{}' is defined twice", proto.name)));
        }
        Ok(())
    }

    /// Adds a node of the main graph; a call of a function adds the function's nodes.
    pub fn add_node(&mut self, bytes: &Bytes, index: usize) -> Result<()> {
        let node = written(bytes, || format!("node {index}"))?;
        // Taken out while bodies are walked: they are read, values and nodes are written.
        let functions = std::mem::take(&mut self.functions);
        let mut scopes = vec![std::mem::take(&mut self.scope)];
        let added = self.add(
            &node,
            &mut Place {
                functions: &functions,
                scopes: &mut scopes,
                caller: None,
                prefix: "",
                around: "",
                calls: &mut Vec::new(),
                guards: &mut Vec::new(),
            },
        );
        self.functions = functions;
        self.scope = scopes.swap_remove(0);
        added
    }

    fn add(&mut self, node: &WrittenNode, place: &mut Place) -> Result<()> {
        self.count_node()?;
        let proto = &node.proto;
        let domain = own(&proto.domain);
        let own_name = if proto.name.is_empty() { format!("{}_{}", proto.op_type, self.nodes.len()) } else { proto.name.clone() };
        let name = format!("{}{own_name}", place.prefix);
        self.charge_text(name.len() + proto.op_type.len() + domain.len())?;
        let mut inputs = Vec::with_capacity(proto.input.len());
        for input in &proto.input {
            inputs.push(self.resolve(input, place)?);
        }
        let mut outputs = Vec::with_capacity(proto.output.len());
        for output in &proto.output {
            outputs.push(self.resolve(output, place)?);
        }
        let mut attributes = BTreeMap::new();
        for (key, attribute) in &node.attributes {
            let bytes = match attribute {
                Written::Here(bytes) => Some(bytes),
                Written::OfCaller(of) => match place.caller {
                    Some(caller) => caller.get(of),
                    None => return Err(Error::data(format!("node '{name}': attribute '{key}' refers to a caller's outside a function"))),
                },
            };
            if let Some(bytes) = bytes {
                self.charge_text(key.len())?;
                if attributes.insert(key.clone(), bytes.clone()).is_some() {
                    return Err(Error::data(format!("node '{name}': attribute '{key}' is given twice")));
                }
            }
        }
        let key = (domain.to_owned(), proto.op_type.clone(), proto.overload.clone());
        let Some((key, function)) = place.functions.get_key_value(&key) else {
            if key.0.is_empty() && key.1 == "If" {
                self.add_branches(&name, &mut inputs, &outputs, &mut attributes, place)?;
            }
            let guards = place.guards.clone();
            self.nodes.push(FlatNode { name, domain: key.0, op_type: key.1, inputs, outputs, attributes, guards });
            return Ok(());
        };
        if place.calls.contains(&key) {
            return Err(Error::data(format!("node '{name}': function '{}' calls itself", key.1)));
        }
        check_depth(&name, place)?;
        if inputs.len() > function.inputs.len() || outputs.len() > function.outputs.len() {
            return Err(Error::data(format!("node '{name}': more inputs or outputs than function '{}' has", key.1)));
        }
        for (formal, default) in &function.defaults {
            attributes.entry(formal.clone()).or_insert_with(|| default.clone());
        }
        let prefix = format!("{name}/");
        let mut body = Scope::new();
        for (i, formal) in function.inputs.iter().enumerate() {
            body.insert(formal.clone(), inputs.get(i).copied().flatten());
        }
        for (i, formal) in function.outputs.iter().enumerate() {
            let Some(Some(output)) = outputs.get(i).copied() else { continue };
            match body.get(formal).copied() {
                // An input handed through: the output needs a maker of its own.
                Some(input) => self.nodes.push(FlatNode {
                    name: format!("{prefix}{formal}"),
                    domain: String::new(),
                    op_type: "Identity".to_owned(),
                    inputs: vec![input],
                    outputs: vec![Some(output)],
                    attributes: BTreeMap::new(),
                    guards: place.guards.clone(),
                }),
                None => {
                    body.insert(formal.clone(), Some(output));
                }
            }
        }
        place.calls.push(key);
        let mut inside = Place {
            functions: place.functions,
            scopes: &mut vec![body],
            caller: Some(&attributes),
            prefix: &prefix,
            around: &prefix,
            calls: place.calls,
            guards: place.guards,
        };
        for node in &function.nodes {
            self.add(node, &mut inside)?;
        }
        place.calls.pop();
        Ok(())
    }

    fn resolve(&mut self, name: &str, place: &mut Place) -> Result<Option<ValueId>> {
        if name.is_empty() {
            return Ok(None);
        }
        if let Some(&known) = place.scopes.iter().rev().find_map(|scope| scope.get(name)) {
            return Ok(known);
        }
        // A branch has entered what it makes itself; all else is of the graph or function around it.
        let id = self.fresh(format!("{}{name}", place.around))?;
        place.scopes[0].insert(name.to_owned(), Some(id));
        Ok(Some(id))
    }

    fn fresh(&mut self, name: String) -> Result<ValueId> {
        self.charge_text(name.len())?;
        self.values.push(name);
        Ok(self.values.len() - 1)
    }

    fn count_node(&mut self) -> Result<()> {
        self.seen_nodes += 1;
        if self.seen_nodes > self.max_nodes {
            return Err(Error::data(format!("more than {} nodes, which is beyond the limit", self.max_nodes)));
        }
        Ok(())
    }

    fn charge_text(&mut self, bytes: usize) -> Result<()> {
        self.left_text_bytes = self
            .left_text_bytes
            .checked_sub(bytes)
            .ok_or_else(|| Error::data("its functions, put in where they are called, make names of many times the file's size"))?;
        Ok(())
    }
}

fn check_depth(name: &str, place: &Place) -> Result<()> {
    if place.calls.len() + place.guards.len() >= MAX_CALL_DEPTH {
        return Err(Error::data(format!(
            "node '{name}': functions call functions and branches hold branches more than {MAX_CALL_DEPTH} deep"
        )));
    }
    Ok(())
}

fn written(bytes: &Bytes, at: impl Fn() -> String) -> Result<WrittenNode> {
    let mut proto: NodeProto = wire::decode(bytes, MAX_NODE_FIELDS, &at)?;
    let mut attributes = Vec::new();
    for bytes in std::mem::take(&mut proto.attribute) {
        let of = || format!("{} ('{}' of type {}), an attribute", at(), proto.name, proto.op_type);
        let AttributeName { name, ref_attr_name } = wire::decode(&bytes, usize::MAX, of)?;
        let attribute = if ref_attr_name.is_empty() { Written::Here(bytes) } else { Written::OfCaller(ref_attr_name) };
        attributes.push((name, attribute));
    }
    Ok(WrittenNode { proto, attributes })
}

/// ONNX's own domain has two names; the empty one is used.
pub fn own(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}
