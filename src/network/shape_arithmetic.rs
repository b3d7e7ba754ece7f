//! Integer arithmetic on shapes, done when a network is loaded, with the batch size as an unknown. Exporters write a flatten as
//! Shape, Gather, Concat and Reshape; here its target becomes known.

mod dim;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

pub use dim::Dim;

use super::graph::{Attribute, Constant, Node};
use crate::error::{Error, Result};

/// Larger tensors are data, no shapes.
pub const MAX_VALUES: usize = 4096;

/// A small integer tensor whose elements are known but for the batch size. Booleans are 0 and 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Sizes of the axes: rank 0 or 1.
    pub shape: Vec<usize>,
    /// The elements.
    pub values: Vec<Dim>,
    /// True where the file has them as floating-point numbers: exporters scale sizes so.
    pub float: bool,
}

impl Known {
    /// A tensor of rank 0.
    pub fn scalar(value: Dim) -> Self {
        Self { shape: vec![], values: vec![value], float: false }
    }

    /// A tensor of rank 1.
    pub fn vector(values: Vec<Dim>) -> Self {
        Self { shape: vec![values.len()], values, float: false }
    }

    /// The constant, where it is of integers or booleans, of rank 0 or 1, and small.
    pub fn of(constant: &Constant) -> Option<Self> {
        if constant.shape.len() > 1 || constant.elements.len() > MAX_VALUES {
            return None;
        }
        let values = constant.integers()?.into_iter().map(Dim::of).collect();
        Some(Self { shape: constant.shape.clone(), values, float: false })
    }

    /// The constant, where it is of whole floating-point numbers, of rank 0 or 1, and small.
    pub fn of_floats(constant: &Constant) -> Option<Self> {
        if constant.shape.len() > 1 || constant.elements.len() > MAX_VALUES {
            return None;
        }
        let whole = |x: f64| (x.trunc() == x && x.abs() < f64::from(1 << 24)).then_some(Dim::of(x as i64));
        let values = constant.floats()?.into_iter().map(whole).collect::<Option<_>>()?;
        Some(Self { shape: constant.shape.clone(), values, float: true })
    }

    /// The numbers, where none depends on the batch size.
    pub fn as_fixed(&self) -> Option<Vec<i64>> {
        self.values.iter().map(|value| value.as_fixed()).collect()
    }

    /// The elements in a tensor of the same rank or, for a `count` other than 1, of rank 1.
    fn of_rank(rank: usize, values: Vec<Dim>) -> Self {
        if rank == 0 { Self { shape: vec![], values, float: false } } else { Self::vector(values) }
    }
}

/// What the node makes of known values and shapes: one tensor for each output. `inputs` and `input_shapes` go with `node.inputs`, with
/// `None` for what is not known. `Ok(None)` where the node is not integer arithmetic over known values; an error, naming the node,
/// where it is and is wrong.
pub fn fold(node: &Node, inputs: &[Option<&Known>], input_shapes: &[Option<&[Dim]>]) -> Result<Option<Vec<Known>>> {
    if !node.domain.is_empty() {
        return Ok(None);
    }
    let at = |e: Error| e.at(format!("node '{}' ({})", node.name, node.op_type));
    let folding = Folding { node, inputs, input_shapes };
    let folded = match node.op_type.as_str() {
        "Split" => folding.split().map_err(at)?,
        _ => folding.fold().map_err(at)?.map(|known| vec![known]),
    };
    let float = folding.makes_floats();
    let small = folded.filter(|known| known.iter().all(|known| known.values.len() <= MAX_VALUES));
    Ok(small.map(|known| known.into_iter().map(|known| Known { float, ..known }).collect()))
}

/// Leaves the method with `Ok(None)` where something is not known.
macro_rules! known {
    ($value:expr) => {
        match $value {
            Some(value) => value,
            None => return Ok(None),
        }
    };
}

struct Folding<'a> {
    node: &'a Node,
    inputs: &'a [Option<&'a Known>],
    input_shapes: &'a [Option<&'a [Dim]>],
}

