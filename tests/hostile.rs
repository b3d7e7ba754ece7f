//! Networks that are wrong or made to do harm: each is refused with a sentence that names the place, in bounded time and memory.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use gradcast::error::Kind;
use gradcast::network::graph::{Attribute, Constant, ElementType, Elements, Graph, GraphInput, InputDim, ValueId};
use gradcast::network::load::{LoadOptions, load};
use graphs::{Builder, ints};

mod graphs;

#[track_caller]
fn refused_with(graph: &Graph, options: &LoadOptions, parts: &[&str]) {
    let error = match load(graph, options) {
        Err(error) => error,
        Ok(network) => panic!("loaded where {parts:?} is wanted: {:?}", network.steps),
    };
    let text = error.to_string();
    assert_eq!(error.kind(), Kind::Data, "{text}");
    assert!(parts.iter().all(|part| text.contains(part)), "{parts:?} not in: {text}");
    assert!(!text.contains('\n'), "not one line: {text}");
}

#[track_caller]
fn refused(graph: &Graph, parts: &[&str]) {
    refused_with(graph, &LoadOptions::default(), parts);
}

/// A node on an input of 6 channels and 8 x 8 pixels.
#[track_caller]
fn refused_node(op_type: &str, given: &[Operand], attributes: &[(&str, Attribute)], parts: &[&str]) {
    let mut b = Builder::new(6, 8, 8);
    let inputs: Vec<ValueId> = given.iter().map(|operand| operand.put(&mut b)).collect();
    let output = b.with(op_type, &inputs, attributes);
    let place = format!("node \"{op_type}_0\" ({op_type}, domain ai.onnx): ");
    refused(&b.finish(output), &[parts, &[&place]].concat());
}

