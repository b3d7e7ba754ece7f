//! The sliding window of convolutions and pools, as ONNX writes it: kernel, strides, dilations, pads, auto_pad.

use tch::Tensor;

use crate::error::Result as TensorResult;
use crate::network::memory;
use crate::network::op::Shape;
use crate::network::reading::Reading;

/// A two-axis window; each array is (rows, columns).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Steps.
    pub strides: [usize; 2],
    /// Distance of the kernel's taps.
    pub dilations: [usize; 2],
    /// Border added at the top and left.
    pub pads_begin: [usize; 2],
    /// Border added at the bottom and right.
    pub pads_end: [usize; 2],
    /// Whether the last, partial window counts (pools only).
    pub ceil: bool,
}

fn pair(reading: &Reading, name: &str) -> Result<[usize; 2], String> {
    match reading.ints(name)? {
        None => Ok([1, 1]),
        Some(values) => match values.as_slice() {
            &[a, b] if (1..=4096).contains(&a) && (1..=4096).contains(&b) => Ok([a as usize, b as usize]),
            _ => Err(format!(
                "attribute {name} is {values:?}; two numbers from 1 to 4096 are expected (only two spatial axes are supported)"
            )),
        },
    }
}

impl Window {
    /// Reads the attributes; `kernel` is the weights' where they tell it, `input` the shape of the activation.
    pub fn read(reading: &Reading, kernel: Option<[usize; 2]>, input: &[usize]) -> Result<Self, String> {
        let mut window = Self::without_pads(reading, kernel, input)?;
        let auto = reading.text("auto_pad", "NOTSET")?;
        match auto.as_str() {
            "NOTSET" => window.read_pads(reading)?,
            "VALID" => {}
            "SAME_UPPER" | "SAME_LOWER" => window.pad_to_same(&[input[2], input[3]], auto == "SAME_LOWER"),
            other => return Err(format!("attribute auto_pad is {other:?}; NOTSET, VALID, SAME_UPPER or SAME_LOWER is expected")),
        }
        Ok(window)
    }

    /// As [`Window::read`], with no pads.
    pub fn without_pads(reading: &Reading, kernel: Option<[usize; 2]>, input: &[usize]) -> Result<Self, String> {
        if input.len() != 4 {
            return Err(format!("the input has {} axes; only (N, C, H, W) is supported", input.len()));
        }
        let stated = reading.ints("kernel_shape")?.is_some();
        let ceil = kernel.is_none() && reading.int("ceil_mode", 0)? != 0;
        let kernel = match (kernel, stated) {
            (Some(kernel), false) => kernel,
            (None, false) => return Err("attribute kernel_shape is missing".to_owned()),
            (weights, true) => {
                let stated = pair(reading, "kernel_shape")?;
                if weights.is_some_and(|weights| weights != stated) {
                    return Err(format!("attribute kernel_shape is {stated:?}, the weights have {:?}", weights.unwrap_or_default()));
                }
                stated
            }
        };
        let (strides, dilations) = (pair(reading, "strides")?, pair(reading, "dilations")?);
        Ok(Window { kernel, strides, dilations, pads_begin: [0; 2], pads_end: [0; 2], ceil })
    }

    /// Reads the attribute pads.
    pub fn read_pads(&mut self, reading: &Reading) -> Result<(), String> {
        let Some(pads) = reading.ints("pads")? else { return Ok(()) };
        match pads.as_slice() {
            &[top, left, bottom, right] if pads.iter().all(|p| (0..=4096).contains(p)) => {
                self.pads_begin = [top as usize, left as usize];
                self.pads_end = [bottom as usize, right as usize];
                Ok(())
            }
            _ => Err(format!("attribute pads is {pads:?}; four numbers from 0 to 4096 are expected")),
        }
    }

    /// Output size ceil(input / stride), the odd pixel of the border after (upper) or before (lower).
    fn pad_to_same(&mut self, input: &[usize; 2], lower: bool) {
        for (i, &size) in input.iter().enumerate() {
            let output = size.div_ceil(self.strides[i]);
            let total = ((output - 1) * self.strides[i] + self.reach(i)).saturating_sub(size);
            let (less, more) = (total / 2, total - total / 2);
            (self.pads_begin[i], self.pads_end[i]) = if lower { (more, less) } else { (less, more) };
        }
    }

    /// Pixels that the dilated kernel spans on axis `i`.
    pub fn reach(&self, i: usize) -> usize {
        self.dilations[i] * (self.kernel[i] - 1) + 1
    }

