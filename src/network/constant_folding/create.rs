//! Arrays made of sizes and numbers.

use super::array::Array;
use super::{ElementType, Folding};
use crate::network::reading;

fn sizes(values: &[i64]) -> Result<Vec<usize>, String> {
    values.iter().map(|&size| usize::try_from(size).map_err(|_| format!("a size of {size}"))).collect()
}

pub fn constant_of_shape(f: &Folding) -> Result<Vec<Array>, String> {
    let shape = sizes(&f.integers(0)?.ok_or("input 0 is missing")?)?;
    let (value, element) = f.tensor_attribute("value")?.unwrap_or((0.0, ElementType::F32));
    Ok(vec![f.filled(shape, element, |_| value)?])
}

pub fn range(f: &Folding) -> Result<Vec<Array>, String> {
    let ends = [f.array(0)?, f.array(1)?, f.array(2)?];
    let [Some(start), Some(limit), Some(delta)] = ends.each_ref().map(Array::single) else {
        return Err("start, limit and delta are not one number each".to_owned());
    };
    let count = ((limit - start) / delta).ceil();
    if !count.is_finite() {
        return Err(format!("a range from {start} to {limit} by {delta}"));
    }
    // Beyond usize it is put at its end, which is over the budget.
    Ok(vec![f.filled(vec![count.max(0.0) as usize], ends[0].computed(), |i| start + i as f64 * delta)?])
}

pub fn eye_like(f: &Folding) -> Result<Vec<Array>, String> {
    let shape = f.shape_of(0)?;
    let &[_, columns] = &shape[..] else { return Err(format!("input 0 has shape {shape:?}; a matrix is expected")) };
    let offset = f.reading.int("k", 0)?;
    let on = |i: usize| columns > 0 && (i % columns) as i64 == ((i / columns) as i64).saturating_add(offset);
    Ok(vec![f.filled(shape, ElementType::F32, |i| f64::from(u8::from(on(i))))?])
}

pub fn trilu(f: &Folding) -> Result<Vec<Array>, String> {
    let x = f.array(0)?;
    let &[.., rows, columns] = &x.shape[..] else { return Err(format!("input 0 has shape {:?}; a matrix is expected", x.shape)) };
    let offset = match f.integers(1)?.as_deref() {
        None | Some([]) => 0,
        Some(&[k, ..]) => k,
    };
    let upper = f.reading.int("upper", 1)? != 0;
    let keeps = |i: usize| {
        let (row, column) = ((i / columns % rows) as i64, (i % columns) as i64);
        let diagonal = row.saturating_add(offset);
        if upper { column >= diagonal } else { column <= diagonal }
    };
    let values = &x.values;
    Ok(vec![f.filled(x.shape.clone(), x.element, |i| if keeps(i) { values[i] } else { 0.0 })?])
}

pub fn one_hot(f: &Folding) -> Result<Vec<Array>, String> {
    let (indices, ends) = (f.array(0)?, f.array(2)?);
    let depth = f.array(1)?.single().filter(|depth| (1.0..1e9).contains(depth)).ok_or("the depth is not a number above 0")? as usize;
    let &[off, on] = &ends.values[..] else { return Err("the values are not two".to_owned()) };
    let axis = reading::axis(f.reading.int("axis", -1)?, indices.shape.len() + 1)?;
    let mut shape = indices.shape.clone();
    shape.insert(axis, depth);
    let inner: usize = indices.shape[axis..].iter().product();
    let hot = |i: usize| {
        let (outer, place, rest) = (i / (depth * inner), i / inner % depth, i % inner);
        let index = indices.values[outer * inner + rest];
        let index = if index < 0.0 { index + depth as f64 } else { index };
        index == place as f64
    };
    Ok(vec![f.filled(shape, ends.element, |i| if hot(i) { on } else { off })?])
}
