//! oneDNN's convolution with its activation in one call, by way of a small shim in C++ (`onednn.cpp`).

use std::ffi::{CStr, c_char, c_int, c_void};

use tch::Tensor;

use crate::error::{Error, Result};

unsafe extern "C" {
    fn gradcast_convolution_pointwise(
        x: *const c_void,
        weight: *const c_void,
        bias: *const c_void,
        padding: *const i64,
        stride: *const i64,
        dilation: *const i64,
        groups: i64,
        activation: *const c_char,
        bounds: *const f64,
        message: *mut c_char,
        room: usize,
    ) -> *mut c_void;
    fn gradcast_convolution_add(
        x: *const c_void,
        y: *const c_void,
        weight: *const c_void,
        bias: *const c_void,
        padding: *const i64,
        stride: *const i64,
        dilation: *const i64,
        groups: i64,
        rectified: c_int,
        message: *mut c_char,
        room: usize,
    ) -> *mut c_void;
    fn gradcast_reorder_convolution_weight(
        weight: *const c_void,
        padding: *const i64,
        stride: *const i64,
        dilation: *const i64,
        groups: i64,
        input_size: *const i64,
        message: *mut c_char,
        room: usize,
    ) -> *mut c_void;
}

/// What is done to a convolution's output before it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// Nothing.
    None,
    /// max(y, 0).
    Relu,
    /// min(max(y, low), high).
    Clip {
        /// Lower bound, finite.
        low: f64,
        /// Upper bound, finite.
        high: f64,
    },
}

/// Geometry of a convolution with the same border on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Border: rows, columns.
    pub padding: [i64; 2],
    /// Steps.
    pub stride: [i64; 2],
    /// Distance of the taps.
    pub dilation: [i64; 2],
    /// Channel groups.
    pub groups: i64,
}

/// y = act(conv(x) + bias). x (N, C, H, W) is channels last, f32 or bf16, on a processor; the weights come as they are, or from
/// [`reorder_weight`].
///
/// # Errors
/// Kind::Runtime with libtorch's message.
pub fn convolution(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, geometry: &Geometry, activation: Activation) -> Result<Tensor> {
    let (name, bounds) = match activation {
        Activation::None => (c"none", [0.0; 2]),
        Activation::Relu => (c"relu", [0.0; 2]),
        Activation::Clip { low, high } => (c"hardtanh", [low, high]),
    };
    // SAFETY: the tensors outlive the call, the arrays have the lengths that the shim reads.
    checked(|message, room| unsafe {
        gradcast_convolution_pointwise(
            x.as_ptr().cast(),
            weight.as_ptr().cast(),
            bias.map_or(std::ptr::null(), |bias| bias.as_ptr().cast()),
            geometry.padding.as_ptr(),
            geometry.stride.as_ptr(),
            geometry.dilation.as_ptr(),
            geometry.groups,
            name.as_ptr(),
            bounds.as_ptr(),
            message,
            room,
        )
    })
}

/// y = act(conv(x) + bias + y), y channels last; `rectified` tells whether act is max(y, 0) or nothing. Gives y, which shares the
/// memory. Otherwise as [`convolution`].
///
/// # Errors
/// Kind::Runtime with libtorch's message.
pub fn convolution_add(
    x: &Tensor,
    y: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    geometry: &Geometry,
    rectified: bool,
) -> Result<Tensor> {
    // SAFETY: as above.
    checked(|message, room| unsafe {
        gradcast_convolution_add(
            x.as_ptr().cast(),
            y.as_ptr().cast(),
            weight.as_ptr().cast(),
            bias.map_or(std::ptr::null(), |bias| bias.as_ptr().cast()),
            geometry.padding.as_ptr(),
            geometry.stride.as_ptr(),
            geometry.dilation.as_ptr(),
            geometry.groups,
            c_int::from(rectified),
            message,
            room,
        )
    })
}

