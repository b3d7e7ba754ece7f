//! The branches of an `If`: their nodes among the others, under guards.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Flattener, Place, Scope, WrittenNode, check_depth, written};
use crate::error::{Error, Result};
use crate::network::graph::{Guard, ValueId};
use crate::network::onnx::proto::{AttributeProto, GraphProto, TensorName, ValueInfoProto};
use crate::network::onnx::wire;

/// Fields of an attribute that holds a graph.
const MAX_ATTRIBUTE_FIELDS: usize = 1 << 10;

impl Flattener {
    /// Takes both branches out of an `If`'s attributes, adds their nodes, and adds their outputs to the node's inputs.
    pub(super) fn add_branches(
        &mut self,
        name: &str,
        inputs: &mut Vec<Option<ValueId>>,
        outputs: &[Option<ValueId>],
        attributes: &mut BTreeMap<String, Bytes>,
        place: &mut Place,
    ) -> Result<()> {
        check_depth(name, place)?;
        let [Some(condition)] = inputs[..] else {
            return Err(Error::data(format!("node '{name}' (If): it has {} inputs; its condition is the only one", inputs.len())));
        };
        for (branch, wanted) in [("then_branch", true), ("else_branch", false)] {
            let at = || format!("node '{name}' (If), {branch}");
            let bytes = attributes.remove(branch).ok_or_else(|| Error::data(format!("{}: it is missing", at())))?;
            let attribute: AttributeProto = wire::decode(&bytes, MAX_ATTRIBUTE_FIELDS, at)?;
            let graph = attribute.g.ok_or_else(|| Error::data(format!("{}: it is no graph", at())))?;
            let graph: GraphProto = wire::decode(&graph, self.max_nodes.saturating_mul(8), at)?;
            place.guards.push(Guard { condition, wanted });
            let made = self.branch(&graph, &format!("{name}/{branch}/"), place).map_err(|error| error.at(at()));
            place.guards.pop();
            let made = made?;
            if made.len() != outputs.len() {
                return Err(Error::data(format!("{}: it makes {} values, the node {}", at(), made.len(), outputs.len())));
            }
            inputs.extend(made);
        }
        Ok(())
    }

    /// Adds a branch's nodes; gives its outputs.
    fn branch(&mut self, graph: &GraphProto, prefix: &str, place: &mut Place) -> Result<Vec<Option<ValueId>>> {
        if !graph.input.is_empty() || !graph.sparse_initializer.is_empty() {
            return Err(Error::data("a branch has neither inputs nor sparse initializers"));
        }
        let nodes: Vec<WrittenNode> = graph
            .node
            .iter()
            .enumerate()
            .map(|(index, node)| {
                self.count_node()?;
                written(node, || format!("node {index}"))
            })
            .collect::<Result<_>>()?;
        // What it makes is its own, whatever the names mean outside.
        let mut own = Scope::new();
        for (index, initializer) in graph.initializer.iter().enumerate() {
            self.count_node()?;
            let tensor: TensorName = wire::decode(initializer, usize::MAX, || format!("initializer {index}"))?;
            let value = self.fresh(format!("{prefix}{}", tensor.name))?;
            self.initializers.push((value, initializer.clone()));
            if own.insert(tensor.name.clone(), Some(value)).is_some() {
                return Err(Error::data(format!("two initializers are named '{}'", tensor.name)));
            }
        }
        for output in nodes.iter().flat_map(|node| &node.proto.output).filter(|output| !output.is_empty()) {
            if !own.contains_key(output) {
                let value = self.fresh(format!("{prefix}{output}"))?;
                own.insert(output.clone(), Some(value));
            }
        }
        place.scopes.push(own);
        let mut inside = Place {
            functions: place.functions,
            scopes: place.scopes,
            caller: place.caller,
            prefix,
            around: place.around,
            calls: place.calls,
            guards: place.guards,
        };
        for node in &nodes {
            self.add(node, &mut inside)?;
        }
        let mut outputs = Vec::with_capacity(graph.output.len());
        for (index, output) in graph.output.iter().enumerate() {
            let info: ValueInfoProto = wire::decode(output, 16, || format!("output {index}"))?;
            outputs.push(self.resolve(&info.name, &mut inside)?);
        }
        place.scopes.pop();
        Ok(outputs)
    }
}
