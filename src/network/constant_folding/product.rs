//! Products of matrices, and Einsum, of which they are a case.

use super::Folding;
use super::array::{Array, Walk, broadcast, steps};

/// Sums of products: `shape` are the result's axes and behind them those that are summed over; each operand has a step for every one.
fn contract(f: &Folding, shape: &[usize], kept: usize, operands: &[(&Array, Vec<isize>)]) -> Result<Array, String> {
    let (out, summed) = shape.split_at(kept);
    let run = summed.iter().try_fold(1usize, |product, &size| product.checked_mul(size)).ok_or("sizes overflow")?;
    let count = f.budget.room(out)?;
    f.budget.work(count.saturating_mul(run).saturating_mul(operands.len()))?;
    let mut values = Vec::with_capacity(count);
    let mut starts: Vec<Walk> = operands.iter().map(|(_, steps)| Walk::new(out, 0, &steps[..kept])).collect();
    for _ in 0..count {
        let mut walks: Vec<Walk> = Vec::with_capacity(operands.len());
        for (start, (_, steps)) in starts.iter_mut().zip(operands) {
            let first = start.next().expect("as many places as the result has");
            walks.push(Walk::new(summed, first, &steps[kept..]));
        }
        let mut sum = 0.0;
        for _ in 0..run {
            let factors = walks.iter_mut().zip(operands).map(|(walk, (array, _))| array.values[walk.next().expect("as long as the run")]);
            sum += factors.product::<f64>();
        }
        values.push(sum);
    }
    Ok(Array { shape: out.to_vec(), values, element: operands[0].0.computed() })
}

pub fn matmul(f: &Folding) -> Result<Vec<Array>, String> {
    let (a, b) = (f.array(0)?, f.array(1)?);
    let (mut left, mut right) = (a.shape.clone(), b.shape.clone());
    let (row, column) = (left.len() == 1, right.len() == 1);
    if row {
        left.insert(0, 1);
    }
    if column {
        right.push(1);
    }
    let (&[ref outer_a @ .., m, k], &[ref outer_b @ .., k2, n]) = (&left[..], &right[..]) else {
        return Err(format!("shapes {:?} and {:?} are no matrices", a.shape, b.shape));
    };
    if k != k2 {
        return Err(format!("shapes {:?} and {:?} do not go together", a.shape, b.shape));
    }
    let outer = broadcast(&[outer_a, outer_b])?;
    let mut shape = [&outer[..], &[m, n]].concat();
    let walk = |own: &[usize], matrix: [isize; 3]| {
        let lead = Array { shape: own[..own.len() - 2].to_vec(), values: Vec::new(), element: a.element };
        let per_matrix = (own[own.len() - 2] * own[own.len() - 1]) as isize;
        let mut walk: Vec<isize> = lead.steps_in(&outer).iter().map(|step| step * per_matrix).collect();
        walk.extend(matrix);
        walk
    };
    let (ka, nb) = (k as isize, n as isize);
    let operands = [(&a, walk(&left, [ka, 0, 1])), (&b, walk(&right, [0, 1, nb]))];
    shape.push(k);
    let kept = shape.len() - 1;
    let mut product = contract(f, &shape, kept, &operands)?;
    if column {
        product.shape.pop();
    }
    if row {
        product.shape.remove(outer.len());
    }
    Ok(vec![product])
}

pub fn gemm(f: &Folding) -> Result<Vec<Array>, String> {
    let matrix = |index: usize, turned: &str| -> Result<Array, String> {
        let x = f.array(index)?;
        match x.shape.len() {
            2 if f.reading.int(turned, 0)? != 0 => Ok(x.permuted(&[1, 0])),
            2 => Ok(x),
            _ => Err(format!("input {index} has shape {:?}; a matrix is expected", x.shape)),
        }
    };
    let (a, b) = (matrix(0, "transA")?, matrix(1, "transB")?);
    let &[m, k, k2, n] = &[&a.shape[..], &b.shape].concat()[..] else { unreachable!("two matrices") };
    if k != k2 {
        return Err(format!("shapes {:?} and {:?} do not go together", a.shape, b.shape));
    }
    let operands = [(&a, vec![k as isize, 0, 1]), (&b, vec![0, 1, n as isize])];
    let mut product = contract(f, &[m, n, k], 2, &operands)?;
    let (alpha, beta) = (f64::from(f.reading.float("alpha", 1.0)?), f64::from(f.reading.float("beta", 1.0)?));
    let added = f.optional(2)?;
    let steps = match &added {
        Some(c) if broadcast(&[&c.shape, &product.shape])? == product.shape => c.steps_in(&product.shape),
        Some(c) => return Err(format!("input 2 has shape {:?}, the product {:?}", c.shape, product.shape)),
        None => vec![0; 2],
    };
    let places: Vec<usize> = Walk::new(&product.shape, 0, &steps).collect();
    for (value, at) in product.values.iter_mut().zip(places) {
        *value = alpha * *value + added.as_ref().map_or(0.0, |c| beta * c.values[at]);
    }
    Ok(vec![product])
}

