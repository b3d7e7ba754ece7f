//! Fused steps against the same operators one by one: outputs, gradients and every term, dense and reduced.

use half::bf16;
use tch::{Device, Kind, Tensor};

use super::compile::Plan;
use super::observed::spots;
use super::site::{Point, Reduced, SiteId, TermSink};
use crate::error::Result;
use crate::network::graph::Constant;
use crate::network::op::Place;
use crate::network::ops::{Add, Clip, Concat, Conv, Linear, MaxPool, Op, ReduceMean, Relu, Reshape, Slice, Transpose, Window};
use crate::network::structure::{Network, Step, Value};

/// A network under construction, with random weights that bf16 holds exactly.
struct Builder {
    network: Network,
    state: u64,
}

impl Builder {
    fn new(input: [usize; 4]) -> Self {
        let value = Value { name: "input".to_owned(), shape: input.to_vec() };
        Builder { network: Network::new("test".to_owned(), value, None), state: 1 }
    }

    fn weights(&mut self, shape: &[usize]) -> Constant {
        let mut next = || {
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bf16::from_f64((self.state >> 11) as f64 / (1u64 << 52) as f64 - 1.0).to_f64()
        };
        let count = shape.iter().product();
        Constant::from_floats(shape.to_vec(), (0..count).map(|_| next()).collect())
    }

    fn push(&mut self, op: impl Into<Op>, inputs: &[usize]) -> usize {
        let op = op.into();
        let shapes: Vec<&[usize]> = inputs.iter().map(|&input| self.network.values[input].shape.as_slice()).collect();
        let outputs: Vec<usize> = op
            .rules()
            .shapes(&shapes)
            .expect("inputs that fit")
            .into_iter()
            .map(|shape| {
                self.network.values.push(Value { name: format!("value {}", self.network.values.len()), shape });
                self.network.values.len() - 1
            })
            .collect();
        let (name, first) = (format!("step {}", self.network.steps.len()), outputs[0]);
        self.network.steps.push(Step { name, op, inputs: inputs.to_vec(), outputs });
        self.network.output = first;
        first
    }

    fn conv(&mut self, input: usize, outputs: usize, kernel: usize, stride: usize, groups: usize, bias: bool) -> usize {
        let channels = self.network.values[input].shape[1];
        let border = if kernel == 3 { 1 } else { 0 };
        let (strides, dilations, ceil) = ([stride; 2], [1; 2], false);
        let window = Window { kernel: [kernel; 2], strides, dilations, pads_begin: [border; 2], pads_end: [border; 2], ceil };
        let weight = self.weights(&[outputs, channels / groups, kernel, kernel]);
        let bias = bias.then(|| self.weights(&[outputs]));
        self.push(Conv { weight, bias, window, groups }, &[input])
    }

    fn relu(&mut self, input: usize) -> usize {
        self.push(Relu { slope: 0.0 }, &[input])
    }

    /// The mean of the pixels, and three classes.
    fn classes(mut self, input: usize) -> Network {
        let mean = self.push(ReduceMean { axes: vec![2, 3], keep: false }, &[input]);
        self.rows(mean)
    }

    fn rows(mut self, input: usize) -> Network {
        let inputs = self.network.values[input].shape.iter().product();
        let rows = self.push(Reshape { shape: vec![1, inputs], unchanged: false }, &[input]);
        let (weight, bias) = (self.weights(&[inputs, 3]), Some(self.weights(&[3])));
        self.push(Linear { weight, bias }, &[rows]);
        self.network
    }
}

/// Kernel, strides, dilations, borders (top, left, bottom, right), groups, output channels; on 12 channels of 9 x 10 pixels.
type Geometry = ([usize; 2], [usize; 2], [usize; 2], [usize; 4], usize, usize);

