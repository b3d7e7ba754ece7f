#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::*;
use crate::network::graph::Node;
use crate::network::shape_arithmetic::{Dim, Known};

fn f(shape: &[usize], values: &[f64]) -> Constant {
    Constant { shape: shape.to_vec(), elements: Elements::F32(values.iter().map(|&v| v as f32).collect()) }
}

fn i(shape: &[usize], values: &[i64]) -> Constant {
    Constant { shape: shape.to_vec(), elements: Elements::I64(values.into()) }
}

fn iv(values: &[i64]) -> Constant {
    i(&[values.len()], values)
}

/// 0.5, 1.5, ... in that shape.
fn counted(shape: &[usize]) -> Constant {
    f(shape, &(0..shape.iter().product()).map(|at: usize| at as f64 + 0.5).collect::<Vec<_>>())
}

fn int(name: &str, value: i64) -> (&str, Attribute) {
    (name, Attribute::Int(value))
}

fn ints<'a>(name: &'a str, values: &[i64]) -> (&'a str, Attribute) {
    (name, Attribute::Ints(values.to_vec()))
}

fn try_fold(op_type: &str, inputs: &[&Constant], attributes: &[(&str, Attribute)], outputs: usize) -> Result<Vec<Constant>, String> {
    let node = Node {
        name: "here".to_owned(),
        domain: String::new(),
        op_type: op_type.to_owned(),
        inputs: (0..inputs.len()).map(Some).collect(),
        outputs: (0..outputs).map(|at| Some(100 + at)).collect(),
        attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<BTreeMap<_, _>>(),
    };
    let operands = inputs.iter().map(|&constant| Operand::Constant(constant)).collect();
    let reading = Reading { node: &node, operands, opset: 17, fixed_batch: None };
    fold(&reading, &Budget::new(1000)).map(|results| results.unwrap_or_else(|| panic!("{op_type} is not folded")))
}

fn folded(op_type: &str, inputs: &[&Constant], attributes: &[(&str, Attribute)]) -> Constant {
    try_fold(op_type, inputs, attributes, 1).unwrap_or_else(|error| panic!("{op_type}: {error}")).remove(0)
}

#[track_caller]
fn assert_is(constant: &Constant, shape: &[usize], values: &[f64]) {
    assert_eq!(constant.shape, shape);
    let found = Array::of(constant).values;
    assert_eq!(found.len(), values.len());
    let near = |(a, b): (&f64, &f64)| a == b || (a - b).abs() <= 1e-6 * b.abs().max(1e-6);
    assert!(found.iter().zip(values).all(near), "{found:?}, not {values:?}");
}

#[test]
fn the_table_is_sorted() {
    assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
}

#[test]
fn element_by_element() {
    let (a, b) = (f(&[2, 1], &[1.0, -4.0]), f(&[3], &[2.0, 0.5, 3.0]));
    assert_is(&folded("Add", &[&a, &b], &[]), &[2, 3], &[3.0, 1.5, 4.0, -2.0, -3.5, -1.0]);
    assert_is(&folded("Sub", &[&b, &a], &[]), &[2, 3], &[1.0, -0.5, 2.0, 6.0, 4.5, 7.0]);
    assert_is(&folded("Mul", &[&a, &b], &[]), &[2, 3], &[2.0, 0.5, 3.0, -8.0, -2.0, -12.0]);
    assert_is(&folded("Div", &[&a, &b], &[]), &[2, 3], &[0.5, 2.0, 1.0 / 3.0, -2.0, -8.0, -4.0 / 3.0]);
    assert_is(&folded("Div", &[&iv(&[-7, 7]), &iv(&[2])], &[]), &[2], &[-3.0, 3.0]);
    assert_is(&folded("Mod", &[&iv(&[-7, 7]), &iv(&[3])], &[]), &[2], &[2.0, 1.0]);
    assert_is(&folded("Pow", &[&b, &f(&[], &[2.0])], &[]), &[3], &[4.0, 0.25, 9.0]);
    assert_is(&folded("Max", &[&a, &b, &f(&[], &[1.0])], &[]), &[2, 3], &[2.0, 1.0, 3.0, 2.0, 1.0, 3.0]);
    assert_is(&folded("Mean", &[&b, &f(&[], &[1.0])], &[]), &[3], &[1.5, 0.75, 2.0]);
    assert_is(&folded("Clip", &[&b, &f(&[], &[1.0]), &f(&[], &[2.5])], &[]), &[3], &[2.0, 1.0, 2.5]);
    let less = folded("Less", &[&a, &b], &[]);
    assert_eq!(less.elements, Elements::Bool([true, false, true, true, true, true].into()));
    assert_eq!(folded("Not", &[&less], &[]).integers().unwrap(), [0, 1, 0, 0, 0, 0]);
    assert_is(&folded("Where", &[&less, &a, &b], &[]), &[2, 3], &[1.0, 0.5, 1.0, -4.0, -4.0, -4.0]);
    let x = f(&[4], &[0.3, -1.2, 2.7, -4.0]);
    let known = [
        ("Erf", [0.328_626_759, -0.910_313_978, 0.999_865_667, -0.999_999_985]),
        ("Sigmoid", [0.574_442_517, 0.231_475_217, 0.937_026_644, 0.017_986_21]),
        ("Tanh", [0.291_312_612, -0.833_654_607, 0.991_007_454, -0.999_329_3]),
        ("Exp", [1.349_858_808, 0.301_194_212, 14.879_731_725, 0.018_315_639]),
        ("Relu", [0.3, 0.0, 2.7, 0.0]),
        ("Ceil", [1.0, -1.0, 3.0, -4.0]),
    ];
    for (op, values) in known {
        assert_is(&folded(op, &[&x], &[]), &[4], &values);
    }
    assert_is(&folded("Round", &[&f(&[3], &[0.5, 1.5, -2.5])], &[]), &[3], &[0.0, 2.0, -2.0]);
}

