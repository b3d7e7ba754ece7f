//! Reduces or enlarges rows of samples to a small plane of floats: area averages when shrinking, bilinear when enlarging.
//!
//! The two axes are separate. Rows are first summed, weighted, into one row of floats (each source row is read about once), which
//! is then reduced to the few columns that are wanted.

use crate::simd;

/// For each output index the source indices that it averages: `span` of them from `start`, with weights that sum to 1.
#[derive(Debug, Clone)]
pub struct Axis {
    span: usize,
    starts: Vec<usize>,
    weights: Vec<f32>,
}

impl Axis {
    /// `count` outputs from the stretch `from..to` of `length` source samples (sample `i` covers `i..i + 1`).
    ///
    /// When an output covers one source sample or more it is the mean over what it covers, cut samples by their part; otherwise
    /// it is the linear interpolation at its centre between sample centres, the outermost samples continued.
    pub fn new(count: usize, from: f64, to: f64, length: usize) -> Self {
        let step = (to - from) / count as f64;
        let end = length as f64;
        let ranges: Vec<(usize, Vec<f64>)> = (0..count)
            .map(|index| {
                let left = from + step * index as f64;
                if step >= 1.0 {
                    let (left, right) = (left.clamp(0.0, end - 1.0), (left + step).clamp(1.0, end));
                    let start = left as usize;
                    let stop = (right.ceil() as usize).min(length);
                    let covered = |i: usize| (right.min((i + 1) as f64) - left.max(i as f64)).max(0.0);
                    (start, (start..stop).map(covered).collect())
                } else {
                    let at = (left + 0.5 * step - 0.5).clamp(0.0, end - 1.0);
                    let start = (at as usize).min(length.saturating_sub(2));
                    let t = at - start as f64;
                    (start, if length == 1 { vec![1.0] } else { vec![1.0 - t, t] })
                }
            })
            .collect();
        let span = ranges.iter().map(|(_, weights)| weights.len()).max().unwrap_or(1);
        let mut starts = Vec::with_capacity(count);
        let mut all = Vec::with_capacity(count * span);
        for (start, weights) in ranges {
            // Shorter ranges are lengthened with weights of 0, to the left where the source ends.
            let shifted = start.min(length - span);
            let total: f64 = weights.iter().sum();
            starts.push(shifted);
            all.extend((shifted..shifted + span).map(|i| {
                let weight = i.checked_sub(start).and_then(|k| weights.get(k)).copied().unwrap_or(0.0);
                (weight / total) as f32
            }));
        }
        Self { span, starts, weights: all }
    }

    /// How many outputs there are.
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    fn taps(&self, index: usize) -> (usize, &[f32]) {
        (self.starts[index], &self.weights[index * self.span..][..self.span])
    }
}

/// Samples of a plane, `components` of them interleaved to a pixel.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// The plane's bytes.
    pub data: &'a [u8],
    /// Distance from a row to the next.
    pub stride_bytes: usize,
    /// 1, or 2 for little-endian words.
    pub sample_bytes: usize,
    /// 1 for a plane of its own, 2 for UV pairs, 3 for RGB.
    pub components: usize,
}

/// Writes component `c` of the resampled picture to `out[c]`, rows of `across.count()`, `down.count()` of them.
pub fn resample(source: &Samples, across: &Axis, down: &Axis, out: &mut [&mut [f32]]) {
    let first = across.starts.iter().copied().min().unwrap_or(0);
    let last = across.starts.iter().copied().max().unwrap_or(0) + across.span;
    let pixel_bytes = source.components * source.sample_bytes;
    let mut sums = vec![0.0f32; (last - first) * source.components];
    let width = across.count();
    for y in 0..down.count() {
        let (start, weights) = down.taps(y);
        let row = |index: usize| &source.data[(start + index) * source.stride_bytes..][first * pixel_bytes..last * pixel_bytes];
        sums.fill(0.0);
        let mut index = 0;
        while index < weights.len() {
            if weights[index] == 0.0 {
                index += 1;
            } else if index + 1 < weights.len() {
                let pair = [weights[index], weights[index + 1]];
                if source.sample_bytes == 1 {
                    add_bytes(row(index), row(index + 1), pair, &mut sums);
                } else {
                    add_words(row(index), row(index + 1), pair, &mut sums);
                }
                index += 2;
            } else {
                let pair = [weights[index], 0.0];
                if source.sample_bytes == 1 {
                    add_bytes(row(index), row(index), pair, &mut sums);
                } else {
                    add_words(row(index), row(index), pair, &mut sums);
                }
                index += 1;
            }
        }
        for (component, out) in out.iter_mut().enumerate() {
            reduce(&sums, source.components, component, first, across, &mut out[y * width..][..width]);
        }
    }
}

simd::dispatch! {
    /// Adds two rows of bytes by their weights.
    fn add_bytes(a: &[u8], b: &[u8], weights: [f32; 2], sums: &mut [f32]) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += weights[0] * f32::from(a) + weights[1] * f32::from(b);
        }
    }
}

