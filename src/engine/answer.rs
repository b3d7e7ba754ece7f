//! What a batch gives, as plain data: those who use the engine know no tensors.

use tch::{Kind, Tensor};

use super::choice::Choice;
use super::fault::Fault;
use crate::error::Result;
use crate::network::plan::Site;
use crate::saliency::{Explanation, Head, Probability, Target, Timing};
use crate::tensor_file::{Elements, PlainTensor};

/// Leading classes that are kept for each frame.
const LEADING: i64 = 5;

/// A class and how probable the network finds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Class {
    /// Index in the output.
    pub index: usize,
    /// As the head makes it of a score; a number of 0..=1 where the scores are logits or probabilities.
    pub probability: f32,
}

/// What of the output is explained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Subject {
    /// A class's score.
    Class,
    /// The score of a class's best cell.
    Cell,
    /// The sum of so many largest scores.
    Top(usize),
    /// The sum of a class's scores over the cells above a threshold.
    Cells {
        /// Scores above it count.
        threshold: f64,
        /// In how many cells.
        count: usize,
    },
}

/// What is explained of one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Explained {
    /// What it is.
    pub subject: Subject,
    /// Index of the class; -1 where it is no single one's.
    pub index: i64,
    /// How probable the network finds the class, in a dense head in its best cell. Of several classes it is the sum where one of all
    /// classes is right, else the mean.
    pub probability: f32,
}

/// A place that a term comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermSite {
    /// The node's name; the input's own for the first.
    pub node: String,
    /// The operator; "Input" for the first.
    pub op: &'static str,
    /// True where the term counts for the map too.
    pub spatial: bool,
}

impl TermSite {
    pub(super) fn of(site: &Site) -> Self {
        TermSite { node: site.name.clone(), op: site.op, spatial: site.layout.is_some() }
    }

    /// The target's own.
    pub(super) fn target() -> Self {
        TermSite { node: "target".to_owned(), op: "Mul", spatial: false }
    }
}

/// What the network saw in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameAnswer {
    /// S, row-major, `height` rows of `width`. NaN everywhere where the fault is [`Fault::Nan`] or [`Fault::Infinite`]: where the sums
    /// are not finite the map means nothing, finite or not.
    pub map: Vec<f32>,
    /// Columns of the map.
    pub width: usize,
    /// Rows of the map.
    pub height: usize,
    /// The most probable classes, the first first; in a dense head by their best cells.
    pub leading: Vec<Class>,
    /// What is explained.
    pub target: Explained,
    /// f: the score, or the sum of scores, that is explained.
    pub value: f32,
    /// Each term's sum, by [`Engine::sites`](super::Engine::sites).
    pub terms: Vec<f64>,
    /// Completeness residual.
    pub residual: f32,
    /// What is wrong with the numbers, if anything is.
    pub fault: Option<Fault>,
}

/// One answer a frame.
pub(super) fn frames(explanation: &Explanation, choice: &Choice, head: &Head, max_residual: f64) -> Result<Vec<FrameAnswer>> {
    let [count, _, height, width] = explanation.map.size()[..] else { unreachable!("a map has four axes") };
    let probabilities = head.probabilities(&explanation.logits)?;
    let classes = probabilities.size()[1];
    let (leading, indices) = probabilities.f_topk(LEADING.min(classes), 1, true, true)?;
    let residuals: Vec<f32> = Vec::try_from(explanation.residual.f_to_kind(Kind::Float)?)?;
    let values: Vec<f32> = Vec::try_from(explanation.value.f_to_kind(Kind::Float)?)?;
    let maps = explanation.map.f_to_kind(Kind::Float)?.f_contiguous()?;
    let faults = faults(explanation, max_residual)?;
    let targets = targets(explanation, choice, head, &probabilities)?;
    let answers = targets.into_iter().zip(faults).enumerate().map(|(index, (target, fault))| {
        let frame = index as i64;
        let leading: Vec<f32> = Vec::try_from(leading.f_get(frame)?)?;
        let indices: Vec<i64> = Vec::try_from(indices.f_get(frame)?)?;
        let map = match fault {
            Some(Fault::Nan | Fault::Infinite) => vec![f32::NAN; (width * height) as usize],
            _ => Vec::try_from(maps.f_get(frame)?.f_view([-1])?)?,
        };
        Ok(FrameAnswer {
            map,
            width: width as usize,
            height: height as usize,
            leading: indices.iter().zip(leading).map(|(&index, probability)| Class { index: index as usize, probability }).collect(),
            target,
            value: values[index],
            terms: Vec::try_from(explanation.terms.f_get(frame)?)?,
            residual: residuals[index],
            fault,
        })
    });
    debug_assert_eq!(count as usize, answers.len());
    answers.collect()
}

