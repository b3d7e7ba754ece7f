//! How tensors lie in memory. In a tensor (N, C, H, W) that is channels last, a pixel's channels are neighbours.

use tch::Tensor;

use crate::error::Result;

/// The same tensor (N, C, H, W), in memory (N, H, W, C).
pub fn channels_last(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?)
}

/// True where a tensor's four axes lie channels last without gaps.
pub fn is_channels_last(tensor: &Tensor) -> bool {
    let (size, stride) = (tensor.size(), tensor.stride());
    let [_, c, h, w] = size[..] else { return false };
    stride[..] == [c * h * w, 1, c * w, c]
}

/// The same tensor in memory of its own, laid out alike.
pub fn copied(tensor: &Tensor) -> Result<Tensor> {
    let mut copy = tensor.f_empty_like()?;
    copy.f_copy_(tensor)?;
    Ok(copy)
}

/// A view without its gaps: channels last where its channels are neighbours, row-major otherwise.
pub fn compact(view: &Tensor) -> Result<Tensor> {
    if view.dim() == 4 && view.stride()[1] == 1 { channels_last(view) } else { Ok(view.f_contiguous()?) }
}
