//! Gauss and Legendre's quadrature on 0..=1.

/// Nodes and weights: the integral of g over 0..=1 is about the sum of weight * g(node), exactly so for polynomials of degree up to
/// 2 `count` - 1. The nodes are the zeros of Legendre's polynomial, by Newton's iteration from Tricomi's first guess.
pub fn gauss_legendre(count: usize) -> Vec<(f64, f64)> {
    (0..count)
        .map(|index| {
            let mut x = (std::f64::consts::PI * (index as f64 + 0.75) / (count as f64 + 0.5)).cos();
            let mut slope = 1.0;
            // Converges quadratically; the first guess is good to a few digits.
            for _ in 0..10 {
                let value;
                (value, slope) = legendre(count, x);
                x -= value / slope;
            }
            let weight = 2.0 / ((1.0 - x * x) * slope * slope);
            ((1.0 - x) / 2.0, weight / 2.0)
        })
        .collect()
}

/// Legendre's polynomial of this degree and its derivative, inside -1..1.
fn legendre(degree: usize, x: f64) -> (f64, f64) {
    let (mut before, mut now) = (1.0, x);
    for k in 2..=degree {
        let k = k as f64;
        (before, now) = (now, ((2.0 * k - 1.0) * x * now - (k - 1.0) * before) / k);
    }
    (now, degree as f64 * (x * now - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_integrated_exactly() {
        for count in [1, 2, 3, 8, 32, 101] {
            let points = gauss_legendre(count);
            assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0));
            for power in 0..(2 * count).min(60) {
                let integral: f64 = points.iter().map(|(node, weight)| weight * node.powi(power as i32)).sum();
                assert!((integral - 1.0 / (power as f64 + 1.0)).abs() < 1e-13, "{count} points, x^{power}: {integral}");
            }
        }
    }
}
