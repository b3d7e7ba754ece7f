//! Element by element, with broadcasting.

use super::array::{Array, Walk, broadcast};
use super::{ElementType, Folding};

impl Folding<'_> {
    /// A function that keeps integers integers.
    pub fn each(&self, of: impl Fn(f64) -> f64) -> Result<Vec<Array>, String> {
        let x = self.array(0)?;
        self.budget.room(&x.shape)?;
        let element = x.computed();
        Ok(vec![Array { values: x.values.iter().map(|&v| of(v)).collect(), element, shape: x.shape }])
    }

    /// A function of floats.
    pub fn each_float(&self, of: impl Fn(f64) -> f64) -> Result<Vec<Array>, String> {
        let x = self.array(0)?;
        self.budget.room(&x.shape)?;
        Ok(vec![Array { values: x.values.iter().map(|&v| of(v)).collect(), element: ElementType::F64, shape: x.shape }])
    }

    pub fn truth_of(&self, of: impl Fn(f64) -> bool) -> Result<Vec<Array>, String> {
        let truth = self.each(|x| f64::from(u8::from(of(x))))?;
        Ok(truth.into_iter().map(|array| Array { element: ElementType::Bool, ..array }).collect())
    }

    fn joined(&self, a: &Array, b: &Array, element: ElementType, of: impl Fn(f64, f64) -> f64) -> Result<Array, String> {
        let shape = broadcast(&[&a.shape, &b.shape])?;
        self.budget.room(&shape)?;
        let (left, right) = (a.steps_in(&shape), b.steps_in(&shape));
        let values = Walk::new(&shape, 0, &left).zip(Walk::new(&shape, 0, &right)).map(|(i, j)| of(a.values[i], b.values[j])).collect();
        Ok(Array { values, shape, element })
    }

    pub fn pairs(&self, of: impl Fn(f64, f64) -> f64) -> Result<Vec<Array>, String> {
        let (a, b) = (self.array(0)?, self.array(1)?);
        Ok(vec![self.joined(&a, &b, a.computed(), of)?])
    }

    /// With one rule for floats and another for integers.
    pub fn pairs_by_type(&self, floats: impl Fn(f64, f64) -> f64, integers: impl Fn(f64, f64) -> f64) -> Result<Vec<Array>, String> {
        let (a, b) = (self.array(0)?, self.array(1)?);
        if a.is_float() {
            return Ok(vec![self.joined(&a, &b, a.computed(), floats)?]);
        }
        if b.values.contains(&0.0) {
            return Err("divides integers by zero".to_owned());
        }
        Ok(vec![self.joined(&a, &b, a.computed(), integers)?])
    }

    pub fn holds(&self, of: impl Fn(f64, f64) -> bool) -> Result<Vec<Array>, String> {
        let (a, b) = (self.array(0)?, self.array(1)?);
        Ok(vec![self.joined(&a, &b, ElementType::Bool, |a, b| f64::from(u8::from(of(a, b))))?])
    }

    /// Of any number of inputs.
    pub fn of_all(&self, of: impl Fn(f64, f64) -> f64) -> Result<Vec<Array>, String> {
        let mut sum = self.array(0)?;
        sum.element = sum.computed();
        for index in 1..self.reading.operands.len() {
            sum = self.joined(&sum, &self.array(index)?, sum.computed(), &of)?;
        }
        Ok(vec![sum])
    }

    pub fn over_count(&self, sum: Array) -> Result<Array, String> {
        let count = self.reading.operands.len() as f64;
        Ok(Array { values: sum.values.iter().map(|v| v / count).collect(), ..sum })
    }
}

pub fn clip(f: &Folding) -> Result<Vec<Array>, String> {
    let bound = |index, name: &str, default: f32| -> Result<f64, String> {
        match f.optional(index)? {
            Some(array) => array.single().ok_or_else(|| format!("input {index} is not one number")),
            None => f.reading.float(name, default).map(f64::from),
        }
    };
    let (low, high) = (bound(1, "min", f32::NEG_INFINITY)?, bound(2, "max", f32::INFINITY)?);
    f.each(|x| x.max(low).min(high))
}

/// With the sign of the divisor, or of the dividend with fmod.
pub fn remainder(f: &Folding) -> Result<Vec<Array>, String> {
    let like_c = f.reading.int("fmod", 0)? != 0;
    let of = |a: f64, b: f64| if like_c { a % b } else { a - b * (a / b).floor() };
    f.pairs_by_type(of, of)
}

/// Where.
pub fn choose(f: &Folding) -> Result<Vec<Array>, String> {
    let parts = [f.array(0)?, f.array(1)?, f.array(2)?];
    let shape = broadcast(&[&parts[0].shape, &parts[1].shape, &parts[2].shape])?;
    f.budget.room(&shape)?;
    let steps = parts.each_ref().map(|part| part.steps_in(&shape));
    let [condition, yes, no] = steps.each_ref().map(|steps| Walk::new(&shape, 0, steps));
    let values =
        condition.zip(yes.zip(no)).map(|(c, (y, n))| if parts[0].values[c] != 0.0 { parts[1].values[y] } else { parts[2].values[n] });
    Ok(vec![Array { values: values.collect(), element: parts[1].element, shape }])
}

/// The error function: its power series near 0, the continued fraction of its complement further out.
pub fn erf(x: f64) -> f64 {
    let size = x.abs();
    let value = if size < 2.5 {
        let (mut term, mut sum) = (size, size);
        for n in 1..80 {
            term *= -size * size / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else if size < 6.0 {
        let fraction = (1..120).rev().fold(0.0, |rest, n| f64::from(n) / 2.0 / (size + rest));
        1.0 - (-size * size).exp() / ((size + fraction) * std::f64::consts::PI.sqrt())
    } else if size.is_nan() {
        size
    } else {
        1.0
    };
    value.copysign(x)
}
