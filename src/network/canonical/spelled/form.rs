//! A network while its steps are put together: who makes a value, who reads it, and what a step does to one number.

use half::{bf16, f16};

use super::Found;
use crate::network::graph::Constant;
use crate::network::ops::Op;
use crate::network::structure::{Network, Step, Value};

/// Steps that may vanish, with makers and readers of values.
pub struct Form<'a> {
    values: &'a [Value],
    steps: Vec<Option<Step>>,
    /// By value: the step that makes it.
    maker: Vec<Option<usize>>,
    /// By value: how many inputs of steps read it, and the network's output.
    readers: Vec<usize>,
    /// By step: whether it was put together here.
    made_here: Vec<bool>,
}

impl<'a> Form<'a> {
    /// Takes the network's steps; [`Form::into_steps`] gives them back.
    pub fn of(network: &'a mut Network) -> Self {
        let readers = network.readers();
        let steps: Vec<Option<Step>> = std::mem::take(&mut network.steps).into_iter().map(Some).collect();
        let mut maker = vec![None; network.values.len()];
        for (index, step) in steps.iter().enumerate() {
            step.iter().flat_map(|step| &step.outputs).for_each(|&value| maker[value] = Some(index));
        }
        Form { values: &network.values, made_here: vec![false; steps.len()], steps, maker, readers }
    }

    pub fn into_steps(self) -> Vec<Step> {
        self.steps.into_iter().flatten().collect()
    }

    /// The number of steps, those that have vanished too.
    pub fn count(&self) -> usize {
        self.steps.len()
    }

    pub fn step(&self, index: usize) -> Option<&Step> {
        self.steps[index].as_ref()
    }

    pub fn was_made_here(&self, index: usize) -> bool {
        self.made_here[index]
    }

    /// The step that makes a value as its only output.
    pub fn maker(&self, value: usize) -> Option<(usize, &Step)> {
        let index = self.maker[value]?;
        self.step(index).filter(|step| step.outputs.len() == 1).map(|step| (index, step))
    }

    pub fn shape(&self, value: usize) -> &[usize] {
        &self.values[value].shape
    }

    /// True where nothing but one input of one step reads the value.
    pub fn read_once(&self, value: usize) -> bool {
        self.readers[value] == 1
    }

    /// True where none but the steps of `found` read what vanishes with them, and the new operator keeps the last one's shape.
    pub fn is_closed(&self, found: &Found, last: usize) -> bool {
        let mut seen = vec![];
        let inside = |value: usize| -> usize {
            let steps = found.gone.iter().filter_map(|&step| self.step(step));
            steps.map(|step| step.inputs.iter().filter(|&&input| input == value).count()).sum()
        };
        let closed = found.gone.iter().all(|&index| {
            let twice = seen.contains(&index);
            seen.push(index);
            let outputs = self.step(index).map(|step| &step.outputs[..]).unwrap_or_default();
            !twice && !outputs.is_empty() && (index == last || outputs.iter().all(|&value| self.readers[value] == inside(value)))
        });
        let shape = found.op.rules().shapes(&[self.shape(found.input)]);
        let output = self.step(last).map(|step| self.shape(step.outputs[0]));
        closed && matches!(shape.as_deref(), Ok([shape]) if Some(shape.as_slice()) == output)
    }

    /// Puts the new operator where the last of its steps was; the others vanish.
    pub fn replace(&mut self, last: usize, name: String, found: Found) {
        let mut outputs = Vec::new();
        for index in found.gone {
            let Some(step) = self.steps[index].take() else { continue };
            step.inputs.iter().for_each(|&value| self.readers[value] -= 1);
            step.outputs.iter().for_each(|&value| self.maker[value] = None);
            if index == last {
                outputs = step.outputs;
            }
        }
        self.readers[found.input] += 1;
        outputs.iter().for_each(|&value| self.maker[value] = Some(last));
        self.steps[last] = Some(Step { name, op: found.op, inputs: vec![found.input], outputs });
        self.made_here[last] = true;
    }

    /// What multiplies and adds one number: value = scale * base + shift, for the value itself and one step further back at a time.
    pub fn lines(&self, value: usize) -> Vec<Line> {
        let mut lines = vec![Line { scale: 1.0, shift: 0.0, base: value, steps: Vec::new() }];
        while let Some(line) = lines.last()
            && lines.len() <= 4
            && let Some((index, step)) = self.maker(line.base)
        {
            let (scale, shift) = match &step.op {
                Op::Scale(scale) => (scalar(&scale.constant), Some(0.0)),
                Op::AddConstant(add) => (Some(add.sign), scalar(&add.constant)),
                _ => (None, None),
            };
            let (Some(scale), Some(shift)) = (scale, shift) else { break };
            if self.shape(step.inputs[0]) != self.shape(line.base) {
                break;
            }
            let steps = [&line.steps[..], &[index]].concat();
            let line = Line { scale: line.scale * scale, shift: line.shift + line.scale * shift, base: step.inputs[0], steps };
            lines.push(line);
        }
        lines
    }

    /// The step as a product of one number and two values.
    pub fn product(&self, last: usize) -> Option<Product> {
        let mut product = Product { factor: 1.0, values: Vec::new(), steps: vec![last] };
        let mut open = Vec::new();
        self.factors(last, &mut product, &mut open)?;
        while let Some(value) = open.pop() {
            match self.maker(value).filter(|_| self.read_once(value) && product.steps.len() < 5) {
                Some((index, step))
                    if self.shape(step.inputs[0]) == self.shape(value) && self.factors(index, &mut product, &mut open).is_some() =>
                {
                    product.steps.push(index);
                }
                _ => product.values.push(value),
            }
        }
        (product.values.len() == 2).then_some(product)
    }

    fn factors(&self, index: usize, product: &mut Product, open: &mut Vec<usize>) -> Option<()> {
        let step = self.step(index)?;
        match &step.op {
            Op::Scale(scale) => product.factor *= scalar(&scale.constant)?,
            Op::Multiply(_) => {}
            _ => return None,
        }
        open.extend(&step.inputs);
        Some(())
    }
}

/// value = scale * base + shift.
pub struct Line {
    pub scale: f64,
    pub shift: f64,
    pub base: usize,
    pub steps: Vec<usize>,
}

/// factor * values[0] * values[1].
pub struct Product {
    pub factor: f64,
    pub values: Vec<usize>,
    pub steps: Vec<usize>,
}

impl Product {
    /// Both ways to call one value x and the other the gate.
    pub fn pairs(&self) -> [(usize, usize); 2] {
        [(self.values[0], self.values[1]), (self.values[1], self.values[0])]
    }
}

/// The one number that a constant holds, once or for every element.
pub fn scalar(constant: &Constant) -> Option<f64> {
    let values = constant.floats()?;
    let (&first, others) = values.split_first()?;
    others.iter().all(|&other| other == first).then_some(first)
}

/// Whether a file's number is this one, as f64, f32, f16 or bf16 hold it or written with six digits.
pub fn is(number: f64, wanted: f64) -> bool {
    (number - wanted).abs() <= 1e-5 * wanted.abs() || number == f16::from_f64(wanted).to_f64() || number == bf16::from_f64(wanted).to_f64()
}