const GEOMETRIES: [(&str, Geometry); 16] = [
    ("one by one", ([1, 1], [1, 1], [1, 1], [0; 4], 1, 7)),
    ("one by one in strides", ([1, 1], [2, 2], [1, 1], [0; 4], 1, 7)),
    ("one by one with a border", ([1, 1], [1, 1], [1, 1], [1; 4], 1, 7)),
    ("in strides", ([3, 3], [2, 2], [1, 1], [1; 4], 1, 10)),
    ("in strides that leave a rest", ([2, 3], [4, 3], [1, 1], [0; 4], 1, 5)),
    ("with holes", ([3, 3], [1, 1], [2, 3], [2; 4], 1, 5)),
    ("with holes in strides", ([3, 2], [2, 3], [2, 2], [1; 4], 1, 5)),
    ("in groups", ([3, 3], [1, 1], [1, 1], [1; 4], 3, 9)),
    ("in groups and strides", ([3, 3], [2, 2], [1, 1], [1; 4], 2, 6)),
    ("with more border at the end", ([3, 3], [2, 2], [1, 1], [0, 0, 1, 1], 1, 9)),
    ("with more border at the beginning", ([4, 4], [1, 1], [1, 1], [2, 2, 1, 1], 1, 9)),
    ("with a border over the kernel", ([2, 2], [1, 1], [1, 1], [3; 4], 1, 4)),
    ("of each channel", ([5, 5], [1, 1], [1, 1], [2; 4], 12, 12)),
    ("of each channel in strides", ([5, 5], [2, 2], [1, 1], [1, 1, 2, 2], 12, 12)),
    ("of each channel in strides, with holes", ([3, 3], [3, 2], [2, 2], [2, 0, 1, 3], 12, 12)),
    ("of each channel in strides, twice as many", ([3, 3], [2, 2], [1, 1], [1; 4], 12, 24)),
];

/// A convolution of each geometry, with an activation or without, behind a pixelwise one that makes 12 channels.
fn geometries() -> Vec<(String, Network, usize)> {
    let activations: [(&str, Option<Op>); 3] = [
        ("alone", None),
        ("and a rectifier", Some(Relu { slope: 0.0 }.into())),
        ("and a clip", Some(Clip { low: -0.5, high: 1.5 }.into())),
    ];
    let each = GEOMETRIES.iter().flat_map(|geometry| activations.iter().map(move |activation| (geometry, activation)));
    each.map(|((name, (kernel, strides, dilations, pads, groups, outputs)), (with, activation))| {
        let mut b = Builder::new([1, 3, 10, 9]);
        let x = b.conv(0, 12, 1, 1, 1, true);
        // Rows and columns change places, so that the input lies neither channels last nor row-major.
        let x = b.push(Transpose { perm: vec![0, 1, 3, 2] }, &[x]);
        let (begin, end) = ([pads[0], pads[1]], [pads[2], pads[3]]);
        let (kernel, strides, dilations) = (*kernel, *strides, *dilations);
        let window = Window { kernel, strides, dilations, pads_begin: begin, pads_end: end, ceil: false };
        let weight = b.weights(&[*outputs, 12 / groups, kernel[0], kernel[1]]);
        let bias = Some(b.weights(&[*outputs]));
        let mut y = b.push(Conv { weight, bias, window, groups: *groups }, &[x]);
        if let Some(activation) = activation {
            y = b.push(activation.clone(), &[y]);
        }
        (format!("{name}, {with}"), b.classes(y), usize::from(activation.is_some()))
    })
    .collect()
}

fn all_networks() -> Vec<(String, Network, usize)> {
    networks().into_iter().map(|(name, network, fused)| (name.to_owned(), network, fused)).chain(geometries()).collect()
}

