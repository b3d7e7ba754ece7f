//! What a stream's pictures look like: the overlay with the last explanation, fading when it is not renewed, or a plate.

use std::time::Duration;

use super::settings::Look;
use crate::engine::FrameAnswer;
use crate::error::Result;
use crate::frame::{Frame, FrameMut, PictureInfo, View};
use crate::overlay::{Caption, Heatmap, Normaliser, Overlay, Plate};
use crate::stream::records::Labels;

/// Draws the pictures of one stream.
#[derive(Debug)]
pub(super) struct Canvas {
    look: Look,
    labels: Labels,
    view: View,
    source: PictureInfo,
    overlay: Overlay,
    plate: Plate,
    normaliser: Normaliser,
    shown: Option<Shown>,
}

/// The last explanation.
#[derive(Debug)]
struct Shown {
    /// Number of its frame.
    id: u64,
    /// The stream's time of its frame.
    pts: Duration,
    heatmap: Heatmap,
    caption: Caption,
}

impl Canvas {
    /// For frames like `source`, of which the network sees `view`.
    ///
    /// # Errors
    /// Kind::Usage where the overlay's settings are out of range; Kind::Data for pictures without a size.
    pub fn new(look: &Look, labels: &Labels, source: &PictureInfo, view: View) -> Result<Self> {
        let overlay = Overlay::new(look.overlay, source)?;
        let plate = Plate::new(&overlay.output_info());
        let normaliser = Normaliser::new(look.smooth);
        Ok(Canvas { look: look.clone(), labels: labels.clone(), view, source: *source, overlay, plate, normaliser, shown: None })
    }

    /// Size, format and colour of what is drawn.
    pub fn output_info(&self) -> PictureInfo {
        self.overlay.output_info()
    }

    /// Another look, at once; the layout stays, since it makes the size. The map is forgotten where another thing is explained now.
    ///
    /// # Errors
    /// Kind::Usage where the overlay's settings are out of range.
    pub fn change(&mut self, look: &Look) -> Result<()> {
        self.overlay = Overlay::new(crate::overlay::Settings { layout: self.look.overlay.layout, ..look.overlay }, &self.source)?;
        let forgets = self.look.target != look.target || self.look.method != look.method;
        if forgets || self.look.smooth != look.smooth {
            self.normaliser = Normaliser::new(look.smooth);
        }
        if forgets {
            self.shown = None;
        }
        self.look = look.clone();
        Ok(())
    }

    /// Takes an explanation of frame `id` at the stream's time `pts`, unless a later frame's is shown already.
    pub fn take(&mut self, id: u64, pts: Duration, answer: &FrameAnswer) {
        if self.shown.as_ref().is_some_and(|shown| shown.id > id) {
            return;
        }
        let heatmap = self.normaliser.apply(&answer.map, answer.width, answer.height, pts);
        let caption = self.labels.caption(answer, &self.look.method.to_string());
        self.shown = Some(Shown { id, pts, heatmap, caption });
    }

    /// Draws a frame at the stream's time `pts` with the last explanation.
    pub fn frame(&mut self, picture: &dyn Frame, pts: Duration, out: &mut dyn FrameMut) {
        let shown = self.shown.as_ref().map(|shown| (shown, strength(pts.saturating_sub(shown.pts), self.look.fade)));
        match shown.filter(|&(_, strength)| strength > 0.0) {
            Some((shown, strength)) => {
                self.overlay.fade(strength);
                self.overlay.draw(picture, &shown.heatmap, &self.view, Some(&shown.caption), out);
            }
            None => self.overlay.draw(picture, &nothing(), &self.view, None, out),
        }
    }

    /// Draws the last picture with a text that says why there is no newer one; without a text as it is.
    pub fn plate(&mut self, picture: &dyn Frame, text: Option<&str>, out: &mut dyn FrameMut) {
        self.overlay.draw(picture, &nothing(), &self.view, None, out);
        if let Some(text) = text {
            self.plate.draw(text, out);
        }
    }
}

fn nothing() -> Heatmap {
    Heatmap { width: 1, height: 1, values: vec![0.0] }
}

/// How strongly a map of this age is shown: fully for half of `fade`, then less and less until nothing is left of it.
fn strength(age: Duration, fade: Duration) -> f32 {
    let half = fade.as_secs_f32() / 2.0;
    if age.as_secs_f32() <= half { 1.0 } else { (1.0 - (age.as_secs_f32() - half) / half.max(f32::MIN_POSITIVE)).max(0.0) }
}

