//! Einsum: y[out] = the sum over all other indices of the product of the operands' elements, operands that are activations or constants.
//!
//! Linear in each of the k activations. Adjoint to one: the sum of grad_out times the other operands over what it has not itself.
//! Bias: y - k y = (1 - k) y.

use tch::Tensor;

use super::operands::{Compiled, Operands};
use crate::error::Result;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;

/// Most letters of an equation, and with it most axes.
const MOST_LETTERS: usize = 52;

/// A sum of products over named indices.
#[derive(Debug, Clone, PartialEq)]
pub struct Einsum {
    /// The operands, in the equation's order.
    pub operands: Operands,
    /// For each operand the letter of each axis.
    pub letters: Vec<Vec<char>>,
    /// The letters of the output's axes.
    pub output: Vec<char>,
}

impl Einsum {
    /// Reads an ONNX Einsum. `...` stands for as many axes in each operand.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let operands = Operands::read(reading)?;
        let equation: String = reading.text("equation", "")?.chars().filter(|c| !c.is_whitespace()).collect();
        let (inputs, output) = match equation.split_once("->") {
            Some((inputs, output)) => (inputs, Some(output)),
            None => (equation.as_str(), None),
        };
        let terms: Vec<&str> = inputs.split(',').collect();
        if terms.len() != reading.operands.len() {
            return Err(format!("equation {equation:?} is for {} operands, {} are given", terms.len(), reading.operands.len()));
        }
        let ranks: Vec<usize> = (0..terms.len())
            .map(|index| match &operands.0[index] {
                Some(constant) => Ok(constant.shape.len()),
                None => reading.activation(index).map(Vec::len),
            })
            .collect::<Result<_, String>>()?;
        let mut spare = ('A'..='Z').chain('a'..='z').filter(|letter| !equation.contains(*letter));
        let mut hidden: Option<Vec<char>> = None;
        let letters = terms
            .iter()
            .zip(&ranks)
            .map(|(term, &rank)| {
                let Some((before, behind)) = term.split_once("...") else { return Ok(term.chars().collect()) };
                let count = rank.checked_sub(before.chars().count() + behind.chars().count());
                let count = count.ok_or_else(|| format!("{term:?} names more axes than the {rank} of its operand"))?;
                let hidden = hidden.get_or_insert_with(|| spare.by_ref().take(count).collect());
                if hidden.len() != count {
                    return Err("\"...\" stands for different numbers of axes; as many in each operand are supported".to_owned());
                }
                Ok(before.chars().chain(hidden.iter().copied()).chain(behind.chars()).collect())
            })
            .collect::<Result<Vec<Vec<char>>, String>>()?;
        let hidden = hidden.unwrap_or_default();
        let output = match output {
            Some(output) => match output.split_once("...") {
                Some((before, behind)) => before.chars().chain(hidden).chain(behind.chars()).collect(),
                None => output.chars().collect(),
            },
            // Left out, it is what stands once, in alphabetical order behind "...".
            None => {
                let all: Vec<char> = letters.iter().flatten().copied().collect();
                let mut once: Vec<char> = all.iter().copied().filter(|c| all.iter().filter(|other| *other == c).count() == 1).collect();
                once.retain(|c| !hidden.contains(c));
                once.sort_unstable();
                [hidden, once].concat()
            }
        };
        let einsum = Einsum { operands, letters, output };
        einsum.check(&ranks)?;
        Ok(einsum)
    }

    fn check(&self, ranks: &[usize]) -> Result<(), String> {
        let all = || self.letters.iter().flatten().chain(&self.output);
        if let Some(letter) = all().find(|letter| !letter.is_ascii_alphabetic()) {
            return Err(format!("the equation holds {letter:?} where a letter is expected"));
        }
        if all().count() > MOST_LETTERS {
            return Err(format!("the equation has over {MOST_LETTERS} letters"));
        }
        for (letters, rank) in self.letters.iter().zip(ranks).chain([(&self.output, &self.output.len())]) {
            if letters.len() != *rank {
                return Err(format!("the equation names {} axes of an operand that has {rank}", letters.len()));
            }
            if (1..letters.len()).any(|i| letters[..i].contains(&letters[i])) {
                return Err("the equation takes a diagonal (a letter twice in one operand), which is not supported".to_owned());
            }
        }
        if let Some(letter) = self.output.iter().find(|letter| !self.letters.iter().flatten().any(|other| other == *letter)) {
            return Err(format!("letter {letter:?} of the output is in no operand"));
        }
        let batch = self.output.first();
        let apart = self.operands.0.iter().zip(&self.letters).all(|(constant, letters)| match constant {
            Some(_) => batch.is_none_or(|batch| !letters.contains(batch)),
            None => batch.is_some() && letters.first() == batch,
        });
        if apart { Ok(()) } else { Err("the equation does not keep the batch as the first axis of each activation and of the output".to_owned()) }
    }

    fn equation(&self) -> String {
        let terms: Vec<String> = self.letters.iter().map(|letters| letters.iter().collect()).collect();
        format!("{}->{}", terms.join(","), self.output.iter().collect::<String>())
    }

    /// The size behind each letter.
    fn sizes(&self, inputs: &[&[usize]]) -> Result<Vec<(char, usize)>, String> {
        let mut activations = inputs.iter();
        let mut sizes: Vec<(char, usize)> = Vec::new();
        for (constant, letters) in self.operands.0.iter().zip(&self.letters) {
            let shape: &[usize] = match constant {
                Some(constant) => &constant.shape,
                None => activations.next().ok_or("an operand is missing")?,
            };
            if shape.len() != letters.len() {
                return Err(format!("the equation names {} axes of an operand of shape {shape:?}", letters.len()));
            }
            for (&letter, &size) in letters.iter().zip(shape) {
                match sizes.iter().find(|(known, _)| *known == letter) {
                    Some((_, known)) if *known != size => return Err(format!("letter {letter:?} is {known} in one operand and {size} in another")),
                    Some(_) => {}
                    None => sizes.push((letter, size)),
                }
            }
        }
        Ok(sizes)
    }
}