simd::dispatch! {
    /// Adds two rows of little-endian words by their weights.
    fn add_words(a: &[u8], b: &[u8], weights: [f32; 2], sums: &mut [f32]) {
        for ((sum, a), b) in sums.iter_mut().zip(a.chunks_exact(2)).zip(b.chunks_exact(2)) {
            let (a, b) = (u16::from_le_bytes([a[0], a[1]]), u16::from_le_bytes([b[0], b[1]]));
            *sum += weights[0] * f32::from(a) + weights[1] * f32::from(b);
        }
    }
}

/// Weighted sums of stretches of one component of `sums`, whose first pixel is the source's pixel `first`.
fn reduce(sums: &[f32], components: usize, component: usize, first: usize, axis: &Axis, out: &mut [f32]) {
    // A span that the compiler knows is unrolled; pictures shrunk to a common network's size have one of these.
    match axis.span {
        1 => reduce_span::<1>(sums, components, component, first, axis, out),
        2 => reduce_span::<2>(sums, components, component, first, axis, out),
        3 => reduce_span::<3>(sums, components, component, first, axis, out),
        4 => reduce_span::<4>(sums, components, component, first, axis, out),
        5 => reduce_span::<5>(sums, components, component, first, axis, out),
        6 => reduce_span::<6>(sums, components, component, first, axis, out),
        7 => reduce_span::<7>(sums, components, component, first, axis, out),
        8 => reduce_span::<8>(sums, components, component, first, axis, out),
        _ => {
            for (index, out) in out.iter_mut().enumerate() {
                let (start, weights) = axis.taps(index);
                let stretch = &sums[(start - first) * components + component..];
                *out = weights.iter().zip(stretch.iter().step_by(components)).map(|(weight, sum)| weight * sum).sum();
            }
        }
    }
}

fn reduce_span<const SPAN: usize>(sums: &[f32], components: usize, component: usize, first: usize, axis: &Axis, out: &mut [f32]) {
    let (weights, _) = axis.weights.as_chunks::<SPAN>();
    for ((out, &start), weights) in out.iter_mut().zip(&axis.starts).zip(weights) {
        let from = (start - first) * components + component;
        let stretch = &sums[from..from + (SPAN - 1) * components + 1];
        *out = (0..SPAN).map(|tap| weights[tap] * stretch[tap * components]).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense(axis: &Axis, length: usize) -> Vec<Vec<f32>> {
        (0..axis.count())
            .map(|index| {
                let (start, weights) = axis.taps(index);
                let mut row = vec![0.0; length];
                row[start..start + weights.len()].copy_from_slice(weights);
                row
            })
            .collect()
    }

    #[test]
    fn shrinking_covers_cut_samples_by_their_part() {
        let rows = dense(&Axis::new(2, 0.0, 5.0, 5), 5);
        assert_eq!(rows, [[0.4, 0.4, 0.2, 0.0, 0.0], [0.0, 0.0, 0.2, 0.4, 0.4]]);
        let rows = dense(&Axis::new(1, 1.5, 3.5, 5), 5);
        assert_eq!(rows, [[0.0, 0.25, 0.5, 0.25, 0.0]]);
    }

    #[test]
    fn every_span_and_interleaving_gives_the_weighted_sum() {
        for (length, count) in [(7, 20), (20, 20), (25, 10), (70, 13), (61, 12), (70, 11), (70, 10), (99, 11), (200, 7)] {
            for components in 1..=3 {
                let data: Vec<u8> = (0..2 * length * components).map(|i| (i * 89 % 251) as u8).collect();
                let (across, down) = (Axis::new(count, 0.0, length as f64, length), Axis::new(1, 0.0, 2.0, 2));
                let mut planes = vec![vec![0.0f32; count]; components];
                let mut out: Vec<&mut [f32]> = planes.iter_mut().map(Vec::as_mut_slice).collect();
                let source = Samples { data: &data, stride_bytes: length * components, sample_bytes: 1, components };
                resample(&source, &across, &down, &mut out);
                for (component, plane) in planes.iter().enumerate() {
                    for (got, weights) in plane.iter().zip(dense(&across, length)) {
                        let sample = |row: usize, x: usize| f32::from(data[(row * length + x) * components + component]);
                        let wanted: f32 = (0..length).map(|x| weights[x] * (sample(0, x) + sample(1, x)) / 2.0).sum();
                        assert!((got - wanted).abs() < 1e-3, "{length} to {count}, component {component}: {got} for {wanted}");
                    }
                }
            }
        }
    }

    #[test]
    fn enlarging_interpolates_between_centres_and_continues_the_ends() {
        let rows = dense(&Axis::new(4, 0.0, 2.0, 2), 2);
        assert_eq!(rows, [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]);
        assert_eq!(dense(&Axis::new(3, 0.0, 1.0, 1), 1), [[1.0], [1.0], [1.0]]);
    }

    #[test]
    fn weights_sum_to_one_whatever_the_sizes() {
        for count in 1..40 {
            for length in 1..40usize {
                for (from, to) in [(0.0, 1.0), (0.1, 0.85)] {
                    let axis = Axis::new(count, from * length as f64, to * length as f64, length);
                    for row in dense(&axis, length) {
                        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{count} from {length}: {row:?}");
                        assert!(row.iter().all(|&w| w >= 0.0));
                    }
                }
            }
        }
    }
}