enum Operand {
    Input,
    Weights(&'static [usize]),
    Floats(&'static [f64]),
    Ints(&'static [i64]),
}
use Operand::{Floats, Input, Ints, Weights};

impl Operand {
    fn put(&self, b: &mut Builder) -> ValueId {
        match self {
            Input => 0,
            Weights(shape) => b.weights(shape),
            Floats(values) => b.floats(values),
            Ints(values) => b.integers(values),
        }
    }
}

#[test]
fn dropout_that_is_on_is_refused() {
    refused_node("Dropout", &[Input, Floats(&[0.5]), Ints(&[1])], &[], &["training_mode is on"]);
}

fn int(value: i64) -> Attribute {
    Attribute::Int(value)
}

fn text(value: &str) -> Attribute {
    Attribute::Text(value.to_owned())
}

#[test]
fn operators_without_rules_are_named_with_node_and_domain() {
    refused_node("Frobnicate", &[Input], &[], &["has no FullGrad rules"]);
    for (op, domain) in [("Conv", "com.microsoft"), ("Whirl", "com.example")] {
        let mut b = Builder::new(6, 8, 8);
        let output = b.node(op, &[0]);
        b.graph.nodes[0].domain = domain.to_owned();
        let graph = b.finish(output);
        refused(&graph, &[&format!("node \"{op}_0\" ({op}, domain {domain}): has no FullGrad rules")]);
    }
    let mut b = Builder::new(6, 8, 8);
    let output = b.node("Whirl", &[0]);
    b.graph.nodes[0].name = "two\nlines".to_owned();
    refused(&b.finish(output), &["\"two\\nlines\""]);
}

#[test]
fn an_operator_that_the_output_does_not_need_is_no_fault() {
    let mut b = Builder::new(6, 8, 8);
    b.node("Frobnicate", &[0]);
    let output = b.classes(0, 6, 2);
    assert_eq!(load(&b.finish(output), &LoadOptions::default()).unwrap().steps.len(), 3);
}

fn with_input(dims: &[InputDim]) -> Graph {
    let mut b = Builder::with_input(Some(dims.to_vec()));
    let output = b.node("Relu", &[0]);
    b.finish(output)
}

fn fixed(dims: [usize; 4]) -> Graph {
    with_input(&dims.map(InputDim::Fixed))
}

#[test]
fn inputs_that_are_no_images_are_refused() {
    let free = |name: &str| InputDim::Free(name.to_owned());
    let relu = || fixed([1, 3, 8, 8]);
    let with = |change: &dyn Fn(&mut Graph)| {
        let mut graph = relu();
        change(&mut graph);
        graph
    };
    refused(&with(&|g| g.inputs.clear()), &["no floating-point input"]);
    refused(&with(&|g| g.inputs[0].element = ElementType::I64), &["no floating-point input"]);
    let second = |element| {
        with(&|g| {
            g.values.push("mask".to_owned());
            let value = g.values.len() - 1;
            g.inputs.push(GraphInput { value, element, shape: Some(vec![InputDim::Fixed(1)]) });
        })
    };
    refused(&second(ElementType::F32), &["2 inputs (input, mask); one is expected"]);
    refused(&second(ElementType::I64), &["2 inputs (input, mask); one is expected"]);
    refused(&with(&|g| g.inputs[0].shape = None), &["\"input\" is not of four axes"]);
    refused(&with_input(&[InputDim::Fixed(1), InputDim::Fixed(3), InputDim::Fixed(8)]), &["\"input\" is not of four axes"]);
    refused(&with_input(&[free("N"), free("C"), InputDim::Fixed(8), InputDim::Fixed(8)]), &["channels free"]);
    let open = with_input(&[free("N"), InputDim::Fixed(3), free("H"), free("W")]);
    refused(&open, &["rows free", "--input-size"]);
    let asked = |size| LoadOptions { input_size: Some(size), ..LoadOptions::default() };
    assert_eq!(load(&open, &asked((8, 9))).unwrap().input_shape(), &[1, 3, 8, 9]);
    refused_with(&open, &asked((8, 0)), &["zero columns"]);
    refused_with(&relu(), &asked((8, 9)), &["8 columns, 9 are asked for"]);
    for (zero, what) in [([0, 3, 8, 8], "batch"), ([1, 0, 8, 8], "channels"), ([1, 3, 0, 8], "rows"), ([1, 3, 8, 0], "columns")] {
        refused(&fixed(zero), &["zero", what]);
    }
    // Products beyond what a machine word holds, and beyond what memory should.
    for huge in [[1, usize::MAX, 3, 3], [1, 1 << 40, 1 << 40, 1], [1, 1 << 32, 1 << 32, 1], [1, 3, 1 << 15, 1 << 15]] {
        refused(&fixed(huge), &["over the limit"]);
    }
    refused_with(&open, &asked((usize::MAX, usize::MAX)), &["over the limit"]);
}

#[test]
fn outputs_have_to_be_there_and_to_depend_on_the_input() {
    let mut b = Builder::new(6, 8, 8);
    b.node("Relu", &[0]);
    refused(&b.graph, &["no output"]);

    let mut b = Builder::new(6, 8, 8);
    let (p, q) = (b.node("Relu", &[0]), b.node("Relu", &[0]));
    b.graph.outputs.push(p);
    let graph = b.finish(q);
    refused(&graph, &["several outputs (Relu_0:0, Relu_1:0)", "--output"]);
    refused_with(&graph, &LoadOptions { output: Some("nose".to_owned()), ..LoadOptions::default() }, &["no output \"nose\"", "Relu_0:0"]);

    let mut b = Builder::new(6, 8, 8);
    let constant = b.weights(&[1, 3]);
    refused(&b.finish(constant), &["does not depend on the network's input"]);
    let mut b = Builder::new(6, 8, 8);
    let constant = b.weights(&[1, 3]);
    let relu = b.node("Relu", &[constant]);
    refused(&b.finish(relu), &["does not depend on the network's input"]);
    let mut b = Builder::new(6, 8, 8);
    let shape = b.node("Shape", &[0]);
    refused(&b.finish(shape), &["does not depend on the network's input"]);
}

#[test]
fn convolutions_that_do_not_fit_are_refused() {
    let three: &[usize] = &[4, 6, 3, 3];
    let with = |attributes: &[(&str, Attribute)], parts: &[&str]| refused_node("Conv", &[Input, Weights(three)], attributes, parts);
    refused_node("Conv", &[Input, Weights(&[4, 5, 3, 3])], &[], &["6 channels", "take 5"]);
    refused_node("Conv", &[Input, Weights(&[4, 6, 9, 9])], &[], &["does not fit"]);
    refused_node("Conv", &[Input, Weights(&[4, 6, 3])], &[], &["[4, 6, 3]"]);
    refused_node("Conv", &[Input, Weights(&[0, 6, 3, 3])], &[], &["holds nothing"]);
    refused_node("Conv", &[Input, Weights(&[4, 0, 3, 3])], &[], &["holds nothing"]);
    refused_node("Conv", &[Input, Weights(three), Floats(&[1.0; 3])], &[], &["bias", "4 channels"]);
    refused_node("Conv", &[Input, Ints(&[1; 4])], &[], &["integers", "weights"]);
    refused_node("Conv", &[Input], &[], &["input 1 is missing"]);
    refused_node("Conv", &[Input, Input], &[], &["input 1 depends on the network's input"]);
    refused_node("Conv", &[Weights(&[1, 6, 8, 8]), Input], &[], &["input 0 is a constant where an activation is expected"]);
    for groups in [0, -1, 3, i64::MAX, i64::MIN] {
        with(&[("group", int(groups))], &["group"]);
    }
    with(&[("group", int(2))], &["6 channels", "take 12"]);
    with(&[("group", text("2"))], &["group is not an integer"]);
    for strides in [&[0, 1][..], &[-1, 1], &[1], &[1, 1, 1], &[i64::MAX, 1]] {
        with(&[("strides", ints(strides))], &["strides"]);
        with(&[("dilations", ints(strides))], &["dilations"]);
    }
    for pads in [&[-1, 0, 0, 0][..], &[1, 1], &[i64::MAX; 4]] {
        with(&[("pads", ints(pads))], &["pads"]);
    }
    with(&[("kernel_shape", ints(&[2, 2]))], &["kernel_shape"]);
    with(&[("auto_pad", text("SOME"))], &["auto_pad"]);
    with(&[("dilations", ints(&[4096, 4096]))], &["does not fit"]);
    // 4096 taps, 4096 apart, on each axis by itself are a border of sixteen million pixels.
    let mut b = Builder::new(64, 8, 8);
    let weight = b.weights(&[1, 64, 1, 4096]);
    let conv = b.with("Conv", &[0, weight], &[("dilations", ints(&[1, 4096])), ("auto_pad", text("SAME_UPPER"))]);
    refused(&b.finish(conv), &["\"Conv_0\"", "over the limit"]);
}

#[test]
fn pools_that_do_not_fit_are_refused() {
    let kernel = |size: i64| ("kernel_shape", ints(&[size; 2]));
    for op in ["MaxPool", "AveragePool"] {
        refused_node(op, &[Input], &[], &["kernel_shape is missing"]);
        refused_node(op, &[Input], &[kernel(9)], &["does not fit"]);
        refused_node(op, &[Input], &[kernel(0)], &["kernel_shape"]);
        refused_node(op, &[Input], &[kernel(2), ("pads", ints(&[2; 4]))], &["border"]);
        refused_node(op, &[Weights(&[1, 6, 8, 8])], &[kernel(2)], &["constants only"]);
    }
    // Gigabytes of border.
    let wide = [kernel(4096), ("dilations", ints(&[4, 4])), ("auto_pad", text("SAME_UPPER"))];
    refused_node("MaxPool", &[Input], &wide, &["over the limit"]);
    refused_node("AveragePool", &[Input], &[kernel(2), ("dilations", ints(&[2, 2]))], &["dilations"]);
    refused_node("AveragePool", &[Input], &[kernel(2), ("pads", ints(&[0, 0, 1, 1]))], &["differs by side"]);
    refused_node("MaxPool", &[Input], &[kernel(2), ("dilations", ints(&[9, 9])), ("pads", ints(&[1; 4]))], &["nothing but border"]);

    let mut b = Builder::new(6, 8, 8);
    let outputs = b.many("MaxPool", &[0], &[kernel(2)], 2);
    refused(&b.finish(outputs[1]), &["\"MaxPool_0\"", "only the first 1"]);
}

#[test]
fn what_mixes_the_images_of_a_batch_is_refused() {
    for target in [&[-1, 128][..], &[2, 192], &[-1, 8], &[6, -1], &[768], &[64, 6], &[0, 5], &[0, -1, -1], &[-2, 4], &[0, 0, 0, 0, 0]] {
        let mut b = Builder::new(6, 8, 8);
        let shape = b.integers(target);
        let output = b.node("Reshape", &[0, shape]);
        refused(&b.finish(output), &["\"Reshape_0\""]);
    }
    // Four images in one row.
    let mut graph = {
        let mut b = Builder::new(6, 8, 8);
        let shape = b.integers(&[1, -1]);
        let output = b.node("Reshape", &[0, shape]);
        b.finish(output)
    };
    assert!(load(&graph, &LoadOptions::default()).is_ok(), "traced with one image");
    if let Some(shape) = &mut graph.inputs[0].shape {
        shape[0] = InputDim::Fixed(4);
    }
    refused(&graph, &["\"Reshape_0\"", "4 images of the batch"]);

    refused_node("Reshape", &[Input, Input], &[], &["input 1 depends on the network's input"]);
    refused_node("Reshape", &[Input, Floats(&[1.0])], &[], &["no integers"]);
    refused_node("Reshape", &[Input], &[], &["input 1 is missing"]);
    refused_node("Flatten", &[Input], &[("axis", int(0))], &["batch"]);
    refused_node("Flatten", &[Input], &[("axis", int(2))], &["mixes the batch axis"]);
    refused_node("Flatten", &[Input], &[("axis", int(5))], &["axis 5"]);
    refused_node("Concat", &[Input, Input], &[("axis", int(0))], &["batch"]);
    refused_node("Concat", &[Input, Weights(&[1, 6, 8, 7])], &[("axis", int(1))], &["cannot be joined"]);
    refused_node("Concat", &[Input, Weights(&[4, 6, 8, 8])], &[("axis", int(1))], &["cannot be joined"]);
    refused_node("Concat", &[Input, Weights(&[1, 0, 8, 8])], &[("axis", int(1))], &["holds nothing"]);
    refused_node("Concat", &[Input, Weights(&[1, 6, 8, 8])], &[("axis", int(0))], &["batch"]);
    refused_node("Slice", &[Input, Ints(&[0]), Ints(&[1]), Ints(&[0])], &[], &["batch"]);
    refused_node("Split", &[Input], &[("axis", int(0))], &["batch"]);
    refused_node("Squeeze", &[Input, Ints(&[0])], &[], &["axis 0"]);
    refused_node("Unsqueeze", &[Input, Ints(&[0])], &[], &["before the batch"]);
    refused_node("ReduceMean", &[Input], &[("axes", ints(&[0, 2]))], &["batch"]);
    refused_node("ReduceMean", &[Input], &[], &["batch"]);
    refused_node("Transpose", &[Input], &[("perm", ints(&[1, 0, 2, 3]))], &["batch"]);
    refused_node("Transpose", &[Input], &[], &["batch"]);
    refused_node("Add", &[Input, Weights(&[2, 6, 8, 8])], &[], &["batch axis"]);
    refused_node("Gemm", &[Input, Weights(&[8, 2])], &[("transA", int(1))], &["transA"]);
}

#[test]
fn shapes_and_values_that_do_not_go_together_are_refused() {
    refused_node("Slice", &[Input, Ints(&[3]), Ints(&[3]), Ints(&[1])], &[], &["empty"]);
    refused_node("Slice", &[Input, Ints(&[0]), Ints(&[2]), Ints(&[4])], &[], &["axis 4"]);
    refused_node("Slice", &[Input, Ints(&[0]), Ints(&[2]), Ints(&[1]), Ints(&[2])], &[], &["steps"]);
    refused_node("Split", &[Input, Ints(&[3, 3])], &[("axis", int(1))], &["into 1 outputs"]);
    refused_node("Split", &[Input, Ints(&[-6])], &[("axis", int(1))], &["negative"]);
    refused_node("Squeeze", &[Input, Ints(&[1])], &[], &["axis 1"]);
    refused_node("Unsqueeze", &[Input, Ints(&[1, 1])], &[], &["twice"]);
    refused_node("Unsqueeze", &[Input, Ints(&[9])], &[], &["axis 9"]);
    refused_node("Unsqueeze", &[Input, Ints(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])], &[], &["17 axes"]);
    refused_node("Transpose", &[Input], &[("perm", ints(&[0, 1, 1, 3]))], &["order"]);
    refused_node("Transpose", &[Input], &[("perm", ints(&[0, 1, 2]))], &["order"]);
    refused_node("Add", &[Input, Weights(&[5, 1, 1])], &[], &["5"]);
    refused_node("Add", &[Input, Weights(&[1, 1, 6, 8, 8])], &[], &["batch axis"]);
    refused_node("Add", &[Input, Weights(&[0])], &[], &["[0]"]);
    refused_node("Add", &[Input, Ints(&[1])], &[], &["integers"]);
    refused_node("MatMul", &[Input, Weights(&[7, 2])], &[], &["7 values"]);
    refused_node("MatMul", &[Input, Weights(&[8, 0])], &[], &["holds nothing"]);
    refused_node("MatMul", &[Weights(&[2, 8]), Input], &[], &["constant"]);
    refused_node("MatMul", &[Input, Input, Input], &[], &["two inputs"]);
    refused_node("Gemm", &[Input, Weights(&[8, 2]), Weights(&[3])], &[], &["bias"]);
    refused_node("Gemm", &[Input, Weights(&[8])], &[], &["matrix"]);
    let statistics = |variance: &'static [f64]| [Input, Floats(&[1.0; 6]), Floats(&[0.0; 6]), Floats(&[0.0; 6]), Floats(variance)];
    refused_node("BatchNormalization", &statistics(&[1.0; 5]), &[], &["differ in length"]);
    refused_node("BatchNormalization", &statistics(&[1.0, 1.0, -1.0, 1.0, 1.0, 1.0]), &[], &["variance of channel 2"]);
    refused_node("BatchNormalization", &statistics(&[f64::NAN; 6]), &[], &["variance of channel 0"]);
    refused_node("BatchNormalization", &statistics(&[1.0; 6]), &[("training_mode", int(1))], &["training_mode"]);
    let four: &[f64] = &[1.0; 4];
    refused_node("BatchNormalization", &[Input, Floats(four), Floats(four), Floats(four), Floats(four)], &[], &["4 channels"]);
    refused_node("Clip", &[Input, Floats(&[2.0]), Floats(&[1.0])], &[], &["no range"]);
    refused_node("Clip", &[Input, Floats(&[f64::NAN])], &[], &["no range"]);
    refused_node("Clip", &[Input, Floats(&[0.0, 1.0])], &[], &["not one number"]);
    refused_node("Clip", &[Input, Input], &[], &["input 1 depends on the network's input"]);
    refused_node("LeakyRelu", &[Input], &[("alpha", Attribute::Float(-1.0))], &["alpha"]);
    refused_node("LeakyRelu", &[Input], &[("alpha", Attribute::Float(f32::NAN))], &["alpha"]);
    refused_node("LeakyRelu", &[Input], &[("alpha", int(1))], &["alpha is not a number"]);
    // More inputs than the operator has.
    refused_node("Relu", &[Input, Input], &[], &["2 inputs depend on the network's input"]);
    refused_node("Add", &[Input, Floats(&[1.0]), Input], &[], &["2 inputs depend on the network's input"]);
}

#[test]
fn weights_of_integers_are_refused() {
    let elements = [
        Elements::I64(vec![1; 6].into()),
        Elements::I8(vec![1; 6].into()),
        Elements::Bool(vec![true; 6].into()),
        Elements::I32(vec![1; 6].into()),
    ];
    for elements in elements {
        let mut b = Builder::new(6, 8, 8);
        let constant = b.constant(Constant { shape: vec![6, 1, 1], elements });
        let output = b.node("Add", &[0, constant]);
        refused(&b.finish(output), &["\"Add_0\"", "integers where floating-point weights are expected"]);
    }
}

/// Each of these would take memory without bound if it were not counted.
#[test]
fn small_files_that_ask_for_much_are_refused() {
    let mut b = Builder::new(1, 64, 64);
    let mut x = 0;
    for _ in 0..40 {
        x = b.with("Concat", &[x, x], &[("axis", int(1))]);
    }
    refused(&b.finish(x), &["Concat_16", "over the limit"]);

    let mut b = Builder::new(1, 1 << 14, 1 << 14);
    let x = (0..20).fold(0, |x, _| b.node("Relu", &[x]));
    refused(&b.finish(x), &["values together are over the limit"]);

    // Shape arithmetic on 4096 integers, again and again.
    let mut b = Builder::new(6, 8, 8);
    let mut numbers = b.integers(&[1; 4096]);
    for _ in 0..50_000 {
        numbers = b.node("Neg", &[numbers]);
    }
    let output = b.node("Reshape", &[0, numbers]);
    refused(&b.finish(output), &["shape arithmetic", "integers"]);

    // The same 4096 integers, joined half a million times.
    let mut b = Builder::new(6, 8, 8);
    let numbers = b.integers(&[1; 4096]);
    let joined = b.with("Concat", &vec![numbers; 500_000], &[("axis", int(0))]);
    let output = b.node("Reshape", &[0, joined]);
    refused(&b.finish(output), &["Concat_0"]);

    // Constants that double, of constants that are small; and one that is read again and again.
    let mut b = Builder::new(6, 8, 8);
    let mut x = b.weights(&[1, 2]);
    for _ in 0..40 {
        x = b.with("Concat", &[x, x], &[("axis", int(0))]);
    }
    let output = b.node("Add", &[0, x]);
    refused(&b.finish(output), &["Concat_", "constants"]);
    let mut b = Builder::new(6, 8, 8);
    let sizes = b.integers(&[1 << 11, 1 << 11]);
    let large = b.node("ConstantOfShape", &[sizes]);
    let square = b.node("MatMul", &[large, large]);
    let output = b.node("MatMul", &[0, square]);
    refused(&b.finish(output), &["MatMul_1", "steps"]);

    // Axes without end.
    let mut b = Builder::new(6, 8, 8);
    let axes = b.integers(&[1, 2, 3, 4]);
    let x = (0..20_000).fold(0, |x, _| b.node("Unsqueeze", &[x, axes]));
    refused(&b.finish(x), &["Unsqueeze_3", "20 axes"]);
}

const MOST_NODES: usize = 100_000;

/// Chains as long as the reader lets through, of everything that the canonical cut looks at.
#[test]
fn long_chains_are_answered_soon() {
    type Link = fn(&mut Builder, ValueId, &[ValueId]) -> ValueId;
    let chains: [(&str, usize, Link); 6] = [
        ("Relu", 1, |b, x, _| b.node("Relu", &[x])),
        ("Identity", 1, |b, x, _| b.node("Identity", &[x])),
        ("Add of a constant", 1, |b, x, c| b.node("Add", &[x, c[0]])),
        ("Conv, Add", 2, |b, x, c| {
            let conv = b.node("Conv", &[x, c[1]]);
            b.node("Add", &[conv, c[0]])
        }),
        ("Conv, BatchNormalization", 2, |b, x, c| {
            let conv = b.node("Conv", &[x, c[1]]);
            b.node("BatchNormalization", &[conv, c[2], c[2], c[2], c[2]])
        }),
        ("BatchNormalization with all outputs", 1, |b, x, c| b.many("BatchNormalization", &[x, c[2], c[2], c[2], c[2]], &[], 5)[0]),
    ];
    for (name, nodes, link) in chains {
        let mut b = Builder::new(1, 2, 2);
        let constants = [b.weights(&[1, 1, 1]), b.weights(&[1, 1, 1, 1]), b.floats(&[1.0])];
        let mut x = 0;
        for _ in 0..MOST_NODES / nodes {
            x = link(&mut b, x, &constants);
        }
        let graph = b.finish(x);
        let start = Instant::now();
        let network = load(&graph, &LoadOptions::default()).unwrap();
        let loaded = start.elapsed();
        println!("{name:40} {:6} steps, loaded in {loaded:?}", network.steps.len());
        assert!(loaded < Duration::from_secs(10), "{name}: {loaded:?}");
    }
}
