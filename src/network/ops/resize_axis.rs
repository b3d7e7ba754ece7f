//! One axis of a Resize: where an output lies among the inputs, and how those around are weighed. After ONNX's definition.

/// Which input position an output position lies at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Coordinates {
    HalfPixel,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    HalfPixelSymmetric,
}

/// Which input is nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Nearest {
    RoundPreferFloor,
    RoundPreferCeil,
    Floor,
    Ceil,
}

/// How the inputs around a position are weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub enum Method {
    Nearest(Nearest),
    Linear,
    /// Keys' cubic with the parameter a; `exclude_outside`: taps outside get no weight, instead of the border's pixel.
    Cubic {
        a: f64,
        exclude_outside: bool,
    },
}

/// The weights (output, input), row-major.
pub fn weights(input: usize, output: usize, scale: f64, coordinates: Coordinates, method: Method) -> Vec<f64> {
    let mut matrix = vec![0.0; output * input];
    for (at, row) in matrix.chunks_exact_mut(input).enumerate() {
        let x = position(at as f64, input as f64, output as f64, scale, coordinates);
        match method {
            Method::Nearest(mode) => row[clamped(nearest(x, mode), input)] = 1.0,
            Method::Linear => {
                let before = x.floor();
                let behind = x - before;
                row[clamped(before, input)] += 1.0 - behind;
                row[clamped(before + 1.0, input)] += behind;
            }
            Method::Cubic { a, exclude_outside } => {
                let before = x.floor();
                let inside = |tap: f64| (0.0..input as f64).contains(&tap);
                let taps = [-1.0, 0.0, 1.0, 2.0].map(|offset| before + offset);
                let each = taps.map(|tap| if exclude_outside && !inside(tap) { 0.0 } else { cubic((x - tap).abs(), a) });
                let whole: f64 = if exclude_outside { each.iter().sum() } else { 1.0 };
                for (tap, weight) in taps.into_iter().zip(each) {
                    row[clamped(tap, input)] += weight / whole;
                }
            }
        }
    }
    matrix
}

fn position(at: f64, input: f64, output: f64, scale: f64, coordinates: Coordinates) -> f64 {
    let half = (at + 0.5) / scale - 0.5;
    match coordinates {
        Coordinates::HalfPixel => half,
        Coordinates::PytorchHalfPixel => {
            if output > 1.0 {
                half
            } else {
                0.0
            }
        }
        Coordinates::AlignCorners => {
            if output > 1.0 {
                at * (input - 1.0) / (output - 1.0)
            } else {
                0.0
            }
        }
        Coordinates::Asymmetric => at / scale,
        Coordinates::HalfPixelSymmetric => input / 2.0 * (1.0 - output / (scale * input)) + half,
    }
}

fn nearest(x: f64, mode: Nearest) -> f64 {
    match mode {
        Nearest::RoundPreferFloor => (x - 0.5).ceil(),
        Nearest::RoundPreferCeil => (x + 0.5).floor(),
        Nearest::Floor => x.floor(),
        Nearest::Ceil => x.ceil(),
    }
}

fn clamped(at: f64, size: usize) -> usize {
    (at.max(0.0) as usize).min(size - 1)
}

fn cubic(distance: f64, a: f64) -> f64 {
    let d = distance;
    if d <= 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    fn resized(x: &Tensor, size: [usize; 2], coordinates: Coordinates, method: Method) -> Tensor {
        let matrix = |i: usize| {
            let (from, to) = (x.size()[2 + i] as usize, size[i]);
            Tensor::from_slice(&weights(from, to, to as f64 / from as f64, coordinates, method)).view([to as i64, from as i64])
        };
        matrix(0).matmul(&x.matmul(&matrix(1).tr()))
    }

    #[test]
    fn it_is_libtorch_s_interpolation() {
        let x = Tensor::rand([1, 2, 5, 7], (Kind::Double, Device::Cpu));
        for (rows, columns) in [(10, 14), (3, 4), (8, 5), (5, 7), (1, 1)] {
            let out = [rows as i64, columns as i64];
            let cubic = Method::Cubic { a: -0.75, exclude_outside: false };
            let cases = [
                (Coordinates::Asymmetric, Method::Nearest(Nearest::Floor), x.upsample_nearest2d(out, None, None)),
                (Coordinates::AlignCorners, Method::Linear, x.upsample_bilinear2d(out, true, None, None)),
                (Coordinates::HalfPixel, Method::Linear, x.upsample_bilinear2d(out, false, None, None)),
                (Coordinates::AlignCorners, cubic, x.upsample_bicubic2d(out, true, None, None)),
                (Coordinates::HalfPixel, cubic, x.upsample_bicubic2d(out, false, None, None)),
            ];
            for (coordinates, method, wanted) in cases {
                let off = (resized(&x, [rows, columns], coordinates, method) - wanted).abs().max().double_value(&[]);
                assert!(off < 1e-12, "{coordinates:?} {method:?} to {rows} x {columns} is off by {off:e}");
            }
        }
    }

    #[test]
    fn halves_go_where_they_are_told() {
        let row = |mode| weights(4, 2, 0.5, Coordinates::HalfPixel, Method::Nearest(mode)).iter().position(|&w| w == 1.0);
        assert_eq!(
            [Nearest::RoundPreferFloor, Nearest::RoundPreferCeil, Nearest::Floor, Nearest::Ceil].map(row),
            [Some(0), Some(1), Some(0), Some(1)]
        );
    }
}
