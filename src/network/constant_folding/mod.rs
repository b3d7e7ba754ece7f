//! Arithmetic on constants, done when a network is loaded: what exporters leave in a file where they do not fold it themselves, as the
//! standardised weights of a convolution. Plain loops in f64.

mod array;
mod budget;
mod cast;
mod create;
mod movement;
mod normalise;
mod pointwise;
mod product;
mod quantised;
mod reduce;
#[cfg(test)]
mod tests;

pub use budget::Budget;
pub use quantised::Quantisation;

use self::array::Array;
use super::graph::{Attribute, Constant, ElementType, Elements};
use super::reading::{Operand, Reading};

/// One node's constants, and what it may make of them.
struct Folding<'a> {
    reading: &'a Reading<'a>,
    budget: &'a Budget,
}

type Fold = fn(&Folding) -> Result<Vec<Array>, String>;

/// ONNX's names (domain "") and who folds them.
const TABLE: &[(&str, Fold)] = &[
    ("Abs", |f| f.each(f64::abs)),
    ("Add", |f| f.pairs(|a, b| a + b)),
    ("And", |f| f.holds(|a, b| a != 0.0 && b != 0.0)),
    ("BatchNormalization", normalise::batch),
    ("Cast", cast::cast),
    ("CastLike", cast::like),
    ("Ceil", |f| f.each(|x| cast::as_single(x).ceil())),
    ("Clip", pointwise::clip),
    ("Concat", movement::concat),
    ("ConstantOfShape", create::constant_of_shape),
    ("Conv", product::pixelwise_conv),
    ("Cos", |f| f.each_float(f64::cos)),
    ("CumSum", reduce::running_sum),
    ("DequantizeLinear", quantised::dequantize),
    ("Div", |f| f.pairs_by_type(|a, b| a / b, |a, b| (a / b).trunc())),
    ("Dropout", |f| Ok(vec![f.array(0)?])),
    ("Einsum", product::einsum),
    ("Equal", |f| f.holds(|a, b| a == b)),
    ("Erf", |f| f.each_float(pointwise::erf)),
    ("Exp", |f| f.each_float(f64::exp)),
    ("Expand", movement::expand),
    ("EyeLike", create::eye_like),
    ("Flatten", movement::flatten),
    ("Floor", |f| f.each(|x| cast::as_single(x).floor())),
    ("Gather", movement::gather),
    ("Gemm", product::gemm),
    ("Greater", |f| f.holds(|a, b| a > b)),
    ("GreaterOrEqual", |f| f.holds(|a, b| a >= b)),
    ("Identity", |f| Ok(vec![f.array(0)?])),
    ("InstanceNormalization", normalise::instance),
    ("Less", |f| f.holds(|a, b| a < b)),
    ("LessOrEqual", |f| f.holds(|a, b| a <= b)),
    ("Log", |f| f.each_float(f64::ln)),
    ("LogSoftmax", |f| normalise::softmax(f, true)),
    ("MatMul", product::matmul),
    ("Max", |f| f.of_all(f64::max)),
    ("Mean", |f| f.of_all(|a, b| a + b)?.into_iter().map(|sum| f.over_count(sum)).collect()),
    ("Min", |f| f.of_all(f64::min)),
    ("Mod", pointwise::remainder),
    ("Mul", |f| f.pairs(|a, b| a * b)),
    ("Neg", |f| f.each(|x| -x)),
    ("Not", |f| f.truth_of(|x| x == 0.0)),
    ("OneHot", create::one_hot),
    ("Or", |f| f.holds(|a, b| a != 0.0 || b != 0.0)),
    ("Pad", movement::pad),
    ("Pow", |f| f.pairs(f64::powf)),
    ("QuantizeLinear", quantised::quantize),
    ("Range", create::range),
    ("Reciprocal", |f| f.each_float(f64::recip)),
    ("ReduceL1", |f| reduce::reduce(f, |x| x.iter().map(|v| v.abs()).sum())),
    ("ReduceL2", |f| reduce::reduce(f, |x| x.iter().map(|v| v * v).sum::<f64>().sqrt())),
    ("ReduceMax", |f| reduce::reduce(f, |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max))),
    ("ReduceMean", |f| reduce::reduce(f, |x| x.iter().sum::<f64>() / x.len() as f64)),
    ("ReduceMin", |f| reduce::reduce(f, |x| x.iter().copied().fold(f64::INFINITY, f64::min))),
    ("ReduceProd", |f| reduce::reduce(f, |x| x.iter().product())),
    ("ReduceSum", |f| reduce::reduce(f, |x| x.iter().sum())),
    ("ReduceSumSquare", |f| reduce::reduce(f, |x| x.iter().map(|v| v * v).sum())),
    ("Relu", |f| f.each(|x| x.max(0.0))),
    ("Reshape", movement::reshape),
    ("Round", |f| f.each(|x| cast::as_single(x).round_ties_even())),
    ("Sigmoid", |f| f.each_float(|x| 1.0 / (1.0 + (-x).exp()))),
    ("Sign", |f| f.each(|x| if x == 0.0 { 0.0 } else { x.signum() })),
    ("Sin", |f| f.each_float(f64::sin)),
    ("Slice", movement::slice),
    ("Softmax", |f| normalise::softmax(f, false)),
    ("Softplus", |f| f.each_float(|x| x.max(0.0) + (-x.abs()).exp().ln_1p())),
    ("Split", movement::split),
    ("Sqrt", |f| f.each_float(f64::sqrt)),
    ("Squeeze", movement::squeeze),
    ("Sub", |f| f.pairs(|a, b| a - b)),
    ("Sum", |f| f.of_all(|a, b| a + b)),
    ("Tanh", |f| f.each_float(f64::tanh)),
    ("Tile", movement::tile),
    ("Transpose", movement::transpose),
    ("Trilu", create::trilu),
    ("Unsqueeze", movement::unsqueeze),
    ("Where", pointwise::choose),
    ("Xor", |f| f.holds(|a, b| (a != 0.0) != (b != 0.0))),
];

