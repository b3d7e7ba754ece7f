//! Transposed convolutions, reductions, products of matrices, and whatever moves elements or weighs them along an axis.

use super::{Exemplar, activation, constant, integers, weights};
use crate::network::ops::sweep::reference::{self, Plain, Sliding};

pub fn all() -> Vec<Exemplar> {
    [transposed(), reductions(), softmaxes(), matrices(), einsums(), moves(), pads(), sizes()].into_iter().flatten().collect()
}

fn transposed() -> Vec<Exemplar> {
    let convolved = |name, sliding: Sliding, groups: usize, extra: [usize; 2], bias: bool| {
        let [kh, kw] = sliding.kernel;
        let weight = weights(&[4, 6 / groups, kh, kw]);
        let bias = bias.then(|| weights(&[6]));
        let mut given = vec![activation(&[1, 4, 3, 5]), constant(&weight)];
        given.extend(bias.as_ref().map(constant));
        let strides = sliding.strides.map(|s| s as i64);
        let reference = move |x: &[Plain]| reference::conv_transpose(&x[0], &weight, bias.as_ref(), groups, sliding, extra);
        Exemplar::new("ConvTranspose", name, given, reference)
            .ints("strides", &strides)
            .ints("dilations", &sliding.dilations.map(|d| d as i64))
            .ints("pads", &sliding.pads.map(|p| p as i64))
            .ints("output_padding", &extra.map(|e| e as i64))
            .int("group", groups as i64)
    };
    let plain = Sliding::new([3, 2]);
    let strided = Sliding { strides: [2, 3], ..plain };
    vec![
        convolved("", plain, 1, [0, 0], true),
        convolved("in strides, with a border", Sliding { pads: [1, 1, 1, 1], ..strided }, 1, [0, 0], true),
        convolved("in groups, without a bias", strided, 2, [0, 0], false),
        convolved("with holes and uneven pads", Sliding { dilations: [2, 1], pads: [2, 0, 1, 1], ..strided }, 1, [0, 0], true),
        convolved("with output padding", Sliding { pads: [1, 0, 1, 0], ..strided }, 1, [1, 2], true),
        convolved("with output padding and no pads", strided, 2, [1, 0], true),
    ]
}

fn einsums() -> Vec<Exemplar> {
    let attention = |name, equation: &str| {
        let given = vec![activation(&[1, 2, 4, 3]), activation(&[1, 2, 5, 3])];
        let reference = |x: &[Plain]| {
            Plain::of(&[x[0].shape[0], 2, 4, 5], |at| {
                (0..3).map(|d| x[0].at(&[at[0], at[1], at[2], d]) * x[1].at(&[at[0], at[1], at[3], d])).sum()
            })
        };
        Exemplar::new("Einsum", name, given, reference).text("equation", equation)
    };
    let matrix = weights(&[5, 3]);
    let with_matrix = Exemplar::new("Einsum", "of a matrix and pixels", vec![constant(&matrix), activation(&[1, 3, 2, 4])], move |x| {
        Plain::of(&[x[0].shape[0], 5, 2, 4], |at| (0..3).map(|c| matrix.at(&[at[1], c]) * x[0].at(&[at[0], c, at[2], at[3]])).sum())
    })
    .text("equation", "oc,nchw->nohw");
    let three = Exemplar::new(
        "Einsum",
        "of three, with an index that one has alone",
        vec![activation(&[1, 3, 2]), activation(&[1, 3]), activation(&[1, 4])],
        |x| {
            Plain::of(&[x[0].shape[0], 4], |at| {
                let sum: f64 =
                    (0..3).flat_map(|c| [0, 1].map(|i| (c, i))).map(|(c, i)| x[0].at(&[at[0], c, i]) * x[1].at(&[at[0], c])).sum();
                sum * x[2].at(at)
            })
        },
    )
    .text("equation", "nci, nc, nk -> nk");
    vec![
        attention("of two, as attention has it", "bhid,bhjd->bhij"),
        attention("with axes that are not named", "n...id,n...jd->n...ij"),
        with_matrix,
        three,
        Exemplar::new("Einsum", "of one, whose axes move", vec![activation(&[1, 3, 4])], |x| reference::transpose(&x[0], &[0, 2, 1]))
            .text("equation", "nab->nba"),
    ]
}