/// The weights (O, I / groups, kh, kw) in the layout that oneDNN chooses for inputs of this size (N, C, H, W).
///
/// # Errors
/// Kind::Runtime with libtorch's message.
pub fn reorder_weight(weight: &Tensor, geometry: &Geometry, input_size: [i64; 4]) -> Result<Tensor> {
    // SAFETY: as above.
    checked(|message, room| unsafe {
        gradcast_reorder_convolution_weight(
            weight.as_ptr().cast(),
            geometry.padding.as_ptr(),
            geometry.stride.as_ptr(),
            geometry.dilation.as_ptr(),
            geometry.groups,
            input_size.as_ptr(),
            message,
            room,
        )
    })
}

fn checked(call: impl FnOnce(*mut c_char, usize) -> *mut c_void) -> Result<Tensor> {
    let mut message = [0u8; 512];
    let tensor = call(message.as_mut_ptr().cast(), message.len());
    if tensor.is_null() {
        let text = CStr::from_bytes_until_nul(&message).map(CStr::to_string_lossy).unwrap_or_default();
        return Err(Error::runtime(format!("oneDNN: {}", text.lines().next().unwrap_or("unknown fault"))));
    }
    // SAFETY: the shim gives a tensor of its own making, which the Tensor frees.
    Ok(unsafe { Tensor::from_ptr(tensor.cast()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn it_agrees_with_the_convolution_and_the_activation_apart() {
        tch::manual_seed(3);
        let geometry = Geometry { padding: [1, 1], stride: [2, 2], dilation: [1, 1], groups: 2 };
        let x = Tensor::randn([2, 8, 9, 11], (Kind::Float, Device::Cpu)).permute([0, 1, 2, 3]);
        let x = x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let weight = Tensor::randn([6, 4, 3, 3], (Kind::Float, Device::Cpu));
        let bias = Tensor::randn([6], (Kind::Float, Device::Cpu));
        let plain = x.conv2d(&weight, Some(&bias), [2, 2], [1, 1], [1, 1], 2);
        let laid_out = reorder_weight(&weight, &geometry, [2, 8, 9, 11]).expect("weights");
        let cases = [
            (Activation::None, plain.shallow_clone()),
            (Activation::Relu, plain.relu()),
            (Activation::Clip { low: -0.5, high: 1.0 }, plain.clamp(-0.5, 1.0)),
        ];
        for (activation, expected) in cases {
            for weight in [&weight, &laid_out] {
                let y = convolution(&x, weight, Some(&bias), &geometry, activation).expect("a result");
                let error = (y - &expected).abs().max().double_value(&[]);
                assert!(error < 1e-5, "{activation:?} is off by {error}");
            }
        }
    }

    #[test]
    fn a_convolution_is_added_in_place() {
        tch::manual_seed(4);
        let geometry = Geometry { padding: [0, 0], stride: [1, 1], dilation: [1, 1], groups: 1 };
        let last = |size: [i64; 4]| Tensor::randn(size, (Kind::Float, Device::Cpu)).permute([0, 3, 1, 2]);
        let (x, weight) = (last([2, 5, 7, 8]), Tensor::randn([6, 8, 1, 1], (Kind::Float, Device::Cpu)));
        for rectified in [false, true] {
            let y = last([2, 5, 7, 6]);
            let plain = x.conv2d(&weight, None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1) + &y;
            let found = convolution_add(&x, &y, &weight, None, &geometry, rectified).expect("a result");
            let expected = if rectified { plain.relu() } else { plain };
            assert!((&found - &expected).abs().max().double_value(&[]) < 1e-5);
            assert_eq!(found.data_ptr(), y.data_ptr());
        }
    }

    #[test]
    fn a_fault_is_an_error() {
        let geometry = Geometry { padding: [0, 0], stride: [1, 1], dilation: [1, 1], groups: 1 };
        let x = Tensor::zeros([1, 3, 4, 4], (Kind::Float, Device::Cpu));
        let weight = Tensor::zeros([2, 5, 3, 3], (Kind::Float, Device::Cpu));
        assert!(convolution(&x, &weight, None, &geometry, Activation::None).is_err());
    }
}
