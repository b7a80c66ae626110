//! The engine as a WebAssembly component.
