#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::*;
use crate::network::graph::Elements;

const N: Dim = Dim::BATCH;

fn c(value: i64) -> Dim {
    Dim::of(value)
}

fn n(factor: i64) -> Dim {
    Dim { fixed: 0, per_batch: factor }
}

fn v(values: &[i64]) -> Known {
    Known::vector(values.iter().map(|&value| c(value)).collect())
}

fn s(value: i64) -> Known {
    Known::scalar(c(value))
}

fn node(op_type: &str, inputs: usize, attributes: &[(&str, Attribute)]) -> Node {
    Node {
        name: "here".to_owned(),
        domain: String::new(),
        op_type: op_type.to_owned(),
        inputs: (0..inputs).map(Some).collect(),
        outputs: vec![Some(inputs)],
        attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<BTreeMap<_, _>>(),
    }
}

fn try_folded(op_type: &str, inputs: &[&Known], attributes: &[(&str, Attribute)]) -> Result<Option<Known>> {
    let inputs: Vec<Option<&Known>> = inputs.iter().map(|&known| Some(known)).collect();
    let folded = fold(&node(op_type, inputs.len(), attributes), &inputs, &vec![None; inputs.len()])?;
    Ok(folded.map(|outputs| {
        let [output] = &outputs[..] else { panic!("{op_type}: {} outputs", outputs.len()) };
        assert_eq!(output.shape.iter().product::<usize>(), output.values.len(), "{op_type}");
        output.clone()
    }))
}

fn folded(op_type: &str, inputs: &[&Known], attributes: &[(&str, Attribute)]) -> Option<Known> {
    try_folded(op_type, inputs, attributes).unwrap()
}

fn int(name: &str, value: i64) -> (&str, Attribute) {
    (name, Attribute::Int(value))
}

fn ints<'a>(name: &'a str, values: &[i64]) -> (&'a str, Attribute) {
    (name, Attribute::Ints(values.to_vec()))
}

fn tensor(values: &[i64]) -> Attribute {
    Attribute::Tensor(Constant { shape: vec![values.len()], elements: Elements::I64(values.into()) })
}

#[test]
fn a_flatten_becomes_known() {
    let image = [N, c(64), c(7), c(5)];
    let shape = fold(&node("Shape", 1, &[]), &[None], &[Some(&image)]).unwrap().unwrap().remove(0);
    assert_eq!(shape, Known::vector(image.to_vec()));
    let batch = folded("Gather", &[&shape, &s(0)], &[int("axis", 0)]).unwrap();
    assert_eq!(batch, Known::scalar(N));
    let batch = folded("Unsqueeze", &[&batch, &v(&[0])], &[]).unwrap();
    let target = folded("Concat", &[&batch, &v(&[-1])], &[int("axis", 0)]).unwrap();
    assert_eq!(target, Known::vector(vec![N, c(-1)]));
    let rest = folded("Slice", &[&shape, &v(&[1]), &v(&[i64::MAX]), &v(&[0])], &[]).unwrap();
    assert_eq!(folded("ReduceProd", &[&rest], &[int("keepdims", 0)]), Some(s(64 * 35)));
    let size = fold(&node("Size", 1, &[]), &[None], &[Some(&image)]).unwrap().unwrap().remove(0);
    assert_eq!(size, Known::scalar(n(64 * 35)));
    assert_eq!(folded("Div", &[&size, &batch], &[]), Some(v(&[64 * 35])));
}

#[test]
fn an_expand_with_minus_ones_becomes_known() {
    let shape = Known::vector(vec![N, c(-1), c(3)]);
    let ones = folded("ConstantOfShape", &[&v(&[3])], &[("value", tensor(&[1]))]).unwrap();
    let minus = folded("Mul", &[&ones, &s(-1)], &[]).unwrap();
    let equal = folded("Equal", &[&shape, &minus], &[]).unwrap();
    assert_eq!(equal, v(&[0, 1, 0]));
    assert_eq!(folded("Where", &[&equal, &ones, &shape], &[]), Some(Known::vector(vec![N, c(1), c(3)])));
}

#[test]
fn shape_has_start_and_end() {
    let image = [N, c(3), c(8), c(9)];
    for (attributes, wanted) in [
        (vec![int("start", 2)], vec![c(8), c(9)]),
        (vec![int("start", -1)], vec![c(9)]),
        (vec![int("end", -2)], vec![N, c(3)]),
        (vec![int("start", 3), int("end", 1)], vec![]),
        (vec![int("start", -99), int("end", 99)], image.to_vec()),
    ] {
        let made = fold(&node("Shape", 1, &attributes), &[None], &[Some(&image)]).unwrap().unwrap();
        assert_eq!(made, [Known::vector(wanted)], "{attributes:?}");
    }
    assert_eq!(folded("Shape", &[&v(&[4, 5])], &[]), Some(v(&[2])));
    assert_eq!(folded("Size", &[&v(&[4, 5])], &[]), Some(s(2)));
}

