//! Gives the shared library its SONAME, so that programs linked against it ask for `libslotwise.so.0` at run time.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if os == "linux" {
        // The number grows with every incompatible change of the ABI, not with the version.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libslotwise.so.0");
    }
}
