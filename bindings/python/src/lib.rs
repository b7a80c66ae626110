//! The Python module `slotwise._native`: it converts, calls the engine, and converts back.
//!
//! Nothing here decides anything about devices; a branch on the meaning of the domain would be a bug. Every call into
//! the engine goes through `call::call`, which releases the interpreter lock and turns a panic into an error, or through
//! `call::ask`, which does the same but for what takes a moment. No lock of ours is held while the thread could wait for the
//! interpreter's, so the two cannot deadlock: those of `call` are taken without it, `ask` tries and does not wait, and those
//! of `kept` are taken only to look into a map.

mod aliases;
mod call;
mod config;
mod convert;
mod errors;
mod fit;
mod fleet;
mod host_set;
mod hosts;
mod kept;
mod log;
mod nova;
mod nova_ask;
mod policy;
mod pools;
mod request;
mod specs;
mod tracker;

use pyo3::prelude::*;

/// The engine, compiled; import `slotwise` instead.
#[pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::aliases::Aliases;
    #[pymodule_export]
    use crate::config::Config;
    #[pymodule_export]
    use crate::fit::Fit;
    #[pymodule_export]
    use crate::fleet::{Fleet, FleetAnswer, Ranking};
    #[pymodule_export]
    use crate::host_set::HostSet;
    #[pymodule_export]
    use crate::hosts::{discover, filter_hosts, numa_topology};
    #[pymodule_export]
    use crate::nova::{
        Inventory, nova_fit, nova_kept, nova_matching, nova_pool_keys, nova_pools, nova_supports,
        nova_transition,
    };
    #[pymodule_export]
    use crate::nova_ask::{NovaHost, NovaHosts, nova_forget, nova_host, nova_host_of, nova_workload};
    #[pymodule_export]
    use crate::policy::{Policy, nova_prefer};
    #[pymodule_export]
    use crate::pools::Pools;
    #[pymodule_export]
    use crate::request::{Request, Workload};
    #[pymodule_export]
    use crate::specs::DeviceSpecs;
    #[pymodule_export]
    use crate::tracker::Tracker;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", slotwise::VERSION)?;
        module.add("ERROR_KINDS", crate::errors::table(module.py())?)?;
        // Release builds have no way to ask for a fault; the tests need one.
        #[cfg(debug_assertions)]
        module.setattr("_fault", wrap_pyfunction!(crate::fault, module)?)?;
        Ok(())
    }
}

/// Panics inside the engine's thread of control, to test what a caller sees then.
#[cfg(debug_assertions)]
#[pyfunction(name = "_fault")]
fn fault(py: Python<'_>, message: &str) -> PyResult<()> {
    call::call(py, || panic!("{message}"))
}