/// Name, network, and how many of its steps are fused with the one before.
fn networks() -> Vec<(&'static str, Network, usize)> {
    let mut all = Vec::new();

    let mut b = Builder::new([1, 3, 9, 11]);
    let mut x = 0;
    for channels in [5, 8, 13] {
        x = b.conv(x, channels, 3, if channels == 8 { 2 } else { 1 }, 1, true);
        x = b.relu(x);
    }
    all.push(("rectifiers, channels in no eights", b.classes(x), 3));

    let mut b = Builder::new([1, 3, 8, 8]);
    let mut x = 0;
    for (low, high) in [(0.0, 6.0), (-1.0, 1.0), (0.1, 0.7), (f64::NEG_INFINITY, 0.3)] {
        x = b.conv(x, 10, 3, 1, 1, true);
        x = b.push(Clip { low, high }, &[x]);
    }
    all.push(("clips", b.classes(x), 4));

    let mut b = Builder::new([1, 3, 8, 8]);
    let x = b.conv(0, 16, 1, 1, 1, false);
    let x = b.relu(x);
    let x = b.conv(x, 16, 3, 2, 16, true);
    let x = b.push(Clip { low: 0.0, high: 6.0 }, &[x]);
    let x = b.conv(x, 9, 1, 1, 1, false);
    all.push(("each channel by itself; no bias; no activation at the end", b.classes(x), 2));

    let mut b = Builder::new([1, 3, 8, 8]);
    let x = b.conv(0, 6, 3, 1, 1, true);
    let x = b.push(Relu { slope: 0.1 }, &[x]);
    let x = b.conv(x, 6, 3, 1, 1, true);
    all.push(("a leaky rectifier is not fused", b.classes(x), 0));

    let mut b = Builder::new([1, 3, 8, 8]);
    let x = b.conv(0, 7, 3, 1, 1, true);
    let a = b.relu(x);
    let y = b.push(Add, &[x, a]);
    let y = b.relu(y);
    all.push(("a convolution with two readers is not fused", b.classes(y), 0));

    let mut b = Builder::new([1, 3, 8, 8]);
    let mut x = b.conv(0, 12, 3, 1, 1, true);
    for _ in 0..2 {
        let y = b.conv(x, 12, 3, 1, 1, true);
        let y = b.relu(y);
        let y = b.conv(y, 12, 1, 1, 1, true);
        let y = b.relu(y);
        x = b.push(Add, &[y, x]);
    }
    all.push(("residual sums share their gradient", b.classes(x), 4));

    // Whole pictures to one pixel: then any stride describes the layout, and copies may be none.
    let mut b = Builder::new([1, 3, 4, 4]);
    let [p, q] = [0, 1].map(|_| {
        let x = b.conv(0, 11, 4, 1, 1, true);
        b.relu(x)
    });
    let r = b.conv(p, 11, 1, 1, 1, true);
    let r = b.relu(r);
    let sum = b.push(Add, &[p, q]);
    let sum = b.push(Add, &[r, sum]);
    all.push(("one pixel, shared", b.rows(sum), 3));

    let mut b = Builder::new([1, 3, 4, 4]);
    let [p, q] = [0, 1].map(|_| {
        let x = b.conv(0, 1, 3, 1, 1, true);
        b.relu(x)
    });
    let sum = b.push(Add, &[p, q]);
    all.push(("one channel, shared", b.rows(sum), 2));

    let mut b = Builder::new([1, 3, 8, 8]);
    let parts = [5, 8].map(|channels| {
        let x = b.conv(0, channels, 3, 1, 1, true);
        b.relu(x)
    });
    let joined = b.push(Concat { axis: 1 }, &parts);
    let kernel = Window { kernel: [2; 2], strides: [2; 2], dilations: [1; 2], pads_begin: [0; 2], pads_end: [0; 2], ceil: false };
    let pooled = b.push(MaxPool { window: kernel }, &[joined]);
    let half = b.push(Slice { axis: 1, ranges: vec![(2, 9)] }, &[pooled]);
    let x = b.conv(half, 4, 3, 1, 1, true);
    let x = b.relu(x);
    all.push(("joined, pooled and cut", b.classes(x), 3));

    // The parts of a sum's gradient are views of memory that the other summand reads too, after something was added to a part.
    let mut b = Builder::new([1, 3, 4, 4]);
    let [p, q, r] = [2, 3, 5].map(|channels| {
        let x = b.conv(0, channels, 3, 1, 1, true);
        b.relu(x)
    });
    let twice = b.conv(p, 5, 3, 1, 1, true);
    let joined = b.push(Concat { axis: 1 }, &[p, q]);
    let sum = b.push(Add, &[joined, r]);
    let sum = b.push(Add, &[sum, twice]);
    let sum = b.relu(sum);
    all.push(("a sum with a join", b.classes(sum), 5));

    // Two residual blocks, the first with a strided convolution beside it; the second clips, where oneDNN only rectifies.
    let mut b = Builder::new([1, 3, 9, 9]);
    let x = b.conv(0, 8, 3, 2, 1, true);
    let x = b.relu(x);
    let y = b.conv(x, 8, 3, 2, 1, true);
    let y = b.relu(y);
    let y = b.conv(y, 12, 1, 1, 1, true);
    let beside = b.conv(x, 12, 1, 2, 1, false);
    let x = b.push(Add, &[y, beside]);
    let x = b.relu(x);
    let y = b.conv(x, 12, 3, 1, 12, true);
    let y = b.conv(y, 12, 3, 1, 1, true);
    let sum = b.push(Add, &[x, y]);
    let x = b.push(Clip { low: -8.0, high: 8.0 }, &[sum]);
    all.push(("residual blocks", b.classes(x), 6));
    all
}

