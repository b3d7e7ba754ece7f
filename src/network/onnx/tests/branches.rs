//! The branches of an `If`.

use super::*;
use crate::network::graph::Guard;

fn branch(name: &str, nodes: &[NodeProto], initializers: &[TensorProto], outputs: &[&str]) -> AttributeProto {
    let graph = GraphProto {
        node: nodes.iter().map(bytes).collect(),
        initializer: initializers.iter().map(bytes).collect(),
        output: outputs.iter().map(|&name| bytes(&ValueInfoProto { name: name.to_owned(), r#type: None })).collect(),
        ..Default::default()
    };
    AttributeProto { name: name.to_owned(), g: Some(bytes(&graph)), r#type: 5, ..Default::default() }
}

fn condition() -> TensorProto {
    TensorProto { name: "c".to_owned(), int32_data: vec![1], ..tensor(9, &[]) }
}

fn if_node(branches: &[AttributeProto]) -> NodeProto {
    node("If", &["c"], &["y"], branches)
}

#[test]
fn branches_stand_among_the_nodes_under_guards() {
    let own = TensorProto { name: "own".to_owned(), float_data: vec![5.0], ..tensor(1, &[]) };
    // Both make an "r" of their own, and read "early" from outside, which is made further down.
    let branches = [
        branch("then_branch", &[relu("early", "r"), node("Add", &["r", "own"], &["s"], &[])], &[own], &["s"]),
        branch("else_branch", &[relu("x", "r")], &[], &["r"]),
    ];
    let graph = read_graph(&[if_node(&branches), relu("x", "early")], &[condition()]).unwrap();
    let value = |name: &str| graph.values.iter().position(|other| other == name).unwrap();
    let ops: Vec<&str> = graph.nodes.iter().map(|node| node.op_type.as_str()).collect();
    assert_eq!(ops, ["Relu", "Relu", "Relu", "Add", "If"]);
    assert_eq!(graph.nodes[4].inputs, ["c", "If_0/then_branch/s", "If_0/else_branch/r"].map(|name| Some(value(name))));
    assert!(graph.nodes[4].attributes.is_empty());
    let guard = |wanted| vec![Guard { condition: value("c"), wanted }];
    let of = |output: &str| {
        let output = Some(value(output));
        let index = graph.nodes.iter().position(|node| node.outputs[0] == output).unwrap();
        graph.guards.get(&index).cloned().unwrap_or_default()
    };
    assert_eq!(of("If_0/then_branch/s"), guard(true));
    assert_eq!(of("If_0/then_branch/r"), guard(true));
    assert_eq!(of("If_0/else_branch/r"), guard(false));
    assert_eq!(of("early"), []);
    assert_eq!(graph.constants[&value("If_0/then_branch/own")].elements, Elements::F32([5.0].into()));
}

#[test]
fn broken_branches_are_refused() {
    let good = |name| branch(name, &[relu("x", "r")], &[], &["r"]);
    let both = |then: AttributeProto| read_graph(&[if_node(&[then, good("else_branch")])], &[condition()]);
    assert!(both(good("then_branch")).is_ok());
    assert_says(&refused(read_graph(&[if_node(&[good("then_branch")])], &[condition()])), &["else_branch", "missing"]);
    assert_says(&refused(both(branch("then_branch", &[], &[], &[]))), &["makes 0 values, the node 1"]);
    assert_says(&refused(both(branch("then_branch", &[], &[], &["nothing"]))), &["'nothing'", "nothing makes"]);
    assert_says(&refused(both(branch("then_branch", &[relu("x", "r"), relu("x", "r")], &[], &["r"]))), &["already"]);
    let own = TensorProto { name: "own".to_owned(), float_data: vec![5.0], ..tensor(1, &[]) };
    assert_says(&refused(both(branch("then_branch", &[], &[own.clone(), own], &["own"]))), &["two initializers are named 'own'"]);
    assert_says(&refused(both(AttributeProto { g: None, ..good("then_branch") })), &["no graph"]);
    // A condition made in the branch that stands under it.
    let mut within = if_node(&[branch("then_branch", &[relu("y", "r")], &[], &["r"]), good("else_branch")]);
    within.input = vec!["y".to_owned()];
    assert_says(&refused(read_graph(&[within], &[])), &["cycle"]);
}

#[test]
fn branches_within_branches_have_a_bound() {
    let within = |depth: usize| {
        let mut innermost = relu("x", "r");
        for _ in 0..depth {
            let then = branch("then_branch", &[innermost], &[], &["r"]);
            let other = branch("else_branch", &[relu("x", "r")], &[], &["r"]);
            innermost = node("If", &["c"], &["r"], &[then, other]);
        }
        innermost.output = vec!["y".to_owned()];
        read_graph(&[innermost], &[condition()])
    };
    let graph = within(20).unwrap();
    assert_eq!(graph.nodes.len(), 20 + 21);
    assert_eq!(graph.guards.values().map(Vec::len).max(), Some(20));
    assert_says(&refused(within(40)), &["32 deep"]);
}
