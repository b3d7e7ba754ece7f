//! What a batch gives, as plain data: those who use the engine know no tensors.

use tch::{Kind, Tensor};

use crate::error::Result;
use crate::saliency::{Explanation, Timing, probabilities};
use crate::tensor_file::{Elements, PlainTensor};

/// Leading classes that are kept for each frame.
const LEADING: i64 = 5;

/// A class and how probable the network finds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Class {
    /// Index in the output.
    pub index: usize,
    /// Softmax of the logits, 0..=1.
    pub probability: f32,
}

/// What the network saw in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameAnswer {
    /// S, row-major, `height` rows of `width`.
    pub map: Vec<f32>,
    /// Columns of the map.
    pub width: usize,
    /// Rows of the map.
    pub height: usize,
    /// The most probable classes, the first first.
    pub leading: Vec<Class>,
    /// The class that is explained.
    pub target: Class,
    /// f: the logit of the class that is explained.
    pub value: f32,
    /// Completeness residual.
    pub residual: f32,
}

/// One answer a frame.
pub(super) fn frames(explanation: &Explanation) -> Result<Vec<FrameAnswer>> {
    let [count, _, height, width] = explanation.map.size()[..] else { unreachable!("a map has four axes") };
    let probabilities = probabilities(&explanation.logits)?;
    let classes = probabilities.size()[1];
    let (leading, indices) = probabilities.f_topk(LEADING.min(classes), 1, true, true)?;
    let residuals: Vec<f32> = Vec::try_from(explanation.residual.f_to_kind(Kind::Float)?)?;
    let values: Vec<f32> = Vec::try_from(explanation.value.f_to_kind(Kind::Float)?)?;
    let maps = explanation.map.f_to_kind(Kind::Float)?.f_contiguous()?;
    (0..count)
        .map(|frame| {
            let leading: Vec<f32> = Vec::try_from(leading.f_get(frame)?)?;
            let indices: Vec<i64> = Vec::try_from(indices.f_get(frame)?)?;
            let target = explanation.target[frame as usize];
            Ok(FrameAnswer {
                map: Vec::try_from(maps.f_get(frame)?.f_view([-1])?)?,
                width: width as usize,
                height: height as usize,
                leading: indices.iter().zip(leading).map(|(&index, probability)| Class { index: index as usize, probability }).collect(),
                target: Class {
                    index: target as usize,
                    probability: probabilities.f_get(frame)?.f_get(target)?.f_double_value(&[])? as f32,
                },
                value: values[frame as usize],
                residual: residuals[frame as usize],
            })
        })
        .collect()
}

/// The numbers of a batch, exactly: in f64 where the engine computes in f64, else in f32.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// (N, K).
    pub logits: PlainTensor,
    /// (N,).
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
    /// Where the time went.
    pub timing: Timing,
}

pub(super) fn numbers(explanation: Explanation) -> Result<Numbers> {
    Ok(Numbers {
        logits: plain(&explanation.logits)?,
        value: plain(&explanation.value)?,
        map: plain(&explanation.map)?,
        input_term: plain(&explanation.input_term)?,
        bias_term_total: plain(&explanation.bias_term_total)?,
        residual: plain(&explanation.residual)?,
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
