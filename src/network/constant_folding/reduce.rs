//! Sums, means and the like over axes.

use super::Folding;
use super::array::Array;
use crate::network::reading;

/// The axes that a reduction works on; `None` where it leaves the input as it is.
fn reduced_axes(f: &Folding, rank: usize) -> Result<Option<Vec<usize>>, String> {
    match f.reading.axes(1, "axes")?.filter(|axes| !axes.is_empty()) {
        Some(axes) => axes.iter().map(|&axis| reading::axis(axis, rank)).collect::<Result<_, _>>().map(Some),
        None if f.reading.int("noop_with_empty_axes", 0)? != 0 => Ok(None),
        None => Ok(Some((0..rank).collect())),
    }
}

pub fn reduce(f: &Folding, of: impl Fn(&[f64]) -> f64) -> Result<Vec<Array>, String> {
    let x = f.array(0)?;
    let rank = x.shape.len();
    let Some(axes) = reduced_axes(f, rank)? else { return Ok(vec![x]) };
    let kept: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
    let order: Vec<usize> = kept.iter().copied().chain((0..rank).filter(|axis| axes.contains(axis))).collect();
    let run: usize = axes_product(&x, &axes);
    if run == 0 {
        return Err(format!("reduces nothing: axes {axes:?} of {:?}", x.shape));
    }
    f.budget.room(&x.shape)?;
    let values: Vec<f64> = x.permuted(&order).values.chunks_exact(run).map(of).collect();
    let shape: Vec<usize> = match f.reading.int("keepdims", 1)? {
        0 => kept.iter().map(|&axis| x.shape[axis]).collect(),
        _ => (0..rank).map(|axis| if axes.contains(&axis) { 1 } else { x.shape[axis] }).collect(),
    };
    Ok(vec![Array { shape, values, element: x.computed() }])
}

fn axes_product(x: &Array, axes: &[usize]) -> usize {
    (0..x.shape.len()).filter(|axis| axes.contains(axis)).map(|axis| x.shape[axis]).product()
}

/// CumSum.
pub fn running_sum(f: &Folding) -> Result<Vec<Array>, String> {
    let x = f.array(0)?;
    let Some(&[axis]) = f.integers(1)?.as_deref() else { return Err("the axis is not one number".to_owned()) };
    let axis = reading::axis(axis, x.shape.len())?;
    let (exclusive, reverse) = (f.reading.int("exclusive", 0)? != 0, f.reading.int("reverse", 0)? != 0);
    f.budget.room(&x.shape)?;
    let mut values = x.values.clone();
    let (size, inner): (usize, usize) = (x.shape[axis], x.shape[axis + 1..].iter().product());
    for start in (0..values.len()).filter(|at| inner > 0 && (at / inner).is_multiple_of(size)) {
        let mut sum = 0.0;
        for i in 0..size {
            let at = start + inner * if reverse { size - 1 - i } else { i };
            let before = sum;
            sum += x.values[at];
            values[at] = if exclusive { before } else { sum };
        }
    }
    Ok(vec![Array { values, element: x.computed(), shape: x.shape }])
}