impl Folding<'_> {
    fn fold(&self) -> Result<Option<Known>> {
        match self.node.op_type.as_str() {
            "Shape" => self.shape(),
            "Size" => self.size(),
            "Identity" => Ok(self.input(0)?.cloned()),
            "Cast" => self.cast(),
            "Gather" => self.gather(),
            "Concat" => self.concat(),
            "Slice" => self.slice(),
            "Squeeze" => self.squeeze(),
            "Unsqueeze" => self.unsqueeze(),
            "Reshape" => self.reshape(),
            "ConstantOfShape" => self.constant_of_shape(),
            "Range" => self.range(),
            "ReduceProd" => self.reduce(product),
            "Where" => self.select(),
            "Neg" => self.each(|v| Dim::of(0).checked_sub(v)),
            "Not" => self.each(|v| v.equals(Dim::of(0)).map(truth)),
            "Abs" => {
                self.each(
                    |v| if v.never_below(Dim::of(0)) { Some(v) } else { Dim::of(0).checked_sub(v).filter(|v| v.never_below(Dim::of(0))) },
                )
            }
            // Every element is whole.
            "Floor" | "Ceil" | "Round" => Ok(self.input(0)?.cloned()),
            "And" => self.pairwise(|a, b| Ok(both(a, b))),
            "Or" => self.pairwise(|a, b| Ok(both(negated(a), negated(b)).map(negated))),
            "Add" => self.pairwise(|a, b| Ok(a.checked_add(b))),
            "Sub" => self.pairwise(|a, b| Ok(a.checked_sub(b))),
            "Mul" => self.pairwise(|a, b| Ok(a.checked_mul(b))),
            "Div" if self.makes_floats() => self.pairwise(|a, b| Ok(a.checked_div(b))),
            "Div" => self.pairwise(divide),
            "Mod" => {
                let like_c = self.int("fmod", 0)? != 0;
                self.pairwise(|a, b| remainder(a, b, like_c))
            }
            "Equal" => self.pairwise(|a, b| Ok(a.equals(b).map(truth))),
            "Less" => self.pairwise(|a, b| Ok(less(a, b))),
            "LessOrEqual" => self.pairwise(|a, b| Ok(less(b, a).map(negated))),
            "Greater" => self.pairwise(|a, b| Ok(less(b, a))),
            "GreaterOrEqual" => self.pairwise(|a, b| Ok(less(a, b).map(negated))),
            "Expand" => self.expand(),
            "ReduceSum" => self.reduce(|values| values.iter().try_fold(Dim::of(0), |sum, &value| sum.checked_add(value))),
            "Min" => self.extreme(|a, b| b.never_below(a)),
            "Max" => self.extreme(Dim::never_below),
            _ => Ok(None),
        }
    }

    /// An input that the operator needs; `None` when it is not known.
    fn input(&self, index: usize) -> Result<Option<&Known>> {
        match self.node.inputs.get(index) {
            Some(Some(_)) => Ok(self.inputs.get(index).copied().flatten()),
            _ => Err(Error::data(format!("input {index} is missing"))),
        }
    }

    /// True when the node has that input.
    fn has_input(&self, index: usize) -> bool {
        matches!(self.node.inputs.get(index), Some(Some(_)))
    }

    fn int(&self, name: &str, default: i64) -> Result<i64> {
        match self.node.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::Int(value)) => Ok(*value),
            Some(_) => Err(Error::data(format!("attribute '{name}' is not an integer"))),
        }
    }

    /// Integers that are an attribute in older opsets and an input in newer ones. Outer `None`: not known; inner: not given.
    fn ints(&self, name: &str, index: usize) -> Result<Option<Option<Vec<i64>>>> {
        match self.node.attributes.get(name) {
            Some(Attribute::Ints(values)) => Ok(Some(Some(values.clone()))),
            Some(_) => Err(Error::data(format!("attribute '{name}' is not a list of integers"))),
            None if self.has_input(index) => Ok(self.input(index)?.and_then(Known::as_fixed).map(Some)),
            None => Ok(Some(None)),
        }
    }

    /// The shape of input 0.
    fn input_shape(&self) -> Result<Option<Vec<Dim>>> {
        let of_value = self.input(0)?.map(|known| known.shape.iter().map(|&size| Dim::of(size as i64)).collect());
        Ok(of_value.or_else(|| self.input_shapes.first().copied().flatten().map(<[Dim]>::to_vec)))
    }

    fn shape(&self) -> Result<Option<Known>> {
        let shape = known!(self.input_shape()?);
        let rank = shape.len() as i64;
        let place = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
        let (start, end) = (place(self.int("start", 0)?), place(self.int("end", rank)?));
        Ok(Some(Known::vector(shape.get(start..end).unwrap_or_default().to_vec())))
    }

    fn size(&self) -> Result<Option<Known>> {
        let shape = known!(self.input_shape()?);
        Ok(product(&shape).map(Known::scalar))
    }

    fn cast(&self) -> Result<Option<Known>> {
        let input = known!(self.input(0)?);
        // Numbers of TensorProto.DataType: FLOAT, FLOAT16, DOUBLE, INT32, INT64, BOOL. What is known as floating point already is
        // folded as any constant; what holds the batch size stays.
        if matches!(self.int("to", 0), Ok(1 | 10 | 11)) && input.as_fixed().is_none() {
            return Ok(Some(input.clone()));
        }
        let convert = |value: Dim| match self.int("to", 0) {
            Ok(6) => value.as_fixed().is_none_or(|fixed| i32::try_from(fixed).is_ok()).then_some(value),
            Ok(7) => Some(value),
            Ok(9) => value.equals(Dim::of(0)).map(|zero| truth(!zero)),
            _ => None,
        };
        let values: Option<Vec<Dim>> = input.values.iter().map(|&value| convert(value)).collect();
        Ok(values.map(|values| Known::of_rank(input.shape.len(), values)))
    }

    fn gather(&self) -> Result<Option<Known>> {
        let (data, indices) = (known!(self.input(0)?), known!(self.input(1)?));
        check_axis(self.int("axis", 0)?, data.shape.len())?;
        let mut values = Vec::with_capacity(indices.values.len());
        for index in known!(indices.as_fixed()) {
            let len = data.values.len() as i64;
            let at = if index < 0 { index.saturating_add(len) } else { index };
            let value = usize::try_from(at).ok().and_then(|at| data.values.get(at));
            values.push(*value.ok_or_else(|| Error::data(format!("index {index} is out of range of {len} elements")))?);
        }
        Ok(Some(Known::of_rank(indices.shape.len(), values)))
    }

    fn concat(&self) -> Result<Option<Known>> {
        let mut values = Vec::new();
        for index in 0..self.node.inputs.len() {
            let part = known!(self.input(index)?);
            check_axis(self.int("axis", 0)?, part.shape.len())?;
            values.extend_from_slice(&part.values);
            if values.len() > MAX_VALUES {
                return Ok(None);
            }
        }
        Ok(Some(Known::vector(values)))
    }

    fn slice(&self) -> Result<Option<Known>> {
        let data = known!(self.input(0)?);
        let starts = known!(self.ints("starts", 1)?).ok_or_else(|| Error::data("it has no starts"))?;
        let ends = known!(self.ints("ends", 2)?).ok_or_else(|| Error::data("it has no ends"))?;
        let axes = known!(self.ints("axes", 3)?).unwrap_or_else(|| vec![0; starts.len()]);
        let steps = known!(self.ints("steps", 4)?).unwrap_or_else(|| vec![1; starts.len()]);
        let ([start], [end], [axis], [step]) = (&starts[..], &ends[..], &axes[..], &steps[..]) else {
            return Err(Error::data("starts, ends, axes and steps are not one for the one axis"));
        };
        check_axis(*axis, data.shape.len())?;
        let len = data.values.len() as i64;
        let from_end = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
        let mut values = Vec::new();
        if *step > 0 {
            let (mut at, end) = (from_end(*start).clamp(0, len), from_end(*end).clamp(0, len));
            while at < end {
                values.push(data.values[at as usize]);
                at = at.saturating_add(*step);
            }
        } else if *step < 0 {
            let (mut at, end) = (from_end(*start).clamp(0, (len - 1).max(0)), from_end(*end).clamp(-1, len - 1));
            while at > end && at < len {
                values.push(data.values[at as usize]);
                at = at.saturating_add(*step);
            }
        } else {
            return Err(Error::data("a step of 0"));
        }
        Ok(Some(Known::vector(values)))
    }

    fn squeeze(&self) -> Result<Option<Known>> {
        let data = known!(self.input(0)?);
        let axes = known!(self.ints("axes", 1)?);
        let values = data.values.clone();
        match axes {
            Some(axes) if !axes.is_empty() => {
                for &axis in &axes {
                    check_axis(axis, data.shape.len())?;
                }
                if values.len() != 1 {
                    return Err(Error::data(format!("an axis of {} elements cannot be squeezed", values.len())));
                }
                Ok(Some(Known::of_rank(0, values)))
            }
            _ => Ok(Some(Known::of_rank(if values.len() == 1 { 0 } else { data.shape.len() }, values))),
        }
    }

    fn unsqueeze(&self) -> Result<Option<Known>> {
        let data = known!(self.input(0)?);
        let axes = known!(self.ints("axes", 1)?).ok_or_else(|| Error::data("it has no axes"))?;
        match (data.shape.len(), &axes[..]) {
            (_, []) => Ok(Some(data.clone())),
            (0, &[axis]) => check_axis(axis, 1).map(|()| Some(Known::vector(data.values.clone()))),
            _ => Ok(None),
        }
    }

    /// To a vector, or the same.
    fn expand(&self) -> Result<Option<Known>> {
        let data = known!(self.input(0)?);
        let target = known!(known!(self.input(1)?).as_fixed());
        match (&target[..], &data.values[..]) {
            ([], _) | ([1], _) => Ok(Some(Known::of_rank(data.shape.len().max(target.len()), data.values.clone()))),
            (&[size], &[value]) if (0..=MAX_VALUES as i64).contains(&size) => Ok(Some(Known::vector(vec![value; size as usize]))),
            (&[size], values) if size == values.len() as i64 => Ok(Some(data.clone())),
            _ => Ok(None),
        }
    }

    fn split(&self) -> Result<Option<Vec<Known>>> {
        let data = known!(self.input(0)?);
        check_axis(self.int("axis", 0)?, data.shape.len())?;
        let (size, outputs) = (data.values.len(), self.node.outputs.len().max(1));
        let lengths = match known!(self.ints("split", 1)?) {
            Some(lengths) => lengths,
            None => {
                let length = size.div_ceil(outputs);
                (0..outputs).map(|i| size.saturating_sub(i * length).min(length) as i64).collect()
            }
        };
        let mut rest = &data.values[..];
        let mut parts = Vec::with_capacity(outputs);
        for &length in &lengths {
            let length = usize::try_from(length).ok().filter(|&length| length <= rest.len());
            let length = length.ok_or_else(|| Error::data(format!("lengths {lengths:?} do not divide {size} elements")))?;
            let (part, behind) = rest.split_at(length);
            parts.push(Known::vector(part.to_vec()));
            rest = behind;
        }
        Ok(Some(parts))
    }

    /// Whether the results are floating-point numbers in the file.
    fn makes_floats(&self) -> bool {
        let of = |index: usize| self.inputs.get(index).copied().flatten().is_some_and(|known| known.float);
        match self.node.op_type.as_str() {
            "Cast" => matches!(self.int("to", 0), Ok(1 | 10 | 11)),
            "CastLike" => of(1),
            "Where" => of(1),
            "Shape" | "Size" | "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "Not" | "And" | "Or"
            | "ConstantOfShape" => false,
            _ => of(0),
        }
    }

    /// Element by element.
    fn each(&self, of: impl Fn(Dim) -> Option<Dim>) -> Result<Option<Known>> {
        let input = known!(self.input(0)?);
        let values: Option<Vec<Dim>> = input.values.iter().map(|&value| of(value)).collect();
        Ok(values.map(|values| Known::of_rank(input.shape.len(), values)))
    }

    fn reshape(&self) -> Result<Option<Known>> {
        let data = known!(self.input(0)?);
        let target = known!(known!(self.input(1)?).as_fixed());
        let len = data.values.len() as i64;
        let size = match (&target[..], data.shape.first()) {
            ([], _) => 1,
            (&[-1], _) => len,
            (&[0], Some(_)) if self.int("allowzero", 0)? == 0 => len,
            (&[size], _) => size,
            _ => return Ok(None),
        };
        if size != len {
            return Err(Error::data(format!("{len} elements do not fit shape {target:?}")));
        }
        Ok(Some(Known::of_rank(target.len(), data.values.clone())))
    }

    fn constant_of_shape(&self) -> Result<Option<Known>> {
        let value = match self.node.attributes.get("value") {
            Some(Attribute::Tensor(constant)) => known!(Known::of(constant)),
            Some(_) => return Err(Error::data("attribute 'value' is not a tensor")),
            // A float zero.
            None => return Ok(None),
        };
        let [value] = value.values[..] else { return Err(Error::data("attribute 'value' is not of one element")) };
        let sizes = known!(known!(self.input(0)?).as_fixed());
        let count = match sizes[..] {
            [] => 1,
            [size] if size < 0 => return Err(Error::data(format!("negative size {size}"))),
            [size] if size <= MAX_VALUES as i64 => size as usize,
            _ => return Ok(None),
        };
        Ok(Some(Known::of_rank(sizes.len(), vec![value; count])))
    }

    fn range(&self) -> Result<Option<Known>> {
        let mut ends = [0; 3];
        for (index, end) in ends.iter_mut().enumerate() {
            let fixed = known!(known!(self.input(index)?).as_fixed());
            let [value] = fixed[..] else { return Err(Error::data(format!("input {index} is not of one element"))) };
            *end = value;
        }
        let [start, limit, delta] = ends.map(i128::from);
        if delta == 0 {
            return Err(Error::data("a delta of 0"));
        }
        let distance = (limit - start) * delta.signum();
        let count = (distance + delta.abs() - 1).div_euclid(delta.abs()).max(0);
        if count > MAX_VALUES as i128 {
            return Ok(None);
        }
        // Between start and limit, so within i64.
        Ok(Some(Known::vector((0..count).map(|i| Dim::of((start + i * delta) as i64)).collect())))
    }

    fn reduce(&self, of: impl Fn(&[Dim]) -> Option<Dim>) -> Result<Option<Known>> {
        let data = known!(self.input(0)?);
        let axes = known!(self.ints("axes", 1)?).unwrap_or_default();
        for &axis in &axes {
            check_axis(axis, data.shape.len())?;
        }
        if axes.is_empty() && self.int("noop_with_empty_axes", 0)? != 0 {
            return Ok(Some(data.clone()));
        }
        let rank = if self.int("keepdims", 1)? != 0 { data.shape.len() } else { 0 };
        Ok(of(&data.values).map(|result| Known::of_rank(rank, vec![result])))
    }

    fn select(&self) -> Result<Option<Known>> {
        let condition = known!(known!(self.input(0)?).as_fixed());
        let parts = [known!(self.input(0)?), known!(self.input(1)?), known!(self.input(2)?)];
        let (rank, count) = broadcast(&parts)?;
        let values = (0..count).map(|i| {
            let chosen = if condition[i % condition.len()] != 0 { parts[1] } else { parts[2] };
            chosen.values[i % chosen.values.len()]
        });
        Ok(Some(Known::of_rank(rank, values.collect())))
    }

    /// Element by element, with broadcasting; `None` from `of` where the result is not known.
    fn pairwise(&self, of: impl Fn(Dim, Dim) -> Result<Option<Dim>>) -> Result<Option<Known>> {
        combine(known!(self.input(0)?), known!(self.input(1)?), of)
    }

    /// Of all inputs the one that `wins` against the others.
    fn extreme(&self, wins: impl Fn(Dim, Dim) -> bool) -> Result<Option<Known>> {
        let mut best = known!(self.input(0)?).clone();
        for index in 1..self.node.inputs.len() {
            let choose = |a, b| {
                let winner = if wins(a, b) { Some(a) } else { wins(b, a).then_some(b) };
                Ok(winner)
            };
            best = known!(combine(&best, known!(self.input(index)?), choose)?);
        }
        Ok(Some(best))
    }
}

