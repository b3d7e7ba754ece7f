//! ONNX files in memory, byte by byte.

// Each test file uses its own part.
#![allow(dead_code)]

/// A protobuf field that holds bytes: a text or a message.
pub fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut length = bytes.len();
    let mut out = vec![number << 3 | 2];
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    [out.as_slice(), bytes].concat()
}

/// A protobuf field that holds a small number.
pub fn number(field: u8, value: u8) -> Vec<u8> {
    assert!(value < 0x80);
    vec![field << 3, value]
}

/// A ValueInfoProto of this element type (1: f32, 7: i64).
pub fn value(name: &str, element: u8, dims: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&size| field(1, &number(1, size))).collect();
    let tensor = [number(1, element), field(2, &dims)].concat();
    [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
}

/// A node of one output; attributes may be added behind it.
pub fn node(op_type: &str, domain: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|name| field(1, name.as_bytes())).collect();
    let rest = [field(2, output.as_bytes()), field(3, b"the_node"), field(4, op_type.as_bytes()), field(7, domain.as_bytes())];
    [inputs, rest.concat()].concat()
}

/// An attribute of a node: integers.
pub fn ints(name: &str, values: &[u8]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|&value| number(8, value)).collect();
    // The field 20, the type, has a number of two bytes.
    field(5, &[field(1, name.as_bytes()), values, vec![20 << 3 & 0x7f | 0x80, 20 >> 4, 7]].concat())
}

/// A model of one node, output "y".
pub fn model(node: &[u8], inputs: &[Vec<u8>]) -> Vec<u8> {
    chain(&[node.to_vec()], inputs, &["y"])
}

/// A model of nodes in order, with these outputs.
pub fn chain(nodes: &[Vec<u8>], inputs: &[Vec<u8>], outputs: &[&str]) -> Vec<u8> {
    let nodes: Vec<u8> = nodes.iter().flat_map(|node| field(1, node)).collect();
    let inputs: Vec<u8> = inputs.iter().flat_map(|input| field(11, input)).collect();
    let outputs: Vec<u8> = outputs.iter().flat_map(|name| field(12, &field(1, name.as_bytes()))).collect();
    let graph = [nodes, field(2, b"graph".as_slice()), inputs, outputs].concat();
    let opsets = [field(8, &number(2, 17)), field(8, &[field(1, b"com.example"), number(2, 1)].concat())].concat();
    [number(1, 8), opsets, field(7, &graph)].concat()
}
