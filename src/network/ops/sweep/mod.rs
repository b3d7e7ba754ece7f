//! Every operator against plain loops, autograd and the definitions of adjoint and bias. An operator or a name without an exemplar fails.

mod exemplars;
mod named;
mod reference;

use tch::{Device, Kind, Tensor};

use self::exemplars::{Exemplar, Given};
use self::reference::Plain;
use super::{ONNX, Op, Read};
use crate::network::graph::Node;
use crate::network::memory;
use crate::network::op::{Gradient, Kernel, Place, Saved, Shape};
use crate::network::reading::{Operand, Reading};

/// Numbers that are the same in every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed | 1)
    }

    /// Uniform from -1 to 1.
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    fn below(&mut self, count: usize) -> usize {
        ((self.next() + 1.0) / 2.0 * count as f64) as usize % count
    }

    fn vector(&mut self, shape: &[usize]) -> Plain {
        Plain::of(shape, |_| self.next())
    }

    /// Values 0.05 apart in any order, none within 0.02 of a multiple of 0.05: bounds and ties are away.
    fn spread(&mut self, shape: &[usize]) -> Plain {
        let count = shape.iter().product::<usize>();
        let mut data: Vec<f64> = (0..count).map(|i| (i as f64 - (count / 2) as f64 + 0.5) * 0.05).collect();
        (1..count).rev().for_each(|i| data.swap(i, self.below(i + 1)));
        Plain { shape: shape.to_vec(), data }
    }
}

const F64: Place = Place { device: Device::Cpu, kind: Kind::Double };
const F32: Place = Place { device: Device::Cpu, kind: Kind::Float };
const BF16: Place = Place { device: Device::Cpu, kind: Kind::BFloat16 };
const F16: Place = Place { device: Device::Cpu, kind: Kind::Half };

fn tensor(plain: &Plain, place: Place) -> Tensor {
    let shape: Vec<i64> = plain.shape.iter().map(|&size| size as i64).collect();
    let row_major = Tensor::from_slice(&plain.data).reshape(shape).to_kind(place.kind);
    if place.channels_last() && plain.shape.len() == 4 { memory::channels_last(&row_major).unwrap() } else { row_major }
}

fn plain(tensor: &Tensor) -> Plain {
    let data = Vec::try_from(tensor.to_kind(Kind::Double).contiguous().flatten(0, -1)).unwrap();
    Plain { shape: tensor.size().iter().map(|&size| size as usize).collect(), data }
}

/// An exemplar as its operator reads it, `None` where that is "the same".
fn read(exemplar: &Exemplar) -> Option<Op> {
    let node = Node {
        name: "node".to_owned(),
        domain: String::new(),
        op_type: exemplar.op_type.to_owned(),
        inputs: (0..exemplar.given.len()).map(Some).collect(),
        outputs: (0..exemplar.outputs).map(|i| Some(100 + i)).collect(),
        attributes: exemplar.attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    };
    let operands = exemplar.given.iter().map(|given| match given {
        Given::Activation(shape) => Operand::Activation(shape),
        Given::Constant(constant) => Operand::Constant(constant),
        Given::Known(known) => Operand::Known(known),
        Given::Missing => Operand::Missing,
    });
    let reading = Reading { node: &node, operands: operands.collect(), opset: exemplar.opset, fixed_batch: None };
    let (_, reader) = ONNX.iter().find(|(name, _)| *name == exemplar.op_type).expect("an ONNX name");
    match reader(&reading).unwrap_or_else(|error| panic!("{} {}: {error}", exemplar.op_type, exemplar.name)) {
        Read::Op(op) => Some(op),
        Read::Same => None,
    }
}

/// An operator with a batch to work on.
struct Bench {
    name: String,
    op: Op,
    shapes: Vec<Shape>,
    x: Vec<Plain>,
    expected: Vec<Plain>,
}

impl Bench {
    fn kernel(&self, place: Place) -> Box<dyn Kernel> {
        let shapes: Vec<&[usize]> = self.shapes.iter().map(Vec::as_slice).collect();
        self.op.rules().kernel(place, &shapes).unwrap()
    }

    /// Outputs, and what the adjoint needs.
    fn forward(&self, kernel: &dyn Kernel, inputs: &[Tensor]) -> (Vec<Tensor>, Saved) {
        let made = kernel.forward(&inputs.iter().collect::<Vec<_>>()).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let kept = |keep: bool, tensors: &[Tensor]| if keep { tensors.iter().map(Tensor::shallow_clone).collect() } else { Vec::new() };
        let saved =
            Saved { inputs: kept(kernel.keeps().inputs, inputs), outputs: kept(kernel.keeps().outputs, &made.outputs), extra: made.extra };
        (made.outputs, saved)
    }