/// What is explained of each frame.
fn targets(explanation: &Explanation, choice: &Choice, head: &Head, probabilities: &Tensor) -> Result<Vec<Explained>> {
    let of_frame = |(frame, &index): (usize, &i64)| -> Result<Explained> {
        let probabilities = probabilities.f_get(frame as i64)?;
        let rule = choice.rule(frame);
        let count = match (rule, &head.cells) {
            (Some(&Target::Above { class, threshold }), Some(cells)) => {
                cells.count_above(&explanation.logits.f_narrow(0, frame as i64, 1)?, class, threshold)?[0]
            }
            _ => 0,
        };
        let subject = match rule {
            Some(&Target::Top(count)) => Subject::Top(count as usize),
            Some(&Target::Above { threshold, .. }) => Subject::Cells { threshold, count: count as usize },
            _ if head.cells.is_some() => Subject::Cell,
            _ => Subject::Class,
        };
        let probability = match subject {
            Subject::Top(count) => {
                let largest = probabilities.f_topk(count as i64, 0, true, false)?.0;
                let sum = largest.f_sum(Kind::Double)?.f_double_value(&[])?;
                if head.probability == Probability::Softmax && head.cells.is_none() { sum } else { sum / count as f64 }
            }
            _ => probabilities.f_get(index)?.f_double_value(&[])?,
        };
        Ok(Explained { subject, index, probability: probability as f32 })
    };
    explanation.target.iter().enumerate().map(of_frame).collect()
}

/// The fault of each frame.
fn faults(explanation: &Explanation, max_residual: f64) -> Result<Vec<Option<Fault>>> {
    let images = explanation.target.len();
    // A sum over pixels is NaN or infinite where a pixel is; in f64 finite pixels cannot overflow it, and a map is not negative, so that
    // infinities do not cancel.
    let maps = explanation.map.f_to_kind(Kind::Double)?.f_view([images as i64, -1])?;
    let maps = maps.f_sum_dim_intlist([1].as_slice(), false, Kind::Double)?;
    let each = |tensor: &Tensor| -> Result<Vec<f64>> { Ok(Vec::try_from(tensor.f_to_kind(Kind::Double)?)?) };
    let numbers = [&explanation.value, &explanation.input_term, &explanation.bias_term_total, &maps];
    let numbers = numbers.into_iter().map(each).collect::<Result<Vec<_>>>()?;
    let residuals = each(&explanation.residual)?;
    let fault = |image: usize| Fault::of(numbers.iter().map(|numbers| numbers[image]), residuals[image], max_residual);
    Ok((0..images).map(fault).collect())
}

/// The numbers of a batch, exactly: in f64 where the engine computes in f64, else in f32.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// The output, (N, ...).
    pub logits: PlainTensor,
    /// (N,); -1 where it is no single class.
    pub target: Vec<i64>,
    /// f, (N,).
    pub value: PlainTensor,
    /// S, (N, 1, H, W).
    pub map: PlainTensor,
    /// (N,).
    pub input_term: PlainTensor,
    /// (N,).
    pub bias_term_total: PlainTensor,
    /// (N,).
    pub residual: PlainTensor,
    /// Each image's terms, by [`Engine::sites`](super::Engine::sites).
    pub terms: Vec<Vec<f64>>,
    /// What is wrong with each image's numbers, if anything is.
    pub faults: Vec<Option<Fault>>,
    /// Where the time went.
    pub timing: Timing,
}

pub(super) fn numbers(explanation: Explanation, max_residual: f64) -> Result<Numbers> {
    // A forward pass alone has no terms.
    let faults = if explanation.target.is_empty() { Vec::new() } else { faults(&explanation, max_residual)? };
    let terms = (0..explanation.target.len() as i64).map(|image| Ok(Vec::try_from(explanation.terms.f_get(image)?)?));
    Ok(Numbers {
        logits: plain(&explanation.logits)?,
        value: plain(&explanation.value)?,
        map: plain(&explanation.map)?,
        input_term: plain(&explanation.input_term)?,
        bias_term_total: plain(&explanation.bias_term_total)?,
        residual: plain(&explanation.residual)?,
        terms: terms.collect::<Result<_>>()?,
        faults,
        target: explanation.target,
        timing: explanation.timing,
    })
}

fn plain(tensor: &Tensor) -> Result<PlainTensor> {
    let flat = tensor.f_contiguous()?.f_view([-1])?;
    let elements = match tensor.kind() {
        Kind::Double => Elements::F64(Vec::try_from(flat)?),
        _ => Elements::F32(Vec::try_from(flat.f_to_kind(Kind::Float)?)?),
    };
    Ok(PlainTensor { shape: tensor.size().iter().map(|&size| size as usize).collect(), elements })
}
