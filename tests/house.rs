//! The house's floors, and who may know whom, read from the source: an arrow never runs back up.

use std::fs;
use std::path::{Path, PathBuf};

/// What each module at the top of src may use, beside the ground and itself. A new module gets its floor here.
const FLOORS: [(&str, &[&str]); 11] = [
    ("cli", &["config", "service", "stream", "engine", "saliency", "network", "video", "overlay", "stills", "chart"]),
    ("config", &["service", "stream", "engine", "saliency", "network", "video", "overlay"]),
    ("service", &["stream", "engine", "saliency", "network", "video", "overlay"]),
    ("stream", &["engine", "saliency", "network", "video", "overlay"]),
    ("engine", &["saliency", "network"]),
    ("saliency", &["network"]),
    ("network", &[]),
    ("video", &[]),
    ("overlay", &[]),
    ("stills", &[]),
    ("chart", &[]),
];

/// What every module may use. The ground knows only itself.
const GROUND: [&str; 9] = ["frame", "clock", "error", "telemetry", "process", "secret", "simd", "tensor_file", "words"];

/// Names that may stand only in these places (beginnings of paths below src).
const KEPT_IN: [(&[&str], &[&str]); 7] = [
    (&["gst::", "gst_app::", "gst_video::", "gst_rtsp::", "gst_rtsp_server::", "gstreamer::"], &["video/"]),
    // error.rs turns libtorch's errors into ours.
    (&["tch::", "torch_sys::"], &["network/", "saliency/", "engine/", "error.rs"]),
    (&["prost::"], &["network/onnx"]),
    (&["prometheus::"], &["telemetry"]),
    (&["tokio::", "axum::", "utoipa::", "sd_notify::"], &["service/", "cli/"]),
    (&["clap::"], &["cli/", "main.rs"]),
    (&["Instant::now", "SystemTime::now", "thread::sleep"], &["clock.rs"]),
];

/// Parts of network that are plain data, so that they can be fuzzed alone.
const WITHOUT_TCH: [&str; 6] =
    ["network/onnx", "network/constant_folding", "network/canonical", "network/graph.rs", "network/manifest.rs", "network/catalogue.rs"];