/// What a node of ONNX's own set makes of constants, one for each output that is supported; `None` where the operator is not one of those
/// that are folded. The error is a sentence without the node's name.
pub fn fold(reading: &Reading, budget: &Budget) -> Result<Option<Vec<Constant>>, String> {
    let Some((_, fold)) = TABLE.iter().find(|(name, _)| *name == reading.node.op_type) else { return Ok(None) };
    let results = fold(&Folding { reading, budget })?;
    Ok(Some(results.into_iter().map(Array::into_constant).collect()))
}

impl Folding<'_> {
    /// Input `index`.
    fn array(&self, index: usize) -> Result<Array, String> {
        self.optional(index)?.ok_or_else(|| format!("input {index} is missing"))
    }

    fn optional(&self, index: usize) -> Result<Option<Array>, String> {
        match self.reading.operand(index) {
            Operand::Missing => Ok(None),
            Operand::Constant(constant) => {
                self.budget.work(constant.elements.len())?;
                Ok(Some(Array::of(constant)))
            }
            Operand::Known(known) => {
                let values = known.as_fixed().ok_or_else(|| format!("input {index} depends on the batch size"))?;
                let elements = Elements::I64(values.into());
                let array = Array::of(&Constant { shape: known.shape.clone(), elements });
                Ok(Some(if known.float { Array { element: ElementType::F32, ..array } } else { array }))
            }
            Operand::Activation(_) => Err(format!("input {index} depends on the network's input")),
        }
    }

    /// The shape of input `index`, without its elements.
    fn shape_of(&self, index: usize) -> Result<Vec<usize>, String> {
        match self.reading.operand(index) {
            Operand::Constant(constant) => Ok(constant.shape.clone()),
            Operand::Known(known) => Ok(known.shape.clone()),
            Operand::Missing => Err(format!("input {index} is missing")),
            Operand::Activation(_) => Err(format!("input {index} depends on the network's input")),
        }
    }

    /// Input `index` as integers, exact whatever their size.
    fn integers(&self, index: usize) -> Result<Option<Vec<i64>>, String> {
        self.reading.optional_integers(index)
    }

    /// Attribute `name` as a tensor of one element.
    fn tensor_attribute(&self, name: &str) -> Result<Option<(f64, ElementType)>, String> {
        match self.reading.node.attributes.get(name) {
            None => Ok(None),
            Some(Attribute::Tensor(constant)) if constant.elements.len() == 1 => {
                let array = Array::of(constant);
                Ok(Some((array.values[0], array.element)))
            }
            Some(_) => Err(format!("attribute {name} is not a tensor of one element")),
        }
    }

    /// An array of that shape, each element made by `of` from its place in row-major order.
    fn filled(&self, shape: Vec<usize>, element: ElementType, of: impl FnMut(usize) -> f64) -> Result<Array, String> {
        let count = self.budget.room(&shape)?;
        Ok(Array { values: (0..count).map(of).collect(), shape, element })
    }
}