#[test]
fn each_operator_of_two() {
    let batches = Known::vector(vec![n(6), c(7), c(-7)]);
    for (op_type, other, wanted) in [
        ("Add", s(1), vec![Dim { fixed: 1, per_batch: 6 }, c(8), c(-6)]),
        ("Sub", s(1), vec![Dim { fixed: -1, per_batch: 6 }, c(6), c(-8)]),
        ("Mul", s(2), vec![n(12), c(14), c(-14)]),
        ("Div", s(2), vec![n(3), c(3), c(-3)]),
        ("Mod", s(3), vec![c(0), c(1), c(2)]),
        ("Equal", s(7), vec![c(0), c(1), c(0)]),
        ("Less", s(6), vec![c(0), c(0), c(1)]),
        ("Greater", s(5), vec![c(1), c(1), c(0)]),
        ("Min", s(6), vec![c(6), c(6), c(-7)]),
        ("Max", s(6), vec![n(6), c(7), c(6)]),
    ] {
        assert_eq!(folded(op_type, &[&batches, &other], &[]), Some(Known::vector(wanted)), "{op_type}");
    }
    assert_eq!(folded("Mod", &[&v(&[-7, 7]), &s(3)], &[int("fmod", 1)]), Some(v(&[-1, 1])));
    assert_eq!(folded("Mod", &[&v(&[-7, 7]), &s(-3)], &[]), Some(v(&[-1, -2])));
    assert_eq!(folded("Neg", &[&batches], &[]), Some(Known::vector(vec![n(-6), c(-7), c(7)])));
    assert_eq!(folded("Max", &[&s(1), &s(5), &s(3)], &[]), Some(s(5)));
}

#[test]
fn what_depends_on_the_batch_is_not_known() {
    let batch = Known::scalar(N);
    assert_eq!(folded("Mul", &[&batch, &batch], &[]), None);
    assert_eq!(folded("Div", &[&batch, &s(2)], &[]), None);
    assert_eq!(folded("Mod", &[&batch, &s(2)], &[]), None);
    assert_eq!(folded("Equal", &[&batch, &s(4)], &[]), None);
    assert_eq!(folded("Less", &[&batch, &s(4)], &[]), None);
    assert_eq!(folded("Less", &[&batch, &s(1)], &[]), Some(s(0)));
    assert_eq!(folded("Greater", &[&batch, &s(1)], &[]), None);
    assert_eq!(folded("Min", &[&batch, &s(4)], &[]), None);
    assert_eq!(folded("Gather", &[&v(&[1, 2]), &batch], &[]), None);
    assert_eq!(folded("Range", &[&s(0), &batch, &s(1)], &[]), None);
    assert_eq!(folded("Cast", &[&batch], &[int("to", 9)]), Some(s(1)));
}

#[test]
fn parts_of_a_vector() {
    let data = v(&[10, 11, 12, 13]);
    assert_eq!(folded("Gather", &[&data, &v(&[-1, 0])], &[]), Some(v(&[13, 10])));
    let old = |start, end| folded("Slice", &[&data], &[ints("starts", &[start]), ints("ends", &[end])]);
    assert_eq!(old(1, 3), Some(v(&[11, 12])));
    assert_eq!(old(-2, i64::MAX), Some(v(&[12, 13])));
    assert_eq!(old(3, 1), Some(v(&[])));
    let new = |data: &Known, start, end, step| folded("Slice", &[data, &v(&[start]), &v(&[end]), &v(&[0]), &v(&[step])], &[]);
    assert_eq!(new(&data, -1, i64::MIN, -2), Some(v(&[13, 11])));
    assert_eq!(new(&data, 0, i64::MAX, i64::MAX), Some(v(&[10])));
    assert_eq!(new(&v(&[]), 0, i64::MIN, -1), Some(v(&[])));
    assert_eq!(new(&v(&[]), 0, 9, 1), Some(v(&[])));
}

