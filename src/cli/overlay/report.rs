//! The summary at the end, as text or as JSON.

use serde_json::{Value, json};

use crate::process;
use crate::stream::Summary;

/// Classes in the summary.
const CLASSES: usize = 5;

fn label(labels: &[String], index: usize) -> String {
    labels.get(index).cloned().unwrap_or_else(|| index.to_string())
}

/// "1 frame", "2 frames".
pub fn frames(count: u64) -> String {
    format!("{count} frame{}", if count == 1 { "" } else { "s" })
}

/// The JSON object of `--json`.
pub fn json(summary: &Summary, labels: &[String], method: &str) -> Value {
    let stages = &summary.stages;
    let classes: Vec<Value> = summary
        .top_classes(CLASSES)
        .iter()
        .map(|class| {
            json!({
                "label": label(labels, class.index),
                "index": class.index,
                "frames": class.frames,
                "probability": class.probability,
            })
        })
        .collect();
    let residual = summary.residuals().map(|r| json!({ "p50": r.p50, "p99": r.p99, "max": r.max }));
    json!({
        "frames_in": summary.frames_in,
        "frames_out": summary.frames_out,
        "frames_explained": summary.frames_explained,
        "frames_lost": summary.frames_lost,
        "numeric_faults": summary.numeric_faults,
        "fps": summary.fps(),
        "seconds": summary.elapsed.as_secs_f64(),
        "stage_seconds": {
            "decode": stages.decode.as_secs_f64(),
            "preprocess": stages.preprocess.as_secs_f64(),
            "forward": stages.forward.as_secs_f64(),
            "adjoint": stages.adjoint.as_secs_f64(),
            "overlay": stages.overlay.as_secs_f64(),
            "encode": stages.encode.as_secs_f64(),
        },
        "top_classes": classes,
        "method": method,
        "residual": residual,
        "peak_rss_bytes": process::peak_rss_bytes(),
        "out_of_memory": summary.engine.out_of_memory,
        "worker_restarts": summary.engine.restarts,
    })
}

/// The same for people.
pub fn text(summary: &Summary, labels: &[String], out: &str) -> String {
    let mut text = format!(
        "{out}: {}, {:.1} s of video, {:.1} MB; {:.1} s, {:.1} frames a second\n",
        frames(summary.frames_out),
        summary.media_time.as_secs_f64(),
        summary.bytes as f64 / 1e6,
        summary.elapsed.as_secs_f64(),
        summary.fps()
    );
    if summary.frames_explained != summary.frames_out {
        text += &format!("explained: {} of them\n", summary.frames_explained);
    }
    for class in summary.top_classes(CLASSES) {
        text += &format!(
            "{:>14} led by {}, {:.0} % sure on average\n",
            frames(class.frames),
            label(labels, class.index),
            class.probability * 100.0
        );
    }
    if let Some(residual) = summary.residuals() {
        text += &format!("completeness residual: {:.1e} half the time at most, {:.1e} at most\n", residual.p50, residual.max);
    }
    let stages = &summary.stages;
    text += &format!(
        "seconds a stage (side by side): decode {:.1}, preprocess {:.1}, forward {:.1}, adjoint {:.1}, overlay {:.1}, encode {:.1}\n",
        stages.decode.as_secs_f64(),
        stages.preprocess.as_secs_f64(),
        stages.forward.as_secs_f64(),
        stages.adjoint.as_secs_f64(),
        stages.overlay.as_secs_f64(),
        stages.encode.as_secs_f64()
    );
    if summary.numeric_faults > 0 {
        text += &format!("numeric faults: {}; --frames says which\n", frames(summary.numeric_faults));
    }
    if summary.frames_lost > 0 {
        let complaint = summary.last_complaint.as_deref().map(|message| format!("; the decoder says: {message}")).unwrap_or_default();
        text += &format!("lost: {} of the input could not be decoded whole{complaint}\n", frames(summary.frames_lost));
    }
    text += &crate::cli::told(summary.engine).map(|told| format!("{told}\n")).unwrap_or_default();
    text
}
