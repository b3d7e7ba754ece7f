//! Depthwise convolution of channels-last data, forward and adjoint, with any border: one image at a time.
//!
//! Forward: y[o, c] = clip(b[c] + sum over taps t of w[t, c] x[s o + d t - pad, c]). Adjoint: grad_in[i, c] is the sum of
//! w[t, c] grad_out[o, c] over the taps and outputs that read i, that is s o + d t - pad = i.

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::element::Element;
use super::portable;
use super::terms::Bounds;

/// Most taps of a kernel.
pub const MAX_TAPS: usize = 121;

/// One summand of an output value: where in the source image its pixel starts, and where its weights start, in elements.
pub type Tap = (usize, usize);

/// For each position on an axis of the output, the positions on the source's axis and the taps that go with them.
type Axis = Vec<Vec<(usize, usize)>>;

/// Geometry of one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Size of x.
    pub input: usize,
    /// Size of y.
    pub output: usize,
    /// Taps.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// Distance of the taps.
    pub dilation: usize,
    /// Border before the first pixel.
    pub pad: usize,
}

impl Span {
    /// The pixel of x that tap `tap` of output `output` reads, where it is not in the border.
    fn source(&self, output: usize, tap: usize) -> Option<usize> {
        (output * self.stride + tap * self.dilation).checked_sub(self.pad).filter(|&pixel| pixel < self.input)
    }

    fn forward(&self) -> Axis {
        (0..self.output).map(|output| (0..self.kernel).filter_map(|tap| Some((self.source(output, tap)?, tap))).collect()).collect()
    }

    fn adjoint(&self) -> Axis {
        let mut axis = vec![Vec::new(); self.input];
        for output in 0..self.output {
            for tap in 0..self.kernel {
                if let Some(pixel) = self.source(output, tap) {
                    axis[pixel].push((output, tap));
                }
            }
        }
        axis
    }
}

/// One direction of a depthwise convolution.
#[derive(Debug)]
struct Direction {
    rows: Axis,
    columns: Axis,
    /// Columns of the source.
    source_columns: usize,
}

/// A depthwise convolution with its weights.
#[derive(Debug)]
pub struct Depthwise {
    channels: usize,
    kernel_columns: usize,
    /// (taps, C).
    weight: Vec<f32>,
    bias: Vec<f32>,
    forward: Direction,
    adjoint: Direction,
}

impl Depthwise {
    /// `weight` is (C, 1, kh, kw) row-major, `bias` (C,); `rows` and `columns` are the two axes.
    pub fn new(weight: &[f32], bias: &[f32], rows: Span, columns: Span) -> Self {
        let (channels, taps) = (bias.len(), rows.kernel * columns.kernel);
        assert!(weight.len() == channels * taps && taps <= MAX_TAPS, "weights of a depthwise kernel");
        let turned = (0..taps * channels).map(|i| weight[(i % channels) * taps + i / channels]).collect();
        Depthwise {
            channels,
            kernel_columns: columns.kernel,
            weight: turned,
            bias: bias.to_vec(),
            forward: Direction { rows: rows.forward(), columns: columns.forward(), source_columns: columns.input },
            adjoint: Direction { rows: rows.adjoint(), columns: columns.adjoint(), source_columns: columns.output },
        }
    }

    /// y (pixels x C) of one image's x, clipped where `bounds` are given.
    pub fn forward<E: Element>(&self, x: &[E], y: &mut [E], bounds: Option<Bounds>) {
        let bounds = bounds.unwrap_or(Bounds { low: f32::NEG_INFINITY, high: f32::INFINITY });
        self.run(&self.forward, x, y, &self.bias, bounds);
    }

    /// grad_in (pixels x C) of one image's grad_out.
    pub fn adjoint<E: Element>(&self, grad_out: &[E], grad_in: &mut [E]) {
        let zeros = vec![0.0; self.channels];
        self.run(&self.adjoint, grad_out, grad_in, &zeros, Bounds { low: f32::NEG_INFINITY, high: f32::INFINITY });
    }

