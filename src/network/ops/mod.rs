//! The operators: one file each, with shapes, forward, adjoint and bias side by side. One line in `operators!` enrols a file, one
//! line in [`ONNX`] each name under which files write it.

mod cast;
mod dropout;
mod operands;
mod pointwise;
mod resize_axis;
#[cfg(test)]
mod sweep;
mod window;

use super::op::Operator;
use super::reading::Reading;

macro_rules! operators {
    ($($module:ident :: $op:ident,)*) => {
        $(mod $module; pub use $module::$op;)*

        /// Any operator.
        #[derive(Debug, Clone)]
        #[allow(missing_docs)]
        pub enum Op { $($op($op),)* }

        impl Op {
            /// Its rules.
            pub fn rules(&self) -> &dyn Operator {
                match self { $(Op::$op(op) => op,)* }
            }
        }

        #[cfg(test)]
        impl Op {
            const VARIANTS: &[&str] = &[$(stringify!($op)),*];

            fn variant(&self) -> &'static str {
                match self { $(Op::$op(_) => stringify!($op),)* }
            }
        }

        $(impl From<$op> for Op {
            fn from(op: $op) -> Self {
                Op::$op(op)
            }
        })*
    };
}

operators! {
    abs::Abs,
    add::Add,
    add_constant::AddConstant,
    average_along::AverageAlong,
    average_pool::AveragePool,
    batch_norm::BatchNorm,
    clip::Clip,
    concat::Concat,
    conv::Conv,
    conv_along::ConvAlong,
    conv_transpose::ConvTranspose,
    cos::Cos,
    depth_to_space::DepthToSpace,
    divide::Divide,
    einsum::Einsum,
    elu::Elu,
    erf::Erf,
    exp::Exp,
    expand::Expand,
    extreme::Extreme,
    gather::Gather,
    gelu::Gelu,
    hard_sigmoid::HardSigmoid,
    hard_swish::HardSwish,
    layer_norm::LayerNorm,
    linear::Linear,
    log::Log,
    lrn::Lrn,
    mat_mul::MatMul,
    max_pool::MaxPool,
    mish::Mish,
    multiply::Multiply,
    pad::Pad,
    power::Power,
    prelu::PRelu,
    reciprocal::Reciprocal,
    reduce::Reduce,
    reduce_mean::ReduceMean,
    relu::Relu,
    reshape::Reshape,
    resize::Resize,
    scale::Scale,
    select::Where,
    sigmoid::Sigmoid,
    silu::Silu,
    sin::Sin,
    slice::Slice,
    softmax::Softmax,
    softplus::Softplus,
    softsign::Softsign,
    sqrt::Sqrt,
    steps::Steps,
    subtract::Subtract,
    sum::Sum,
    tanh::Tanh,
    thresholded_relu::ThresholdedRelu,
    transpose::Transpose,
}

use self::reduce::Reduction;
pub use conv::{ConvKernel, flipped_weight};
pub use layer_norm::Over;
pub use operands::Operands;
pub use pad::Border;
pub use steps::Jumping;
pub use window::Window;

/// What a node of a file becomes.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "lives for one node while a network is read, and is not kept")]
pub enum Read {
    /// An operator over the node's activation inputs, in their order.
    Op(Op),
    /// Nothing: the output is the first input.
    Same,
}

/// Reads one node; the error is a sentence without the node's name.
pub type Reader = fn(&Reading) -> Result<Read, String>;

fn op(op: impl Into<Op>) -> Read {
    Read::Op(op.into())
}

