//! What can be wrong with a frame's numbers: it marks the frame and ends nothing.

use std::fmt;

/// A numeric fault of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The value, a term or the map holds a NaN.
    Nan,
    /// The value, a term or the map is infinite somewhere.
    Infinite,
    /// All is finite, and the completeness residual is above its bound.
    Residual,
}

impl Fault {
    /// The fault of a frame whose value, terms and map are `numbers`, if it has one.
    pub(super) fn of(numbers: impl Iterator<Item = f64>, residual: f64, max_residual: f64) -> Option<Self> {
        let (mut nan, mut infinite) = (false, false);
        for number in numbers {
            nan |= number.is_nan();
            infinite |= number.is_infinite();
        }
        match () {
            () if nan => Some(Fault::Nan),
            () if infinite || residual.is_infinite() => Some(Fault::Infinite),
            () if residual.is_nan() => Some(Fault::Nan),
            () if residual > max_residual => Some(Fault::Residual),
            () => None,
        }
    }

    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Nan => "nan",
            Fault::Infinite => "infinite",
            Fault::Residual => "residual",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Nan => "its numbers are NaN",
            Fault::Infinite => "its numbers are infinite",
            Fault::Residual => "its completeness residual is above the bound",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_told() {
        let fault = |numbers: &[f64], residual| Fault::of(numbers.iter().copied(), residual, 0.1);
        assert_eq!(fault(&[1.0, -2.0], 0.1), None);
        assert_eq!(fault(&[1.0, -2.0], 0.11), Some(Fault::Residual));
        assert_eq!(fault(&[1.0, f64::INFINITY], f64::NAN), Some(Fault::Infinite));
        assert_eq!(fault(&[f64::NEG_INFINITY, f64::NAN], 0.0), Some(Fault::Nan));
        assert_eq!(fault(&[1.0], f64::NAN), Some(Fault::Nan));
    }
}
