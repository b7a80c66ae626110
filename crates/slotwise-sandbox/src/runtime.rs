//! The wasmtime engine and its clock, and how bytes become a component that may be instantiated.

use std::sync::Arc;

use wasmtime::component::Component;
use wasmtime::{Config, Store};

use crate::clock::{Clock, Running};
use crate::error::{Error, Result};
use crate::limits::{Limits, Meter};

/// A wasmtime engine with its clock, and the limits of the instances that are made with it.
#[derive(Clone)]
pub(crate) struct Runtime {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) limits: Arc<Limits>,
    clock: Arc<Clock>,
}

impl Runtime {
    pub(crate) fn new(limits: Limits) -> Result<Self> {
        let mut config = Config::new();
        config.epoch_interruption(true).consume_fuel(limits.fuel.is_some());
        // The guests are stripped: their backtraces are numbers, which cost time and tell nothing.
        config.wasm_backtrace_max_frames(None);
        let engine = wasmtime::Engine::new(&config).map_err(|error| Error::Trap(reason(&error)))?;
        let clock = Clock::start(&engine).map_err(|error| Error::Trap(error.to_string()))?;
        Ok(Runtime { engine, limits: Arc::new(limits), clock: Arc::new(clock) })
    }

    /// Compiles a component that imports nothing.
    pub(crate) fn compile(&self, bytes: &[u8]) -> Result<Component> {
        let component = Component::from_binary(&self.engine, bytes)
            .map_err(|error| Error::NotAComponent(reason(&error)))?;
        let ty = component.component_type();
        match ty.imports(&self.engine).next() {
            Some((name, _)) => Err(Error::UnexpectedImport(name.to_owned())),
            None => Ok(component),
        }
    }

    /// A store for one instance.
    pub(crate) fn store(&self) -> Store<Meter> {
        let mut store = Store::new(&self.engine, Meter::new(&self.limits));
        store.limiter(|meter| meter);
        store.set_hostcall_fuel(self.limits.result);
        store
    }

    /// Gives the next call its time and fuel; it runs until the result is dropped.
    pub(crate) fn begin(&self, store: &mut Store<Meter>) -> Result<Running<'_>> {
        store.set_epoch_deadline(Clock::ticks(self.limits.time));
        if let Some(fuel) = self.limits.fuel {
            store.set_fuel(fuel).map_err(|error| Error::Trap(reason(&error)))?;
        }
        Ok(self.clock.run())
    }
}

/// The sentence that wasmtime's error ends with, after the context that it puts in front.
pub(crate) fn reason(error: &wasmtime::Error) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
