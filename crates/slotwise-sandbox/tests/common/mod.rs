//! What the tests of this crate share: the engine component, compiled once for each test program.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod policy;

use std::path::PathBuf;
use std::sync::LazyLock;

use slotwise_sandbox::{EngineComponent, Limits};

/// The bytes of the engine component, which `cargo xtask wasm` builds.
pub(crate) static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let path = path();
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("cannot read {}: {error}; run `cargo xtask wasm`, which builds it", path.display())
    })
});

/// The engine under its default limits.
pub(crate) static ENGINE: LazyLock<EngineComponent> = LazyLock::new(|| load(Limits::default()));

/// The engine under these limits.
pub(crate) fn load(limits: Limits) -> EngineComponent {
    EngineComponent::from_bytes(&BYTES, limits)
        .unwrap_or_else(|error| panic!("the engine component: {error}"))
}

fn path() -> PathBuf {
    target_dir().join("wasm/slotwise.wasm")
}

/// Where everything that is built goes.
pub(crate) fn target_dir() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}
