//! The adjoint of a strided convolution as one convolution of stride one, whose outputs are spread over the pixels.
//!
//! With stride s, border p and kernel k, pixel i of grad_in gets w[t] g[o] for all s o + t - p = i. Let i + p = s q + r with 0 <= r < s:
//! then t = s m + r and o = q - m. For each phase r that is a convolution over g with the ceil(k / s) taps w[s m + r]; all phases together
//! are one convolution with a set of channels a phase. Taps beyond the kernel are zeros, which is wasted work unless s divides k.

use half::bf16;
use tch::{Kind, Tensor};

use super::reduce::{elements, elements_mut};
use crate::error::Result;
use crate::network::graph::Constant;
use crate::network::kernels::{Element, PhaseAxis, spread};
use crate::network::memory;
use crate::network::op::Gradient;
use crate::network::ops::Conv;

/// Output channels up to which zero taps are paid for: oneDNN's own adjoints are slow for so few.
const FEW_CHANNELS: usize = 64;

/// Where the values of the convolution of stride one go.
pub struct Phases {
    rows: PhaseAxis,
    columns: PhaseAxis,
    /// Of x.
    channels: usize,
    /// Taps on each axis.
    taps: [usize; 2],
}

impl Phases {
    /// For a strided convolution whose x has this size and y that; `None` where another way is better.
    pub fn of(conv: &Conv, input: [usize; 2], output: [usize; 2]) -> Option<Self> {
        let w = &conv.window;
        if w.strides == [1, 1] || w.dilations != [1, 1] || conv.groups != 1 {
            return None;
        }
        let taps = [0, 1].map(|i| w.kernel[i].div_ceil(w.strides[i]));
        let axis = |i: usize| PhaseAxis {
            fine: input[i],
            coarse: output[i] + taps[i] - 1,
            stride: w.strides[i],
            phases: w.strides[i].min(w.kernel[i]),
            pad: w.pads_begin[i],
        };
        let (rows, columns) = (axis(0), axis(1));
        let channels = conv.weight.shape[1];
        let exact = rows.phases * taps[0] == w.kernel[0] && columns.phases * taps[1] == w.kernel[1];
        (exact || rows.phases * columns.phases * channels <= FEW_CHANNELS).then_some(Phases { rows, columns, channels, taps })
    }

    /// Weights of the convolution of stride one: (row phase, column phase and channel of x; channel of y; taps).
    pub fn weight(&self, conv: &Conv) -> Constant {
        let [outputs, inputs, rows, columns] = conv.weight.shape[..] else { unreachable!("a convolution's weights have four axes") };
        let values = conv.weight.floats().expect("a convolution's weights are floating point");
        let phases = [self.rows.phases, self.columns.phases];
        let mut turned = Vec::with_capacity(phases[0] * phases[1] * values.len());
        for (row_phase, column_phase) in (0..phases[0]).flat_map(|row| (0..phases[1]).map(move |column| (row, column))) {
            for (input, output) in (0..inputs).flat_map(|input| (0..outputs).map(move |output| (input, output))) {
                for (y, x) in (0..self.taps[0]).rev().flat_map(|y| (0..self.taps[1]).rev().map(move |x| (y, x))) {
                    let (row, column) = (self.rows.stride * y + row_phase, self.columns.stride * x + column_phase);
                    let inside = row < rows && column < columns;
                    turned.push(if inside { values[((output * inputs + input) * rows + row) * columns + column] } else { 0.0 });
                }
            }
        }
        Constant::from_floats(vec![phases[0] * phases[1] * inputs, outputs, self.taps[0], self.taps[1]], turned)
    }

    /// Its border.
    pub fn padding(&self) -> [i64; 2] {
        self.taps.map(|taps| taps as i64 - 1)
    }

    /// grad_in (N, C, H, W) from what that convolution makes of grad_out, added to `sum` where there is one.
    pub fn gather(&self, coarse: &Tensor, sum: Option<Gradient>) -> Result<Tensor> {
        let coarse = memory::channels_last(coarse)?;
        let size = [coarse.size()[0], self.rows.fine as i64, self.columns.fine as i64, self.channels as i64];
        let mut fine = match sum {
            Some(sum) => {
                let laid_out = memory::channels_last(&sum.tensor)?;
                if sum.shared && laid_out.data_ptr() == sum.tensor.data_ptr() { memory::copied(&laid_out)? } else { laid_out }
            }
            None => Tensor::f_zeros(size, (coarse.kind(), coarse.device()))?.f_permute([0, 3, 1, 2])?,
        };
        // SAFETY: both are channels last without gaps and of the storage type; fine's memory is nobody else's.
        unsafe {
            match coarse.kind() {
                Kind::BFloat16 => self.spread(elements::<bf16>(&coarse), elements_mut(&mut fine)),
                _ => self.spread(elements::<f32>(&coarse), elements_mut(&mut fine)),
            }
        }
        Ok(fine)
    }

    fn spread<E: Element>(&self, coarse: &[E], fine: &mut [E]) {
        let (rows, columns) = (self.rows, self.columns);
        let image = rows.fine * columns.fine * self.channels;
        let from = rows.coarse * columns.coarse * rows.phases * columns.phases * self.channels;
        for (coarse, fine) in coarse.chunks_exact(from).zip(fine.chunks_exact_mut(image)) {
            spread(coarse, fine, rows, columns, self.channels);
        }
    }
}