/// ONNX's names (domain "") and who reads them.
pub const ONNX: &[(&str, Reader)] = &[
    ("Abs", |r| pointwise::read(r, Abs)),
    ("Add", |r| add_constant::read_add(r)),
    ("And", |r| Steps::read(r, Jumping::And)),
    ("AveragePool", |r| average_along::read(r)),
    ("BatchNormalization", |r| BatchNorm::read(r).map(op)),
    ("Cast", |r| cast::read(r)),
    ("CastLike", |r| cast::read_like(r)),
    ("Ceil", |r| Steps::read(r, Jumping::Ceil)),
    ("Celu", |r| Elu::read_celu(r).map(op)),
    ("Clip", |r| Clip::read(r).map(op)),
    ("Concat", |r| Concat::read(r).map(op)),
    ("Conv", |r| conv_along::read(r)),
    ("ConvTranspose", |r| ConvTranspose::read(r).map(op)),
    ("Cos", |r| pointwise::read(r, Cos)),
    ("DepthToSpace", |r| DepthToSpace::read(r).map(op)),
    ("Div", |r| divide::read(r)),
    ("Dropout", |r| dropout::read(r)),
    ("Einsum", |r| Einsum::read(r).map(op)),
    ("Elu", |r| Elu::read(r).map(op)),
    ("Equal", |r| Steps::read(r, Jumping::Equal)),
    ("Erf", |r| pointwise::read(r, Erf)),
    ("Exp", |r| pointwise::read(r, Exp)),
    ("Expand", |r| Expand::read(r).map(op)),
    ("Flatten", |r| Reshape::read_flatten(r).map(op)),
    ("Floor", |r| Steps::read(r, Jumping::Floor)),
    ("Gather", |r| Gather::read(r).map(op)),
    ("Gelu", |r| Gelu::read(r).map(op)),
    ("Gemm", |r| Linear::read_gemm(r).map(op)),
    ("GlobalAveragePool", |r| ReduceMean::read_global(r).map(op)),
    ("GlobalMaxPool", |r| Reduce::read_global_max(r).map(op)),
    ("Greater", |r| Steps::read(r, Jumping::Greater)),
    ("GreaterOrEqual", |r| Steps::read(r, Jumping::GreaterOrEqual)),
    ("GroupNormalization", |r| LayerNorm::read_group(r).map(op)),
    ("HardSigmoid", |r| HardSigmoid::read(r).map(op)),
    ("HardSwish", |r| pointwise::read(r, HardSwish)),
    ("Identity", |r| r.activation(0).map(|_| Read::Same)),
    ("InstanceNormalization", |r| LayerNorm::read_instance(r).map(op)),
    ("LRN", |r| Lrn::read(r).map(op)),
    ("LayerNormalization", |r| LayerNorm::read(r).map(op)),
    ("LeakyRelu", |r| Relu::read_leaky(r).map(op)),
    ("Less", |r| Steps::read(r, Jumping::Less)),
    ("LessOrEqual", |r| Steps::read(r, Jumping::LessOrEqual)),
    ("Log", |r| pointwise::read(r, Log)),
    ("LogSoftmax", |r| Softmax::read(r, true).map(op)),
    ("MatMul", |r| mat_mul::read(r)),
    ("Max", |r| Extreme::read(r, true)),
    ("MaxPool", |r| MaxPool::read(r).map(op)),
    ("Mean", |r| Sum::read(r, true)),
    ("Min", |r| Extreme::read(r, false)),
    ("Mish", |r| pointwise::read(r, Mish)),
    ("Mul", |r| multiply::read(r)),
    ("Neg", |r| pointwise::read(r, Scale::by(-1.0))),
    ("Not", |r| Steps::read(r, Jumping::Not)),
    ("Or", |r| Steps::read(r, Jumping::Or)),
    ("PRelu", |r| PRelu::read(r).map(op)),
    ("Pad", |r| Pad::read(r).map(op)),
    ("Pow", |r| Power::read(r).map(op)),
    ("RMSNormalization", |r| LayerNorm::read_root_mean_square(r).map(op)),
    ("Reciprocal", |r| Reciprocal::read(r).map(op)),
    ("ReduceL1", |r| Reduce::read(r, Reduction::L1).map(op)),
    ("ReduceL2", |r| Reduce::read(r, Reduction::L2).map(op)),
    ("ReduceLogSumExp", |r| Reduce::read(r, Reduction::LogSumExp).map(op)),
    ("ReduceMax", |r| Reduce::read(r, Reduction::Largest).map(op)),
    ("ReduceMean", |r| ReduceMean::read(r).map(op)),
    ("ReduceMin", |r| Reduce::read(r, Reduction::Smallest).map(op)),
    ("ReduceSum", |r| Reduce::read(r, Reduction::Sum).map(op)),
    ("ReduceSumSquare", |r| Reduce::read(r, Reduction::SumSquare).map(op)),
    ("Relu", |r| Relu::read(r).map(op)),
    ("Reshape", |r| Reshape::read(r).map(op)),
    ("Resize", |r| Resize::read(r).map(op)),
    ("Round", |r| Steps::read(r, Jumping::Round)),
    ("Selu", |r| Elu::read_selu(r).map(op)),
    ("Sigmoid", |r| pointwise::read(r, Sigmoid)),
    ("Sign", |r| Steps::read(r, Jumping::Sign)),
    ("Sin", |r| pointwise::read(r, Sin)),
    ("Slice", |r| Slice::read(r).map(op)),
    ("Softmax", |r| Softmax::read(r, false).map(op)),
    ("Softplus", |r| pointwise::read(r, Softplus::UPRIGHT)),
    ("Softsign", |r| pointwise::read(r, Softsign)),
    ("SpaceToDepth", |r| DepthToSpace::read_inverse(r).map(op)),
    ("Split", |r| Slice::read_split(r).map(op)),
    ("Sqrt", |r| pointwise::read(r, Sqrt)),
    ("Squeeze", |r| Reshape::read_squeeze(r).map(op)),
    ("Sub", |r| add_constant::read_sub(r)),
    ("Sum", |r| Sum::read(r, false)),
    ("Swish", |r| Silu::read(r).map(op)),
    ("Tanh", |r| pointwise::read(r, Tanh)),
    ("ThresholdedRelu", |r| ThresholdedRelu::read(r).map(op)),
    ("Transpose", |r| Transpose::read(r).map(op)),
    ("Unsqueeze", |r| Reshape::read_unsqueeze(r).map(op)),
    ("Upsample", |r| Resize::read_upsample(r).map(op)),
    ("Where", |r| Where::read(r).map(op)),
    ("Xor", |r| Steps::read(r, Jumping::Xor)),
];