/// Shannon's entropy of a map as shares of its sum, over the largest that so many pixels may have: 0 where all is on one pixel, 1 where it
/// is even. `None` for a map of nothing, or of what is not finite.
pub(super) fn entropy(map: &[f32]) -> Option<f64> {
    let sum: f64 = map.iter().map(|&value| f64::from(value)).sum();
    if map.len() < 2 || !sum.is_finite() || sum <= 0.0 {
        return None;
    }
    // -sum(p ln p) with p = v / sum is ln(sum) - sum(v ln v) / sum.
    let weighted: f64 = map.iter().filter(|value| **value > 0.0).map(|&value| f64::from(value * value.ln())).sum();
    Some(((sum.ln() - weighted / sum) / (map.len() as f64).ln()).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::answer;
    use super::*;
    use crate::engine::Rule;
    use crate::frame::{Matrix, OwnedFrame, PixelFormat};
    use crate::overlay;
    use crate::saliency::{Method, Target};
    use crate::stream::live::Aim;

    const INFO: PictureInfo = PictureInfo {
        width_px: 64,
        height_px: 48,
        format: PixelFormat::I420,
        matrix: Matrix::Bt601,
        full_range: true,
        pixel_aspect: (1, 1),
    };

    fn look() -> Look {
        Look {
            every: 1,
            max_fps: None,
            target: Aim { text: "argmax".to_owned(), rule: Rule::Fixed(Target::Argmax) },
            method: Method::Fullgrad,
            overlay: overlay::Settings { floor: 0.0, ..overlay::Settings::default() },
            smooth: Duration::ZERO,
            fade: Duration::from_secs(2),
        }
    }

    /// Luma at the right edge, where the map of `answer` is 1.
    fn drawn(canvas: &mut Canvas, pts: Duration) -> u8 {
        let mut out = OwnedFrame::zeroed(INFO);
        canvas.frame(&OwnedFrame::zeroed(INFO), pts, &mut out);
        out.plane(0).data[63]
    }

    #[test]
    fn a_map_that_is_not_renewed_fades_away() {
        let mut canvas = Canvas::new(&look(), &Labels::default(), &INFO, View::WHOLE).expect("a canvas");
        assert_eq!(drawn(&mut canvas, Duration::ZERO), 0, "nothing is explained yet");
        canvas.take(1, Duration::from_secs(10), &answer(1.0));
        let at = |canvas: &mut Canvas, ms: u64| drawn(canvas, Duration::from_millis(10_000 + ms));
        let full = at(&mut canvas, 0);
        assert!(full > 10, "{full}");
        assert_eq!(at(&mut canvas, 1000), full);
        let half = at(&mut canvas, 1500);
        assert!(half > full / 3 && half < full * 2 / 3, "{half} of {full}");
        assert_eq!(at(&mut canvas, 2000), 0);
    }

    #[test]
    fn an_older_answer_does_not_replace_a_newer_one() {
        let mut canvas = Canvas::new(&look(), &Labels::default(), &INFO, View::WHOLE).expect("a canvas");
        canvas.take(5, Duration::from_secs(10), &answer(1.0));
        let mut flat = answer(1.0);
        flat.map = vec![0.0, 0.0];
        canvas.take(4, Duration::from_secs(10), &flat);
        assert!(drawn(&mut canvas, Duration::from_secs(10)) > 10);
        canvas.take(6, Duration::from_secs(10), &flat);
        assert_eq!(drawn(&mut canvas, Duration::from_secs(10)), 0);
    }

    #[test]
    fn another_target_forgets_the_map_and_another_opacity_does_not() {
        let mut canvas = Canvas::new(&look(), &Labels::default(), &INFO, View::WHOLE).expect("a canvas");
        canvas.take(1, Duration::ZERO, &answer(1.0));
        let before = drawn(&mut canvas, Duration::ZERO);
        let mut stronger = look();
        stronger.overlay.opacity = 1.0;
        canvas.change(&stronger).expect("changed");
        assert!(drawn(&mut canvas, Duration::ZERO) > before);
        let aim = Aim { text: "7".to_owned(), rule: Rule::Fixed(Target::Index(7)) };
        canvas.change(&Look { target: aim, ..stronger }).expect("changed");
        assert_eq!(drawn(&mut canvas, Duration::ZERO), 0);
    }

    #[test]
    fn entropy_is_0_on_one_pixel_and_1_where_it_is_even() {
        assert_eq!(entropy(&[0.0, 3.0, 0.0, 0.0]), Some(0.0));
        assert!((entropy(&[0.5; 8]).expect("a number") - 1.0).abs() < 1e-6);
        assert!((entropy(&[1.0, 1.0, 0.0, 0.0]).expect("a number") - 0.5).abs() < 1e-6);
        assert_eq!([entropy(&[0.0; 4]), entropy(&[f32::NAN; 4]), entropy(&[1.0])], [None; 3]);
    }
}