#[test]
fn sizes_are_rounded_as_singles() {
    // 20 * 0.35 is below 7 in f64 and 7 in f32.
    let size = folded("Mul", &[&f(&[], &[20.0]), &f(&[], &[0.35])], &[]);
    assert!(size.floats().unwrap()[0] < 7.0);
    assert_is(&folded("Floor", &[&size], &[]), &[], &[7.0]);
    let whole = folded("Cast", &[&size], &[int("to", 7)]);
    assert_eq!(whole.elements, Elements::I64([7].into()));
    assert_eq!(folded("Cast", &[&f(&[2], &[-1.7, 0.0])], &[int("to", 9)]).elements, Elements::Bool([true, false].into()));
    assert_is(&folded("Cast", &[&f(&[1], &[0.1])], &[int("to", 10)]), &[1], &[0.099_975_586]);
    assert_eq!(folded("CastLike", &[&whole, &size], &[]).elements, Elements::F64([7.0].into()));
}

#[test]
fn what_only_moves_keeps_its_type() {
    let x = counted(&[2, 3]);
    let turned = folded("Transpose", &[&x], &[]);
    assert_eq!(turned, f(&[3, 2], &[0.5, 3.5, 1.5, 4.5, 2.5, 5.5]));
    assert_eq!(folded("Transpose", &[&counted(&[1, 2, 2])], &[ints("perm", &[2, 0, 1])]), f(&[2, 1, 2], &[0.5, 2.5, 1.5, 3.5]));
    assert_eq!(folded("Reshape", &[&x, &iv(&[3, -1])], &[]), counted(&[3, 2]));
    assert_eq!(folded("Reshape", &[&x, &iv(&[0, 1, 3])], &[]), counted(&[2, 1, 3]));
    assert_eq!(folded("Flatten", &[&counted(&[2, 3, 4])], &[int("axis", 2)]), counted(&[6, 4]));
    assert_eq!(folded("Squeeze", &[&counted(&[1, 2, 1]), &iv(&[-1])], &[]), counted(&[1, 2]));
    assert_eq!(folded("Squeeze", &[&counted(&[1, 2, 1])], &[]), counted(&[2]));
    assert_eq!(folded("Unsqueeze", &[&x, &iv(&[0, -1])], &[]), counted(&[1, 2, 3, 1]));
    let joined = folded("Concat", &[&x, &f(&[2, 1], &[8.0, 9.0])], &[int("axis", 1)]);
    assert_eq!(joined, f(&[2, 4], &[0.5, 1.5, 2.5, 8.0, 3.5, 4.5, 5.5, 9.0]));
    let parts = try_fold("Split", &[&x, &iv(&[1, 2])], &[int("axis", 1)], 2).unwrap();
    assert_eq!(parts, [f(&[2, 1], &[0.5, 3.5]), f(&[2, 2], &[1.5, 2.5, 4.5, 5.5])]);
    assert_eq!(folded("Slice", &[&x, &iv(&[1]), &iv(&[i64::MAX]), &iv(&[1])], &[]), f(&[2, 2], &[1.5, 2.5, 4.5, 5.5]));
    let back = folded("Slice", &[&x, &iv(&[-1, 0]), &iv(&[i64::MIN, 9]), &iv(&[1, 0]), &iv(&[-2, 2])], &[]);
    assert_eq!(back, f(&[1, 2], &[2.5, 0.5]));
    assert_eq!(folded("Slice", &[&x, &iv(&[2]), &iv(&[1]), &iv(&[1])], &[]), f(&[2, 0], &[]));
    assert_eq!(folded("Gather", &[&x, &i(&[], &[-1])], &[int("axis", 1)]), f(&[2], &[2.5, 5.5]));
    assert_eq!(folded("Gather", &[&x, &i(&[1, 2], &[1, 0])], &[]), f(&[1, 2, 3], &[3.5, 4.5, 5.5, 0.5, 1.5, 2.5]));
    assert_eq!(
        folded("Expand", &[&f(&[2, 1], &[1.0, 2.0]), &iv(&[2, 1, 2])], &[]),
        f(&[2, 2, 2], &[1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0])
    );
    assert_eq!(folded("Tile", &[&f(&[1, 2], &[1.0, 2.0]), &iv(&[2, 2])], &[]), f(&[2, 4], &[1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]));
    let padded = folded("Pad", &[&f(&[1, 2], &[1.0, 2.0]), &iv(&[1, 0, 0, 2]), &f(&[], &[7.0])], &[]);
    assert_eq!(padded, f(&[2, 4], &[7.0, 7.0, 7.0, 7.0, 1.0, 2.0, 7.0, 7.0]));
}

