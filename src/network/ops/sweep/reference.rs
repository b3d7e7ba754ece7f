//! What each operator makes, as plain loops over (N, C, H, W) and so on, after ONNX's own words.

/// A tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Plain {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

impl Plain {
    pub fn of(shape: &[usize], value: impl FnMut(&[usize]) -> f64) -> Self {
        Plain { shape: shape.to_vec(), data: positions(shape).iter().map(|at| at.as_slice()).map(value).collect() }
    }

    pub fn at(&self, position: &[usize]) -> f64 {
        let index = position.iter().zip(&self.shape).fold(0, |index, (at, size)| index * size + at);
        self.data[index]
    }

    /// The element that broadcasting puts at a position of a tensor with as many axes or more.
    pub fn stretched(&self, position: &[usize]) -> f64 {
        let own = &position[position.len() - self.shape.len()..];
        let held: Vec<usize> = own.iter().zip(&self.shape).map(|(&at, &size)| if size == 1 { 0 } else { at }).collect();
        self.at(&held)
    }

    pub fn each(&self, mut value: impl FnMut(f64) -> f64) -> Self {
        Plain { shape: self.shape.clone(), data: self.data.iter().map(|&x| value(x)).collect() }
    }

    /// The same elements in another shape.
    pub fn laid_out(&self, shape: &[usize]) -> Self {
        Plain { shape: shape.to_vec(), data: self.data.clone() }
    }

    /// The same elements in another shape; the batch stays in front.
    pub fn reshaped(&self, image: &[usize]) -> Self {
        let shape = [&self.shape[..1], image].concat();
        assert_eq!(shape.iter().product::<usize>(), self.data.len());
        Plain { shape, data: self.data.clone() }
    }
}

/// Every position of a tensor, row-major.
pub fn positions(shape: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for &size in shape {
        all = all.iter().flat_map(|head: &Vec<usize>| (0..size).map(move |at| [head.as_slice(), &[at]].concat())).collect();
    }
    all
}

/// A window as ONNX's attributes say it; pads are top, left, bottom, right.
#[derive(Debug, Clone, Copy)]
pub struct Sliding {
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub dilations: [usize; 2],
    pub pads: [usize; 4],
    pub ceil: bool,
}

impl Sliding {
    pub fn new(kernel: [usize; 2]) -> Self {
        Sliding { kernel, strides: [1, 1], dilations: [1, 1], pads: [0; 4], ceil: false }
    }

    /// Windows on an axis: each that fits; with `ceil` also a last one that starts before the picture's end and reaches past the border.
    fn windows(&self, axis: usize, size: usize) -> usize {
        let (before, after) = (self.pads[axis], self.pads[axis + 2]);
        let reach = (self.kernel[axis] - 1) * self.dilations[axis] + 1;
        let fits = |start: usize| start + reach <= before + size + after;
        let whole = (0..).take_while(|window| fits(window * self.strides[axis])).count();
        let end = (whole - 1) * self.strides[axis] + reach;
        let partial = self.ceil && end < before + size + after && whole * self.strides[axis] < before + size;
        whole + usize::from(partial)
    }

    pub fn output(&self, shape: &[usize]) -> [usize; 2] {
        [self.windows(0, shape[2]), self.windows(1, shape[3])]
    }

    /// Kernel taps of window (p, q) with their place in the picture, which may be in the border.
    fn taps(&self, p: usize, q: usize) -> Vec<([usize; 2], [isize; 2])> {
        positions(&self.kernel)
            .iter()
            .map(|k| {
                let place = |axis: usize, window: usize| {
                    (window * self.strides[axis] + k[axis] * self.dilations[axis]) as isize - self.pads[axis] as isize
                };
                ([k[0], k[1]], [place(0, p), place(1, q)])
            })
            .collect()
    }
}

fn inside(place: [isize; 2], shape: &[usize]) -> Option<[usize; 2]> {
    let within = |at: isize, size: usize| usize::try_from(at).ok().filter(|&at| at < size);
    Some([within(place[0], shape[2])?, within(place[1], shape[3])?])
}

