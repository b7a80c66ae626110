//! Runs WebAssembly components of slotwise under limits.
