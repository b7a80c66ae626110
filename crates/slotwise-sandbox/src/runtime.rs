//! The wasmtime engine and its clock, and how bytes become a component that may be instantiated.

use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use wasmtime::component::Component;
use wasmtime::{Config, PoolingAllocationConfig, Store};

use crate::cache::Cache;
use crate::clock::{Clock, Running};
use crate::error::{Error, MAX_REASON, Result, plain};
use crate::limits::{Limits, MAX_COMPONENT_BYTES};
use crate::meter::Meter;
use crate::nesting;

/// How many core modules, memories and tables one component may be made of. Encoders make a handful.
const CORE_INSTANCES: u32 = 20;
const MEMORIES: u32 = 2;
const TABLES: u32 = 8;

/// How much of an instance's memory is cleared in place when it ends, and not given back to the system. Having the pages
/// mapped again would take most of a call's time, up to the columns of some ten thousand hosts with many pools.
const KEPT_MEMORY: usize = 4 << 20;
const KEPT_TABLE: usize = 16 << 10;

/// How instances get their memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Allocation {
    /// From the system, for each instance anew: for a few that live long.
    OnDemand,
    /// From a pool of [`Limits::instances`] slots: for many that live for one call.
    Pooled,
}

/// What instances are made from.
pub(crate) struct Code {
    pub(crate) component: Component,
    pub(crate) from_cache: bool,
    /// Why what was compiled could not be put in the cache.
    pub(crate) not_kept: Option<std::io::Error>,
}

/// A wasmtime engine with its clock, and the limits of the instances that are made with it.
#[derive(Clone)]
pub(crate) struct Runtime {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) limits: Arc<Limits>,
    clock: Arc<Clock>,
}

/// How often types of components and instances may be defined within others, which is as deep as they can be nested.
const MAX_NESTING: usize = 500;

/// The stack for compiling, in bytes: several times what so deep a nesting takes in a build for debugging.
const COMPILER_STACK: usize = 16 << 20;

impl Runtime {
    pub(crate) fn new(limits: Limits, allocation: Allocation) -> Result<Self> {
        limits.check()?;
        let mut config = Config::new();
        config.epoch_interruption(true).consume_fuel(limits.fuel.is_some()).max_wasm_stack(limits.stack);
        // The guests are stripped: their backtraces are numbers, which cost time and tell nothing. Without them nobody
        // reads these tables, which would be stored, loaded, and made known to the system's own unwinder.
        config.wasm_backtrace_max_frames(None).generate_address_map(false).native_unwind_info(false);
        if allocation == Allocation::Pooled {
            config.allocation_strategy(pool(&limits));
            // A policy runs inside somebody else's process: no handler of signals is registered there, and no more
            // addresses are reserved than the limits say. The price is a comparison at each access to memory.
            config.signals_based_traps(false).memory_reservation(limits.memory as u64).memory_guard_size(0);
            // An instance's memory grows within its slot, so that the guest's code need not look again where it lies.
            config.memory_may_move(false);
        }
        let engine = wasmtime::Engine::new(&config).map_err(|error| Error::System(reason(&error)))?;
        let clock = Clock::start(&engine)?;
        Ok(Runtime { engine, limits: Arc::new(limits), clock: Arc::new(clock) })
    }

    /// Compiles a component, or takes its code from the cache. It may import what is named and nothing else.
    pub(crate) fn compile(&self, bytes: &[u8], cache: Option<&Cache>, allowed: &[&str]) -> Result<Code> {
        if bytes.len() > MAX_COMPONENT_BYTES {
            return Err(Error::ComponentTooLarge { limit: MAX_COMPONENT_BYTES });
        }
        let imports_no_more = |component: &Component| {
            let ty = component.component_type();
            match ty.imports(&self.engine).find(|(name, _)| !allowed.contains(name)) {
                Some((name, _)) => Err(Error::UnexpectedImport(plain(name, MAX_REASON))),
                None => Ok(()),
            }
        };
        // What is refused is not stored either.
        let compile = |engine: &wasmtime::Engine, bytes: &[u8]| {
            let component = compile(engine, bytes)?;
            imports_no_more(&component).map(|()| component)
        };
        let code = match cache {
            None => Code { component: compile(&self.engine, bytes)?, from_cache: false, not_kept: None },
            Some(cache) => cache.code(&self.engine, bytes, compile)?,
        };
        if code.from_cache {
            imports_no_more(&code.component)?;
        }
        Ok(code)
    }

