//! What the run tells: the summary, a line a frame, maps, regions, targets, progress.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;

use crate::command::{Ran, bunny, overlay, overlay_command};

/// A file of JSON lines.
pub fn lines_of(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the lines");
    assert!(text.ends_with('\n'), "the last line is whole");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Half a second of the project's clip with lines and maps.
fn told(arguments: &[&str]) -> (Value, Vec<Value>, Vec<u8>) {
    let folder = tempfile::tempdir().expect("folder");
    let [out, lines, maps] = ["out.mp4", "frames.jsonl", "maps.safetensors"].map(|name| folder.path().join(name));
    let (lines_text, maps_text) = (lines.to_str().expect("UTF-8"), maps.to_str().expect("UTF-8"));
    let own = ["--json", "--start", "2", "--duration", "0.48", "--frames", lines_text, "--maps", maps_text];
    let all = overlay(&bunny(), &out, &[&own, arguments].concat()).json();
    (all, lines_of(&lines), fs::read(&maps).expect("the maps"))
}

#[test]
fn the_summary_has_the_keys_of_its_contract() {
    let (all, lines, _) = told(&["--every", "3"]);
    let wanted = [
        "fps",
        "frames_explained",
        "frames_in",
        "frames_lost",
        "frames_out",
        "method",
        "numeric_faults",
        "out_of_memory",
        "peak_rss_bytes",
        "residual",
        "seconds",
        "stage_seconds",
        "top_classes",
        "worker_restarts",
    ];
    assert_eq!(keys(&all), wanted);
    assert_eq!(keys(&all["stage_seconds"]), ["adjoint", "decode", "encode", "forward", "overlay", "preprocess"]);
    assert_eq!(keys(&all["residual"]), ["max", "p50", "p99"]);
    assert_eq!((&all["frames_in"], &all["frames_out"], &all["frames_explained"]), (&12.into(), &12.into(), &4.into()));
    assert!(all["stage_seconds"].as_object().expect("stages").values().all(|seconds| seconds.as_f64().is_some_and(|s| s > 0.0)));
    assert!(all["fps"].as_f64().is_some_and(|fps| fps > 0.0) && all["peak_rss_bytes"].as_u64().is_some_and(|bytes| bytes > 50_000_000));
    let led: u64 = all["top_classes"].as_array().expect("classes").iter().map(|class| class["frames"].as_u64().expect("a count")).sum();
    assert!((1..=4).contains(&led));
    assert_eq!(all["method"], "fullgrad");
    let most = lines.iter().map(|line| line["residual"].as_f64().expect("a number")).fold(0.0, f64::max);
    assert!((all["residual"]["max"].as_f64().expect("a number") - most).abs() < 1e-9);
}

#[test]
fn a_line_a_frame() {
    let (_, lines, _) =
        told(&["--region", "all=0,0,1,1", "--region", "left=0,0,0.5,1", "--region", "right=0.5,0,0.5,1", "--precision", "f32"]);
    assert_eq!(lines.len(), 12);
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["pts_ns"], 40_000_000 * index as u64);
        let classes = line["classes"].as_array().expect("classes");
        assert_eq!(classes.len(), 5);
        for class in classes {
            assert_eq!(keys(class), ["index", "label", "probability"]);
        }
        let probabilities: Vec<f64> = classes.iter().map(|class| class["probability"].as_f64().expect("a number")).collect();
        assert!(probabilities.is_sorted_by(|a, b| a >= b) && probabilities.iter().sum::<f64>() <= 1.0 + 1e-6);
        assert_eq!(line["target"], classes[0], "the leading class is explained");
        assert!(line["residual"].as_f64().is_some_and(|residual| (0.0..1e-3).contains(&residual)), "{}", line["residual"]);
        let share = |name: &str| line["regions"][name].as_f64().expect("a share");
        assert_eq!(keys(&line["regions"]), ["all", "left", "right"]);
        assert!((share("all") - 1.0).abs() < 1e-5 && (share("left") + share("right") - 1.0).abs() < 1e-5);
        assert!(share("left") > 0.01 && share("right") > 0.01);
    }
}

