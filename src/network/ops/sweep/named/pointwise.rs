//! Kinks of functions of one number, and their far ends.

use super::{BF16, F32, F64, run};
use crate::network::op::Place;
use crate::network::ops::sweep::reference;
use crate::network::ops::{Gelu, HardSigmoid, HardSwish, Mish, Op, Scale, Sigmoid, Silu, Softplus, Tanh};

#[test]
fn a_hard_swish_has_pytorch_s_derivative_at_its_kinks() {
    for place in [F64, F32, BF16] {
        let found = run(HardSwish, place, [1, 1, 1, 5], &[-4.0, -3.0, 0.0, 3.0, 4.0], &[1.0; 5]);
        assert_eq!(found.y, [0.0, 0.0, 0.0, 3.0, 4.0]);
        assert_eq!(found.grad_in, [0.0, 0.0, 0.5, 1.0, 1.0]);
        assert_eq!(found.bias, Some(vec![0.0; 5]));
    }
}

#[test]
fn a_hard_sigmoid_s_derivative_at_its_bounds_is_zero_and_its_bias_the_bound() {
    for place in [F64, F32, BF16] {
        let found = run(HardSigmoid { alpha: 0.25, beta: 0.5 }, place, [1, 1, 1, 5], &[-3.0, -2.0, 0.0, 2.0, 3.0], &[1.0; 5]);
        assert_eq!(found.y, [0.0, 0.0, 0.5, 1.0, 1.0]);
        assert_eq!(found.grad_in, [0.0, 0.0, 0.25, 0.0, 0.0]);
        assert_eq!(found.bias, Some(vec![0.0, 0.0, 0.5, 1.0, 1.0]));
    }
}

/// PyTorch writes its own as alpha = 1 / 6, which f32 has not.
#[test]
fn a_hard_sigmoid_of_a_sixth_has_its_kinks_at_three() {
    for place in [F64, F32, BF16] {
        let found = run(HardSigmoid { alpha: f64::from(1.0f32 / 6.0), beta: 0.5 }, place, [1, 1, 1, 2], &[-3.0, 3.0], &[1.0; 2]);
        assert_eq!((found.y, found.grad_in), (vec![0.0, 1.0], vec![0.0, 0.0]));
    }
}

/// eta, eta' and the bias at x, in f64.
type Exact = fn(f64) -> [f64; 3];

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Far from zero a bias is the small difference of large numbers, and has to be told as such all the same.
#[test]
fn far_ends_keep_their_precision() {
    let functions: [(Op, Exact); 7] = [
        (Sigmoid.into(), |x| {
            let (s, slope) = (logistic(x), logistic(x) * logistic(-x));
            [s, slope, s - slope * x]
        }),
        (Tanh.into(), |x| {
            let slope = 1.0 / (x.cosh() * x.cosh());
            [x.tanh(), slope, x.tanh() - slope * x]
        }),
        (Softplus.into(), |x| {
            let rest = (-x.abs()).exp().ln_1p();
            [x.max(0.0) + rest, logistic(x), rest + x.abs() * logistic(-x.abs())]
        }),
        (Silu { alpha: 1.0 }.into(), |x| {
            let bend = x * logistic(x) * logistic(-x);
            [x * logistic(x), logistic(x) + bend, -x * bend]
        }),
        (Mish.into(), |x| {
            let k = x.max(0.0) + (-x.abs()).exp().ln_1p();
            let (t, bend) = (k.tanh(), 4.0 * x * logistic(2.0 * k) * logistic(-2.0 * k) * logistic(x));
            [x * t, t + bend, -x * bend]
        }),
        (Gelu { tanh: false }.into(), |x| {
            let p = 0.5 * (1.0 + reference::erf(x * std::f64::consts::FRAC_1_SQRT_2));
            let bend = x * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            [x * p, p + bend, -x * bend]
        }),
        (Gelu { tanh: true }.into(), |x| {
            let factor = (2.0 / std::f64::consts::PI).sqrt();
            let k = factor * (x + 0.044715 * x * x * x);
            let bend = x * 2.0 * logistic(2.0 * k) * logistic(-2.0 * k) * factor * (1.0 + 3.0 * 0.044715 * x * x);
            [x * logistic(2.0 * k), logistic(2.0 * k) + bend, -x * bend]
        }),
    ];
    // Each a number of bf16.
    let x = [-100.0, -88.0, -20.0, -10.0, -6.0, -3.0, -1.0, -0.125, 0.0, 0.125, 1.0, 3.0, 6.0, 10.0, 20.0, 21.0, 88.0, 100.0];
    for (op, exact) in functions {
        for (place, relative, absolute) in [(F64, 1e-12, 1e-14), (F32, 2e-6, 2e-7), (BF16, 1e-2, 2e-3)] {
            let found = run(op.clone(), place, [1, 1, 1, x.len()], &x, &[1.0; 18]);
            let bias = found.bias.unwrap();
            for (i, &x) in x.iter().enumerate() {
                for (what, found, wanted) in
                    [("value", found.y[i], exact(x)[0]), ("derivative", found.grad_in[i], exact(x)[1]), ("bias", bias[i], exact(x)[2])]
                {
                    let close = (found - wanted).abs() <= relative * wanted.abs() + absolute;
                    assert!(close, "{op:?} at {x} in {place:?}: {what} is {found:e}, not {wanted:e}");
                }
            }
        }
    }
}

/// A gradient in 16 bits stays one, whatever the formula is worked out in.
#[test]
fn what_comes_back_has_the_place_s_kind() {
    let place = Place { kind: tch::Kind::BFloat16, ..F32 };
    for op in [Op::from(Sigmoid), Softplus.into(), Silu { alpha: 2.0 }.into(), Scale::by(0.5).into()] {
        let kernel = op.rules().kernel(place, &[&[1, 2]]).unwrap();
        let x = tch::Tensor::from_slice(&[1.0, 2.0]).reshape([1, 2]).to_kind(place.kind);
        let made = kernel.forward(&[&x]).unwrap();
        let saved = crate::network::op::Saved { inputs: vec![x.shallow_clone()], outputs: Vec::new(), extra: Vec::new() };
        let grad_in = kernel.adjoint(&saved, vec![Some(x.into())]).unwrap().remove(0).unwrap();
        assert_eq!((made.outputs[0].kind(), grad_in.tensor.kind()), (place.kind, place.kind), "{op:?}");
    }
}