fn reductions() -> Vec<Exemplar> {
    const IMAGE: &[usize] = &[1, 3, 4, 5];
    type Fold = fn(&[f64]) -> f64;
    let over = |op_type, name, axes: &'static [usize], keep: bool, fold: Fold| {
        let listed: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
        let given = vec![activation(IMAGE), integers(&listed)];
        Exemplar::new(op_type, name, given, move |x| reference::reduce(&x[0], axes, keep, fold)).int("keepdims", i64::from(keep)).opset(18)
    };
    let all: [(&'static str, Fold); 7] = [
        ("ReduceSum", |v| v.iter().sum()),
        ("ReduceMax", |v| v.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        ("ReduceMin", |v| v.iter().copied().fold(f64::INFINITY, f64::min)),
        ("ReduceL1", |v| v.iter().map(|x| x.abs()).sum()),
        ("ReduceL2", |v| v.iter().map(|x| x * x).sum::<f64>().sqrt()),
        ("ReduceSumSquare", |v| v.iter().map(|x| x * x).sum()),
        ("ReduceLogSumExp", |v| v.iter().map(|x| x.exp()).sum::<f64>().ln()),
    ];
    let mut exemplars: Vec<Exemplar> = all
        .into_iter()
        .flat_map(|(op_type, fold)| {
            [over(op_type, "over the pixels", &[2, 3], true, fold), over(op_type, "over the channels", &[1], false, fold)]
        })
        .collect();
    let largest: Fold = |v| v.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    exemplars.push(over("ReduceMax", "over channels and columns", &[1, 3], false, largest));
    exemplars.push(Exemplar::new("GlobalMaxPool", "", vec![activation(IMAGE)], move |x| reference::reduce(&x[0], &[2, 3], true, largest)));
    exemplars
}

fn softmaxes() -> Vec<Exemplar> {
    let along = |op_type, shape: &[usize], axis: usize, log: bool| {
        let reference = move |x: &[Plain]| {
            let sums = reference::reduce(&x[0], &[axis], true, |v| v.iter().map(|x| x.exp()).sum());
            Plain::of(&x[0].shape, |at| {
                let s = x[0].at(at).exp() / sums.stretched(at);
                if log { s.ln() } else { s }
            })
        };
        Exemplar::new(op_type, "", vec![activation(shape)], reference).int("axis", axis as i64)
    };
    vec![
        along("Softmax", &[1, 3, 4, 5], 3, false),
        along("Softmax", &[1, 3, 4, 5], 1, false),
        along("LogSoftmax", &[1, 7], 1, true),
        along("LogSoftmax", &[1, 3, 4, 5], 2, true),
    ]
}

fn matrices() -> Vec<Exemplar> {
    let product = |name, a: &[usize], b: &[usize]| {
        Exemplar::new("MatMul", name, vec![activation(a), activation(b)], |x| reference::matrices(&x[0], &x[1]))
    };
    vec![
        product("of two activations", &[1, 2, 3, 4], &[1, 2, 4, 5]),
        product("of two activations, one for all heads", &[1, 2, 3, 4], &[1, 1, 4, 5]),
        product("of two activations of three axes", &[1, 3, 4], &[1, 4, 2]),
    ]
}

fn moves() -> Vec<Exemplar> {
    let gathered = |name, axis: usize, shape: Vec<usize>, indices: &'static [i64]| {
        let values = indices.iter().map(|&i| i as f64).collect();
        let index =
            crate::network::graph::Constant { shape: shape.clone(), elements: crate::network::graph::Elements::I64(indices.into()) };
        let index_plain = Plain { shape: shape.clone(), data: values };
        let given = vec![activation(&[1, 3, 4, 5]), super::Given::Constant(index)];
        let reference = move |x: &[Plain]| {
            let x = &x[0];
            let size = [&x.shape[..axis], &index_plain.shape, &x.shape[axis + 1..]].concat();
            Plain::of(&size, |at| {
                let inner = index_plain.shape.len();
                let picked = index_plain.at(&at[axis..axis + inner]) as i64;
                let place = picked.rem_euclid(x.shape[axis] as i64) as usize;
                x.at(&[&at[..axis], &[place], &at[axis + inner..]].concat())
            })
        };
        Exemplar::new("Gather", name, given, reference).int("axis", axis as i64)
    };
    // The channel that holds pixel (p, q) of the block, for channel c.
    let blocks = |op_type, mode: Option<&str>, channel: fn(usize, usize, usize) -> usize, inverse: bool| {
        let shape: &[usize] = if inverse { &[1, 3, 4, 6] } else { &[1, 12, 2, 3] };
        let reference = move |x: &[Plain]| {
            let x = &x[0];
            if inverse {
                let size = [x.shape[0], 12, 2, 3];
                return Plain::of(&size, |at| {
                    let (pixel, c) = (at[1] / 3, at[1] % 3);
                    x.at(&[at[0], c, at[2] * 2 + pixel / 2, at[3] * 2 + pixel % 2])
                });
            }
            Plain::of(&[x.shape[0], 3, 4, 6], |at| x.at(&[at[0], channel(at[1], at[2] % 2, at[3] % 2), at[2] / 2, at[3] / 2]))
        };
        let exemplar =
            Exemplar::new(op_type, if mode == Some("CRD") { "CRD" } else { "" }, vec![activation(shape)], reference).int("blocksize", 2);
        match mode {
            Some(mode) => exemplar.text("mode", mode),
            None => exemplar,
        }
    };
    let expanded = Exemplar::new("Expand", "", vec![activation(&[1, 3, 1, 5]), integers(&[3, 4, 1])], |x| {
        Plain::of(&[x[0].shape[0], 3, 4, 5], |at| x[0].stretched(at))
    });
    vec![
        gathered("of some channels", 1, vec![4], &[2, 0, -1, 0]),
        gathered("of one row, which vanishes", 2, vec![], &[-2]),
        gathered("of a table of columns", 3, vec![2, 2], &[4, 3, 0, 4]),
        blocks("DepthToSpace", Some("DCR"), |c, p, q| (p * 2 + q) * 3 + c, false),
        blocks("DepthToSpace", Some("CRD"), |c, p, q| c * 4 + p * 2 + q, false),
        blocks("SpaceToDepth", None, |c, _, _| c, true),
        expanded,
    ]
}

