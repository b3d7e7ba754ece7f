//! DepthToSpace, channels to blocks of pixels, and SpaceToDepth, its inverse.
//!
//! Permutations: the bias is zero, and the adjoint of each is its inverse.

use tch::Tensor;

use crate::error::Result;
use crate::network::memory;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;

/// Blocks of pixels and the channels that hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepthToSpace {
    /// Rows and columns of a block.
    pub block: usize,
    /// True where a block's pixels are the innermost of the channels (mode CRD), false where they are the outermost (DCR).
    pub innermost: bool,
    /// True for SpaceToDepth.
    pub inverse: bool,
}

impl DepthToSpace {
    /// Reads an ONNX DepthToSpace.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let mode = reading.text("mode", "DCR")?;
        if mode != "DCR" && mode != "CRD" {
            return Err(format!("attribute mode is {mode:?}; DCR or CRD is expected"));
        }
        Ok(DepthToSpace { block: block(reading)?, innermost: mode == "CRD", inverse: false })
    }

    /// Reads an ONNX SpaceToDepth.
    pub fn read_inverse(reading: &Reading) -> Result<Self, String> {
        Ok(DepthToSpace { block: block(reading)?, innermost: false, inverse: true })
    }

    /// Channels to pixels.
    fn spread(&self, x: &Tensor) -> Result<Tensor> {
        let [n, c, h, w] = x.size()[..] else { unreachable!("shapes() has looked") };
        let b = self.block as i64;
        let depth = c / (b * b);
        let (split, order) = if self.innermost { ([n, depth, b, b, h, w], [0, 1, 4, 2, 5, 3]) } else { ([n, b, b, depth, h, w], [0, 3, 4, 1, 5, 2]) };
        Ok(x.f_reshape(split)?.f_permute(order)?.f_reshape([n, depth, h * b, w * b])?)
    }

    /// Pixels to channels.
    fn stack(&self, y: &Tensor) -> Result<Tensor> {
        let [n, depth, rows, columns] = y.size()[..] else { unreachable!("shapes() has looked") };
        let b = self.block as i64;
        let order = if self.innermost { [0, 1, 3, 5, 2, 4] } else { [0, 3, 5, 1, 2, 4] };
        Ok(y.f_reshape([n, depth, rows / b, b, columns / b, b])?.f_permute(order)?.f_reshape([n, depth * b * b, rows / b, columns / b])?)
    }
}

fn block(reading: &Reading) -> Result<usize, String> {
    reading.activation(0)?;
    let size = reading.int("blocksize", 0)?;
    usize::try_from(size).ok().filter(|size| (1..=4096).contains(size)).ok_or_else(|| format!("attribute blocksize is {size}"))
}

impl Operator for DepthToSpace {
    fn name(&self) -> &'static str {
        if self.inverse { "SpaceToDepth" } else { "DepthToSpace" }
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let &[n, c, h, w] = op::only(inputs)? else { return Err("an input (N, C, H, W) is expected".to_owned()) };
        let b = self.block;
        match self.inverse {
            false if c.is_multiple_of(b * b) => Ok(vec![vec![n, c / (b * b), h * b, w * b]]),
            true if h.is_multiple_of(b) && w.is_multiple_of(b) => Ok(vec![vec![n, c * b * b, h / b, w / b]]),
            _ => Err(format!("{:?} does not divide into blocks of {b} x {b}", inputs[0])),
        }
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, place: Place, _inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(DepthToSpaceKernel { op: self.clone(), last: place.channels_last() }))
    }
}

struct DepthToSpaceKernel {
    op: DepthToSpace,
    last: bool,
}

impl DepthToSpaceKernel {
    fn move_pixels(&self, tensor: &Tensor, stack: bool) -> Result<Tensor> {
        let moved = if stack { self.op.stack(tensor)? } else { self.op.spread(tensor)? };
        if self.last { memory::channels_last(&moved) } else { Ok(moved) }
    }
}

impl Kernel for DepthToSpaceKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(self.move_pixels(inputs[0], self.op.inverse)?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let tensor = self.move_pixels(&grad.tensor, !self.op.inverse)?;
        // With blocks of one pixel nothing moves.
        Ok(vec![Some(Gradient { tensor, shared: grad.shared })])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
