//! Kinks of functions of one number, and their far ends.

use super::{BF16, F16, F32, F64, numbers, run};
use crate::network::op::{Place, Saved};
use crate::network::ops::sweep::reference;
use crate::network::ops::{
    Elu, Extreme, Gelu, HardSigmoid, HardSwish, Jumping, Mish, Op, Operands, Scale, Sigmoid, Silu, Softplus, Steps, Tanh, Where,
};

#[test]
fn a_hard_swish_has_pytorch_s_derivative_at_its_kinks() {
    for place in [F64, F32, BF16, F16] {
        let found = run(HardSwish, place, [1, 1, 1, 5], &[-4.0, -3.0, 0.0, 3.0, 4.0], &[1.0; 5]);
        assert_eq!(found.y, [0.0, 0.0, 0.0, 3.0, 4.0]);
        assert_eq!(found.grad_in, [0.0, 0.0, 0.5, 1.0, 1.0]);
        assert_eq!(found.bias, Some(vec![0.0; 5]));
    }
}

#[test]
fn a_hard_sigmoid_s_derivative_at_its_bounds_is_zero_and_its_bias_the_bound() {
    for place in [F64, F32, BF16, F16] {
        let found = run(HardSigmoid { alpha: 0.25, beta: 0.5 }, place, [1, 1, 1, 5], &[-3.0, -2.0, 0.0, 2.0, 3.0], &[1.0; 5]);
        assert_eq!(found.y, [0.0, 0.0, 0.5, 1.0, 1.0]);
        assert_eq!(found.grad_in, [0.0, 0.0, 0.25, 0.0, 0.0]);
        assert_eq!(found.bias, Some(vec![0.0, 0.0, 0.5, 1.0, 1.0]));
    }
}

