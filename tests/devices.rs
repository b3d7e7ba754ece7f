//! `--device` where there is no card: what is missing is told, with where it was looked for. A small library plays the driver.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn gradcast(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradcast"));
    command.args(arguments).env_remove("GRADCAST_LIBTORCH_CUDA");
    command.env("GRADCAST_MODELS", Path::new(env!("CARGO_MANIFEST_DIR")).join("models"));
    command
}

fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("gradcast starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("no signal"), text(stdout), text(stderr))
}

/// libcuda.so.1 with one card of 80 GiB, or one whose start fails.
fn driver(folder: &Path, start: i32) -> PathBuf {
    let source = format!(
        "#include <stddef.h>
         #include <string.h>
         int cuInit(unsigned flags) {{ return {start}; }}
         int cuDeviceGetCount(int *count) {{ *count = 1; return 0; }}
         int cuDeviceGet(int *device, int index) {{ *device = 7 + index; return 0; }}
         int cuDeviceGetName(char *name, int room, int device) {{ strncpy(name, device == 7 ? \"Paper Card\" : \"another\", room); return 0; }}
         int cuDeviceTotalMem_v2(size_t *bytes, int device) {{ *bytes = (size_t)80 << 30; return 0; }}
         int cuDeviceGetAttribute(int *value, int attribute, int device) {{ *value = attribute == 75 ? 9 : 0; return 0; }}"
    );
    let file = folder.join("driver.c");
    fs::write(&file, source).expect("a file");
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(folder.join("libcuda.so.1")).arg(&file).status();
    assert!(made.expect("a C compiler, which the build needs too").success());
    folder.to_owned()
}

/// Nothing is searched but the folder.
fn with(command: &mut Command, folder: &Path) -> (i32, String, String) {
    run(command.env("LD_LIBRARY_PATH", folder))
}

#[test]
fn a_device_that_is_not_there_is_exit_code_1_and_one_line() {
    // An empty folder hides no driver of the machine's own: there, this test has nothing to say.
    let (code, stdout, _) = run(&mut gradcast(&["check"]));
    if !stdout.contains("no NVIDIA driver is here") {
        eprintln!("skipped: this machine has a driver (gradcast check ends with {code})");
        return;
    }
    assert!(stdout.contains("\nCUDA\n  none     no NVIDIA driver is here: libcuda.so.1 cannot be opened"), "{stdout}");
    let (code, stdout, stderr) = run(&mut gradcast(&["bench", "--device", "cuda:1"]));
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    assert!(stderr.starts_with("gradcast: --device cuda:1: no NVIDIA driver is here: libcuda.so.1"), "{stderr}");
    assert!(stderr.contains("give --device cpu") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn a_card_without_libtorch_s_part_is_told_and_auto_goes_on_without() {
    let folder = tempfile::tempdir().unwrap();
    let place = driver(folder.path(), 0);

    let (code, stdout, stderr) = with(&mut gradcast(&["check"]), &place);
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(stdout.contains("\n  ok       cuda:0: Paper Card, 80 GiB, compute capability 9.0\n"), "{stdout}");
    assert!(stdout.contains("\n  MISSING  libtorch's CUDA part cannot be opened ("), "{stdout}");

    let (code, _, stderr) = with(&mut gradcast(&["bench", "--device", "cuda:0"]), &place);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.starts_with("gradcast: --device cuda:0: libtorch's CUDA part cannot be opened ("), "{stderr}");
    assert!(stderr.contains("GRADCAST_LIBTORCH_CUDA") && stderr.lines().count() == 1, "{stderr}");

    let (code, _, stderr) = with(&mut gradcast(&["bench", "--device", "cuda:0,cuda:3"]), &place);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.starts_with("gradcast: --device cuda:0,cuda:3: there is no cuda:3: the driver shows 1 device;"), "{stderr}");

    let named = folder.path().join("elsewhere");
    let mut command = gradcast(&["bench", "--device", "cuda:0"]);
    let (code, _, stderr) = with(command.env("GRADCAST_LIBTORCH_CUDA", &named), &place);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains(&format!("({} is not there)", named.join("libtorch_cuda.so").display())), "only there: {stderr}");

    let (code, stdout, stderr) = with(&mut gradcast(&["bench", "--batch", "1", "--batches", "2", "--json"]), &place);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.starts_with("computing on the processor, though there is an NVIDIA card: libtorch's CUDA part"), "{stderr}");
    let result: serde_json::Value = serde_json::from_str(&stdout).expect("one JSON object");
    assert_eq!((result["device"].as_str(), result["precision"].as_str()), (Some("cpu"), Some("f32")));
}

#[test]
fn a_driver_that_does_not_start_is_told_with_its_error() {
    let folder = tempfile::tempdir().unwrap();
    let place = driver(folder.path(), 100);
    let (code, stdout, _) = with(&mut gradcast(&["check"]), &place);
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.contains("  none     the NVIDIA driver does not start: cuInit gives error 100; see what nvidia-smi says"), "{stdout}");
    let (code, _, stderr) = with(&mut gradcast(&["bench", "--device", "cuda:0"]), &place);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.starts_with("gradcast: --device cuda:0: the NVIDIA driver does not start: cuInit gives error 100;"), "{stderr}");
}

#[test]
fn devices_that_are_none_are_bad_usage() {
    for (device, wanted) in [("gpu", "give auto, cpu, cuda:0"), ("cuda:0,cuda:0", "cuda:0 is named twice")] {
        let (code, _, stderr) = run(&mut gradcast(&["bench", "--device", device]));
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(wanted), "{stderr}");
    }
}

/// What a reader of `bench --json` is promised, and what memory may take: 2.5 times what the forward pass has to keep.
#[test]
fn bench_tells_times_and_memory() {
    let arguments = ["bench", "--device", "cpu", "--batch", "4", "--batches", "3", "--threads", "2", "--json"];
    let (code, stdout, stderr) = run(&mut gradcast(&arguments));
    assert_eq!(code, 0, "{stderr}");
    let result: serde_json::Value = serde_json::from_str(&stdout).expect("one JSON object");
    let number = |key: &str| result[key].as_f64().unwrap_or_else(|| panic!("no {key} in {stdout}"));
    assert!(number("forward_ms_per_frame") > 0.0 && number("fullgrad_ms_per_frame") > number("forward_ms_per_frame"));
    assert_eq!([number("batch"), number("batches"), number("threads"), number("workers")], [4.0, 3.0, 2.0, 2.0]);
    assert_eq!([number("out_of_memory"), number("worker_restarts")], [0.0, 0.0]);
    let (kept, peak) = (number("kept_activations_bytes"), number("peak_tensor_bytes"));
    // Four images, each with a map of 112 x 112 x 96 in f32 at its largest.
    assert!(kept > 4.0 * 4.0 * 112.0 * 112.0 * 96.0 && peak >= 0.5 * kept && peak <= 2.5 * kept, "{peak} beside {kept}");
    let pool = number("tensor_pool_bytes");
    assert!(pool >= peak && pool <= 2.5 * kept, "blocks of {pool} beside {kept}");
    let (warm, end, most) = (number("resident_warm_bytes"), number("resident_end_bytes"), number("peak_rss_bytes"));
    assert!(warm > kept && end > kept && most >= warm.max(end), "{warm} and {end} of {most}");
}