/// A convolution whose kernel is one pixel, as encodings of positions have it.
pub fn pixelwise_conv(f: &Folding) -> Result<Vec<Array>, String> {
    let (x, weight, bias) = (f.array(0)?, f.array(1)?, f.optional(2)?);
    let (&[n, c, rows, columns], &[o, inputs, 1, 1]) = (&x.shape[..], &weight.shape[..]) else {
        return Err("convolves constants with a kernel of several pixels, which is not folded; export with constant folding".to_owned());
    };
    let plain = |name: &str, usual: i64| Ok::<_, String>(f.reading.ints(name)?.is_none_or(|all| all.iter().all(|&one| one == usual)));
    if inputs != c || f.reading.int("group", 1)? != 1 || !plain("strides", 1)? || !plain("pads", 0)? {
        return Err(format!("weights {:?} on {:?} in groups, steps or with a border, which is not folded", weight.shape, x.shape));
    }
    if bias.as_ref().is_some_and(|bias| bias.shape != [o]) {
        return Err(format!("the bias is not of the {o} channels"));
    }
    let pixels = (rows * columns) as isize;
    let of_x = vec![c as isize * pixels, 0, columns as isize, 1, pixels];
    let mut y = contract(f, &[n, o, rows, columns, c], 4, &[(&x, of_x), (&weight, vec![0, c as isize, 0, 0, 1])])?;
    if let Some(bias) = bias {
        let channel = |place: usize| place / pixels as usize % o;
        y.values.iter_mut().enumerate().for_each(|(place, value)| *value += bias.values[channel(place)]);
    }
    Ok(vec![y])
}

/// With letters for all axes; no ellipsis.
pub fn einsum(f: &Folding) -> Result<Vec<Array>, String> {
    let equation: String = f.reading.text("equation", "")?.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = equation.split_once("->").unwrap_or((&equation, ""));
    let inputs: Vec<Vec<char>> = inputs.split(',').map(|term| term.chars().collect()).collect();
    let mut letters: Vec<char> = output.chars().collect();
    if !equation.contains("->") {
        // Letters that stand once, in alphabetical order.
        let mut all: Vec<char> = inputs.concat();
        all.sort_unstable();
        letters = all.iter().copied().filter(|c| all.iter().filter(|other| *other == c).count() == 1).collect();
    }
    let kept = letters.len();
    for &letter in inputs.iter().flatten() {
        if !letters.contains(&letter) {
            letters.push(letter);
        }
    }
    let arrays: Vec<Array> = (0..inputs.len()).map(|index| f.array(index)).collect::<Result<_, _>>()?;
    let mut shape = vec![None; letters.len()];
    let mut walks = vec![vec![0isize; letters.len()]; arrays.len()];
    for ((array, term), walk) in arrays.iter().zip(&inputs).zip(&mut walks) {
        if term.len() != array.shape.len() || term.iter().any(|letter| !letter.is_ascii_alphabetic()) {
            return Err(format!("equation {equation:?} does not fit {:?}", array.shape));
        }
        for ((letter, &size), step) in term.iter().zip(&array.shape).zip(steps(&array.shape)) {
            let place = letters.iter().position(|other| other == letter).expect("every letter was entered");
            if shape[place].replace(size).is_some_and(|other| other != size) {
                return Err(format!("equation {equation:?}: {letter} has two sizes"));
            }
            walk[place] += step;
        }
    }
    let shape: Vec<usize> =
        shape.into_iter().collect::<Option<_>>().ok_or_else(|| format!("equation {equation:?} makes axes of nothing"))?;
    let operands: Vec<(&Array, Vec<isize>)> = arrays.iter().zip(walks).collect();
    Ok(vec![contract(f, &shape, kept, &operands)?])
}
