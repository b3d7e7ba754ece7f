//! The passes for any processor, value by value.

use super::element::Element;
use super::terms::{Bounds, ImageTerms};

/// What is collected of one term.
struct Collector {
    sum: f64,
    smallest: f32,
    largest: f32,
}

impl Collector {
    fn new() -> Self {
        Collector { sum: 0.0, smallest: f32::INFINITY, largest: 0.0 }
    }

    fn take(&mut self, term: f32) -> f32 {
        let magnitude = term.abs();
        self.sum += f64::from(term);
        self.smallest = self.smallest.min(magnitude);
        self.largest = self.largest.max(magnitude);
        magnitude
    }

    fn finish(self) -> ImageTerms {
        ImageTerms { sum: self.sum, smallest: self.smallest, largest: self.largest }
    }
}

/// See [`super::clipped_terms`].
pub fn clipped<E: Element>(
    grad: &mut [E],
    y: &[E],
    bias: &[f32],
    bounds: Bounds,
    affine_map: &mut [f32],
    clip_map: &mut [f32],
) -> (ImageTerms, ImageTerms) {
    let (mut affine, mut clip) = (Collector::new(), Collector::new());
    let pixels = grad.chunks_exact_mut(bias.len()).zip(y.chunks_exact(bias.len()));
    for (((grad, y), affine_pixel), clip_pixel) in pixels.zip(affine_map).zip(clip_map) {
        (*affine_pixel, *clip_pixel) = (0.0, 0.0);
        for ((grad, y), bias) in grad.iter_mut().zip(y).zip(bias) {
            let (g, y) = (grad.load(), y.load());
            let passed = if y > bounds.low && y < bounds.high { g } else { 0.0 };
            *grad = E::store(passed);
            *affine_pixel += affine.take(passed * bias);
            *clip_pixel += clip.take(g * bounds.term(y));
        }
    }
    (affine.finish(), clip.finish())
}

/// See [`super::plain_terms`].
pub fn plain<E: Element>(grad: &[E], bias: &[f32], map: &mut [f32]) -> ImageTerms {
    let mut collector = Collector::new();
    for (grad, pixel) in grad.chunks_exact(bias.len()).zip(map) {
        *pixel = grad.iter().zip(bias).map(|(grad, bias)| collector.take(grad.load() * bias)).sum();
    }
    collector.finish()
}

/// See [`super::product_terms`].
pub fn product<E: Element>(grad: &[E], other: &[E], channels: usize, map: &mut [f32]) -> ImageTerms {
    let mut collector = Collector::new();
    for ((grad, other), pixel) in grad.chunks_exact(channels).zip(other.chunks_exact(channels)).zip(map) {
        *pixel = grad.iter().zip(other).map(|(grad, other)| collector.take(grad.load() * other.load())).sum();
    }
    collector.finish()
}

/// One pixel of a depthwise convolution: clip(start + sum over taps of weights times source), a value a channel.
pub fn weighted_sum<E: Element>(source: &[E], weight: &[f32], taps: &[(usize, usize)], start: &[f32], bounds: Bounds, pixel: &mut [E]) {
    for (channel, (value, start)) in pixel.iter_mut().zip(start).enumerate() {
        let sum = taps.iter().fold(*start, |sum, tap| source[tap.0 + channel].load().mul_add(weight[tap.1 + channel], sum));
        *value = E::store(sum.max(bounds.low).min(bounds.high));
    }
}