#[test]
fn ranks_change() {
    assert_eq!(folded("Squeeze", &[&v(&[5])], &[]), Some(s(5)));
    assert_eq!(folded("Squeeze", &[&v(&[5]), &v(&[0])], &[]), Some(s(5)));
    assert_eq!(folded("Unsqueeze", &[&s(5)], &[ints("axes", &[0])]), Some(v(&[5])));
    assert_eq!(folded("Unsqueeze", &[&v(&[5])], &[ints("axes", &[0])]), None);
    assert_eq!(folded("Reshape", &[&s(5), &v(&[-1])], &[]), Some(v(&[5])));
    assert_eq!(folded("Reshape", &[&v(&[5]), &v(&[])], &[]), Some(s(5)));
    assert_eq!(folded("Reshape", &[&v(&[5, 6]), &v(&[0])], &[]), Some(v(&[5, 6])));
    assert_eq!(folded("Reshape", &[&v(&[5, 6]), &v(&[1, 2])], &[]), None);
    assert_eq!(folded("Identity", &[&s(5)], &[]), Some(s(5)));
    assert_eq!(folded("Cast", &[&s(5)], &[int("to", 7)]), Some(s(5)));
    assert_eq!(folded("Cast", &[&s(5)], &[int("to", 1)]), None);
    assert_eq!(folded("Range", &[&s(5), &s(-1), &s(-2)], &[]), Some(v(&[5, 3, 1])));
    assert_eq!(folded("Range", &[&s(5), &s(5), &s(1)], &[]), Some(v(&[])));
    assert_eq!(folded("ReduceProd", &[&v(&[5, 6])], &[]), Some(v(&[30])));
    assert_eq!(folded("ConstantOfShape", &[&v(&[])], &[("value", tensor(&[4]))]), Some(s(4)));
    assert_eq!(folded("Add", &[&v(&[]), &s(1)], &[]), Some(v(&[])));
}

/// Operator, inputs, attributes.
type Case<'a> = (&'a str, Vec<&'a Known>, Vec<(&'a str, Attribute)>);

#[test]
fn wrong_arithmetic_is_refused_by_name() {
    let two = v(&[1, 2]);
    let cases: Vec<Case> = vec![
        ("Gather", vec![&two, &two], vec![]),
        ("Gather", vec![&two, &two], vec![int("axis", 1)]),
        ("Gather", vec![&two], vec![]),
        ("Squeeze", vec![&two], vec![ints("axes", &[0])]),
        ("Unsqueeze", vec![&two], vec![]),
        ("Reshape", vec![&two, &two], vec![int("axes", 0)]),
        ("Concat", vec![&two, &two], vec![int("axis", 1)]),
        ("Slice", vec![&two], vec![]),
        ("Slice", vec![&two], vec![ints("starts", &[0]), ints("ends", &[1, 2])]),
        ("Slice", vec![&two], vec![ints("starts", &[0]), ints("ends", &[1]), ints("steps", &[0])]),
        ("Div", vec![&two], vec![]),
        ("ConstantOfShape", vec![&two], vec![("value", tensor(&[1, 2]))]),
        ("ReduceProd", vec![&two], vec![ints("axes", &[3])]),
        ("Range", vec![&two, &two, &two], vec![]),
    ];
    for (op_type, inputs, attributes) in cases {
        match try_folded(op_type, &inputs, &attributes) {
            Err(error) => assert!(error.to_string().starts_with(&format!("node 'here' ({op_type}): ")), "{error}"),
            Ok(made) => assert!(op_type == "Reshape" && made.is_none(), "{op_type} {attributes:?}: {made:?}"),
        }
    }
    for (op_type, other) in [("Div", s(0)), ("Mod", s(0)), ("Add", v(&[1, 2, 3]))] {
        assert!(try_folded(op_type, &[&two, &other], &[]).is_err(), "{op_type}");
    }
    assert!(try_folded("Reshape", &[&two, &v(&[3])], &[]).is_err());
    assert!(try_folded("Range", &[&s(0), &s(9), &s(0)], &[]).is_err());
    assert!(try_folded("ConstantOfShape", &[&v(&[-1])], &[("value", tensor(&[1]))]).is_err());
}

#[test]
fn large_foreign_and_unknown_are_left_alone() {
    assert_eq!(folded("Range", &[&s(0), &s(i64::MAX), &s(1)], &[]), None);
    assert_eq!(folded("Range", &[&s(i64::MIN), &s(i64::MAX), &s(i64::MAX)], &[]).unwrap().values.len(), 3);
    assert_eq!(folded("ConstantOfShape", &[&v(&[1 << 40])], &[("value", tensor(&[1]))]), None);
    let half = Known::vector(vec![c(1); MAX_VALUES / 2 + 1]);
    assert_eq!(folded("Concat", &[&half, &half], &[]), None);
    assert_eq!(folded("Add", &[&s(i64::MAX), &s(1)], &[]), None);
    assert_eq!(folded("Conv", &[&s(1)], &[]), None);
    let foreign = Node { domain: "com.microsoft".to_owned(), ..node("Add", 2, &[]) };
    assert_eq!(fold(&foreign, &[Some(&s(1)), Some(&s(1))], &[None, None]).unwrap(), None);
    assert_eq!(fold(&node("Add", 2, &[]), &[Some(&s(1)), None], &[None, None]).unwrap(), None);
    assert_eq!(fold(&node("Shape", 1, &[]), &[None], &[None]).unwrap(), None);
    let floats = Constant::from_floats(vec![1], vec![1.0]);
    assert_eq!(Known::of(&floats), None);
}