#[test]
fn reductions() {
    let x = f(&[2, 3], &[1.0, -2.0, 3.0, 4.0, 5.0, -6.0]);
    let over = |op, axes: &[i64], keep| folded(op, &[&x], &[ints("axes", axes), int("keepdims", keep)]);
    assert_is(&over("ReduceSum", &[1], 1), &[2, 1], &[2.0, 3.0]);
    assert_is(&over("ReduceMean", &[0], 0), &[3], &[2.5, 1.5, -1.5]);
    assert_is(&over("ReduceMax", &[-1], 0), &[2], &[3.0, 5.0]);
    assert_is(&over("ReduceMin", &[0, 1], 0), &[], &[-6.0]);
    assert_is(&over("ReduceL1", &[1], 0), &[2], &[6.0, 15.0]);
    assert_is(&over("ReduceL2", &[1], 0), &[2], &[14.0_f64.sqrt(), 77.0_f64.sqrt()]);
    assert_is(&over("ReduceProd", &[1], 1), &[2, 1], &[-6.0, -120.0]);
    assert_is(&folded("ReduceSum", &[&x, &iv(&[0])], &[]), &[1, 3], &[5.0, 3.0, -3.0]);
    assert_is(&folded("ReduceSum", &[&x], &[int("noop_with_empty_axes", 1)]), &[2, 3], &[1.0, -2.0, 3.0, 4.0, 5.0, -6.0]);
    assert_is(&folded("ReduceSum", &[&x], &[]), &[1, 1], &[5.0]);
    assert_is(&folded("CumSum", &[&x, &i(&[], &[1])], &[]), &[2, 3], &[1.0, -1.0, 2.0, 4.0, 9.0, 3.0]);
    let back = folded("CumSum", &[&x, &i(&[], &[0])], &[int("exclusive", 1), int("reverse", 1)]);
    assert_is(&back, &[2, 3], &[4.0, 5.0, -6.0, 0.0, 0.0, 0.0]);
}

#[test]
fn products() {
    let (a, b) = (counted(&[2, 2, 3]), counted(&[3, 2]));
    let product = folded("MatMul", &[&a, &b], &[]);
    let (wa, wb) = (a.floats().unwrap(), b.floats().unwrap());
    let mut loop_values = Vec::new();
    for (m, n) in (0..4).flat_map(|m| [(m, 0), (m, 1)]) {
        loop_values.push((0..3).map(|k| wa[m * 3 + k] * wb[k * 2 + n]).sum::<f64>());
    }
    assert_is(&product, &[2, 2, 2], &loop_values);
    assert_is(&folded("Einsum", &[&a, &b], &[("equation", Attribute::Text("bik, kj -> bij".to_owned()))]), &[2, 2, 2], &loop_values);
    let trace = [("equation", Attribute::Text("ii".to_owned()))];
    assert_is(&folded("Einsum", &[&counted(&[3, 3])], &trace), &[], &[0.5 + 4.5 + 8.5]);
    assert_is(&folded("MatMul", &[&f(&[2], &[1.0, 2.0]), &f(&[2], &[3.0, 4.0])], &[]), &[], &[11.0]);
    assert_is(&folded("MatMul", &[&f(&[2], &[1.0, 2.0]), &counted(&[2, 2])], &[]), &[2], &[5.5, 8.5]);
    let attributes = [int("transB", 1), ("alpha", Attribute::Float(2.0)), ("beta", Attribute::Float(0.5))];
    let gemm = folded("Gemm", &[&f(&[1, 2], &[1.0, 2.0]), &counted(&[2, 2]), &f(&[2], &[10.0, 20.0])], &attributes);
    assert_is(&gemm, &[1, 2], &[2.0 * 3.5 + 5.0, 2.0 * 9.5 + 10.0]);
}

