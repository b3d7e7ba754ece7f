//! What every operator tells: its shapes, its place in the spatial rule, and its kernel (forward, adjoint, bias).
//!
//! Shapes are written for a batch of one: axis 0 is the batch, its size is 1 in a [`Shape`] and N when the kernel runs.

use std::fmt;

use tch::{Device, Kind, Tensor};

use crate::error::Result;

/// Sizes of a value's axes for a batch of one; axis 0 is the batch.
pub type Shape = Vec<usize>;

/// Where an operator's kernel runs and in which precision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// The device.
    pub device: Device,
    /// Element type of activations and gradients: Double, Float, BFloat16 or Half.
    pub kind: Kind,
}

impl Place {
    /// True where four-axis activations lie channels last in memory: everywhere but in f64.
    pub fn channels_last(&self) -> bool {
        self.kind != Kind::Double
    }

    /// Element type that a convolution multiplies: f32 for f16 on a processor, since few processors multiply f16.
    pub fn convolves_in(&self) -> Kind {
        if self.kind == Kind::Half && self.device == Device::Cpu { Kind::Float } else { self.kind }
    }
}

/// What an operator does to the spatial rule: a value is spatial from the input and from every convolution on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spatial {
    /// The output is laid out (N, C, H, W) whatever went in: convolutions.
    Starts,
    /// The output is spatial where an input is.
    Keeps,
    /// The axes are permuted: output axis i is input axis `perm[i]`.
    Permutes(Vec<usize>),
    /// The output is not spatial until the next convolution.
    Ends,
}

/// An operator: plain data and its rules. There are no defaults for the rules: an operator without one does not compile.
pub trait Operator: fmt::Debug + Send + Sync {
    /// The canonical name, as "Conv".
    fn name(&self) -> &'static str;

    /// Shapes of the outputs for these inputs. The only place where inputs are checked; the error is a sentence without the node's name.
    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String>;

    /// See [`Spatial`].
    fn spatial(&self) -> Spatial;

    /// Number of trained parameters.
    fn parameters(&self) -> usize {
        0
    }

    /// Multiply-accumulates of the forward pass for one image.
    fn macs(&self, _inputs: &[&[usize]], _outputs: &[Shape]) -> u64 {
        0
    }

    /// True where the bias can be other than zero, judged without running.
    fn has_bias(&self) -> bool;

    /// The compiled operator for inputs of these shapes.
    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>>;
}

/// The shape of the only input, for operators that take one activation.
pub fn only<'a>(inputs: &[&'a [usize]]) -> Result<&'a [usize], String> {
    match inputs {
        [input] => Ok(input),
        _ => Err(format!("{} inputs depend on the network's input; one is supported", inputs.len())),
    }
}

/// What a kernel's adjoint and bias read again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keeps {
    /// The inputs.
    pub inputs: bool,
    /// The outputs.
    pub outputs: bool,
}

/// What the forward pass leaves for the adjoint.
#[derive(Debug, Default)]
pub struct Saved {
    /// The inputs, empty unless [`Keeps::inputs`].
    pub inputs: Vec<Tensor>,
    /// The outputs, empty unless [`Keeps::outputs`].
    pub outputs: Vec<Tensor>,
    /// The kernel's own, as a pool's indices.
    pub extra: Vec<Tensor>,
}

/// Outputs of a forward step, and the kernel's own tensors for the adjoint.
#[derive(Debug)]
pub struct Forward {
    /// One an output.
    pub outputs: Vec<Tensor>,
    /// See [`Saved::extra`].
    pub extra: Vec<Tensor>,
}

impl From<Tensor> for Forward {
    fn from(output: Tensor) -> Self {
        Forward { outputs: vec![output], extra: Vec::new() }
    }
}

/// A gradient: the tensor, and whether someone else reads the same memory (then it is not written in place).
#[derive(Debug)]
pub struct Gradient {
    /// df/dy in y's shape.
    pub tensor: Tensor,
    /// True where the memory is shared.
    pub shared: bool,
}

impl From<Tensor> for Gradient {
    fn from(tensor: Tensor) -> Self {
        Gradient { tensor, shared: false }
    }
}

/// An operator compiled for a device, a precision and shapes.
pub trait Kernel: Send {
    /// The outputs for inputs of shape (N, ...).
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward>;

    /// What [`Kernel::adjoint`] and [`Kernel::bias`] read again.
    fn keeps(&self) -> Keeps;

    /// grad_out (one an output, `None` where nothing depends on it) to grad_in, one an input: the transpose of the derivative at `saved`.
    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>>;

    /// b = y - Dy(x) x of the first output, in a shape that broadcasts to it; `None` where it is zero for every input.
    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>>;
}