    fn outputs(&self, x: &[Plain]) -> Vec<Plain> {
        let inputs: Vec<Tensor> = x.iter().map(|x| tensor(x, F64)).collect();
        self.forward(&*self.kernel(F64), &inputs).0.iter().map(plain).collect()
    }

    /// Random gradients of the outputs.
    fn grad_out(&self) -> Vec<Plain> {
        let mut random = Random::new(77);
        self.expected.iter().map(|y| random.vector(&y.shape)).collect()
    }

    /// J^T w at x for the gradients w of the outputs.
    fn adjoint(&self, place: Place, w: &[Plain]) -> Vec<Plain> {
        let kernel = self.kernel(place);
        let inputs: Vec<Tensor> = self.x.iter().map(|x| tensor(x, place)).collect();
        let (_, saved) = self.forward(&*kernel, &inputs);
        let grad_out = w.iter().map(|w| Some(tensor(w, place).into())).collect();
        let grad_in = kernel.adjoint(&saved, grad_out).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        // An input on which the outputs depend by steps only has no gradient.
        grad_in.into_iter().zip(&self.x).map(|(grad, x)| grad.map_or(x.each(|_| 0.0), |grad| plain(&grad.tensor))).collect()
    }

    /// J v at x by differences over eight points: exact but for rounding where no kink lies within `4 * step * v`.
    fn derivative(&self, v: &[Plain], step: f64) -> Vec<Plain> {
        let moved = |by: f64| -> Vec<Plain> {
            let each = self.x.iter().zip(v);
            each.map(|(x, v)| {
                let data = x.data.iter().zip(&v.data).map(|(x, v)| x + by * v).collect();
                Plain { shape: x.shape.clone(), data }
            })
            .collect()
        };
        let mut slopes: Vec<Plain> = self.expected.iter().map(|y| y.each(|_| 0.0)).collect();
        for (reach, weight) in [(1.0, 4.0 / 5.0), (2.0, -1.0 / 5.0), (3.0, 4.0 / 105.0), (4.0, -1.0 / 280.0)] {
            let (after, before) = (self.outputs(&moved(reach * step)), self.outputs(&moved(-reach * step)));
            for ((slope, after), before) in slopes.iter_mut().zip(&after).zip(&before) {
                let differences = after.data.iter().zip(&before.data).map(|(a, b)| weight * (a - b) / step);
                slope.data.iter_mut().zip(differences).for_each(|(slope, difference)| *slope += difference);
            }
        }
        slopes
    }
}

/// Every exemplar with a batch of one and a batch of three.
fn benches() -> Vec<Bench> {
    let all = exemplars::all();
    let each = all.iter().filter_map(|exemplar| Some((exemplar, read(exemplar)?)));
    each.flat_map(|(exemplar, op)| {
        [1, 3].map(|batch| {
            let activation = |given: &Given| if let Given::Activation(shape) = given { Some(shape.clone()) } else { None };
            let shapes: Vec<Shape> = exemplar.given.iter().filter_map(activation).collect();
            let mut random = Random::new(5);
            let mut drawn = |(i, shape): (usize, &Shape)| {
                // No number of one activation equals one of another.
                random.spread(&[&[batch], &shape[1..]].concat()).each(|x| (exemplar.domain)(i, x + 0.008 * i as f64))
            };
            let x: Vec<Plain> = shapes.iter().enumerate().map(&mut drawn).collect();
            let expected = (exemplar.reference)(&x);
            let name = format!("{} {}, {batch} images", exemplar.op_type, exemplar.name);
            Bench { name, op: op.clone(), shapes, x, expected }
        })
    })
    .collect()
}

/// Largest difference, over the largest value or 1.
fn distance(found: &Plain, wanted: &Plain) -> f64 {
    assert_eq!(found.shape, wanted.shape);
    let scale = wanted.data.iter().fold(1.0, |scale: f64, x| scale.max(x.abs()));
    let off = |(a, b): (&f64, &f64)| if a == b { 0.0 } else { (a - b).abs() };
    found.data.iter().zip(&wanted.data).map(off).fold(0.0, |worst: f64, d| if d.is_nan() { d } else { worst.max(d) }) / scale
}

fn dot(a: &[Plain], b: &[Plain]) -> f64 {
    a.iter().zip(b).flat_map(|(a, b)| a.data.iter().zip(&b.data)).map(|(a, b)| a * b).sum()
}

/// Runs a check on every bench and tells all that fail.
fn sweep(check: impl Fn(&Bench) -> Result<(), String>) {
    let faults: Vec<String> =
        benches().iter().filter_map(|bench| check(bench).err().map(|fault| format!("{}: {fault}", bench.name))).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn near(what: &str, found: &[Plain], wanted: &[Plain], bound: f64) -> Result<(), String> {
    if found.len() != wanted.len() {
        return Err(format!("{what}: {} tensors, {} expected", found.len(), wanted.len()));
    }
    for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        if found.shape != wanted.shape {
            return Err(format!("{what} {i} has shape {:?}, expected is {:?}", found.shape, wanted.shape));
        }
        let off = distance(found, wanted);
        if off.is_nan() || off > bound {
            return Err(format!("{what} {i} is off by {off:e}"));
        }
    }
    Ok(())
}

