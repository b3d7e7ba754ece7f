//! Which node makes a value, in what order nodes can run, and which of them the outputs need.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::flatten::FlatNode;
use crate::error::{Error, Result};
use crate::network::graph::ValueId;

/// Who makes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// Whoever runs the graph.
    Input,
    /// The file: number of the initializer.
    Initializer(usize),
    /// A node, by number.
    Node(usize),
}

/// Enters each node's outputs as made by it. A value that is made already is refused.
pub fn enter_nodes(makers: &mut [Option<Maker>], nodes: &[FlatNode], values: &[String]) -> Result<()> {
    for (index, node) in nodes.iter().enumerate() {
        for &output in node.outputs.iter().flatten() {
            if let Some(other) = makers[output].replace(Maker::Node(index)) {
                let by = match other {
                    Maker::Input => "an input of the graph".to_owned(),
                    Maker::Initializer(_) => "an initializer".to_owned(),
                    Maker::Node(other) => format!("made by node '{}'", nodes[other].name),
                };
                return Err(Error::data(format!("node '{}' makes value '{}', which is already {by}", node.name, values[output])));
            }
        }
    }
    Ok(())
}

/// What has to be made before a node: its inputs, and the conditions that it stands under.
fn reads(node: &FlatNode) -> impl Iterator<Item = &ValueId> {
    node.inputs.iter().flatten().chain(node.guards.iter().map(|guard| &guard.condition))
}

/// An order in which each node comes after the makers of its inputs; the file's own order wherever that is one.
pub fn sorted(makers: &[Option<Maker>], nodes: &[FlatNode], values: &[String]) -> Result<Vec<usize>> {
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut waits_for = vec![0_usize; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        for &input in reads(node) {
            match makers[input] {
                Some(Maker::Node(maker)) => {
                    readers[maker].push(index);
                    waits_for[index] += 1;
                }
                Some(_) => {}
                None => {
                    return Err(Error::data(format!(
                        "node '{}' ({}) reads value '{}', which nothing makes",
                        node.name, node.op_type, values[input]
                    )));
                }
            }
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> = (0..nodes.len()).filter(|&i| waits_for[i] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for &reader in &readers[index] {
            waits_for[reader] -= 1;
            if waits_for[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    match (0..nodes.len()).find(|&i| waits_for[i] > 0) {
        None => Ok(order),
        Some(waiting) => {
            let name = &nodes[on_cycle(waiting, &waits_for, makers, nodes)].name;
            Err(Error::data(format!("node '{name}' needs its own output: the graph has a cycle")))
        }
    }
}

/// A node on a cycle: from a node that waits, going to a maker that waits, until one comes again.
fn on_cycle(mut index: usize, waits_for: &[usize], makers: &[Option<Maker>], nodes: &[FlatNode]) -> usize {
    let mut seen = vec![false; nodes.len()];
    while !std::mem::replace(&mut seen[index], true) {
        let maker = reads(&nodes[index]).find_map(|&input| match makers[input] {
            Some(Maker::Node(maker)) if waits_for[maker] > 0 => Some(maker),
            _ => None,
        });
        index = maker.expect("a node that waits has an input whose maker waits");
    }
    index
}

/// For each node, whether an output needs it.
pub fn needed(makers: &[Option<Maker>], nodes: &[FlatNode], outputs: &[ValueId]) -> Vec<bool> {
    let mut needed = vec![false; nodes.len()];
    let mut to_visit: Vec<ValueId> = outputs.to_vec();
    while let Some(value) = to_visit.pop() {
        if let Some(Maker::Node(index)) = makers[value]
            && !std::mem::replace(&mut needed[index], true)
        {
            to_visit.extend(reads(&nodes[index]));
        }
    }
    needed
}
