//! Steps that move elements, change sizes, reduce or normalise.

use gradcast::network::graph::Attribute;

use crate::graphs::{Builder, ints};
use crate::steps::{At, chosen};

/// No value grows past this many rows or columns.
const LARGEST: usize = 24;

fn number(value: usize) -> Attribute {
    Attribute::Int(value as i64)
}

fn text(value: &str) -> Attribute {
    Attribute::Text(value.to_owned())
}

pub fn transposed_convolution(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    let (kernel, stride) = (1 + p % 3, 1 + q % 2);
    if at.size.iter().any(|&size| size * stride + kernel > LARGEST) {
        return None;
    }
    let outputs = 1 + q % 5;
    let operands = [at.value, b.weights(&[at.channels, outputs, kernel, kernel]), b.weights(&[outputs])];
    let operands = if p.is_multiple_of(2) { &operands[..] } else { &operands[..2] };
    let value = b.with("ConvTranspose", operands, &[("strides", ints(&[stride as i64; 2]))]);
    let value = if q.is_multiple_of(3) { b.batch_norm(value, outputs) } else { value };
    Some(At { value, channels: outputs, size: at.size.map(|size| stride * (size - 1) + kernel) })
}

/// Blocks of pixels to channels, or back.
pub fn blocks(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    let two = [("blocksize", number(2))];
    if p.is_multiple_of(2) {
        // Of an even size, and of few channels.
        let [rows, columns] = at.size.map(|size| size % 2);
        let pads = b.integers(&[0, 0, 0, 0, 0, 0, rows as i64, columns as i64]);
        let even = b.node("Pad", &[at.value, pads]);
        let few = b.conv(even, at.channels, 2, 1, true);
        return Some(At { value: b.with("SpaceToDepth", &[few], &two), channels: 8, size: at.size.map(|size| size.div_ceil(2)) });
    }
    let mode = ("mode", text(chosen(&["DCR", "CRD"], q)));
    let channels = at.channels.div_ceil(4);
    if at.size.iter().any(|&size| 2 * size > LARGEST) {
        return None;
    }
    let wide = b.conv(at.value, at.channels, 4 * channels, 1, true);
    let value = b.with("DepthToSpace", &[wide], &[two[0].clone(), mode]);
    Some(At { value, channels, size: at.size.map(|size| 2 * size) })
}

pub fn bordered(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    if at.size.iter().any(|&size| size < 2 || size + 3 > LARGEST) {
        return None;
    }
    let pads = b.integers(&[0, 0, 1, 0, 0, 0, (q % 2) as i64, 1]);
    let value = match chosen(&["constant", "reflect", "edge", "wrap"], p) {
        "constant" => {
            let border = b.scalar(0.25);
            b.node("Pad", &[at.value, pads, border])
        }
        mode => b.with("Pad", &[at.value, pads], &[("mode", text(mode))]),
    };
    Some(At { value, size: [at.size[0] + 1 + q % 2, at.size[1] + 1], ..at })
}

pub fn resized(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    let size = [at.size[0] + p % 5, at.size[1] * (1 + q % 2)];
    if size.iter().any(|&size| size > LARGEST) {
        return None;
    }
    let (none, sizes) = (b.floats(&[]), b.integers(&[1, at.channels as i64, size[0] as i64, size[1] as i64]));
    let mode = chosen(&["nearest", "linear", "cubic"], q);
    let place = chosen(&["half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"], p / 4);
    let value = b.with("Resize", &[at.value, none, none, sizes], &[("mode", text(mode)), ("coordinate_transformation_mode", text(place))]);
    Some(At { value, size, ..at })
}

/// With twice the columns, as files of older opsets have it.
pub fn upsampled(b: &mut Builder, at: At, p: usize, _: usize) -> Option<At> {
    if 2 * at.size[1] > LARGEST {
        return None;
    }
    let scales = b.floats(&[1.0, 1.0, 1.0, 2.0]);
    let value = b.with("Upsample", &[at.value, scales], &[("mode", text(chosen(&["nearest", "linear"], p)))]);
    Some(At { value, size: [at.size[0], 2 * at.size[1]], ..at })
}

