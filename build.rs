//! Makes the binary, the tests and the benches find libtorch with no environment set.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // torch-sys tells its direct dependents where the libtorch that it linked lies.
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    }
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib/gradcast");
}
