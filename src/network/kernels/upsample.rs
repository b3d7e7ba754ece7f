//! Bilinear upsampling with corners aligned, added to what is there: columns first, on the few rows of the source.

/// One axis: for each target position the source position before it and the weight of the one behind.
fn axis(source: usize, target: usize) -> Vec<(usize, f32)> {
    let step = if target > 1 { (source - 1) as f64 / (target - 1) as f64 } else { 0.0 };
    (0..target)
        .map(|at| {
            let position = at as f64 * step;
            let before = (position as usize).min(source - 1);
            (before, (position - before as f64) as f32)
        })
        .collect()
}

/// Adds maps (N, h, w) to `target` (N, H, W), both row-major.
pub fn upsample_add(maps: &[f32], source: (usize, usize), target: &mut [f32], size: (usize, usize)) {
    let ((h, w), (rows, columns)) = (source, size);
    assert!(h * w > 0 && maps.len() / (h * w) == target.len() / (rows * columns), "as many maps as targets");
    let (down, across) = (axis(h, rows), axis(w, columns));
    let mut wide = vec![0.0f32; h * columns];
    for (map, target) in maps.chunks_exact(h * w).zip(target.chunks_exact_mut(rows * columns)) {
        for (row, wide) in map.chunks_exact(w).zip(wide.chunks_exact_mut(columns)) {
            for (value, &(before, weight)) in wide.iter_mut().zip(&across) {
                let behind = row[(before + 1).min(w - 1)];
                *value = row[before] + weight * (behind - row[before]);
            }
        }
        for (&(before, weight), line) in down.iter().zip(target.chunks_exact_mut(columns)) {
            let above = &wide[before * columns..][..columns];
            let below = &wide[(before + 1).min(h - 1) * columns..][..columns];
            for ((value, above), below) in line.iter_mut().zip(above).zip(below) {
                *value += above + weight * (below - above);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn it_is_libtorch_s() {
        for (h, w, rows, columns) in [(7, 7, 224, 224), (3, 5, 8, 9), (1, 4, 6, 4), (4, 1, 4, 7), (5, 5, 5, 5), (2, 3, 1, 1), (9, 7, 4, 5)]
        {
            let maps = Tensor::rand([2, 1, h, w], (Kind::Float, Device::Cpu));
            let wanted = maps.upsample_bilinear2d([rows, columns], true, None, None) + 1.0;
            let values: Vec<f32> = Vec::try_from(maps.flatten(0, -1)).expect("values");
            let mut found = vec![1.0f32; (2 * rows * columns) as usize];
            upsample_add(&values, (h as usize, w as usize), &mut found, (rows as usize, columns as usize));
            let found = Tensor::from_slice(&found).view([2, 1, rows, columns]);
            assert!((found - wanted).abs().max().double_value(&[]) < 1e-5, "{h} x {w} to {rows} x {columns}");
        }
    }
}
