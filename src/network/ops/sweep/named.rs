//! Kinks, ties and borders, one by one.

mod pointwise;

use tch::{Kind, Tensor};

use super::{BF16, F16, F32, F64};
use crate::network::memory;
use crate::network::op::{Place, Saved};
use crate::network::ops::window::Window;
use crate::network::ops::{AveragePool, Clip, MaxPool, Op, Relu};

/// Output, grad_in for grad_out, and bias, row-major, of one input of this shape.
struct Run {
    y: Vec<f64>,
    grad_in: Vec<f64>,
    bias: Option<Vec<f64>>,
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).contiguous().flatten(0, -1)).unwrap()
}

fn run(op: impl Into<Op>, place: Place, shape: [usize; 4], x: &[f64], grad_out: &[f64]) -> Run {
    let op = op.into();
    let output = op.rules().shapes(&[&shape]).unwrap().remove(0);
    let lay = |values: &[f64], shape: &[usize]| {
        let size: Vec<i64> = shape.iter().map(|&s| s as i64).collect();
        let row_major = Tensor::from_slice(values).reshape(size).to_kind(place.kind);
        if place.channels_last() { memory::channels_last(&row_major).unwrap() } else { row_major }
    };
    let kernel = op.rules().kernel(place, &[&shape]).unwrap();
    let x = lay(x, &shape);
    let made = kernel.forward(&[&x]).unwrap();
    let saved = Saved { inputs: vec![x], outputs: vec![made.outputs[0].shallow_clone()], extra: made.extra };
    let grad_in = kernel.adjoint(&saved, vec![Some(lay(grad_out, &output).into())]).unwrap();
    Run {
        y: numbers(&made.outputs[0]),
        grad_in: numbers(&grad_in[0].as_ref().unwrap().tensor),
        bias: kernel.bias(&saved).unwrap().map(|bias| numbers(&bias)),
    }
}

fn window(kernel: [usize; 2], strides: [usize; 2], begin: [usize; 2], end: [usize; 2]) -> Window {
    Window { kernel, strides, dilations: [1, 1], pads_begin: begin, pads_end: end, ceil: false }
}

#[test]
fn a_rectifier_s_derivative_at_zero_is_the_one_below() {
    for place in [F64, F32, BF16, F16] {
        let found = run(Relu { slope: 0.0 }, place, [1, 1, 1, 3], &[-1.0, 0.0, 1.0], &[1.0, 1.0, 1.0]);
        assert_eq!((found.y, found.grad_in), (vec![0.0, 0.0, 1.0], vec![0.0, 0.0, 1.0]));
        let found = run(Relu { slope: 0.25 }, place, [1, 1, 1, 3], &[-1.0, 0.0, 1.0], &[1.0, 1.0, 1.0]);
        assert_eq!((found.y, found.grad_in), (vec![-0.25, 0.0, 1.0], vec![0.25, 0.25, 1.0]));
    }
}

