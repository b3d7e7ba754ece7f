//! What only moves elements: their type stays.

use super::Folding;
use super::array::{Array, broadcast, steps};
use crate::network::reading;

/// Axes that are an attribute in older operator sets and input `index` in newer ones, as places below `rank`.
fn axes(f: &Folding, index: usize, rank: usize) -> Result<Option<Vec<usize>>, String> {
    let given = f.reading.axes(index, "axes")?;
    given.map(|axes| axes.iter().map(|&axis| reading::axis(axis, rank)).collect()).transpose()
}

pub fn transpose(f: &Folding) -> Result<Vec<Array>, String> {
    let x = f.array(0)?;
    let rank = x.shape.len();
    let given = f.reading.ints("perm")?.unwrap_or_else(|| (0..rank as i64).rev().collect());
    let perm: Vec<usize> = given.iter().map(|&axis| reading::axis(axis, rank)).collect::<Result<_, _>>()?;
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..rank) {
        return Err(format!("perm {perm:?} is not an order of {rank} axes"));
    }
    f.budget.room(&x.shape)?;
    Ok(vec![x.permuted(&perm)])
}

pub fn reshape(f: &Folding) -> Result<Vec<Array>, String> {
    let target = match f.integers(1)? {
        Some(target) => target,
        None => f.reading.ints("shape")?.ok_or("input 1 is missing")?,
    };
    let x = f.array(0)?;
    let shape = reading::target_shape(&x.shape, &target, f.reading.int("allowzero", 0)? != 0)?;
    f.budget.room(&shape)?;
    Ok(vec![x.reshaped(shape)])
}

pub fn flatten(f: &Folding) -> Result<Vec<Array>, String> {
    let x = f.array(0)?;
    let rank = x.shape.len();
    let axis = f.reading.int("axis", 1)?;
    let axis = if axis == rank as i64 { rank } else { reading::axis(axis, rank)? };
    f.budget.room(&x.shape)?;
    let shape = vec![x.shape[..axis].iter().product(), x.shape[axis..].iter().product()];
    Ok(vec![x.reshaped(shape)])
}

pub fn squeeze(f: &Folding) -> Result<Vec<Array>, String> {
    let x = f.array(0)?;
    let gone = axes(f, 1, x.shape.len())?;
    let vanishes = |axis: usize| gone.as_ref().map_or(x.shape[axis] == 1, |gone| gone.contains(&axis));
    let shape: Vec<usize> = (0..x.shape.len()).filter(|&axis| !vanishes(axis)).map(|axis| x.shape[axis]).collect();
    if shape.iter().product::<usize>() != x.values.len() {
        return Err(format!("axes {gone:?} of {:?} cannot be taken away", x.shape));
    }
    f.budget.room(&shape)?;
    Ok(vec![x.reshaped(shape)])
}

pub fn unsqueeze(f: &Folding) -> Result<Vec<Array>, String> {
    let x = f.array(0)?;
    let given = f.reading.axes(1, "axes")?.ok_or("axes are missing")?;
    let rank = x.shape.len() + given.len().min(32);
    let new = axes(f, 1, rank)?.unwrap_or_default();
    let mut rest = x.shape.iter().copied();
    let shape: Vec<usize> = (0..rank).map(|axis| if new.contains(&axis) { 1 } else { rest.next().unwrap_or(1) }).collect();
    if rest.next().is_some() || shape.iter().product::<usize>() != x.values.len() || (1..new.len()).any(|i| new[..i].contains(&new[i])) {
        return Err(format!("axes {given:?} do not fit {:?}", x.shape));
    }
    f.budget.room(&shape)?;
    Ok(vec![x.reshaped(shape)])
}