const MOST_LINES: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder of the package, as (path below the folder, text).
fn sources(folder: &str) -> Vec<(String, String)> {
    fn visit(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                visit(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let top = root().join(folder);
    let mut paths = Vec::new();
    visit(&top, &mut paths);
    let below = |path: &PathBuf| path.strip_prefix(&top).ok().and_then(Path::to_str).expect("a path of the package").to_owned();
    paths.iter().map(|path| (below(path), fs::read_to_string(path).expect("UTF-8 source"))).collect()
}

/// The text without comments. A `//` inside a string ends its line too, which hides nothing that these tests look for.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n").collect()
}

/// The module at the top of src that a file belongs to.
fn module_of(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

/// True where `name` starts at `at` and is not the tail of a longer path or word.
fn starts_a_path(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
}

/// Names that follow a path to the crate's root: `crate::a`, `crate::{a::b, c}`, `gradcast::a`, and `super::super::a` from one folder down.
fn modules_used(path: &str, code: &str) -> Vec<String> {
    let depth = path.trim_end_matches("/mod.rs").matches('/').count() + 1;
    let prefixes = ["crate::".to_owned(), "gradcast::".to_owned(), "super::".repeat(depth), "super::".repeat(depth + 1)];
    let mut used = Vec::new();
    for prefix in &prefixes {
        for (at, _) in code.match_indices(prefix.as_str()).filter(|(at, _)| starts_a_path(code, *at)) {
            let rest = &code[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(group) => used.extend(heads_of_group(group)),
                None => used.push(first_word(rest)),
            }
        }
    }
    used
}

/// The first word of each entry of `a::b, c::{d, e}}`, up to the brace that closes the group.
fn heads_of_group(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.push(first_word(group[start..at].trim()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn climbs(path: &str, text: &str) -> Vec<String> {
    let module = module_of(path);
    let known = |name: &str| GROUND.contains(&name) || FLOORS.iter().any(|(floor, _)| *floor == name);
    let allowed: &[&str] = match module {
        "lib" => return Vec::new(),
        "main" => &["cli"],
        _ if GROUND.contains(&module) => &[],
        _ => match FLOORS.iter().find(|(name, _)| *name == module) {
            Some((_, allowed)) => allowed,
            None => return vec![format!("src/{path}: `{module}` has no floor; give it one in tests/house.rs")],
        },
    };
    modules_used(path, &code(text))
        .into_iter()
        .filter(|used| known(used) && used != module && !GROUND.contains(&used.as_str()) && !allowed.contains(&used.as_str()))
        .map(|used| format!("src/{path} uses `{used}`, which `{module}` may not know"))
        .collect()
}

/// True where `name` stands in the code: one that ends in `::` as the start of a path, others anywhere.
fn stands(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| !name.ends_with("::") || starts_a_path(code, at))
}

fn strays(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let mut found = Vec::new();
    for (names, places) in KEPT_IN {
        if places.iter().any(|place| path.starts_with(place)) {
            continue;
        }
        for name in names.iter().filter(|name| stands(&code, name)) {
            found.push(format!("src/{path} has `{name}`, which is kept in {places:?}"));
        }
    }
    if WITHOUT_TCH.iter().any(|place| path.starts_with(place)) && (stands(&code, "tch::") || stands(&code, "torch_sys::")) {
        found.push(format!("src/{path} knows tch; it is plain data"));
    }
    found
}

#[test]
fn no_arrow_runs_back_up() {
    let faults: Vec<String> = sources("src").iter().flat_map(|(path, text)| climbs(path, text)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn libraries_stay_in_their_rooms() {
    let faults: Vec<String> = sources("src").iter().flat_map(|(path, text)| strays(path, text)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_file_has_outgrown_its_subject() {
    for folder in ["src", "tests", "benches", "examples"] {
        for (path, text) in sources(folder) {
            let lines = text.lines().count();
            assert!(lines <= MOST_LINES, "{folder}/{path} has {lines} lines; split it by subject ({MOST_LINES} at most)");
        }
    }
}

#[test]
fn the_reader_sees_what_it_should() {
    assert_eq!(climbs("overlay/blend.rs", "use crate::frame::Frame;\nuse crate::error::{Error, Result};\nuse super::look::Look;"), [""; 0]);
    for text in [
        "use crate::video::Source;",
        "use crate::{error::Error, network::{op, graph}};",
        "let x = crate::saliency::explain();",
        "use super::super::network::graph;",
    ] {
        assert_eq!(climbs("overlay/blend.rs", text).len(), 1, "{text}");
    }
    assert_eq!(climbs("overlay/blend.rs", "// crate::video\n/// [`crate::video`]"), [""; 0]);
    assert_eq!(climbs("engine/pool.rs", "use crate::saliency::Explainer;\nuse crate::engine::batch;"), [""; 0]);
    assert_eq!(climbs("network/plan/step.rs", "use super::super::graph;\nuse super::super::super::saliency;").len(), 1);
    assert_eq!(climbs("main.rs", "use gradcast::engine;").len(), 1);
    assert_eq!(climbs("attic/x.rs", "").len(), 1);

    assert_eq!(strays("overlay/mod.rs", "use gst_video::VideoFrameRef;").len(), 1);
    assert_eq!(strays("network/onnx/mod.rs", "use tch::Tensor;").len(), 1);
    assert_eq!(strays("network/plan.rs", "use tch::Tensor;"), [""; 0]);
    assert_eq!(strays("engine/pool.rs", "let t = std::time::Instant::now();").len(), 1);
    assert_eq!(strays("engine/pool.rs", "std::thread::sleep(d);").len(), 1);
    assert_eq!(strays("clock.rs", "std::time::Instant::now()"), [""; 0]);
    assert_eq!(strays("cli/mod.rs", "match batch::next() { } // not tch::"), [""; 0]);
}