/// A term as both sinks can be compared: sums, channel sums, extremes.
struct Term {
    site: SiteId,
    numbers: Vec<f64>,
}

#[derive(Default)]
struct Record {
    reduced: bool,
    terms: Vec<Term>,
    /// Terms that came reduced.
    reductions: usize,
}

impl TermSink for Record {
    fn takes_reduced(&self) -> bool {
        self.reduced
    }

    fn dense(&mut self, site: SiteId, grad: &Tensor, bias: &Tensor) -> Result<()> {
        let term = grad.to_kind(Kind::Double) * bias.to_kind(Kind::Double);
        let axes: Vec<i64> = (1..term.dim() as i64).collect();
        let size = term.abs();
        let mut numbers = vec![term.sum_dim_intlist(axes.as_slice(), false, Kind::Double)];
        if term.dim() == 4 {
            numbers.push(size.amin(axes.as_slice(), false));
            numbers.push(size.amax(axes.as_slice(), false));
            numbers.push(size.sum_dim_intlist([1i64].as_slice(), false, Kind::Double).contiguous().flatten(0, -1));
        }
        self.terms.push(Term { site, numbers: Vec::try_from(Tensor::cat(&numbers, 0)).expect("numbers") });
        Ok(())
    }

    fn reduced(&mut self, site: SiteId, terms: Reduced) -> Result<()> {
        let extremes = terms.smallest.iter().chain(&terms.largest).chain(&terms.maps).map(|&v| f64::from(v));
        self.terms.push(Term { site, numbers: terms.sums.iter().copied().chain(extremes).collect() });
        self.reductions += 1;
        Ok(())
    }
}

/// The output, and all terms by site.
fn run(network: &Network, kind: Kind, fuse: bool, reduced: bool, batch: i64) -> (Vec<f64>, Vec<Term>, usize) {
    let place = Place { device: Device::Cpu, kind };
    let plan = Plan::compile(network, place, fuse, &[]).expect("a plan");
    let size: Vec<i64> = network.input_shape().iter().map(|&size| size as i64).collect();
    let count = batch * size.iter().product::<i64>();
    let x = (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 0.7).sin().reshape([batch, size[1], size[2], size[3]]);
    let pass = plan.forward(&plan.prepare(&x).expect("an input")).expect("a forward pass");
    let output = pass.output.to_kind(Kind::Double);
    let grad = (pass.output.ones_like().cumsum(1, kind) - 1.75).to_kind(kind);
    let mut record = Record { reduced, ..Record::default() };
    plan.adjoint(pass, grad, &mut record).expect("an adjoint pass");
    record.terms.sort_by_key(|term| term.site);
    (Vec::try_from(output.flatten(0, -1)).expect("numbers"), record.terms, record.reductions)
}

fn hold(name: &str, found: &[f64], wanted: &[f64], bound: f64) {
    assert_eq!(found.len(), wanted.len(), "{name}");
    let scale = wanted.iter().fold(1e-3, |scale: f64, v| scale.max(v.abs()));
    for (f, w) in found.iter().zip(wanted) {
        assert!((f - w).abs() <= bound * scale, "{name}: {f} where {w} is expected, beside {scale}");
    }
}

fn fused_is_the_same(kind: Kind, bound: f64) {
    for (name, network, _) in all_networks() {
        for batch in [1, 3] {
            let (output, terms, _) = run(&network, kind, false, false, batch);
            for reduced in [false, true] {
                let name = format!("{name}, {batch} images, {}", if reduced { "reduced" } else { "dense" });
                let (fused_output, fused_terms, reductions) = run(&network, kind, true, reduced, batch);
                assert_eq!(reductions > 0, reduced, "{name}");
                hold(&name, &fused_output, &output, bound);
                let sites = |terms: &[Term]| terms.iter().map(|term| term.site).collect::<Vec<_>>();
                assert_eq!(sites(&fused_terms), sites(&terms), "{name}");
                for (fused, single) in fused_terms.iter().zip(&terms) {
                    hold(&format!("{name}, site {}", single.site), &fused.numbers, &single.numbers, bound);
                }
            }
        }
    }
}