pub fn concat(f: &Folding) -> Result<Vec<Array>, String> {
    let first = f.shape_of(0)?;
    let axis = reading::axis(f.reading.int("axis", 1)?, first.len())?;
    let mut shape = first.clone();
    shape[axis] = 0;
    for index in 0..f.reading.operands.len() {
        let part = f.shape_of(index)?;
        if part.len() != first.len() || (0..part.len()).any(|i| i != axis && part[i] != first[i]) {
            return Err(format!("{part:?} cannot be joined to {first:?} on axis {axis}"));
        }
        shape[axis] = shape[axis].checked_add(part[axis]).ok_or("sizes overflow")?;
    }
    let count = f.budget.room(&shape)?;
    let parts: Vec<Array> = (0..f.reading.operands.len()).map(|index| f.array(index)).collect::<Result<_, _>>()?;
    let mut values = Vec::with_capacity(count);
    let inner: usize = shape[axis + 1..].iter().product();
    for outer in 0..shape[..axis].iter().product() {
        for part in &parts {
            let run = part.shape[axis] * inner;
            values.extend_from_slice(&part.values[outer * run..(outer + 1) * run]);
        }
    }
    Ok(vec![Array { shape, values, element: parts[0].element }])
}

/// A range of an axis: `count` elements from `first` on, `step` apart.
fn cut(f: &Folding, x: &Array, axis: usize, first: usize, count: usize, step: isize) -> Result<Array, String> {
    let mut shape = x.shape.clone();
    shape[axis] = count;
    f.budget.room(&shape)?;
    let mut steps = steps(&x.shape);
    let from = first * steps[axis] as usize;
    steps[axis] *= step;
    Ok(x.view(shape, from, &steps))
}

