//! Files written message by message: what they become, and what hostile ones are told.

#![allow(clippy::unwrap_used)]

mod branches;

use std::path::Path;

use bytes::Bytes;
use prost::Message;

use super::proto::*;
use super::{Limits, read_bytes};
use crate::error::{Kind, Result};
use crate::network::graph::{Attribute, Elements, Graph, InputDim};

fn bytes(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

fn node(op_type: &str, inputs: &[&str], outputs: &[&str], attributes: &[AttributeProto]) -> NodeProto {
    NodeProto {
        op_type: op_type.to_owned(),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: outputs.iter().map(|&name| name.to_owned()).collect(),
        attribute: attributes.iter().map(bytes).collect(),
        ..Default::default()
    }
}

fn value(name: &str, elem_type: i32, dims: &[i64]) -> ValueInfoProto {
    let dim = dims.iter().map(|&size| DimensionProto { dim_value: Some(size), dim_param: None });
    let shape = Some(bytes(&TensorShapeProto { dim: dim.collect() }));
    let tensor_type = Some(TensorTypeProto { elem_type, shape });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}

fn graph(nodes: &[NodeProto], initializers: &[TensorProto]) -> GraphProto {
    GraphProto {
        node: nodes.iter().map(bytes).collect(),
        initializer: initializers.iter().map(bytes).collect(),
        input: vec![bytes(&value("x", 1, &[1, 2]))],
        output: vec![bytes(&ValueInfoProto { name: "y".to_owned(), r#type: None })],
        ..Default::default()
    }
}

fn opset(domain: &str, version: i64) -> Bytes {
    bytes(&OperatorSetIdProto { domain: domain.to_owned(), version })
}

fn model(graph: &GraphProto) -> ModelProto {
    ModelProto { ir_version: Some(8), graph: Some(bytes(graph)), opset_import: vec![opset("ai.onnx", 17)], functions: vec![] }
}

fn read(model: &ModelProto) -> Result<Graph> {
    read_bytes(bytes(model), None, &Limits::default())
}

fn read_graph(nodes: &[NodeProto], initializers: &[TensorProto]) -> Result<Graph> {
    read(&model(&graph(nodes, initializers)))
}

/// The error's sentence; its kind is checked.
fn refused(result: Result<Graph>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    error.to_string()
}

#[track_caller]
fn assert_says(sentence: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| sentence.contains(part)), "{parts:?} not in: {sentence}");
}

fn tensor(data_type: i32, dims: &[i64]) -> TensorProto {
    TensorProto { name: "w".to_owned(), data_type, dims: dims.to_vec(), ..Default::default() }
}

/// What the file's one initializer becomes.
fn constant(tensor: TensorProto) -> Result<Elements> {
    let graph = read_graph(&[node("Add", &["x", "w"], &["y"], &[])], &[tensor])?;
    Ok(graph.constants.into_values().next().unwrap().elements)
}

fn relu(input: &str, output: &str) -> NodeProto {
    node("Relu", &[input], &[output], &[])
}

#[test]
fn nodes_are_sorted_named_and_pruned() {
    let mut late = relu("a", "y");
    late.name = "late".to_owned();
    let nodes = [late, relu("dead", "more"), relu("x", "dead"), node("Custom", &["x", "", "w"], &["", "a"], &[])];
    let mut proto = graph(&nodes, &[TensorProto { float_data: vec![5.0], ..tensor(1, &[]) }]);
    // An input that has an initializer is a constant.
    proto.input.push(bytes(&value("w", 1, &[])));
    let graph = read(&model(&proto)).unwrap();
    assert_eq!(graph.opset, 17);
    assert_eq!(graph.nodes.iter().map(|n| n.name.as_str()).collect::<Vec<_>>(), ["Custom_3", "late"]);
    let custom = &graph.nodes[0];
    assert_eq!(custom.inputs[1], None);
    assert_eq!(custom.outputs, [None, graph.nodes[1].inputs[0]]);
    assert_eq!(graph.inputs.len(), 1);
    assert_eq!(graph.inputs[0].shape, Some(vec![InputDim::Fixed(1), InputDim::Fixed(2)]));
    assert_eq!(graph.constants[&custom.inputs[2].unwrap()].elements, Elements::F32([5.0].into()));
}

#[test]
fn every_type_is_read_typed_and_raw() {
    let raw = |data_type, dims: &[i64], raw: &[u8]| {
        constant(TensorProto { raw_data: Some(Bytes::copy_from_slice(raw)), ..tensor(data_type, dims) }).unwrap()
    };
    let narrow = |data_type, values: &[i32]| {
        constant(TensorProto { int32_data: values.to_vec(), ..tensor(data_type, &[values.len() as i64]) }).unwrap()
    };
    assert_eq!(raw(1, &[1], &1.5_f32.to_le_bytes()), Elements::F32([1.5].into()));
    assert_eq!(raw(11, &[1], &1.5_f64.to_le_bytes()), Elements::F64([1.5].into()));
    assert_eq!(raw(10, &[1], &[0, 0x3e]), Elements::F32([1.5].into()));
    assert_eq!(raw(16, &[1], &[0xc0, 0x3f]), Elements::F32([1.5].into()));
    assert_eq!(raw(3, &[2], &[0xff, 1]), Elements::I8([-1, 1].into()));
    assert_eq!(raw(2, &[2], &[0xff, 1]), Elements::U8([255, 1].into()));
    assert_eq!(raw(6, &[1], &(-2_i32).to_le_bytes()), Elements::I32([-2].into()));
    assert_eq!(raw(7, &[1], &(-2_i64).to_le_bytes()), Elements::I64([-2].into()));
    assert_eq!(raw(9, &[2], &[0, 1]), Elements::Bool([false, true].into()));
    assert_eq!(raw(1, &[0, 3], &[]), Elements::F32([].into()));
    assert_eq!(narrow(10, &[0x3e00]), Elements::F32([1.5].into()));
    assert_eq!(narrow(16, &[0x3fc0]), Elements::F32([1.5].into()));
    assert_eq!(narrow(3, &[-1]), Elements::I8([-1].into()));
    assert_eq!(narrow(2, &[255]), Elements::U8([255].into()));
    assert_eq!(narrow(6, &[-2]), Elements::I32([-2].into()));
    assert_eq!(narrow(9, &[0, 1]), Elements::Bool([false, true].into()));
    let double = TensorProto { double_data: vec![0.5], ..tensor(11, &[1]) };
    assert_eq!(constant(double).unwrap(), Elements::F64([0.5].into()));
    let long = TensorProto { int64_data: vec![1 << 40], ..tensor(7, &[]) };
    assert_eq!(constant(long).unwrap(), Elements::I64([1 << 40].into()));
}

#[test]
fn broken_constants_are_refused_by_name() {
    let floats = |dims: &[i64], count: usize| TensorProto { float_data: vec![0.0; count], ..tensor(1, dims) };
    let raw = |data_type, dims: &[i64], count: usize| TensorProto { raw_data: Some(vec![0; count].into()), ..tensor(data_type, dims) };
    for (broken, part) in [
        (floats(&[2, 3], 5), "5 elements in float_data, shape [2, 3] wants 6"),
        (floats(&[-1], 1), "negative size -1"),
        (floats(&[1 << 40, 1 << 40], 1), "more elements than memory can address"),
        (floats(&[0, i64::MAX, i64::MAX], 0), "more elements than memory can address"),
        (floats(&[i64::MAX], 1), "more elements than memory can address"),
        (floats(&[1 << 40], 0), "0 elements"),
        (floats(&[1; 40], 1), "40 axes"),
        (raw(1, &[2], 7), "7 bytes of raw data"),
        (raw(7, &[1 << 62], 8), "more elements than memory can address"),
        (TensorProto { int64_data: vec![1], ..tensor(1, &[1]) }, "0 elements in float_data"),
        (TensorProto { int64_data: vec![1], ..floats(&[1], 1) }, "fields other than float_data"),
        (TensorProto { float_data: vec![1.0], ..raw(1, &[1], 4) }, "at once"),
        (TensorProto { int32_data: vec![300], ..tensor(2, &[1]) }, "300 is out of its type's range"),
        (TensorProto { int32_data: vec![-1], ..tensor(10, &[1]) }, "-1 is out of its type's range"),
        (tensor(8, &[1]), "data type STRING (8)"),
        (tensor(99, &[1]), "data type unknown (99)"),
        (tensor(0, &[]), "data type UNDEFINED (0)"),
        (TensorProto { data_location: 7, ..tensor(1, &[1]) }, "data location 7"),
        (TensorProto { data_location: 1, ..tensor(1, &[1]) }, "without a location"),
        (TensorProto { segment: Some(Bytes::new()), ..tensor(1, &[1]) }, "segments"),
    ] {
        let sentence = constant(broken).unwrap_err().to_string();
        assert_says(&sentence, &["initializer 'w': ", part]);
    }
    // Nobody needs it: its type does not matter.
    assert!(read_graph(&[relu("x", "y")], &[tensor(8, &[1])]).is_ok());
}

#[test]
fn broken_graphs_are_refused_by_name() {
    let cycle = [node("Add", &["x", "b"], &["a"], &[]), relu("a", "b"), relu("b", "y")];
    assert_says(&refused(read_graph(&cycle, &[])), &["node 'Add_0'", "cycle"]);
    assert_says(&refused(read_graph(&[relu("y", "y")], &[])), &["'Relu_0'", "cycle"]);
    let twice = [relu("x", "y"), relu("x", "y")];
    assert_says(&refused(read_graph(&twice, &[])), &["node 'Relu_1' makes value 'y'", "made by node 'Relu_0'"]);
    assert_says(&refused(read_graph(&[node("Split", &["x"], &["y", "y"], &[])], &[])), &["makes value 'y'"]);
    assert_says(&refused(read_graph(&[relu("x", "x")], &[])), &["already an input"]);
    let one = TensorProto { float_data: vec![0.0], ..tensor(1, &[1]) };
    assert_says(&refused(read_graph(&[relu("x", "w")], std::slice::from_ref(&one))), &["already an initializer"]);
    assert_says(&refused(read_graph(&[], &[one.clone(), one])), &["two initializers are named 'w'"]);
    assert_says(&refused(read_graph(&[relu("gone", "y")], &[])), &["node 'Relu_0' (Relu) reads value 'gone'"]);
    assert_says(&refused(read_graph(&[relu("x", "z")], &[])), &["output 'y' is made by nothing"]);
    assert_says(&refused(read_graph(&[], &[])), &["output 'y'"]);
    let with = |change: &dyn Fn(&mut GraphProto)| {
        let mut graph = graph(&[relu("x", "y")], &[]);
        change(&mut graph);
        refused(read(&model(&graph)))
    };
    assert_says(&with(&|g| g.output.clear()), &["no output"]);
    assert_says(&with(&|g| g.output.push(g.output[0].clone())), &["two outputs are named 'y'"]);
    assert_says(&with(&|g| g.input.push(g.input[0].clone())), &["two inputs are named 'x'"]);
    assert_says(&with(&|g| g.input.clear()), &["no floating-point input"]);
    assert_says(&with(&|g| g.input[0] = bytes(&value("x", 7, &[1]))), &["no floating-point input"]);
    assert_says(&with(&|g| g.input[0] = bytes(&value("x", 8, &[1]))), &["input 'x'", "STRING"]);
    assert_says(&with(&|g| g.input[0] = bytes(&value("x", 1, &[-4]))), &["input 'x'", "negative size -4"]);
    assert_says(&with(&|g| g.input[0] = bytes(&value("x", 1, &[1; 99]))), &["input 'x'", "limit"]);
    assert_says(&with(&|g| g.input[0] = bytes(&ValueInfoProto { name: "x".to_owned(), r#type: None })), &["input 'x' is not a tensor"]);
    assert_says(&with(&|g| g.sparse_initializer.push(Bytes::new())), &["sparse"]);
    assert_says(&with(&|g| g.node[0] = Bytes::from_static(b"\x22\x02\xff\xfe")), &["node 0", "UTF-8"]);
    assert_says(&with(&|g| g.node[0] = Bytes::from_static(b"\x22\x7fRelu")), &["node 0", "truncated"]);
}

#[test]
fn versions_are_checked() {
    let with = |change: &dyn Fn(&mut ModelProto)| {
        let mut model = model(&graph(&[relu("x", "y")], &[]));
        change(&mut model);
        refused(read(&model))
    };
    assert_says(&with(&|m| m.opset_import = vec![opset("", 6)]), &["opset 6 is not supported; opsets 7 to 25 are"]);
    assert_says(&with(&|m| m.opset_import = vec![opset("", 99)]), &["opset 99"]);
    assert_says(&with(&|m| m.opset_import = vec![opset("", 17), opset("ai.onnx", 18)]), &["two versions"]);
    assert_says(&with(&|m| m.opset_import = vec![opset("com.other", 1)]), &["which opset"]);
    assert_says(&with(&|m| m.ir_version = Some(2)), &["IR version 2 is too old"]);
    assert_says(&with(&|m| m.ir_version = None), &["not an ONNX model"]);
    assert_says(&with(&|m| m.graph = None), &["not an ONNX model"]);
}

fn attribute(name: &str, r#type: i32) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type, ..Default::default() }
}

#[test]
fn attributes_are_read() {
    let all = [
        AttributeProto { f: Some(1.5), ..attribute("float", 1) },
        AttributeProto { i: Some(-3), ..attribute("int", 2) },
        AttributeProto { s: Some("text".into()), ..attribute("text", 3) },
        AttributeProto { t: Some(bytes(&TensorProto { int64_data: vec![4], ..tensor(7, &[1]) })), ..attribute("tensor", 4) },
        AttributeProto { g: Some(Bytes::from_static(b"not even a graph")), ..attribute("graph", 5) },
        AttributeProto { floats: vec![1.0, 2.0], ..attribute("floats", 6) },
        AttributeProto { ints: vec![1, 2], ..attribute("ints", 7) },
        AttributeProto { strings: vec!["a".into(), "b".into()], ..attribute("texts", 8) },
        AttributeProto { i: Some(7), ..attribute("old", 0) },
        attribute("zero", 2),
    ];
    let graph = read_graph(&[node("Op", &["x"], &["y"], &all)], &[]).unwrap();
    let read = &graph.nodes[0].attributes;
    assert_eq!(read["float"], Attribute::Float(1.5));
    assert_eq!(read["int"], Attribute::Int(-3));
    assert_eq!(read["text"], Attribute::Text("text".to_owned()));
    assert!(matches!(&read["tensor"], Attribute::Tensor(c) if c.integers() == Some(vec![4])));
    assert_eq!(read["graph"], Attribute::Other("a subgraph"));
    assert_eq!(read["floats"], Attribute::Floats(vec![1.0, 2.0]));
    assert_eq!(read["ints"], Attribute::Ints(vec![1, 2]));
    assert_eq!(read["texts"], Attribute::Texts(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!((&read["old"], &read["zero"]), (&Attribute::Int(7), &Attribute::Int(0)));
    let odd = |broken: &[AttributeProto]| refused(read_graph(&[node("Op", &["x"], &["y"], broken)], &[]));
    assert_says(&odd(&[AttributeProto { s: Some(vec![0xff].into()), ..attribute("a", 3) }]), &["'Op_0' (Op), attribute 'a'", "UTF-8"]);
    assert_says(&odd(&[attribute("a", 77)]), &["attribute type 77"]);
    assert_says(&odd(&[attribute("a", 0)]), &["neither"]);
    assert_says(&odd(&[attribute("a", 4)]), &["tensor"]);
    assert_says(&odd(&[attribute("a", 2), attribute("a", 2)]), &["given twice"]);
    assert_says(&odd(&[AttributeProto { ref_attr_name: "b".to_owned(), ..attribute("a", 2) }]), &["outside a function"]);
}

#[test]
fn constant_nodes_become_constants() {
    let made = |attribute: AttributeProto| {
        let nodes = [node("Constant", &[], &["c"], &[attribute]), node("Add", &["x", "c"], &["y"], &[])];
        read_graph(&nodes, &[]).map(|graph| {
            assert_eq!(graph.nodes.len(), 1);
            graph.constants[&graph.nodes[0].inputs[1].unwrap()].clone()
        })
    };
    let int = made(AttributeProto { i: Some(3), ..attribute("value_int", 2) }).unwrap();
    assert_eq!((int.shape, int.elements), (vec![], Elements::I64([3].into())));
    let floats = made(AttributeProto { floats: vec![3.0, 4.0], ..attribute("value_floats", 6) }).unwrap();
    assert_eq!((floats.shape, floats.elements), (vec![2], Elements::F32([3.0, 4.0].into())));
    let text = made(AttributeProto { s: Some("a".into()), ..attribute("value_string", 3) });
    assert_says(&text.unwrap_err().to_string(), &["'Constant_0'", "value_string"]);
}

fn function(name: &str, inputs: &[&str], outputs: &[&str], nodes: &[NodeProto]) -> Bytes {
    bytes(&FunctionProto {
        name: name.to_owned(),
        domain: "own".to_owned(),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: outputs.iter().map(|&name| name.to_owned()).collect(),
        node: nodes.iter().map(bytes).collect(),
        opset_import: vec![opset("", 17)],
        attribute_proto: vec![bytes(&AttributeProto { f: Some(0.25), ..attribute("beta", 1) })],
        ..Default::default()
    })
}

fn call(name: &str, inputs: &[&str], outputs: &[&str], attributes: &[AttributeProto]) -> NodeProto {
    NodeProto { domain: "own".to_owned(), ..node(name, inputs, outputs, attributes) }
}

#[test]
fn functions_are_put_in() {
    let of_caller = |name: &str| AttributeProto { ref_attr_name: name.to_owned(), ..attribute(name, 1) };
    let body = [node("Op", &["p", "q"], &["t"], &[of_caller("alpha"), of_caller("beta"), of_caller("gamma")]), relu("t", "r")];
    let mut model = model(&graph(&[call("Twice", &["x"], &["y"], &[])], &[]));
    let alpha = AttributeProto { f: Some(0.5), ..attribute("alpha", 1) };
    let twice = [call("F", &["p"], &["t", "same"], std::slice::from_ref(&alpha)), call("F", &["same", "t"], &["r"], &[alpha])];
    model.functions = vec![function("F", &["p", "q"], &["r", "p"], &body), function("Twice", &["p"], &["r"], &twice)];
    let graph = read(&model).unwrap();
    let ops: Vec<_> = graph.nodes.iter().map(|n| (n.name.as_str(), n.op_type.as_str())).collect();
    let first = "Twice_0/F_0/";
    assert_eq!(ops[0], (&*format!("{first}p"), "Identity"));
    assert_eq!(ops.iter().map(|op| op.1).collect::<Vec<_>>(), ["Identity", "Op", "Relu", "Op", "Relu"]);
    let [_, op, relu, again, last] = &graph.nodes[..] else { panic!("{ops:?}") };
    assert_eq!(op.inputs, [Some(graph.inputs[0].value), None]);
    assert_eq!(
        op.attributes.iter().map(|(k, v)| (k.as_str(), v.clone())).collect::<Vec<_>>(),
        [("alpha", Attribute::Float(0.5)), ("beta", Attribute::Float(0.25))]
    );
    assert_eq!(again.inputs, [graph.nodes[0].outputs[0], relu.outputs[0]]);
    assert_eq!(last.outputs, [Some(graph.outputs[0])]);
}

#[test]
fn hostile_functions_are_refused() {
    let with = |functions: &[Bytes], calls: &[NodeProto]| {
        refused(read(&ModelProto { functions: functions.to_vec(), ..model(&graph(calls, &[])) }))
    };
    let calls = [call("F", &["x"], &["y"], &[])];
    let itself = function("F", &["p"], &["r"], &[call("G", &["p"], &["r"], &[])]);
    let other = function("G", &["p"], &["r"], &[call("F", &["p"], &["r"], &[])]);
    assert_says(&with(&[itself, other], &calls), &["function 'F' calls itself"]);
    // Each calls the next ten times, and the last makes nothing: 10^12 calls of a file of a few hundred bytes.
    let doubling: Vec<Bytes> = (0..12)
        .map(|i| {
            let next: Vec<NodeProto> = (0..10).map(|_| call(&format!("F{}", i + 1), &[], &[], &[])).collect();
            function(&if i == 0 { "F".to_owned() } else { format!("F{i}") }, &["p"], &["r"], if i == 11 { &[] } else { &next })
        })
        .collect();
    assert_says(&with(&doubling, &calls), &["many times the file's size"]);
    let branching = ModelProto { functions: doubling, ..model(&graph(&calls, &[])) };
    let limits = Limits { max_nodes: 1000, ..Limits::default() };
    assert_says(&refused(read_bytes(bytes(&branching), None, &limits)), &["more than 1000 nodes"]);
    let deep: Vec<Bytes> = (0..40)
        .map(|i| function(&if i == 0 { "F".to_owned() } else { format!("F{i}") }, &[], &[], &[call(&format!("F{}", i + 1), &[], &[], &[])]))
        .collect();
    assert_says(&with(&deep, &[call("F", &[], &[], &[])]), &["more than 32 deep"]);
    let long = node(&"Long".repeat(50_000), &[], &["t"], &[]);
    let wide = function("F", &["p"], &["r"], &[long]);
    let many: Vec<NodeProto> = (0..1000).map(|_| call("F", &["x"], &[], &[])).collect();
    assert_says(&with(&[wide], &many), &["many times the file's size"]);
    let plain = function("F", &["p"], &["r"], &[]);
    assert_says(&with(&[plain.clone(), plain.clone()], &calls), &["'F' is defined twice"]);
    assert_says(&with(std::slice::from_ref(&plain), &calls), &["output 'y' is made by nothing"]);
    assert_says(&with(&[plain], &[call("F", &["x", "x"], &["y"], &[])]), &["more inputs or outputs"]);
    assert_says(&with(&[function("F", &["p", "p"], &["r"], &[])], &calls), &["named 'p'"]);
}

#[test]
fn limits_hold() {
    let many: Vec<NodeProto> = (0..50).map(|i| relu("x", &format!("v{i}"))).chain([relu("x", "y")]).collect();
    let proto = bytes(&model(&graph(&many, &[])));
    let limited = |limits| read_bytes(proto.clone(), None, &limits);
    assert!(limited(Limits { max_nodes: 51, ..Limits::default() }).is_ok());
    assert_says(&refused(limited(Limits { max_nodes: 50, ..Limits::default() })), &["more than 50 nodes"]);
    let large =
        bytes(&model(&graph(&[node("Add", &["x", "w"], &["y"], &[])], &[TensorProto { float_data: vec![0.0; 9], ..tensor(1, &[9]) }])));
    assert!(read_bytes(large.clone(), None, &Limits { max_elements: 9, ..Limits::default() }).is_ok());
    assert_says(&refused(read_bytes(large, None, &Limits { max_elements: 8, ..Limits::default() })), &["'w'", "more elements"]);
    // A million empty nodes in two megabytes.
    let graph = Bytes::from([0x0a, 0x00].repeat(1_000_000));
    let model = ModelProto { ir_version: Some(8), graph: Some(graph), opset_import: vec![opset("", 17)], functions: vec![] };
    assert_says(&refused(read(&model)), &["the graph", "limit"]);
}

#[test]
fn thousands_of_outputs_and_a_long_chain() {
    let names: Vec<String> = (0..5000).map(|i| format!("o{i}")).collect();
    let nodes: Vec<NodeProto> =
        names.iter().enumerate().map(|(i, name)| relu(if i == 0 { "x" } else { &names[i - 1] }, name)).rev().collect();
    let mut proto = graph(&nodes, &[]);
    proto.output = names.iter().map(|name| bytes(&ValueInfoProto { name: name.clone(), r#type: None })).collect();
    let graph = read(&model(&proto)).unwrap();
    assert_eq!((graph.outputs.len(), graph.nodes.len()), (5000, 5000));
    assert_eq!(graph.nodes[0].name, "Relu_4999");
}

#[test]
fn external_data_stays_in_its_folder() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("model");
    std::fs::create_dir_all(folder.join("data")).unwrap();
    let values: Vec<u8> = [1.0_f32, 2.0, 3.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    for path in ["outside.bin", "model/w.bin", "model/data/w.bin"] {
        std::fs::write(home.path().join(path), &values).unwrap();
    }
    std::os::unix::fs::symlink("../outside.bin", folder.join("link.bin")).unwrap();
    std::os::unix::fs::symlink("w.bin", folder.join("inner.bin")).unwrap();
    let with = |entries: &[(&str, &str)], folder: Option<&Path>, limits: &Limits| {
        let entry = |&(key, value): &(&str, &str)| bytes(&StringStringEntryProto { key: key.to_owned(), value: value.to_owned() });
        let tensor = TensorProto { data_location: 1, external_data: entries.iter().map(entry).collect(), ..tensor(1, &[2]) };
        let proto = model(&graph(&[node("Add", &["x", "w"], &["y"], &[])], &[tensor]));
        read_bytes(bytes(&proto), folder, limits)
    };
    let inside = |entries: &[(&str, &str)]| with(entries, Some(&folder), &Limits::default());
    for location in ["w.bin", "./w.bin", "data/w.bin", "inner.bin"] {
        let graph = inside(&[("location", location), ("offset", "4"), ("length", "8")]).unwrap();
        assert_eq!(graph.constants.values().next().unwrap().elements, Elements::F32([2.0, 3.0].into()));
        assert!(inside(&[("location", location), ("offset", "4")]).is_ok());
    }
    let absolute = home.path().join("outside.bin");
    for (location, part) in [
        ("../outside.bin", "outside the model's folder"),
        ("data/../../outside.bin", "outside the model's folder"),
        (absolute.to_str().unwrap(), "outside the model's folder"),
        ("link.bin", "outside the model's folder"),
        ("data", "not a regular file"),
        ("", "not a regular file"),
        ("absent.bin", "cannot be found"),
        ("a\0b", "cannot be found"),
    ] {
        assert_says(&refused(inside(&[("location", location), ("length", "8")])), &["initializer 'w': ", part]);
    }
    for (offset, length, part) in [
        ("4", "4", "4 bytes, its shape wants 8"),
        ("8", "8", "wants 8 bytes from 8"),
        ("13", "8", "starts at byte 13"),
        ("0", "18446744073709551615", "wants 18446744073709551615 bytes"),
        ("-1", "8", "offset is '-1'"),
        ("0", "99999999999999999999", "no number"),
    ] {
        assert_says(&refused(inside(&[("location", "w.bin"), ("offset", offset), ("length", length)])), &["initializer 'w': ", part]);
    }
    let whole = [("location", "w.bin"), ("length", "8")];
    assert_says(&refused(with(&whole, None, &Limits::default())), &["initializer 'w'", "not read from a folder"]);
    let little = Limits { max_external_bytes: 7, ..Limits::default() };
    assert_says(&refused(with(&whole, Some(&folder), &little)), &["limit on external data"]);
}

#[test]
fn nesting_does_not_reach_the_stack() {
    // A subgraph in an attribute in a node in a subgraph, a hundred thousand deep.
    let mut nested = Vec::new();
    for _ in 0..100_000 / 4 {
        for key in [0x32_u8, 0x0a, 0x2a] {
            let mut outer = vec![key];
            prost::encoding::encode_varint(nested.len() as u64, &mut outer);
            // Only the innermost part is kept: what matters is that keys and lengths nest.
            outer.extend_from_slice(&nested[..nested.len().min(512)]);
            nested = outer;
        }
    }
    let holds = |op_type, key| node(op_type, &["x"], &["y"], &[AttributeProto { g: Some(nested.clone().into()), ..attribute(key, 5) }]);
    let graph = read_graph(&[holds("Loop", "body")], &[]);
    assert_eq!(graph.unwrap().nodes[0].attributes["body"], Attribute::Other("a subgraph"));
    assert_says(&refused(read_graph(&[holds("If", "then_branch")], &[])), &["node 'If_0' (If), then_branch"]);
}