#[test]
fn fused_steps_are_the_single_ones_in_f32() {
    fused_is_the_same(Kind::Float, 1e-5);
}

#[test]
fn fused_steps_are_the_single_ones_in_bf16() {
    fused_is_the_same(Kind::BFloat16, 2e-2);
}

#[test]
fn what_can_be_fused_is_fused_and_nothing_else() {
    for (name, network, fused) in all_networks() {
        let place = Place { device: Device::Cpu, kind: Kind::Float };
        let plan = Plan::new(&network, place).expect("a plan");
        assert_eq!(network.steps.len() - plan.steps.len(), fused, "{name}");
    }
}

/// Completeness in f64, whatever the order in which gradients are added up.
#[test]
fn terms_sum_up_to_the_output() {
    for (name, network, _) in all_networks() {
        let weights = [-0.75, 0.25, 1.25];
        let (output, terms, _) = run(&network, Kind::Double, false, false, 1);
        let value: f64 = output.iter().zip(weights).map(|(y, w)| y * w).sum();
        let sum: f64 = terms.iter().map(|term| term.numbers[0]).sum();
        assert!((value - sum).abs() <= 1e-10 * value.abs().max(1.0), "{name}: {value} and {sum}");
    }
}

/// Takes what is observed: the value, and its gradient.
#[derive(Default)]
struct Observer {
    seen: Vec<(Point, Vec<f64>)>,
}

impl TermSink for Observer {
    fn gradient(&mut self, point: Point, value: &Tensor, grad: &Tensor) -> Result<()> {
        assert_eq!(value.size(), grad.size());
        let both = Tensor::cat(&[value, grad].map(|tensor| tensor.to_kind(Kind::Double).contiguous().flatten(0, -1)), 0);
        self.seen.push((point, Vec::try_from(both).expect("numbers")));
        Ok(())
    }

    fn takes_reduced(&self) -> bool {
        true
    }

    fn dense(&mut self, _site: SiteId, _grad: &Tensor, _bias: &Tensor) -> Result<()> {
        Ok(())
    }

    fn reduced(&mut self, _site: SiteId, _terms: Reduced) -> Result<()> {
        Ok(())
    }
}

/// Every spatial value of every network in turn, and all at a time: no fused stage swallows it or writes over it, forward or backward.
#[test]
fn observed_values_and_gradients_are_those_of_single_steps() {
    for (name, network, _) in all_networks() {
        let all: Vec<usize> = spots(&network).iter().map(|spot| spot.value).filter(|&value| value != network.output).collect();
        let observe = |kind: Kind, fuse: bool, observed: &[usize]| {
            let plan = Plan::compile(&network, Place { device: Device::Cpu, kind }, fuse, observed).expect("a plan");
            let size: Vec<i64> = [2].into_iter().chain(network.input_shape()[1..].iter().map(|&size| size as i64)).collect();
            let x = (Tensor::arange(size.iter().product::<i64>(), (Kind::Double, Device::Cpu)) * 0.7).sin().reshape(size.as_slice());
            let pass = plan.forward(&plan.prepare(&x).expect("an input")).expect("a forward pass");
            let grad = (pass.output.ones_like().cumsum(1, kind) - 1.75).to_kind(kind);
            let mut observer = Observer::default();
            plan.adjoint(pass, grad, &mut observer).expect("an adjoint pass");
            observer.seen.sort_by_key(|(point, _)| match point {
                Point::Observed(at) => *at,
                Point::Input => usize::MAX,
            });
            observer.seen
        };
        let wanted = observe(Kind::Double, false, &all);
        assert_eq!(wanted.len(), all.len() + 1, "{name}: every value has a gradient");
        let hold_all = |seen: &[(Point, Vec<f64>)], wanted: &[&(Point, Vec<f64>)]| {
            assert_eq!(seen.len(), wanted.len(), "{name}");
            seen.iter().zip(wanted).for_each(|((_, found), (point, numbers))| hold(&format!("{name}, {point:?}"), found, numbers, 1e-5));
        };
        hold_all(&observe(Kind::Float, true, &all), &wanted.iter().collect::<Vec<_>>());
        for (at, &value) in all.iter().enumerate() {
            hold_all(&observe(Kind::Float, true, &[value]), &[&wanted[at], &wanted[all.len()]]);
        }
    }
}