/// The value and what is left of it along some axes.
pub fn reduced(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    const NAMES: &[&str] =
        &["GlobalMaxPool", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceSumSquare"];
    // Away from zero and from ties, where nothing has a derivative.
    let (wave, slope) = (b.node("Sin", &[at.value]), b.weights(&[at.channels, at.size[0], at.size[1]]));
    let x = b.node("Add", &[wave, slope]);
    let axes: &[i64] = if q.is_multiple_of(2) { &[2, 3] } else { &[1] };
    let left = match chosen(NAMES, p) {
        "GlobalMaxPool" => b.node("GlobalMaxPool", &[x]),
        "ReduceSum" => {
            let axes = b.integers(axes);
            b.node("ReduceSum", &[x, axes])
        }
        name => b.with(name, &[x], &[("axes", ints(axes))]),
    };
    // Sums over many elements stay about 1.
    let share = b.scalar(1.0 / (at.channels * at.size[0] * at.size[1]) as f64);
    let left = if chosen(NAMES, p).contains("Max") || chosen(NAMES, p).contains("Min") { left } else { b.node("Mul", &[left, share]) };
    at.same(b.node("Add", &[x, left]))
}

pub fn normed(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    // One element alone is its mean, and nothing is left of it.
    if at.size.contains(&1) {
        return None;
    }
    let each = [at.channels, at.size[1]];
    let [channels, columns] = each.map(|count| [b.weights(&[count]), b.weights(&[count])]);
    let epsilon = ("epsilon", Attribute::Float(0.01));
    let value = match chosen(&["GroupNormalization", "InstanceNormalization", "LRN", "LayerNormalization", "RMSNormalization"], p) {
        "GroupNormalization" => {
            let groups = if at.channels.is_multiple_of(2) { 2 } else { 1 };
            let [scale, shift] = [b.weights(&[groups]), b.weights(&[groups])];
            b.with("GroupNormalization", &[at.value, scale, shift], &[epsilon, ("num_groups", number(groups))])
        }
        "LRN" => b.with("LRN", &[at.value], &[("size", number(2 + q % 3)), ("alpha", Attribute::Float(0.2))]),
        "InstanceNormalization" => b.with("InstanceNormalization", &[at.value, channels[0], channels[1]], &[epsilon]),
        "LayerNormalization" => b.with("LayerNormalization", &[at.value, columns[0], columns[1]], &[epsilon]),
        name => b.with(name, &[at.value, columns[0]], &[epsilon]),
    };
    // A mean over normalised elements alone would say nothing of the picture.
    at.same(b.node("Add", &[at.value, value]))
}

/// Weighed along an axis, as attention does.
pub fn weighed(b: &mut Builder, at: At, p: usize, q: usize) -> Option<At> {
    let axis = [("axis", number(1 + q % 3))];
    let weights = b.with(chosen(&["Softmax", "LogSoftmax"], p), &[at.value], &axis);
    at.same(b.node("Add", &[at.value, weights]))
}

/// Rows in another order, some twice.
pub fn picked(b: &mut Builder, at: At, p: usize, _: usize) -> Option<At> {
    let rows = at.size[0];
    let places: Vec<i64> = (0..rows).map(|row| ((row * 3 + p) % rows) as i64).collect();
    let places = b.integers(&places);
    at.same(b.with("Gather", &[at.value, places], &[("axis", number(2))]))
}

/// The mean of each channel, as large as the picture and added to it.
pub fn stretched(b: &mut Builder, at: At, _: usize, _: usize) -> Option<At> {
    let mean = b.node("GlobalAveragePool", &[at.value]);
    let size = b.integers(&[1, at.channels as i64, at.size[0] as i64, at.size[1] as i64]);
    let wide = b.node("Expand", &[mean, size]);
    at.same(b.node("Add", &[at.value, wide]))
}