#[test]
fn standardised_weights() {
    // A filter of four weights: its mean is 2.5, its variance 1.25.
    let w = f(&[1, 2, 4], &[1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 8.0, 8.0]);
    let (scale, bias) = (f(&[2], &[1.0, 2.0]), f(&[2], &[0.0, 1.0]));
    let unused = f(&[2], &[0.0, 1.0]);
    let exact = [("epsilon", Attribute::Float(0.0))];
    let s = 1.25_f64.sqrt();
    let expected = [-1.5 / s, -0.5 / s, 0.5 / s, 1.5 / s, -1.0, -1.0, 3.0, 3.0];
    assert_is(&folded("InstanceNormalization", &[&w, &scale, &bias], &exact), &[1, 2, 4], &expected);
    let training = [exact[0].clone(), int("training_mode", 1)];
    assert_is(&folded("BatchNormalization", &[&w, &scale, &bias, &unused, &unused], &training), &[1, 2, 4], &expected);
    let (mean, variance) = (f(&[2], &[1.0, 0.0]), f(&[2], &[4.0, 1.0]));
    let given = folded("BatchNormalization", &[&w, &scale, &bias, &mean, &variance], &exact);
    assert_is(&given, &[1, 2, 4], &[0.0, 0.5, 1.0, 1.5, 1.0, 1.0, 17.0, 17.0]);
    let soft = folded("Softmax", &[&f(&[2, 2], &[0.0, 3.0_f64.ln(), 5.0, 5.0])], &[]);
    assert_is(&soft, &[2, 2], &[0.25, 0.75, 0.5, 0.5]);
    assert_is(&folded("Softmax", &[&f(&[2, 1], &[0.0, 3.0_f64.ln()])], &[int("axis", 0)]), &[2, 1], &[0.25, 0.75]);
}

