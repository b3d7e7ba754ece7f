//! Gaussian noise by counter: a number depends on the seed, the copy and the place in the input, and on nothing else. So every picture
//! gets the same noise, whatever its neighbours in a batch, and every frame of a video too, which keeps maps from flickering.

use std::cell::RefCell;

use tch::{Kind, Tensor};

use crate::error::Result;

/// Bytes of noise that are kept from picture to picture; what goes beyond is made anew.
const KEPT_BYTES: usize = 32 << 20;

/// Standard normal numbers for the copies of a picture.
pub struct Noise {
    seed: u64,
    /// Of the first copies, in their order.
    kept: RefCell<Vec<Tensor>>,
}

impl Noise {
    /// Another seed gives other numbers.
    pub fn new(seed: u64) -> Self {
        Noise { seed, kept: RefCell::default() }
    }

    /// The numbers of a copy, in this shape, in f64. All calls on one `Noise` ask for one shape.
    pub fn copy(&self, copy: usize, shape: &[i64]) -> Result<Tensor> {
        if let Some(noise) = self.kept.borrow().get(copy) {
            return Ok(noise.shallow_clone());
        }
        let values = normals(self.seed, copy as u64, shape.iter().product::<i64>() as usize);
        let noise = Tensor::f_from_slice(&values)?.f_view(shape)?;
        let mut kept = self.kept.borrow_mut();
        if kept.len() == copy && (copy + 1) * values.len() * size_of::<f64>() <= KEPT_BYTES {
            kept.push(noise.shallow_clone());
        }
        Ok(noise)
    }
}

/// Independent standard normal numbers, by Box and Muller's transform of two uniform ones.
fn normals(seed: u64, copy: u64, count: usize) -> Vec<f64> {
    let key = mixed(mixed(seed) ^ copy);
    let uniform = |at: u64| ((mixed(key.wrapping_add(at.wrapping_mul(GOLDEN))) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    let mut values = Vec::with_capacity(count + 1);
    for pair in 0..count.div_ceil(2) as u64 {
        let radius = (-2.0 * uniform(2 * pair).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * uniform(2 * pair + 1)).sin_cos();
        values.extend([radius * cosine, radius * sine]);
    }
    values.truncate(count);
    values
}

/// 2^64 over the golden ratio, odd: its multiples spread over all 64 bits.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finaliser (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(GOLDEN);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Copies `first..first + count` of a picture (1, C, H, W) with noise of this standard deviation as a share of the picture's range; in
/// the picture's kind.
pub fn noisy(noise: &Noise, picture: &Tensor, share: f64, first: usize, count: usize) -> Result<Tensor> {
    let wide = picture.f_to_kind(Kind::Double)?;
    let range = wide.f_max()?.f_sub(&wide.f_min()?)?.f_double_value(&[])?;
    let size = wide.size();
    let copies: Vec<Tensor> = (first..first + count)
        .map(|copy| Ok(noise.copy(copy, &size)?.f_mul_scalar(share * range)?.f_to_device(wide.device())?.f_add(&wide)?))
        .collect::<Result<_>>()?;
    Ok(Tensor::f_cat(&copies, 0)?.f_to_kind(picture.kind())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_standard_normal_and_independent() {
        let count = 200_000;
        let [a, b, c] = [(0, 0), (0, 1), (1, 0)].map(|(seed, copy)| normals(seed, copy, count));
        let mean = |of: &dyn Fn(usize) -> f64| (0..count).map(of).sum::<f64>() / count as f64;
        for x in [&a, &b, &c] {
            // Five standard errors each.
            assert!(mean(&|i| x[i]).abs() < 0.0112);
            assert!((mean(&|i| x[i] * x[i]) - 1.0).abs() < 0.0158);
            assert!(mean(&|i| x[i].powi(3)).abs() < 0.0433);
            assert!((mean(&|i| x[i].powi(4)) - 3.0).abs() < 0.1096);
            assert!(mean(&|i| x[i] * x[(i + 1) % count]).abs() < 0.0112);
        }
        for (x, y) in [(&a, &b), (&a, &c), (&b, &c)] {
            assert!(mean(&|i| x[i] * y[i]).abs() < 0.0112);
        }
        assert_eq!(normals(7, 3, 5)[..4], normals(7, 3, 4)[..]);
    }

    #[test]
    fn what_is_kept_is_what_would_be_made() {
        let (noise, shape) = (Noise::new(5), [1, 2, 3, 3]);
        let late = noise.copy(1, &shape).expect("noise");
        let first = noise.copy(0, &shape).expect("noise");
        assert_eq!(noise.kept.borrow().len(), 1);
        assert!(noise.copy(0, &shape).expect("noise").equal(&first) && noise.copy(1, &shape).expect("noise").equal(&late));
        assert!(!first.equal(&late));
    }
}