pub fn slice(f: &Folding) -> Result<Vec<Array>, String> {
    let given = |index, name: &str| f.reading.axes(index, name)?.ok_or_else(|| format!("{name} are missing"));
    let (starts, ends) = (given(1, "starts")?, given(2, "ends")?);
    let mut x = f.array(0)?;
    let axes = axes(f, 3, x.shape.len())?.unwrap_or_else(|| (0..starts.len()).collect());
    let steps = f.integers(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || axes.iter().any(|&axis| axis >= x.shape.len()) {
        return Err("starts, ends, axes and steps do not go together".to_owned());
    }
    for (i, &axis) in axes.iter().enumerate() {
        let size = x.shape[axis] as i64;
        let from_end = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
        let step = steps[i];
        let (first, count) = match step {
            0 => return Err("a step of 0".to_owned()),
            1.. => {
                let (first, end) = (from_end(starts[i]).clamp(0, size), from_end(ends[i]).clamp(0, size));
                (first, (end - first).max(0) as u64)
            }
            _ => {
                let (first, end) = (from_end(starts[i]).clamp(0, (size - 1).max(0)), from_end(ends[i]).clamp(-1, size - 1));
                (first, (first - end).max(0) as u64)
            }
        };
        let count = if size == 0 { 0 } else { count.div_ceil(step.unsigned_abs()) as usize };
        // A step that is longer than the axis is taken at most once.
        let step = step.clamp(-size.max(1), size.max(1)) as isize;
        x = cut(f, &x, axis, if count == 0 { 0 } else { first as usize }, count, step)?;
    }
    Ok(vec![x])
}

pub fn split(f: &Folding) -> Result<Vec<Array>, String> {
    let x = f.array(0)?;
    let axis = reading::axis(f.reading.int("axis", 0)?, x.shape.len())?;
    let (size, outputs) = (x.shape[axis], f.reading.node.outputs.len().max(1));
    let lengths: Vec<usize> = match f.reading.axes(1, "split")? {
        Some(lengths) => lengths.iter().map(|&length| usize::try_from(length).unwrap_or(usize::MAX)).collect(),
        None => {
            let length = size.div_ceil(outputs);
            (0..outputs).map(|i| size.saturating_sub(i * length).min(length)).collect()
        }
    };
    if lengths.iter().try_fold(0usize, |sum, &length| sum.checked_add(length)) != Some(size) {
        return Err(format!("lengths {lengths:?} do not divide {size}"));
    }
    let mut first = 0;
    lengths
        .iter()
        .map(|&length| {
            let part = cut(f, &x, axis, first, length, 1);
            first += length;
            part
        })
        .collect()
}

pub fn gather(f: &Folding) -> Result<Vec<Array>, String> {
    let (x, indices) = (f.array(0)?, f.array(1)?);
    let axis = reading::axis(f.reading.int("axis", 0)?, x.shape.len())?;
    let size = x.shape[axis];
    let mut places = Vec::with_capacity(indices.values.len());
    for &index in &indices.values {
        let place = if index < 0.0 { index + size as f64 } else { index };
        if !(0.0..size as f64).contains(&place) {
            return Err(format!("index {index} is out of range of {size} elements"));
        }
        places.push(place as usize);
    }
    let shape = [&x.shape[..axis], &indices.shape, &x.shape[axis + 1..]].concat();
    let mut values = Vec::with_capacity(f.budget.room(&shape)?);
    let inner: usize = x.shape[axis + 1..].iter().product();
    for outer in 0..x.shape[..axis].iter().product() {
        for place in &places {
            let at = (outer * size + place) * inner;
            values.extend_from_slice(&x.values[at..at + inner]);
        }
    }
    Ok(vec![Array { shape, values, element: x.element }])
}

pub fn expand(f: &Folding) -> Result<Vec<Array>, String> {
    let x = f.array(0)?;
    let target = f.integers(1)?.ok_or("input 1 is missing")?;
    let target: Vec<usize> =
        target.iter().map(|&size| usize::try_from(size).map_err(|_| format!("a size of {size}"))).collect::<Result<_, _>>()?;
    let shape = broadcast(&[&x.shape, &target])?;
    f.budget.room(&shape)?;
    let steps = x.steps_in(&shape);
    Ok(vec![x.view(shape, 0, &steps)])
}

pub fn tile(f: &Folding) -> Result<Vec<Array>, String> {
    let x = f.array(0)?;
    let repeats = f.integers(1)?.ok_or("input 1 is missing")?;
    if repeats.len() != x.shape.len() {
        return Err(format!("{} repeats for {} axes", repeats.len(), x.shape.len()));
    }
    // (R0, D0, R1, D1, ...), every R with a step of 0.
    let (mut shape, mut wide, mut walk) = (Vec::new(), Vec::new(), Vec::new());
    for ((&size, &repeat), step) in x.shape.iter().zip(&repeats).zip(steps(&x.shape)) {
        let repeat = usize::try_from(repeat).map_err(|_| format!("{repeat} repeats"))?;
        shape.push(size.checked_mul(repeat).ok_or("sizes overflow")?);
        wide.extend([repeat, size]);
        walk.extend([0, step]);
    }
    f.budget.room(&shape)?;
    Ok(vec![x.view(wide, 0, &walk).reshaped(shape)])
}

/// With a constant border.
pub fn pad(f: &Folding) -> Result<Vec<Array>, String> {
    let mode = f.reading.text("mode", "constant")?;
    if mode != "constant" {
        return Err(format!("mode {mode:?} on constants is not supported"));
    }
    let x = f.array(0)?;
    let rank = x.shape.len();
    let pads = f.reading.axes(1, "pads")?.ok_or("pads are missing")?;
    let value = match f.optional(2)? {
        Some(value) => value.single().ok_or("the border is not one number")?,
        None => f64::from(f.reading.float("value", 0.0)?),
    };
    let axes = axes(f, 3, rank)?.unwrap_or_else(|| (0..rank).collect());
    if pads.len() != axes.len() * 2 {
        return Err(format!("{} pads for {} axes", pads.len(), axes.len()));
    }
    let (mut shape, mut before) = (x.shape.clone(), vec![0; rank]);
    for (i, &axis) in axes.iter().enumerate() {
        let side = |at: usize| usize::try_from(pads[at]).map_err(|_| format!("pads {pads:?} hold a negative one"));
        before[axis] = side(i)?;
        let border = before[axis].checked_add(side(i + axes.len())?);
        shape[axis] = border.and_then(|border| x.shape[axis].checked_add(border)).ok_or("sizes overflow")?;
    }
    let mut padded = f.filled(shape, x.element, |_| value)?;
    let steps = steps(&padded.shape);
    let first: usize = before.iter().zip(&steps).map(|(&before, &step)| before * step as usize).sum();
    for (at, &value) in super::array::Walk::new(&x.shape, first, &steps).zip(&x.values) {
        padded.values[at] = value;
    }
    Ok(vec![padded])
}
