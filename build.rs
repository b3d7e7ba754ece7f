//! Makes the binary, the tests and the benches find libtorch with no environment set, and compiles the bridges to libtorch.

/// What only C++ can tell libtorch.
const SHIMS: [&str; 3] = ["src/network/blocks.cpp", "src/network/device.cpp", "src/network/onednn.cpp"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    SHIMS.iter().for_each(|shim| println!("cargo:rerun-if-changed={shim}"));
    // torch-sys tells its direct dependents where the libtorch that it linked lies.
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
        compile_shims(&lib);
        if let Some(version) = libtorch_version(&lib) {
            println!("cargo:rustc-env=GRADCAST_LIBTORCH_VERSION={version}");
        }
    }
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/gradcast");
}

/// Bridges to what libtorch exports no C function for: oneDNN's fused operators, the allocator, devices.
fn compile_shims(lib: &str) {
    let include = std::path::Path::new(lib).join("../include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .files(SHIMS)
        .compile("gradcast_shims");
}

/// The version in libtorch's own header, for `gradcast check`: the library has no C function that tells it.
fn libtorch_version(lib: &str) -> Option<String> {
    let header = std::path::Path::new(lib).join("../include/torch/headeronly/version.h");
    let text = std::fs::read_to_string(header).ok()?;
    let part = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("#define TORCH_VERSION_{name} ")))?;
        line.trim().parse::<u32>().ok()
    };
    Some(format!("{}.{}.{}", part("MAJOR")?, part("MINOR")?, part("PATCH")?))
}