    /// Compiles a component, whatever it imports.
    pub(crate) fn compile_any(&self, bytes: &[u8]) -> Result<Component> {
        if bytes.len() > MAX_COMPONENT_BYTES {
            return Err(Error::ComponentTooLarge { limit: MAX_COMPONENT_BYTES });
        }
        compile(&self.engine, bytes)
    }

    /// A store for one instance.
    pub(crate) fn store<T: AsMut<Meter> + 'static>(&self, state: T) -> Store<T> {
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| AsMut::<Meter>::as_mut(state));
        store.set_hostcall_fuel(self.limits.result);
        store
    }

    /// Gives the next call its time and fuel; it runs until the result is dropped.
    pub(crate) fn begin<T>(&self, store: &mut Store<T>) -> Result<Running<'_>> {
        let running = self.enter()?;
        self.limit(store, &running)?;
        Ok(running)
    }

    /// Notes that a call begins, before it touches anything that threads share; it runs until the result is dropped.
    pub(crate) fn enter(&self) -> Result<Running<'_>> {
        self.clock.run(&self.engine)
    }

    /// Gives a call that has begun its time and fuel.
    pub(crate) fn limit<T>(&self, store: &mut Store<T>, _: &Running<'_>) -> Result<()> {
        store.set_epoch_deadline(Clock::ticks(self.limits.time));
        match self.limits.fuel {
            Some(fuel) => store.set_fuel(fuel).map_err(|error| Error::Trap(reason(&error))),
            None => Ok(()),
        }
    }
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(limits.instances)
        .total_core_instances(limits.instances * CORE_INSTANCES)
        .total_memories(limits.instances * MEMORIES)
        .total_tables(limits.instances * TABLES)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .table_elements(limits.table)
        .max_memory_size(limits.memory)
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLE);
    pool
}

fn compile(engine: &wasmtime::Engine, bytes: &[u8]) -> Result<Component> {
    // The magic number, then two bytes for the version and two that tell modules from components.
    match bytes.split_first_chunk::<4>() {
        Some((b"\0asm", [_, _, 0, 0, ..])) => {
            let what = "it is a core module; make a component of it, as with `wasm-tools component new`";
            return Err(Error::NotAComponent(what.to_owned()));
        }
        Some((b"\0asm", _)) => {}
        _ => return Err(Error::NotAComponent("it does not begin as WebAssembly does".to_owned())),
    }
    if nesting::at_most(bytes) > MAX_NESTING {
        let what =
            format!("it defines types of components and instances within others over {MAX_NESTING} times");
        return Err(Error::NotAComponent(what));
    }
    // On a stack of its own: what compiles goes as deep as the types do, and the caller's may be small.
    let compiled = std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("slotwise-compile".to_owned()).stack_size(COMPILER_STACK);
        let thread = thread.spawn_scoped(scope, || Component::from_binary(engine, bytes));
        let thread = thread.map_err(|error| Error::System(format!("no thread to compile in: {error}")))?;
        thread.join().map_err(|panic| {
            let why =
                panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            let why = plain(why.unwrap_or("it did not say why"), MAX_REASON);
            Error::NotAComponent(format!("the compiler gave up on it: {why}"))
        })
    })?;
    compiled.map_err(|error| {
        let reason = reason(&error);
        // wasmtime gives both with the same type; a test holds on to the text.
        if reason.contains("exceeds the") || reason.contains("exceeds limit") {
            Error::NeedsTooMuch(reason)
        } else {
            Error::NotAComponent(reason)
        }
    })
}

/// Reads the file of a component, up to one byte more than any may have that is compiled.
///
/// # Errors
///
/// [`Error::Unreadable`].
pub fn read_component(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    // Without NONBLOCK a pipe that nobody writes to would hold the call for ever.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| unreadable(error.into()))?;
    let file = std::fs::File::from(file);
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(unreadable(std::io::Error::other("it is no regular file")));
    }
    file.take(MAX_COMPONENT_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// The sentence that wasmtime's error ends with, after the context that it puts in front.
pub(crate) fn reason(error: &wasmtime::Error) -> String {
    let reason = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    plain(&reason, MAX_REASON)
}
