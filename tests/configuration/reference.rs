//! docs/configuration.md: its tables are made from the code, its example is read.
//! After a wanted change: `GRADCAST_UPDATE_SNAPSHOTS=1 cargo test --test configuration`.

use std::env;
use std::fs;
use std::path::Path;

use gradcast::config;

const MARK: &str = "<!-- Made from the code from here on: GRADCAST_UPDATE_SNAPSHOTS=1 cargo test --test configuration -->\n\n";

#[test]
fn the_document_lists_what_the_code_has() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let kept = fs::read_to_string(&path).unwrap();
    let head = kept.split(MARK).next().unwrap();
    let document = format!("{head}{MARK}{}", config::reference::markdown());
    if env::var_os("GRADCAST_UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &document).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    assert!(
        kept == document,
        "docs/configuration.md is not what the code has; GRADCAST_UPDATE_SNAPSHOTS=1 cargo test --test configuration"
    );
}

/// The example that is installed, as it is and with everything in it that stands behind a `# `.
#[test]
fn the_example_that_is_installed_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let installed = fs::read_to_string(root.join("systemd/gradcast.toml")).unwrap();
    let uncommented = |line: &str| match line.strip_prefix("# ") {
        Some(key) if key.starts_with('[') || key.split(' ').nth(1) == Some("=") => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    let whole: String = installed.lines().map(uncommented).collect();
    let folder = tempfile::tempdir().unwrap();
    for name in ["token", "front-password"] {
        fs::write(folder.path().join(name), "hunter2\n").unwrap();
    }
    for (text, streams) in [(installed, &["pattern"][..]), (whole, &["pattern", "front", "desk"])] {
        let model = root.join("models/efficientnet_lite0.toml");
        let text = text.replace("\"efficientnet_lite0\"", &format!("{model:?}")).replace("${CREDENTIALS_DIRECTORY}/", "");
        fs::write(folder.path().join("gradcast.toml"), &text).unwrap();
        let opened = config::open(&folder.path().join("gradcast.toml")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(opened.settings.streams.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>(), streams);
    }
}

#[test]
fn the_example_of_the_document_is_right() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap();
    let example = document.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example at the head");
    let folder = tempfile::tempdir().unwrap();
    // The machine's own files are of this folder here; the rest stands as it is.
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    fs::create_dir(folder.path().join("secrets")).unwrap();
    for name in ["token", "front-door", "archive"] {
        fs::write(folder.path().join("secrets").join(name), "hunter2\n").unwrap();
    }
    let example = example
        .replace("\"efficientnet_lite0\"", &format!("{:?}", models.join("efficientnet_lite0.toml")))
        .replace("${CREDENTIALS_DIRECTORY}", "secrets");
    fs::write(folder.path().join("gradcast.toml"), &example).unwrap();
    let opened = config::open(&folder.path().join("gradcast.toml")).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<&str> = opened.settings.streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["front-door", "yard", "bench"]);
    assert_eq!(opened.settings.streams[0].output.sinks.len(), 3);
}
