//! Normalisations and Softmax, as they stand over weights.

use super::array::Array;
use super::{ElementType, Folding};
use crate::network::reading;

/// Mean and variance of `values`, the variance divided by their number.
fn statistics(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    (mean, values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / count)
}

/// (N, C, ...) as N, C and the rest, with scale and bias of C each.
fn channels(f: &Folding, x: &Array) -> Result<([usize; 3], [Array; 2]), String> {
    let &[batch, count, ref rest @ ..] = &x.shape[..] else {
        return Err(format!("input 0 has shape {:?}; (N, C, ...) is expected", x.shape));
    };
    let affine = [f.array(1)?, f.array(2)?];
    if affine.iter().any(|array| array.values.len() != count) {
        return Err(format!("scale and bias do not fit {count} channels"));
    }
    Ok(([batch, count, rest.iter().product()], affine))
}

/// With the node's statistics, or with its input's own in training mode, as exporters write standardised weights.
pub fn batch(f: &Folding) -> Result<Vec<Array>, String> {
    let x = f.array(0)?;
    let ([images, count, run], [scale, bias]) = channels(f, &x)?;
    let epsilon = f64::from(f.reading.float("epsilon", 1e-5)?);
    let own = f.reading.int("training_mode", 0)? != 0;
    let given = if own { None } else { Some([f.array(3)?, f.array(4)?]) };
    if given.iter().flatten().any(|array| array.values.len() != count) {
        return Err(format!("mean and variance do not fit {count} channels"));
    }
    f.budget.room(&x.shape)?;
    let mut values = x.values.clone();
    for channel in 0..count {
        let places = (0..images).flat_map(|image| (image * count + channel) * run..(image * count + channel + 1) * run);
        let (mean, variance) = match &given {
            Some([mean, variance]) => (mean.values[channel], variance.values[channel]),
            None => statistics(places.clone().map(|at| x.values[at])),
        };
        let factor = scale.values[channel] / (variance + epsilon).sqrt();
        places.for_each(|at| values[at] = (x.values[at] - mean) * factor + bias.values[channel]);
    }
    Ok(vec![Array { values, element: x.computed(), shape: x.shape }])
}

pub fn instance(f: &Folding) -> Result<Vec<Array>, String> {
    let x = f.array(0)?;
    let ([_, count, run], [scale, bias]) = channels(f, &x)?;
    let epsilon = f64::from(f.reading.float("epsilon", 1e-5)?);
    f.budget.room(&x.shape)?;
    let mut values = x.values.clone();
    for (plane, values) in values.chunks_exact_mut(run.max(1)).enumerate() {
        let (mean, variance) = statistics(values.iter().copied());
        let factor = scale.values[plane % count] / (variance + epsilon).sqrt();
        values.iter_mut().for_each(|v| *v = (*v - mean) * factor + bias.values[plane % count]);
    }
    Ok(vec![Array { values, element: x.computed(), shape: x.shape }])
}

/// Over one axis; before opset 13 over all from the axis on.
pub fn softmax(f: &Folding, log: bool) -> Result<Vec<Array>, String> {
    let x = f.array(0)?;
    let rank = x.shape.len();
    let since = f.reading.opset >= 13;
    let axis = reading::axis(f.reading.int("axis", if since { -1 } else { 1 })?, rank)?;
    let last = if since { axis + 1 } else { rank };
    let run: usize = x.shape[axis..last].iter().product();
    let inner: usize = x.shape[last..].iter().product();
    f.budget.room(&x.shape)?;
    let mut values = x.values.clone();
    for start in (0..values.len()).filter(|at| inner > 0 && (at / inner).is_multiple_of(run)) {
        let places = (0..run).map(|i| start + i * inner);
        let most = places.clone().map(|at| x.values[at]).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = places.clone().map(|at| (x.values[at] - most).exp()).sum();
        places.for_each(|at| values[at] = if log { x.values[at] - most - sum.ln() } else { (x.values[at] - most).exp() / sum });
    }
    Ok(vec![Array { values, element: ElementType::F64, shape: x.shape }])
}
