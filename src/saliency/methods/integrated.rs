//! Integrated Gradients (Sundararajan, Taly and Yan, ICML 2017) from a baseline of zeros: the input that the network's own
//! normalisation calls the mean, a grey picture.
//!
//! a = x * integral over t in 0..=1 of df/dx at t x;  S = |sum over c of a_c|;  sum of a = f(x) - f(0)

use tch::{Device, Kind, Tensor};

use super::copies::{Copies, accumulate, groups};
use super::input_gradient::{InputGradient, contribution};
use super::smooth::nothing;
use super::{Found, Sums};
use crate::error::Result;
use crate::saliency::method::Sampling;
use crate::saliency::quadrature::gauss_legendre;

/// The attribution of one picture (1, C, H, W), whose f is `value`, (1,). The sums are those of a and f(0).
pub fn integrated_gradients(mut copies: Copies, picture: &Tensor, value: &Tensor, sampling: &Sampling) -> Result<Found> {
    let [_, _, rows, columns] = picture.size()[..] else { unreachable!("a picture has four axes") };
    let plan = copies.plan;
    let points = gauss_legendre(sampling.steps.get());
    let mut integral = None;
    let mut sites = plan.sites().len();
    for (first, count) in groups(points.len()) {
        let numbers = |of: fn(&(f64, f64)) -> f64, kind: Kind| -> Result<Tensor> {
            let column: Vec<f64> = points[first..first + count].iter().map(of).collect();
            Ok(Tensor::f_from_slice(&column)?.f_to_kind(kind)?.f_view([-1, 1, 1, 1])?)
        };
        let x = picture.f_mul(&numbers(|(node, _)| *node, picture.kind())?.f_to_device(picture.device())?)?;
        let mut sink = InputGradient::new(plan.sites(), count, plan.place().kind, false);
        if let (_, Some(_)) = copies.pass(&x, &mut sink)? {
            sites = plan.sites().len() + 1;
        }
        if let Some(gradient) = sink.attribution() {
            let weights = numbers(|(_, weight)| *weight, gradient.kind())?.f_to_device(gradient.device())?;
            integral = accumulate(integral, &gradient.f_mul(&weights)?)?;
        }
    }
    let baseline = copies.value(&picture.f_zeros_like()?)?;
    let (map, input_term) = match integral {
        Some(integral) => {
            let attribution = picture.f_to_device(integral.device())?.f_to_kind(integral.kind())?.f_mul(&integral)?;
            let sum = attribution.f_sum_dim_intlist([1, 2, 3].as_slice(), false, Kind::Double)?;
            (contribution(&attribution)?, sum)
        }
        None => (nothing(rows, columns, value)?, value.f_zeros_like()?),
    };
    let magnitude = input_term.f_abs()?.f_add(&baseline.f_abs()?)?;
    // Nodes have no terms here: what is not the input's is the baseline's.
    let others = Tensor::f_zeros([1, sites as i64 - 1], (Kind::Double, Device::Cpu))?;
    let terms = Tensor::f_cat(&[input_term.f_to_device(Device::Cpu)?.f_unsqueeze(1)?, others], 1)?;
    Ok(Found { map, sums: Sums { input_term, bias_term_total: baseline, magnitude }, terms, whole: value.shallow_clone() })
}