fn pads() -> Vec<Exemplar> {
    let padded = |name, mode: &'static str, pads: [i64; 8], value: Option<f64>| {
        let mut given = vec![activation(&[1, 3, 4, 5]), integers(&pads)];
        given.extend(value.map(|value| constant(&Plain { shape: vec![], data: vec![value] })));
        let reference = move |x: &[Plain]| {
            let x = &x[0];
            let size: Vec<usize> = (0..4).map(|i| (x.shape[i] as i64 + pads[i] + pads[i + 4]) as usize).collect();
            Plain::of(&size, |at| {
                let places: Vec<i64> = (0..4).map(|i| at[i] as i64 - pads[i]).collect();
                let inside = (0..4).all(|i| (0..x.shape[i] as i64).contains(&places[i]));
                if mode == "constant" && !inside {
                    return value.unwrap_or(0.0);
                }
                let source: Vec<usize> = (0..4)
                    .map(|i| {
                        let (p, n) = (places[i], x.shape[i] as i64);
                        (match mode {
                            "reflect" => {
                                if p < 0 {
                                    -p
                                } else if p >= n {
                                    2 * n - 2 - p
                                } else {
                                    p
                                }
                            }
                            "wrap" => p.rem_euclid(n),
                            _ => p.clamp(0, n - 1),
                        }) as usize
                    })
                    .collect();
                x.at(&source)
            })
        };
        Exemplar::new("Pad", name, given, reference).text("mode", mode)
    };
    vec![
        padded("with zeros, uneven", "constant", [0, 0, 1, 2, 0, 1, 0, 3], None),
        padded("with a number", "constant", [0, 1, 1, 0, 0, 0, 2, 1], Some(-1.5)),
        padded("that cuts and lays on", "constant", [0, 0, -1, 2, 0, 0, 1, -2], Some(0.5)),
        padded("mirrored", "reflect", [0, 0, 1, 2, 0, 2, 3, 0], None),
        padded("with the edge", "edge", [0, 0, 2, 1, 0, 1, 0, 6], None),
        padded("wrapped", "wrap", [0, 0, 2, 0, 0, 0, 1, 3], None).opset(19),
    ]
}

fn sizes() -> Vec<Exemplar> {
    let twice = |op_type, given: Vec<super::Given>| {
        Exemplar::new(op_type, "nearest", given, |x| {
            let n = x[0].shape[0];
            Plain::of(&[n, 2, 6, 8], |at| x[0].at(&[at[0], at[1], at[2] / 2, at[3] / 2]))
        })
    };
    let scales = || constant(&Plain { shape: vec![4], data: vec![1.0, 1.0, 2.0, 2.0] });
    let image = || activation(&[1, 2, 3, 4]);
    // Corners aligned, linear: the value on the line between two neighbours.
    let linear = |x: &Plain, size: [usize; 2]| {
        let place = |at: usize, from: usize, to: usize| at as f64 * (from - 1) as f64 / (to - 1) as f64;
        Plain::of(&[x.shape[0], x.shape[1], size[0], size[1]], |at| {
            let (y, z) = (place(at[2], x.shape[2], size[0]), place(at[3], x.shape[3], size[1]));
            let value = |row: usize, column: usize| x.at(&[at[0], at[1], row.min(x.shape[2] - 1), column.min(x.shape[3] - 1)]);
            let (row, column) = (y.floor() as usize, z.floor() as usize);
            let (p, q) = (y - row as f64, z - column as f64);
            let line = |row| (1.0 - q) * value(row, column) + q * value(row, column + 1);
            (1.0 - p) * line(row) + p * line(row + 1)
        })
    };
    vec![
        twice("Resize", vec![image(), super::Given::Missing, scales()])
            .text("coordinate_transformation_mode", "asymmetric")
            .text("nearest_mode", "floor"),
        twice("Upsample", vec![image(), scales()]).opset(9),
        Exemplar::new("Resize", "linear", vec![image(), super::Given::Missing, super::Given::Missing, integers(&[1, 2, 5, 3])], move |x| {
            linear(&x[0], [5, 3])
        })
        .text("mode", "linear")
        .text("coordinate_transformation_mode", "align_corners"),
    ]
}