#[test]
fn every_operator_and_every_name_has_an_exemplar() {
    let all = exemplars::all();
    for (name, _) in ONNX {
        assert!(all.iter().any(|exemplar| exemplar.op_type == *name), "no exemplar for ONNX's {name}");
    }
    let operators: Vec<&str> = all.iter().filter_map(read).map(|op| op.variant()).collect();
    for variant in Op::VARIANTS {
        assert!(operators.contains(variant), "no exemplar becomes the operator {variant}");
    }
    let (same, vanishing) = (all.iter().filter(|exemplar| read(exemplar).is_none()), ["Identity", "Cast", "CastLike", "Dropout"]);
    assert_eq!(same.map(|exemplar| exemplar.op_type).collect::<Vec<_>>(), vanishing);
}

#[test]
fn shapes_and_outputs_are_those_of_plain_loops() {
    sweep(|bench| {
        let inputs: Vec<&[usize]> = bench.shapes.iter().map(Vec::as_slice).collect();
        let batched = |mut shape: Shape| {
            shape[0] *= bench.x[0].shape[0];
            shape
        };
        let told: Vec<Shape> = bench.op.rules().shapes(&inputs)?.into_iter().map(batched).collect();
        let made = bench.outputs(&bench.x);
        if told != made.iter().map(|y| y.shape.clone()).collect::<Vec<_>>() {
            return Err(format!("shapes() says {told:?}"));
        }
        near("output", &made, &bench.expected, 1e-12)
    });
}

#[test]
fn adjoints_are_what_autograd_finds() {
    sweep(|bench| {
        let inputs: Vec<Tensor> = bench.x.iter().map(|x| tensor(x, F64).set_requires_grad(true)).collect();
        let (outputs, _) = bench.forward(&*bench.kernel(F64), &inputs);
        let w = bench.grad_out();
        // Outputs that depend on the inputs by steps only are none of autograd's, nor are inputs on which nothing else depends.
        let smooth = outputs.iter().zip(&w).filter(|(y, _)| y.requires_grad());
        let products: Vec<Tensor> = smooth.map(|(y, w)| (y * tensor(w, F64)).sum(Kind::Double)).collect();
        let found = if products.is_empty() { Vec::new() } else { Tensor::run_backward(&products, &inputs, false, false) };
        let zero_or = |(i, x): (usize, &Plain)| found.get(i).filter(|grad| grad.defined()).map_or(x.each(|_| 0.0), plain);
        let wanted: Vec<Plain> = bench.x.iter().enumerate().map(zero_or).collect();
        near("grad_in", &bench.adjoint(F64, &w), &wanted, 1e-12)
    });
}

#[test]
fn adjoints_are_transposes_of_the_derivative() {
    sweep(|bench| {
        let (w, mut random) = (bench.grad_out(), Random::new(3));
        let v: Vec<Plain> = bench.x.iter().map(|x| random.vector(&x.shape)).collect();
        let grad_in = bench.adjoint(F64, &w);
        let (left, right) = (dot(&v, &grad_in), dot(&bench.derivative(&v, 1e-3), &w));
        let scale = dot(&v, &v).max(dot(&grad_in, &grad_in)).max(1.0);
        if (left - right).abs() <= 1e-9 * scale { Ok(()) } else { Err(format!("<v, J^T w> = {left}, <J v, w> = {right}")) }
    });
}

#[test]
fn biases_are_what_linearisation_leaves() {
    sweep(|bench| {
        let kernel = bench.kernel(F64);
        let inputs: Vec<Tensor> = bench.x.iter().map(|x| tensor(x, F64)).collect();
        let (outputs, saved) = bench.forward(&*kernel, &inputs);
        let (found, linear) = (kernel.bias(&saved).map_err(|e| e.to_string())?, bench.derivative(&bench.x, 2e-4));
        if found.is_some() && !bench.op.rules().has_bias() {
            return Err("there is a bias though has_bias() denies it".to_owned());
        }
        let left: Vec<Plain> = outputs.iter().zip(&linear).map(|(y, jx)| plain(&(y - tensor(jx, F64)))).collect();
        let told: Vec<Plain> = outputs
            .iter()
            .enumerate()
            .map(|(i, y)| match &found {
                Some(bias) if i == 0 => plain(&(y.zeros_like() + bias)),
                _ => plain(&y.zeros_like()),
            })
            .collect();
        near("bias", &told, &left, 1e-9)
    });
}

