//! Planes to pixels: an image (C, pixels) row-major becomes pixels x channels.

use super::element::Element;

/// `planes` is one image of `channels` planes; `pixels` holds as many values.
pub fn interleave<E: Element>(planes: &[f32], channels: usize, pixels: &mut [E]) {
    assert!(planes.len() == pixels.len() && planes.len().is_multiple_of(channels), "sizes of one image");
    let area = planes.len() / channels;
    if let ([red, green, blue], 3) = (&planes.chunks_exact(area).collect::<Vec<_>>()[..], channels) {
        let samples = red.iter().zip(*green).zip(*blue);
        for (((red, green), blue), pixel) in samples.zip(pixels.chunks_exact_mut(3)) {
            pixel[0] = E::store(*red);
            pixel[1] = E::store(*green);
            pixel[2] = E::store(*blue);
        }
        return;
    }
    for (channel, plane) in planes.chunks_exact(area).enumerate() {
        for (sample, pixel) in plane.iter().zip(pixels.chunks_exact_mut(channels)) {
            pixel[channel] = E::store(*sample);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_s_channels_become_neighbours() {
        for channels in [1, 2, 3, 5] {
            let planes: Vec<f32> = (0..channels * 4).map(|i| i as f32).collect();
            let mut pixels = vec![0.0f32; planes.len()];
            interleave(&planes, channels, &mut pixels);
            for (i, value) in pixels.iter().enumerate() {
                assert_eq!(*value, ((i % channels) * 4 + i / channels) as f32);
            }
        }
    }
}