pub fn conv(x: &Plain, weight: &Plain, bias: Option<&Plain>, groups: usize, window: Sliding) -> Plain {
    let [rows, columns] = window.output(&x.shape);
    let (outputs, inputs) = (weight.shape[0], weight.shape[1]);
    Plain::of(&[x.shape[0], outputs, rows, columns], |at| {
        let &[n, o, p, q] = at else { unreachable!() };
        let first = o / (outputs / groups) * inputs;
        let mut sum = bias.map_or(0.0, |bias| bias.data[o]);
        for (k, place) in window.taps(p, q) {
            let Some([r, c]) = inside(place, &x.shape) else { continue };
            for i in 0..inputs {
                sum += weight.at(&[o, i, k[0], k[1]]) * x.at(&[n, first + i, r, c]);
            }
        }
        sum
    })
}

pub fn max_pool(x: &Plain, window: Sliding) -> Plain {
    let [rows, columns] = window.output(&x.shape);
    Plain::of(&[x.shape[0], x.shape[1], rows, columns], |at| {
        let seen = window.taps(at[2], at[3]).into_iter().filter_map(|(_, place)| inside(place, &x.shape));
        seen.map(|[r, c]| x.at(&[at[0], at[1], r, c])).fold(f64::NEG_INFINITY, f64::max)
    })
}

/// The mean over the picture's part of a window; with `count_border` the border counts as zeros, what `ceil` adds behind it does not.
pub fn average_pool(x: &Plain, window: Sliding, count_border: bool) -> Plain {
    let [rows, columns] = window.output(&x.shape);
    Plain::of(&[x.shape[0], x.shape[1], rows, columns], |at| {
        let (mut sum, mut count) = (0.0, 0);
        for (_, place) in window.taps(at[2], at[3]) {
            let in_border = (0..2).all(|axis| place[axis] < (x.shape[2 + axis] + window.pads[axis + 2]) as isize);
            if let Some([r, c]) = inside(place, &x.shape) {
                sum += x.at(&[at[0], at[1], r, c]);
                count += 1;
            } else if count_border && in_border {
                count += 1;
            }
        }
        sum / f64::from(count)
    })
}

/// Sum with broadcasting.
pub fn add(a: &Plain, b: &Plain) -> Plain {
    pairwise(a, b, |a, b| a + b)
}

/// Element by element, with broadcasting; both have as many axes.
pub fn pairwise(a: &Plain, b: &Plain, value: impl Fn(f64, f64) -> f64) -> Plain {
    let shape: Vec<usize> = a.shape.iter().zip(&b.shape).map(|(&x, &y)| x.max(y)).collect();
    Plain::of(&shape, |at| value(a.stretched(at), b.stretched(at)))
}

/// The error function, by a series whose terms are all of one sign: 2 / sqrt(pi) e^(-x^2) (x + 2 x^3 / 3 + 4 x^5 / 15 + ...).
pub fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..300 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// gamma (x - mean) / sqrt(variance + epsilon) + beta, over axis 1.
pub fn batch_norm(x: &Plain, [gamma, beta, mean, variance]: [&Plain; 4], epsilon: f64) -> Plain {
    Plain::of(&x.shape, |at| {
        let c = at[1];
        gamma.data[c] * (x.at(at) - mean.data[c]) / (variance.data[c] + epsilon).sqrt() + beta.data[c]
    })
}

/// x W on the last axis, W (I, O).
pub fn matmul(x: &Plain, weight: &Plain) -> Plain {
    let lead = &x.shape[..x.shape.len() - 1];
    Plain::of(&[lead, &weight.shape[1..]].concat(), |at| {
        let (head, o) = (&at[..at.len() - 1], at[at.len() - 1]);
        (0..weight.shape[0]).map(|i| x.at(&[head, &[i]].concat()) * weight.at(&[i, o])).sum()
    })
}

pub fn concat(parts: &[Plain], axis: usize) -> Plain {
    let mut shape = parts[0].shape.clone();
    shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
    Plain::of(&shape, |at| {
        let mut at = at.to_vec();
        for part in parts {
            if at[axis] < part.shape[axis] {
                return part.at(&at);
            }
            at[axis] -= part.shape[axis];
        }
        unreachable!("the sizes add up")
    })
}

pub fn slice(x: &Plain, axis: usize, range: std::ops::Range<usize>) -> Plain {
    let mut shape = x.shape.clone();
    shape[axis] = range.len();
    Plain::of(&shape, |at| {
        let mut at = at.to_vec();
        at[axis] += range.start;
        x.at(&at)
    })
}