    fn run<E: Element>(&self, direction: &Direction, source: &[E], target: &mut [E], start: &[f32], bounds: Bounds) {
        let channels = self.channels;
        assert_eq!(target.len(), direction.rows.len() * direction.columns.len() * channels, "size of the target");
        #[cfg(target_arch = "x86_64")]
        let vector = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let mut taps: [Tap; MAX_TAPS] = [(0, 0); MAX_TAPS];
        let mut pixels = target.chunks_exact_mut(channels);
        for row in &direction.rows {
            for column in &direction.columns {
                let mut count = 0;
                for &(source_row, tap_row) in row {
                    for &(source_column, tap_column) in column {
                        let pixel = source_row * direction.source_columns + source_column;
                        taps[count] = (pixel * channels, (tap_row * self.kernel_columns + tap_column) * channels);
                        count += 1;
                    }
                }
                let taps = &taps[..count];
                let pixel = pixels.next().expect("as many pixels as rows times columns");
                assert!(taps.iter().all(|tap| tap.0 + channels <= source.len()), "taps inside the source");
                #[cfg(target_arch = "x86_64")]
                if vector {
                    // SAFETY: the processor has the features; a tap's channels lie inside source and weights (checked above, and
                    // by construction); start and pixel hold a value a channel.
                    unsafe { avx2::weighted_sum(source, &self.weight, taps, start, bounds, pixel) };
                    continue;
                }
                portable::weighted_sum(source, &self.weight, taps, start, bounds, pixel);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;

    fn noise(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    fn spans() -> [(Span, Span); 3] {
        let span = |input, output, kernel, stride, dilation, pad| Span { input, output, kernel, stride, dilation, pad };
        [
            (span(8, 4, 3, 2, 1, 0), span(9, 5, 3, 2, 1, 1)),
            (span(7, 4, 5, 2, 1, 2), span(6, 3, 5, 2, 1, 1)),
            (span(9, 5, 3, 1, 2, 0), span(10, 4, 2, 3, 1, 1)),
        ]
    }

    #[test]
    fn forward_is_the_sum_over_taps() {
        for channels in [5, 8, 43] {
            for (rows, columns) in spans() {
                let taps = rows.kernel * columns.kernel;
                let (weight, bias) = (noise(channels * taps, 1), noise(channels, 2));
                let x = noise(rows.input * columns.input * channels, 3);
                let mut y = vec![0.0f32; rows.output * columns.output * channels];
                let bounds = Bounds { low: -0.5, high: 0.75 };
                Depthwise::new(&weight, &bias, rows, columns).forward(&x, &mut y, Some(bounds));
                for (i, found) in y.iter().enumerate() {
                    let (c, column, row) = (i % channels, i / channels % columns.output, i / channels / columns.output);
                    let mut sum = bias[c];
                    for (kr, kc) in (0..rows.kernel).flat_map(|kr| (0..columns.kernel).map(move |kc| (kr, kc))) {
                        let r = (row * rows.stride + kr * rows.dilation) as isize - rows.pad as isize;
                        let s = (column * columns.stride + kc * columns.dilation) as isize - columns.pad as isize;
                        if (0..rows.input as isize).contains(&r) && (0..columns.input as isize).contains(&s) {
                            let at = (r as usize * columns.input + s as usize) * channels + c;
                            sum += weight[c * taps + kr * columns.kernel + kc] * x[at];
                        }
                    }
                    assert!((found - sum.clamp(-0.5, 0.75)).abs() < 1e-5, "value {i}: {found} and {sum}");
                }
            }
        }
    }

    #[test]
    fn adjoint_is_the_transpose() {
        for channels in [3, 16, 40] {
            for (rows, columns) in spans() {
                let weight = noise(channels * rows.kernel * columns.kernel, 4);
                let op = Depthwise::new(&weight, &vec![0.0; channels], rows, columns);
                let v = noise(rows.input * columns.input * channels, 5);
                let w = noise(rows.output * columns.output * channels, 6);
                let (mut jv, mut jtw) = (vec![0.0f32; w.len()], vec![0.0f32; v.len()]);
                op.forward(&v, &mut jv, None);
                op.adjoint(&w, &mut jtw);
                let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
                let (left, right) = (dot(&v, &jtw), dot(&jv, &w));
                assert!((left - right).abs() < 1e-4 * (1.0 + left.abs()), "{left} and {right}");
            }
        }
    }

    #[test]
    fn bf16_is_the_same_rounded_once() {
        let (rows, columns) = spans()[1];
        let channels = 24;
        let (weight, bias) = (noise(channels * 25, 7), noise(channels, 8));
        let op = Depthwise::new(&weight, &bias, rows, columns);
        let x: Vec<bf16> = noise(rows.input * columns.input * channels, 9).into_iter().map(bf16::from_f32).collect();
        let wide: Vec<f32> = x.iter().map(|v| v.to_f32()).collect();
        let (mut y, mut y_wide) = (vec![bf16::ZERO; 12 * channels], vec![0.0f32; 12 * channels]);
        op.forward(&x, &mut y, None);
        op.forward(&wide, &mut y_wide, None);
        assert!(y.iter().zip(&y_wide).all(|(a, b)| *a == bf16::from_f32(*b)));
    }
}