    /// Refuses a border that makes the activation larger than memory should hold.
    pub fn check_border(&self, shape: [usize; 3]) -> Result<(), String> {
        let [channels, rows, columns] = shape;
        let padded = [rows, columns].into_iter().enumerate().map(|(i, size)| size + self.pads_begin[i] + self.pads_end[i]);
        match padded.clone().try_fold(channels, |product, size| product.checked_mul(size)) {
            Some(elements) if elements <= MAX_PADDED_ELEMENTS => Ok(()),
            _ => Err(format!(
                "with its border an image is {channels} x {:?}, over the limit of {MAX_PADDED_ELEMENTS} elements",
                padded.collect::<Vec<_>>()
            )),
        }
    }

    /// Rows and columns of the output.
    pub fn output(&self, input: [usize; 2]) -> Result<[usize; 2], String> {
        let mut output = [0; 2];
        for i in 0..2 {
            let padded = input[i] + self.pads_begin[i] + self.pads_end[i];
            let room = padded.checked_sub(self.reach(i)).ok_or_else(|| {
                format!("a kernel that spans {:?} does not fit into a padded input of {padded} on axis {}", self.reach(i), i + 2)
            })?;
            output[i] = if self.ceil { room.div_ceil(self.strides[i]) } else { room / self.strides[i] } + 1;
            // A window that would start in the border after the picture does not count.
            if self.ceil && (output[i] - 1) * self.strides[i] >= input[i] + self.pads_begin[i] {
                output[i] -= 1;
            }
        }
        Ok(output)
    }

    /// Refuses windows on axis `i` that see nothing but border: they have no largest element.
    pub fn check_windows(&self, i: usize, input: usize, output: usize) -> Result<(), String> {
        let sees = |window: usize| {
            let start = window * self.strides[i];
            // The first tap that is behind the border at the beginning.
            let first = self.pads_begin[i].saturating_sub(start).div_ceil(self.dilations[i]);
            first < self.kernel[i] && start + first * self.dilations[i] < self.pads_begin[i] + input
        };
        match (0..output).find(|&window| !sees(window)) {
            Some(window) => Err(format!("window {window} sees nothing but border on the {input}")),
            None => Ok(()),
        }
    }

    /// True where the border is the same on both sides.
    pub fn symmetric(&self) -> bool {
        self.pads_begin == self.pads_end
    }

    /// The border as `constant_pad_nd` takes it: left, right, top, bottom.
    pub fn border(&self) -> [i64; 4] {
        [self.pads_begin[1], self.pads_end[1], self.pads_begin[0], self.pads_end[0]].map(|p| p as i64)
    }
}

/// A pair as libtorch takes it.
pub fn ints(pair: [usize; 2]) -> [i64; 2] {
    pair.map(|v| v as i64)
}

/// Most elements of an activation with its border laid on: 2^28, a gigabyte of f32.
const MAX_PADDED_ELEMENTS: usize = 1 << 28;

/// The output shape of a pool.
pub fn pooled(window: &Window, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
    let &[&[batch, channels, rows, columns]] = inputs else {
        return Err("one input (N, C, H, W) is expected".to_owned());
    };
    window.check_border([channels, rows, columns])?;
    let [rows, columns] = window.output([rows, columns])?;
    Ok(vec![vec![batch, channels, rows, columns]])
}

/// Takes an explicit border off a gradient.
pub fn cropped(grad: Tensor, explicit: Option<[i64; 4]>, input: [usize; 2]) -> TensorResult<Tensor> {
    let Some([left, _, top, _]) = explicit else { return Ok(grad) };
    let view = grad.f_narrow(2, top, input[0] as i64)?.f_narrow(3, left, input[1] as i64)?;
    memory::compact(&view)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(kernel: usize, stride: usize, pads: (usize, usize), ceil: bool) -> Window {
        let (strides, dilations) = ([stride; 2], [1; 2]);
        Window { kernel: [kernel; 2], strides, dilations, pads_begin: [pads.0; 2], pads_end: [pads.1; 2], ceil }
    }

    #[test]
    fn output_sizes() {
        assert_eq!(window(3, 2, (0, 1), false).output([224, 224]), Ok([112, 112]));
        assert_eq!(window(3, 2, (0, 0), true).output([16, 15]), Ok([8, 7]));
        // The last window would start in the border: torch and ONNX leave it out.
        assert_eq!(window(2, 2, (0, 1), true).output([4, 4]), Ok([2, 2]));
        assert!(window(5, 1, (0, 0), false).output([4, 4]).is_err());
    }

    #[test]
    fn same_puts_the_odd_pixel_where_it_is_told() {
        let mut upper = window(3, 2, (0, 0), false);
        upper.pad_to_same(&[224, 224], false);
        assert_eq!((upper.pads_begin, upper.pads_end), ([0; 2], [1; 2]));
        let mut lower = window(3, 2, (0, 0), false);
        lower.pad_to_same(&[224, 224], true);
        assert_eq!((lower.pads_begin, lower.pads_end), ([1; 2], [0; 2]));
    }
}