fn combine(a: &Known, b: &Known, of: impl Fn(Dim, Dim) -> Result<Option<Dim>>) -> Result<Option<Known>> {
    let (rank, count) = broadcast(&[a, b])?;
    let mut values = Vec::with_capacity(count);
    for i in 0..count {
        values.push(known!(of(a.values[i % a.values.len()], b.values[i % b.values.len()])?));
    }
    Ok(Some(Known::of_rank(rank, values)))
}

/// Rank and number of elements of what tensors of rank 0 or 1 broadcast to.
fn broadcast(parts: &[&Known]) -> Result<(usize, usize)> {
    let (mut rank, mut count) = (0, 1);
    for part in parts {
        rank = rank.max(part.shape.len());
        count = match (count, part.values.len()) {
            (1, len) => len,
            (count, 1) => count,
            (count, len) if count == len => count,
            (count, len) => return Err(Error::data(format!("{count} and {len} elements do not go together"))),
        };
    }
    Ok((rank, count))
}

/// Of a tensor of rank 0 or 1, only axis 0 can be meant.
fn check_axis(axis: i64, rank: usize) -> Result<()> {
    if rank == 1 && (axis == 0 || axis == -1) { Ok(()) } else { Err(Error::data(format!("axis {axis} is out of range of rank {rank}"))) }
}