#[test]
fn made_of_sizes() {
    let value = ("value", Attribute::Tensor(f(&[1], &[2.5])));
    assert_eq!(folded("ConstantOfShape", &[&iv(&[2, 1])], &[value]), f(&[2, 1], &[2.5, 2.5]));
    assert_eq!(folded("ConstantOfShape", &[&iv(&[1])], &[]), f(&[1], &[0.0]));
    assert_is(&folded("Range", &[&f(&[], &[1.0]), &f(&[], &[2.0]), &f(&[], &[0.25])], &[]), &[4], &[1.0, 1.25, 1.5, 1.75]);
    assert_is(&folded("EyeLike", &[&counted(&[2, 3])], &[int("k", 1)]), &[2, 3], &[0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    assert_is(&folded("Trilu", &[&counted(&[2, 2])], &[]), &[2, 2], &[0.5, 1.5, 0.0, 3.5]);
    assert_is(&folded("Trilu", &[&counted(&[2, 2])], &[int("upper", 0)]), &[2, 2], &[0.5, 0.0, 2.5, 3.5]);
    let hot = folded("OneHot", &[&iv(&[2, -3]), &i(&[], &[3]), &f(&[2], &[0.0, 5.0])], &[]);
    assert_is(&hot, &[2, 3], &[0.0, 0.0, 5.0, 5.0, 0.0, 0.0]);
}

#[test]
fn quantised_weights() {
    let bytes = Constant { shape: vec![2, 2], elements: Elements::I8([-128, 0, 1, 127].into()) };
    let zeros = Constant { shape: vec![2], elements: Elements::I8([0, 1].into()) };
    let by_row = folded("DequantizeLinear", &[&bytes, &f(&[2], &[0.5, 2.0]), &zeros], &[int("axis", 0)]);
    assert_is(&by_row, &[2, 2], &[-64.0, 0.0, 0.0, 252.0]);
    assert_is(&folded("DequantizeLinear", &[&bytes, &f(&[], &[0.5])], &[]), &[2, 2], &[-64.0, 0.0, 0.5, 63.5]);
    let bias = Constant { shape: vec![2], elements: Elements::I32([1000, -3].into()) };
    assert_is(&folded("DequantizeLinear", &[&bias, &f(&[2], &[0.5, 2.0])], &[int("axis", 0)]), &[2], &[500.0, -6.0]);
    let zero = Constant { shape: vec![], elements: Elements::U8([10].into()) };
    let made = folded("QuantizeLinear", &[&f(&[4], &[-9.0, 0.25, 0.75, 900.0]), &f(&[], &[0.5]), &zero], &[]);
    assert_eq!(made.elements, Elements::U8([0, 10, 12, 255].into()));
    let blocks = try_fold("DequantizeLinear", &[&bytes, &f(&[2, 1], &[0.5, 2.0])], &[int("block_size", 2)], 1);
    assert!(blocks.unwrap_err().contains("in blocks"));
}

#[test]
fn what_is_wrong_is_refused() {
    let x = counted(&[2, 3]);
    type Case<'a> = (&'a str, &'a [&'a Constant], &'a [(&'a str, Attribute)]);
    let cases: [Case; 14] = [
        ("Add", &[&x, &counted(&[2])], &[]),
        ("Add", &[&x], &[]),
        ("Div", &[&iv(&[1]), &iv(&[0])], &[]),
        ("Transpose", &[&x], &[ints("perm", &[0, 0])]),
        ("Reshape", &[&x, &iv(&[4])], &[]),
        ("Reshape", &[&x, &iv(&[i64::MAX, i64::MAX])], &[]),
        ("Gather", &[&x, &i(&[], &[2])], &[]),
        ("Concat", &[&x, &counted(&[3, 3])], &[int("axis", 1)]),
        ("Slice", &[&x, &iv(&[0]), &iv(&[1]), &iv(&[0]), &iv(&[0])], &[]),
        ("Split", &[&x, &iv(&[1, 1])], &[int("axis", 1)]),
        ("MatMul", &[&x, &x], &[]),
        ("Cast", &[&x], &[int("to", 8)]),
        ("Range", &[&f(&[], &[0.0]), &f(&[], &[1.0]), &f(&[], &[0.0])], &[]),
        ("Einsum", &[&x], &[("equation", Attribute::Text("ij->ijk".to_owned()))]),
    ];
    for (op, inputs, attributes) in cases {
        assert!(try_fold(op, inputs, attributes, 1).is_err(), "{op} {attributes:?}");
    }
}

#[test]
fn what_asks_for_too_much_is_refused() {
    let big = 1 << 20;
    let cases: [(&str, Vec<Constant>); 7] = [
        ("ConstantOfShape", vec![iv(&[1 << 40, 1 << 40])]),
        ("ConstantOfShape", vec![iv(&[1 << 27])]),
        ("Expand", vec![counted(&[1]), iv(&[1 << 30])]),
        ("Tile", vec![counted(&[2]), iv(&[i64::MAX])]),
        ("Pad", vec![counted(&[1]), iv(&[i64::MAX, i64::MAX])]),
        ("Range", vec![f(&[], &[0.0]), f(&[], &[1e30]), f(&[], &[1.0])]),
        ("OneHot", vec![i(&[big], &vec![0; big]), i(&[], &[1 << 20]), f(&[2], &[0.0, 1.0])]),
    ];
    for (op, inputs) in cases {
        let inputs: Vec<&Constant> = inputs.iter().collect();
        assert!(try_fold(op, &inputs, &[], 1).is_err(), "{op}");
    }
    // 2^22 elements in and out, and 2^33 products between.
    let side = 1 << 11;
    let (a, b) = (f(&[side, side], &vec![0.0; side * side]), f(&[side, side], &vec![0.0; side * side]));
    assert!(try_fold("MatMul", &[&a, &b], &[], 1).unwrap_err().contains("steps"));
}

#[test]
fn known_sizes_are_constants_too() {
    let node = Node {
        name: "here".to_owned(),
        domain: String::new(),
        op_type: "Mul".to_owned(),
        inputs: vec![Some(0), Some(1)],
        outputs: vec![Some(2)],
        attributes: BTreeMap::new(),
    };
    let scale = f(&[2], &[0.5, 2.0]);
    let sizes = |float| Known { float, ..Known::vector(vec![Dim::of(7), Dim::of(9)]) };
    let result = |known: &Known| {
        let reading =
            Reading { node: &node, operands: vec![Operand::Known(known), Operand::Constant(&scale)], opset: 17, fixed_batch: None };
        fold(&reading, &Budget::new(0)).unwrap().unwrap().remove(0)
    };
    assert_is(&result(&sizes(true)), &[2], &[3.5, 18.0]);
}