/// Output axis i is input axis `perm[i]`.
pub fn transpose(x: &Plain, perm: &[usize]) -> Plain {
    let shape: Vec<usize> = perm.iter().map(|&axis| x.shape[axis]).collect();
    Plain::of(&shape, |at| {
        let mut from = vec![0; at.len()];
        perm.iter().zip(at).for_each(|(&axis, &a)| from[axis] = a);
        x.at(&from)
    })
}

/// The mean over axes, which stay with size 1.
pub fn mean(x: &Plain, axes: &[usize]) -> Plain {
    let sizes = |inner: bool| -> Vec<usize> {
        x.shape.iter().enumerate().map(|(axis, &size)| if axes.contains(&axis) == inner { size } else { 1 }).collect()
    };
    let averaged = positions(&sizes(true));
    Plain::of(&sizes(false), |at| {
        let each = averaged.iter().map(|offset| x.at(&at.iter().zip(offset).map(|(a, o)| a + o).collect::<Vec<_>>()));
        each.sum::<f64>() / averaged.len() as f64
    })
}

/// A transposed convolution: every input adds its weights to the outputs that it reaches.
pub fn conv_transpose(x: &Plain, weight: &Plain, bias: Option<&Plain>, groups: usize, window: Sliding, extra: [usize; 2]) -> Plain {
    let [n, channels, h, w] = x.shape[..] else { panic!("four axes") };
    let each = weight.shape[1];
    let reach = |i: usize| (window.kernel[i] - 1) * window.dilations[i] + 1;
    let size = |i: usize, from: usize| window.strides[i] * (from - 1) + extra[i] + reach(i) - window.pads[i] - window.pads[i + 2];
    let shape = [n, each * groups, size(0, h), size(1, w)];
    let mut y = Plain::of(&shape, |at| bias.map_or(0.0, |bias| bias.data[at[1]]));
    for from in positions(&[n, channels, h, w]) {
        let group = from[1] / (channels / groups);
        for tap in positions(&[each, window.kernel[0], window.kernel[1]]) {
            let place = |i: usize| (from[2 + i] * window.strides[i] + tap[1 + i] * window.dilations[i]).checked_sub(window.pads[i]);
            if let (Some(p), Some(q)) = (place(0), place(1))
                && p < shape[2]
                && q < shape[3]
            {
                let index = ((from[0] * shape[1] + group * each + tap[0]) * shape[2] + p) * shape[3] + q;
                y.data[index] += x.at(&from) * weight.at(&[from[1], tap[0], tap[1], tap[2]]);
            }
        }
    }
    y
}

/// The elements along some axes, in row-major order, folded to one.
pub fn reduce(x: &Plain, axes: &[usize], keep: bool, fold: impl Fn(&[f64]) -> f64) -> Plain {
    let kept: Vec<usize> = x.shape.iter().enumerate().map(|(i, &size)| if axes.contains(&i) { 1 } else { size }).collect();
    let folded: Vec<usize> = x.shape.iter().enumerate().map(|(i, &size)| if axes.contains(&i) { size } else { 1 }).collect();
    let y = Plain::of(&kept, |at| {
        let values: Vec<f64> =
            positions(&folded).iter().map(|off| x.at(&at.iter().zip(off).map(|(a, b)| a + b).collect::<Vec<_>>())).collect();
        fold(&values)
    });
    let left = kept.iter().enumerate().filter(|(i, _)| keep || !axes.contains(i)).map(|(_, &size)| size);
    Plain { shape: left.collect(), data: y.data }
}

/// Products of the matrices in the last two axes, the axes before them broadcast.
pub fn matrices(a: &Plain, b: &Plain) -> Plain {
    let m = a.shape.len() - 2;
    let mut shape: Vec<usize> = a.shape[..m].iter().zip(&b.shape[..m]).map(|(&x, &y)| x.max(y)).collect();
    shape.extend([a.shape[m], b.shape[m + 1]]);
    Plain::of(&shape, |at| {
        (0..a.shape[m + 1])
            .map(|k| a.stretched(&[&at[..m], &[at[m], k]].concat()) * b.stretched(&[&at[..m], &[k, at[m + 1]]].concat()))
            .sum()
    })
}