#[test]
fn channels_last_in_f32_gives_the_same() {
    sweep(|bench| {
        let inputs: Vec<Tensor> = bench.x.iter().map(|x| tensor(x, F32)).collect();
        let (outputs, _) = bench.forward(&*bench.kernel(F32), &inputs);
        near("output", &outputs.iter().map(plain).collect::<Vec<_>>(), &bench.expected, 1e-5)?;
        let w = bench.grad_out();
        near("grad_in", &bench.adjoint(F32, &w), &bench.adjoint(F64, &w), 1e-5)
    });
}

/// Rounding makes ties, so that of the gradients only their type and that they are numbers is looked at.
#[test]
fn sixteen_bits_give_the_same_rounded() {
    sweep(|bench| {
        for (place, bound) in [(BF16, 4e-2), (F16, 5e-3)] {
            let kernel = bench.kernel(place);
            let inputs: Vec<Tensor> = bench.x.iter().map(|x| tensor(x, place)).collect();
            let (outputs, saved) = bench.forward(&*kernel, &inputs);
            near(&format!("{:?} output", place.kind), &outputs.iter().map(plain).collect::<Vec<_>>(), &bench.expected, bound)?;
            let _ = kernel.bias(&saved).map_err(|e| format!("{:?} bias: {e}", place.kind))?;
            let grad_out = bench.grad_out().iter().map(|w| Some(tensor(w, place).into())).collect();
            for grad in kernel.adjoint(&saved, grad_out).map_err(|e| format!("{:?} adjoint: {e}", place.kind))?.iter().flatten() {
                let numbers = plain(&grad.tensor).data.iter().all(|value| value.is_finite());
                if grad.tensor.kind() != place.kind || !numbers {
                    return Err(format!(
                        "{:?} grad_in is {:?}, {}",
                        place.kind,
                        grad.tensor.kind(),
                        if numbers { "finite" } else { "no number" }
                    ));
                }
            }
        }
        Ok(())
    });
}

/// Whoever gets a gradient that is not marked as shared may write into it.
#[test]
fn gradients_of_others_are_left_alone() {
    sweep(|bench| {
        for place in [F64, F32] {
            let kernel = bench.kernel(place);
            let inputs: Vec<Tensor> = bench.x.iter().map(|x| tensor(x, place)).collect();
            let (_, saved) = bench.forward(&*kernel, &inputs);
            let before: Vec<Plain> = inputs.iter().map(plain).collect();
            let held: Vec<Tensor> = bench.grad_out().iter().map(|w| tensor(w, place)).collect();
            let grad_out = held.iter().map(|w| Some(Gradient { tensor: w.shallow_clone(), shared: true })).collect();
            let mut grad_in = kernel.adjoint(&saved, grad_out).map_err(|e| e.to_string())?;
            for grad in grad_in.iter_mut().flatten().filter(|grad| !grad.shared) {
                let _ = grad.tensor.fill_(f64::NAN);
            }
            let exact = |w: &Plain| plain(&tensor(w, place));
            near(
                "a shared grad_out, written by its reader,",
                &held.iter().map(plain).collect::<Vec<_>>(),
                &bench.grad_out().iter().map(exact).collect::<Vec<_>>(),
                0.0,
            )?;
            near("input", &inputs.iter().map(plain).collect::<Vec<_>>(), &before, 0.0)?;
        }
        Ok(())
    });
}

/// An output that nothing reads has no gradient.
#[test]
fn absent_gradients_count_as_zero() {
    sweep(|bench| {
        let kernel = bench.kernel(F64);
        let inputs: Vec<Tensor> = bench.x.iter().map(|x| tensor(x, F64)).collect();
        let (outputs, saved) = bench.forward(&*kernel, &inputs);
        let none = kernel.adjoint(&saved, outputs.iter().map(|_| None).collect()).map_err(|e| e.to_string())?;
        if none.len() != inputs.len() || none.iter().any(Option::is_some) {
            return Err("a gradient comes from nothing".to_owned());
        }
        let mut w = bench.grad_out();
        let grad_out = |w: &[Plain]| w.iter().enumerate().map(|(i, w)| (i > 0).then(|| tensor(w, F64).into())).collect();
        let (_, saved) = bench.forward(&*kernel, &inputs);
        let found = kernel.adjoint(&saved, grad_out(&w)).map_err(|e| e.to_string())?;
        w[0] = w[0].each(|_| 0.0);
        let wanted = bench.adjoint(F64, &w);
        let found = found.iter().zip(&wanted).map(|(grad, w)| grad.as_ref().map_or(w.each(|_| 0.0), |grad| plain(&grad.tensor)));
        near("grad_in", &found.collect::<Vec<_>>(), &wanted, 1e-12)
    });
}