fn product(values: &[Dim]) -> Option<Dim> {
    // A zero first: N * N * 0 is 0.
    if values.contains(&Dim::of(0)) {
        return Some(Dim::of(0));
    }
    values.iter().try_fold(Dim::of(1), |product, &value| product.checked_mul(value))
}

/// Towards zero for plain numbers, as ONNX has it for integers; with the batch size only where it goes up.
fn divide(a: Dim, b: Dim) -> Result<Option<Dim>> {
    match (a.as_fixed(), b.as_fixed()) {
        (_, Some(0)) => Err(Error::data("division by zero")),
        (Some(a), Some(b)) => Ok(a.checked_div(b).map(Dim::of)),
        _ => Ok(a.checked_div(b)),
    }
}

/// With the sign of the divisor, or of the dividend when `like_c`.
fn remainder(a: Dim, b: Dim, like_c: bool) -> Result<Option<Dim>> {
    match b.as_fixed() {
        None => Ok(None),
        Some(0) => Err(Error::data("remainder of a division by zero")),
        // The multiple of N drops out where the divisor divides its factor.
        Some(b) if a.per_batch != 0 && (like_c || a.per_batch.checked_rem(b) != Some(0)) => Ok(None),
        Some(b) => {
            let towards_zero = a.fixed.checked_rem(b);
            let shift = |r: i64| if !like_c && r != 0 && (r < 0) != (b < 0) { r + b } else { r };
            Ok(towards_zero.map(|r| Dim::of(shift(r))))
        }
    }
}

/// Of booleans, as 0 and 1.
fn negated(value: Dim) -> Dim {
    truth(value == Dim::of(0))
}

fn both(a: Dim, b: Dim) -> Option<Dim> {
    Some(truth(a.as_fixed()? != 0 && b.as_fixed()? != 0))
}

fn truth(yes: bool) -> Dim {
    Dim::of(i64::from(yes))
}

/// Whether `a` is less than `b`; `None` where that depends on the batch size.
fn less(a: Dim, b: Dim) -> Option<Dim> {
    match a.compare(b) {
        Some(order) => Some(truth(order == Ordering::Less)),
        None => a.never_below(b).then(|| truth(false)),
    }
}