#[test]
fn a_clip_s_derivative_at_its_bounds_is_zero_and_its_bias_the_bound() {
    for place in [F64, F32, BF16, F16] {
        let found = run(Clip { low: 0.0, high: 6.0 }, place, [1, 1, 1, 5], &[-1.0, 0.0, 3.0, 6.0, 7.0], &[1.0; 5]);
        assert_eq!(found.y, [0.0, 0.0, 3.0, 6.0, 6.0]);
        assert_eq!(found.grad_in, [0.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(found.bias, Some(vec![0.0, 0.0, 0.0, 6.0, 6.0]));
    }
}

#[test]
fn a_clip_of_one_value_is_that_value_once() {
    let found = run(Clip { low: 2.0, high: 2.0 }, F64, [1, 1, 1, 3], &[1.0, 2.0, 3.0], &[1.0; 3]);
    assert_eq!((found.y, found.grad_in), (vec![2.0; 3], vec![0.0; 3]));
    assert_eq!(found.bias, Some(vec![2.0; 3]));
}

/// 0.7 and 0.1 lie between two numbers of bf16: y is the nearest, which has to count as the bound.
#[test]
fn a_bound_that_the_precision_does_not_have_is_reached_all_the_same() {
    for (place, close) in [(F32, 1e-7), (BF16, 2e-3), (F16, 3e-4)] {
        for (low, high) in [(0.1, 0.7), (-0.7, -0.1), (0.3, 0.9)] {
            let found = run(Clip { low, high }, place, [1, 1, 1, 2], &[-1.0, 1.0], &[1.0; 2]);
            assert_eq!(found.grad_in, [0.0, 0.0], "{place:?} {low} {high}");
            let bias = found.bias.unwrap();
            assert_eq!(bias, found.y);
            assert!((bias[0] - low).abs() < close && (bias[1] - high).abs() < close, "{bias:?}");
        }
    }
}

#[test]
fn a_tie_in_max_pooling_has_one_winner_the_first_in_row_major_order() {
    let pool = || MaxPool { window: window([2, 2], [2, 2], [0, 0], [0, 0]) };
    #[rustfmt::skip]
    let x = [
        5.0, 5.0,  1.0, 2.0,
        5.0, 5.0,  2.0, 2.0,
    ];
    #[rustfmt::skip]
    let wanted = [
        1.0, 0.0,  0.0, 3.0,
        0.0, 0.0,  0.0, 0.0,
    ];
    for place in [F64, F32, BF16, F16] {
        // The same picture in every channel, so that a vectorised kernel is tried too.
        let (x, grad, wanted) = (x.repeat(19), [1.0, 3.0].repeat(19), wanted.repeat(19));
        let found = run(pool(), place, [1, 19, 2, 4], &x, &grad);
        assert_eq!((found.y, found.grad_in), ([5.0, 2.0].repeat(19), wanted), "{place:?}");
    }
}

#[test]
fn windows_that_overlap_give_their_gradients_to_one_winner_together() {
    let pool = MaxPool { window: window([1, 2], [1, 1], [0, 0], [0, 0]) };
    let found = run(pool, F64, [1, 1, 1, 3], &[1.0, 4.0, 2.0], &[10.0, 100.0]);
    assert_eq!((found.y, found.grad_in), (vec![4.0, 4.0], vec![0.0, 110.0, 0.0]));
}

/// The border of a max pool never wins, not even against numbers below zero.
#[test]
fn a_border_is_no_pixel_of_a_max_pool() {
    for (begin, end) in [([1, 1], [1, 1]), ([0, 0], [1, 1]), ([1, 1], [0, 0]), ([2, 2], [2, 2])] {
        for place in [F64, F32, BF16, F16] {
            let pool = MaxPool { window: window([3, 3], [2, 2], begin, end) };
            let x: Vec<f64> = (0..16).map(|i| -20.0 + f64::from(i)).collect();
            let outputs = pool.window.output([4, 4]).unwrap();
            let count = outputs[0] * outputs[1];
            let found = run(pool, place, [1, 1, 4, 4], &x, &vec![1.0; count]);
            assert!(found.y.iter().all(|y| (-20.0..=-5.0).contains(y)), "{:?}", found.y);
            assert_eq!(found.grad_in.iter().sum::<f64>(), count as f64, "no gradient is lost in the border");
        }
    }
}

/// With a gap between its taps a window can miss the picture altogether; libtorch would then write outside of it.
#[test]
fn a_max_pool_with_a_window_of_border_alone_is_refused() {
    let mut holed = window([2, 2], [1, 1], [1, 1], [1, 1]);
    holed.dilations = [3, 3];
    let refused = Op::from(MaxPool { window: holed }).rules().shapes(&[&[1, 1, 2, 2]]).unwrap_err();
    assert!(refused.contains("nothing but border"), "{refused}");
}

#[test]
fn a_border_counts_in_a_mean_only_where_it_is_asked() {
    for (count_border, corner) in [(false, 4.0), (true, 1.0)] {
        let pool = AveragePool { window: window([2, 2], [2, 2], [1, 1], [1, 1]), count_border };
        let found = run(pool, F64, [1, 1, 2, 2], &[4.0, 8.0, 12.0, 16.0], &[1.0, 0.0, 0.0, 0.0]);
        assert_eq!((found.y[0], found.grad_in[0]), (corner, corner / 4.0));
    }
}
