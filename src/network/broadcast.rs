//! Numpy-style broadcasting of shapes, and its adjoint.

use tch::Tensor;

use super::op::Shape;
use crate::error::Result;

/// The shape that both broadcast to.
pub fn shape(a: &[usize], b: &[usize]) -> Result<Shape, String> {
    let rank = a.len().max(b.len());
    let size = |s: &[usize], axis: usize| if axis + s.len() < rank { 1 } else { s[axis + s.len() - rank] };
    (0..rank)
        .map(|axis| match (size(a, axis), size(b, axis)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            (x, y) => Err(format!("shapes {a:?} and {b:?} do not broadcast: {x} against {y} on axis {axis}")),
        })
        .collect()
}

/// The adjoint of broadcasting `from` (for a batch of one) to the gradient's shape: sums over the axes that were stretched.
pub fn adjoint(grad: &Tensor, from: &[usize]) -> Result<Tensor> {
    let size = grad.size();
    let lead = size.len() - from.len();
    let summed: Vec<i64> = (0..size.len())
        .filter(|&axis| axis < lead || (axis > 0 && from[axis - lead] == 1 && size[axis] != 1))
        .map(|axis| axis as i64)
        .collect();
    if summed.is_empty() {
        return Ok(grad.shallow_clone());
    }
    let kept = grad.f_sum_dim_intlist(summed.as_slice(), true, grad.kind())?;
    Ok(if lead == 0 { kept } else { kept.f_view(&kept.size()[lead..])? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_ones_and_missing_axes() {
        assert_eq!(shape(&[1, 4, 5, 6], &[4, 1, 1]), Ok(vec![1, 4, 5, 6]));
        assert!(shape(&[1, 4], &[3]).is_err_and(|e| e.contains("4 against 3 on axis 1")));
    }
}