/// PyTorch writes its own as alpha = 1 / 6, which f32 has not.
#[test]
fn a_hard_sigmoid_of_a_sixth_has_its_kinks_at_three() {
    for place in [F64, F32, BF16, F16] {
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
    let functions: [(Op, Exact); 8] = [
        (Sigmoid.into(), |x| {
            let (s, slope) = (logistic(x), logistic(x) * logistic(-x));
            [s, slope, s - slope * x]
        }),
        (Tanh.into(), |x| {
            let slope = 1.0 / (x.cosh() * x.cosh());
            [x.tanh(), slope, x.tanh() - slope * x]
        }),
        (Softplus::UPRIGHT.into(), |x| {
            let rest = (-x.abs()).exp().ln_1p();
            [x.max(0.0) + rest, logistic(x), rest + x.abs() * logistic(-x.abs())]
        }),
        (Softplus { turned: true }.into(), |x| {
            let rest = (-x.abs()).exp().ln_1p();
            [x.min(0.0) - rest, logistic(-x), -rest - x.abs() * logistic(-x.abs())]
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
                // x times a rounded sigmoid is off by x times the rounding; a bias is not.
                let (reach, [value, derivative, exact_bias]) = (x.abs().max(1.0), exact(x));
                for (what, found, wanted, reach) in [
                    ("value", found.y[i], value, reach),
                    ("derivative", found.grad_in[i], derivative, reach),
                    ("bias", bias[i], exact_bias, 1.0),
                ] {
                    let close = (found - wanted).abs() <= relative * wanted.abs() + absolute * reach;
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
    for op in [Op::from(Sigmoid), Softplus::UPRIGHT.into(), Silu { alpha: 2.0 }.into(), Scale::by(0.5).into()] {
        let kernel = op.rules().kernel(place, &[&[1, 2]]).unwrap();
        let x = tch::Tensor::from_slice(&[1.0, 2.0]).reshape([1, 2]).to_kind(place.kind);
        let made = kernel.forward(&[&x]).unwrap();
        let saved = Saved { inputs: vec![x.shallow_clone()], outputs: Vec::new(), extra: Vec::new() };
        let grad_in = kernel.adjoint(&saved, vec![Some(x.into())]).unwrap().remove(0).unwrap();
        assert_eq!((made.outputs[0].kind(), grad_in.tensor.kind()), (place.kind, place.kind), "{op:?}");
    }
}

#[test]
fn an_elu_s_derivative_at_zero_is_the_one_below() {
    for place in [F64, F32, BF16, F16] {
        let found = run(Elu { alpha: 0.5, beta: 1.0, gamma: 1.0 }, place, [1, 1, 1, 2], &[0.0, 2.0], &[1.0; 2]);
        assert_eq!((found.y, found.grad_in, found.bias), (vec![0.0, 2.0], vec![0.5, 1.0], Some(vec![0.0; 2])));
        let found = run(Elu { alpha: 0.5, beta: 2.0, gamma: 1.0 }, place, [1, 1, 1, 3], &[-500.0, 0.0, 2.0], &[1.0; 3]);
        assert_eq!((found.y, found.grad_in), (vec![-0.5, 0.0, 2.0], vec![0.0, 1.0, 1.0]));
        assert_eq!(found.bias, Some(vec![-0.5, 0.0, 0.0]));
    }
}

/// y, the gradient of each input, and the bias.
type Found = (Vec<f64>, Vec<Option<Vec<f64>>>, Option<Vec<f64>>);

/// What an operator of two activations (1, 1, 1, n) makes of them.
fn of_two(op: impl Into<Op>, place: Place, [a, b]: [&[f64]; 2]) -> Found {
    let op = op.into();
    let lay = |values: &[f64]| tch::Tensor::from_slice(values).reshape([1, 1, 1, -1]).to_kind(place.kind);
    let shape = [1, 1, 1, a.len()];
    let kernel = op.rules().kernel(place, &[&shape, &shape]).unwrap();
    let inputs = [lay(a), lay(b)];
    let made = kernel.forward(&[&inputs[0], &inputs[1]]).unwrap();
    let saved = Saved { inputs: inputs.into(), outputs: vec![made.outputs[0].shallow_clone()], extra: made.extra };
    let grad_in = kernel.adjoint(&saved, vec![Some(lay(&vec![1.0; a.len()]).into())]).unwrap();
    let grad_in = grad_in.iter().map(|grad| grad.as_ref().map(|grad| numbers(&grad.tensor))).collect();
    (numbers(&made.outputs[0]), grad_in, kernel.bias(&saved).unwrap().map(|bias| numbers(&bias)))
}

#[test]
fn of_extremes_alike_the_first_wins() {
    for place in [F64, F32, BF16, F16] {
        for (largest, wanted) in [(true, [1.0, 1.0, 0.0]), (false, [1.0, 0.0, 1.0])] {
            let operands = Operands(vec![None, None]);
            let (_, grad_in, bias) = of_two(Extreme { largest, operands }, place, [&[2.0, 3.0, 4.0], &[2.0, 1.0, 5.0]]);
            assert_eq!(grad_in, [Some(wanted.to_vec()), Some(wanted.map(|w| 1.0 - w).to_vec())], "{place:?}");
            assert_eq!(bias, None);
        }
    }
}

#[test]
fn equal_numbers_are_equal_and_nothing_goes_back() {
    for place in [F64, F32, BF16, F16] {
        for (function, wanted) in [
            (Jumping::Equal, [1.0, 0.0, 0.0]),
            (Jumping::GreaterOrEqual, [1.0, 1.0, 0.0]),
            (Jumping::Greater, [0.0, 1.0, 0.0]),
            (Jumping::LessOrEqual, [1.0, 0.0, 1.0]),
            (Jumping::Less, [0.0, 0.0, 1.0]),
        ] {
            let steps = Steps { function, operands: Operands(vec![None, None]) };
            let found = of_two(steps, place, [&[2.0, 3.0, 0.0], &[2.0, 1.0, 0.5]]);
            assert_eq!(found, (wanted.to_vec(), vec![None, None], Some(wanted.to_vec())), "{function:?}");
        }
    }
}

#[test]
fn zero_is_false_and_any_other_number_true() {
    let truth = Steps { function: Jumping::Truth, operands: Operands(vec![None]) };
    let kernel = Op::from(truth).rules().kernel(F64, &[&[1, 4]]).unwrap();
    let x = tch::Tensor::from_slice(&[0.0, -0.0, 0.25, -3.0]).reshape([1, 4]);
    assert_eq!(numbers(&kernel.forward(&[&x]).unwrap().outputs[0]), [0.0, 0.0, 1.0, 1.0]);
}

/// Where(x > 0, x, 0) is written for a Relu: the condition's jump takes no gradient.
#[test]
fn a_choice_s_condition_has_no_gradient() {
    let operands = Operands(vec![None, None, Some(crate::network::graph::Constant::from_floats(vec![], vec![-1.0]))]);
    for place in [F64, F32, BF16, F16] {
        let found = of_two(Where { operands: operands.clone() }, place, [&[0.0, 1.0, 1.0], &[2.0, 3.0, 4.0]]);
        assert_eq!(found, (vec![-1.0, 3.0, 4.0], vec![None, Some(vec![0.0, 1.0, 1.0])], Some(vec![-1.0, 0.0, 0.0])));
    }
}
