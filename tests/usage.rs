//! How the program answers bad usage, and what `gradcast check` finds: exit codes and first lines.

use std::fs;
use std::process::{Command, Output};

fn gradcast(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradcast"));
    command.args(arguments).env_remove("GRADCAST_MODELS");
    command
}

fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("gradcast starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("no signal"), text(stdout), text(stderr))
}

#[test]
fn bad_usage_is_2_and_says_what_to_give() {
    let cases: [(&[&str], &str); 13] = [
        (&["fly"], "unrecognized subcommand 'fly'"),
        (&["overlay", "in.mp4"], "--out"),
        (&["overlay", "in.mp4", "-o", "out.mp4", "--start", "1:2:3:4"], "HH:MM:SS.mmm"),
        (&["overlay", "in.mp4", "-o", "out.mp4", "--region", "a=0,0,2,1", "--frames", "f.jsonl"], "outside the picture"),
        (&["overlay", "in.mp4", "-o", "out.mp4", "--region", "a=0,0,1,1"], "--frames"),
        (&["overlay", "in.mp4", "-o", "out.mp4", "--crf", "20", "--bitrate", "900"], "cannot be used with"),
        (&["overlay", "in.mp4", "-o", "out.mp4", "--batch", "0"], "--batch"),
        (&["explain", "--tensor", "in.safetensors"], "--save"),
        (&["explain", "cat.png", "-o", "out", "--target", "hold:2"], "hold:SECONDS is for video"),
        (&["explain", "cat.png", "-o", "out", "--method", "cam"], "take one of fullgrad, simple-fullgrad"),
        (&["explain", "cat.png", "-o", "out", "--methods", "gradient,nothing"], "no method is called \"nothing\""),
        (&["explain", "--tensor", "in.safetensors", "--save", "o.safetensors", "--methods", "all"], "cannot be used with"),
        (&["bench", "--method", "smoothgrad", "--samples", "0"], "--samples"),
    ];
    for (arguments, wanted) in cases {
        let (code, stdout, stderr) = run(&mut gradcast(arguments));
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(wanted), "{arguments:?}: {stderr}");
    }
}

#[test]
fn help_and_version_are_0_on_standard_output() {
    for arguments in [&["--help"][..], &["overlay", "-h"], &["--version"]] {
        let (code, stdout, stderr) = run(&mut gradcast(arguments));
        assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(stdout.contains("gradcast") || stdout.contains("overlay"), "{arguments:?}: {stdout}");
    }
}

#[test]
fn check_is_content_where_everything_is_there() {
    let (code, stdout, stderr) = run(&mut gradcast(&["check"]));
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.starts_with("GStreamer 1."), "{stdout}");
    assert!(stdout.contains("\nlibtorch 2.11.0"), "{stdout}");
    assert!(stdout.contains("\n  ok       efficientnet_lite0: "), "{stdout}");
}

#[test]
fn check_names_missing_elements_with_their_packages() {
    let empty = tempfile::tempdir().unwrap();
    let mut command = gradcast(&["check"]);
    command.env("GST_PLUGIN_SYSTEM_PATH_1_0", empty.path()).env("GST_PLUGIN_PATH_1_0", empty.path());
    command.env("GST_REGISTRY_1_0", empty.path().join("registry.bin"));
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 1, "{stdout}");
    assert!(stdout.contains("MISSING  x264enc (writing H.264); Debian package gstreamer1.0-plugins-ugly"), "{stdout}");
    assert!(stdout.contains("to do    sudo apt-get install "), "{stdout}");
    assert!(stderr.starts_with("gradcast: ") && stderr.contains("missing or wrong"), "{stderr}");
}

#[test]
fn check_names_a_network_whose_file_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let sum = "0".repeat(64);
    let manifest = format!("file = 'm.onnx'\nsha256 = '{sum}'\n[input]\ncolour = 'rgb'\nmean = [0]\nstd = [1]\n");
    fs::write(folder.path().join("m.toml"), manifest).unwrap();
    fs::write(folder.path().join("m.onnx"), "abc").unwrap();
    let (code, stdout, _) = run(gradcast(&["check"]).env("GRADCAST_MODELS", folder.path()));
    assert_eq!(code, 1, "{stdout}");
    assert!(stdout.contains("  WRONG    m: ") && stdout.contains("SHA-256 is ba7816bf"), "{stdout}");
    assert!(stdout.contains("  ok       efficientnet_lite0: "), "the other folders are searched too: {stdout}");
}