#[test]
fn maps_can_be_read_and_agree_with_the_lines() {
    let (_, lines, bytes) = told(&["--every", "5", "--region", "left=0,0,0.5,1", "--layout", "side"]);
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let map = file.tensor("map").expect("map");
    assert_eq!(map.shape(), [3, 1, 224, 224]);
    let values: Vec<f32> = map.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let whole = |name: &str| -> Vec<i64> {
        let view = file.tensor(name).expect(name);
        view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().expect("eight bytes"))).collect()
    };
    let explained: Vec<&Value> = lines.iter().filter(|line| line["explained"] == true).collect();
    assert_eq!(whole("pts_ns"), [0, 200_000_000, 400_000_000]);
    for (index, line) in explained.iter().enumerate() {
        assert_eq!((&line["pts_ns"], &line["target"]["index"]), (&whole("pts_ns")[index].into(), &whole("target")[index].into()));
        let map = &values[index * 224 * 224..][..224 * 224];
        assert!(map.iter().all(|value| value.is_finite() && *value >= 0.0));
        let sum =
            |columns: std::ops::Range<usize>| map.chunks(224).flat_map(|row| &row[columns.clone()]).map(|&v| f64::from(v)).sum::<f64>();
        let left = sum(0..112) / sum(0..224);
        assert!((left - line["regions"]["left"].as_f64().expect("a share")).abs() < 1e-4);
    }
}

#[test]
fn targets_by_index_and_label_and_held() {
    for target in ["tabby", "281", "Tabby"] {
        let (_, lines, _) = told(&["--every", "6", "--target", target]);
        for line in lines {
            assert_eq!((&line["target"]["index"], &line["target"]["label"]), (&281.into(), &"tabby".into()), "{target}");
            assert_ne!(line["classes"][0]["index"], 281);
        }
    }
    let (_, lines, _) = told(&["--target", "hold:60"]);
    assert!(lines.iter().all(|line| line["target"]["index"] == lines[0]["classes"][0]["index"]), "the first leading class is held");
}

#[test]
fn labels_that_are_none_name_those_that_are_near() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out.mp4");
    let refused = |target: &str| overlay(&bunny(), &out, &["--target", target]);
    refused("zzzzzzzz").refuses(2, &["none of the network's 1000 labels"]);
    refused("tabbi").refuses(2, &["tabbi", "281 \"tabby\""]);
    refused("retriever").refuses(2, &["retriever", "perhaps", "\"golden retriever\""]);
    refused("1000").refuses(2, &["1000"]);
    refused("hold:x").refuses_as_usage("hold:x");
    assert!(crate::command::names(folder.path()).is_empty());
}

impl Ran {
    /// Refused by the reader of options, which has its own form of sentence.
    #[track_caller]
    fn refuses_as_usage(&self, word: &str) {
        assert_eq!(self.code, 2);
        assert!(self.stderr.contains(word), "{}", self.stderr);
    }
}

#[test]
fn progress_in_a_pipe_is_plain_lines() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out.mp4");
    let ran = Ran::of(overlay_command(&bunny(), &out, &["--every", "60"]).output().expect("gradcast starts"));
    assert_eq!(ran.code, 0);
    for text in [&ran.stderr, &ran.stdout] {
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
    assert!(ran.stdout.contains("132 frames") && ran.stdout.contains("out.mp4") && ran.stdout.contains("residual"), "{}", ran.stdout);
}

#[test]
fn another_method_draws_other_maps_and_is_named() {
    let (_, _, fullgrad) = told(&["--every", "12"]);
    let (all, lines, maps) = told(&["--every", "12", "--method", "smoothgrad", "--samples", "3", "--caption"]);
    assert_eq!(all["method"], "smoothgrad");
    assert!(lines.iter().all(|line| line["method"] == "smoothgrad"), "{lines:?}");
    let map = |bytes: &[u8]| SafeTensors::deserialize(bytes).expect("maps").tensor("map").expect("map").data().to_vec();
    assert_eq!(map(&maps).len(), map(&fullgrad).len());
    assert_ne!(map(&maps), map(&fullgrad));
}