fn size_of(sizes: &[(char, usize)], letter: char) -> usize {
    sizes.iter().find(|(known, _)| *known == letter).map_or(1, |(_, size)| *size)
}

impl Operator for Einsum {
    fn name(&self) -> &'static str {
        "Einsum"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let sizes = self.sizes(inputs)?;
        Ok(vec![self.output.iter().map(|&letter| size_of(&sizes, letter)).collect()])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Ends
    }

    fn parameters(&self) -> usize {
        self.operands.constants().map(|constant| constant.elements.len()).sum()
    }

    fn macs(&self, inputs: &[&[usize]], _outputs: &[Shape]) -> u64 {
        self.sizes(inputs).map_or(0, |sizes| sizes.iter().fold(1u64, |product, (_, size)| product.saturating_mul(*size as u64)))
    }

    fn has_bias(&self) -> bool {
        self.operands.activations() > 1
    }

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        let sizes = self.sizes(inputs).map_err(crate::error::Error::data)?;
        Ok(Box::new(EinsumKernel { op: self.clone(), operands: self.operands.compile(place, inputs)?, equation: self.equation(), sizes }))
    }
}

struct EinsumKernel {
    op: Einsum,
    operands: Compiled,
    equation: String,
    sizes: Vec<(char, usize)>,
}

impl EinsumKernel {
    /// grad_in of the operand at a place.
    fn back(&self, place: usize, all: &[&Tensor], grad: &Tensor) -> Result<Tensor> {
        let wanted = &self.op.letters[place];
        let mut tensors = vec![grad.shallow_clone()];
        let mut letters = vec![self.op.output.clone()];
        for (other, tensor) in all.iter().enumerate().filter(|(other, _)| *other != place) {
            tensors.push(tensor.shallow_clone());
            letters.push(self.op.letters[other].clone());
        }
        // What nobody else has was summed over: the gradient is the same all along it.
        let alone: Vec<char> = wanted.iter().copied().filter(|letter| !letters.iter().flatten().any(|other| other == letter)).collect();
        if !alone.is_empty() {
            let size: Vec<i64> = alone.iter().map(|&letter| size_of(&self.sizes, letter) as i64).collect();
            tensors.push(Tensor::f_ones(size, (grad.kind(), grad.device()))?);
            letters.push(alone);
        }
        let terms: Vec<String> = letters.iter().map(|letters| letters.iter().collect()).collect();
        let equation = format!("{}->{}", terms.join(","), wanted.iter().collect::<String>());
        Ok(Tensor::f_einsum(&equation, &tensors, None::<i64>)?)
    }
}

impl Kernel for EinsumKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(Tensor::f_einsum(&self.equation, &self.operands.all(inputs), None::<i64>)?.into())
    }

    fn keeps(&self) -> Keeps {
        let product = self.op.has_bias();
        Keeps { inputs: product, outputs: product }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(self.operands.activations().map(|_| None).collect()) };
        // One activation alone is not kept, and not read.
        let kept: Vec<&Tensor> = if saved.inputs.is_empty() { vec![&grad.tensor] } else { saved.inputs.iter().collect() };
        let all = self.operands.all(&kept);
        // Of one operand alone, the result is grad_out's own memory in another order.
        let one = |place: usize| Ok(Some(Gradient { tensor: self.back(place, &all, &grad.tensor)?, shared: grad.shared }));
        self.operands.activations().map(|(place, _)| one(place)).collect()
    }

    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>> {
        let Some(y) = saved.outputs.first() else { return Ok(None) };
        Ok(Some(y.f_mul_scalar(1.0 - self.op.operands.activations() as f64)?))
    }
}
