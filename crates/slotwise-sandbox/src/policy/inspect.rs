//! What a component is made of, without running it.

use wasmtime::component::types::ComponentItem;

use super::{LOG_INTERFACE, POLICY_INTERFACE};
use crate::error::{MAX_REASON, Result, plain};
use crate::limits::Limits;
use crate::runtime::{Allocation, Runtime};

/// What a component imports, exports and needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Inspection {
    /// The size of the component in bytes.
    pub bytes: usize,
    /// The size of its compiled code in bytes, with all that is kept in a cache.
    pub compiled_bytes: usize,
    /// What it imports, in its order.
    pub imports: Vec<String>,
    /// What it exports, in its order; a function of an interface as `interface#function`.
    pub exports: Vec<String>,
    /// How large its largest memory is when it starts, in bytes.
    pub initial_memory: u64,
    /// How many entries its largest table has when it starts.
    pub initial_table: u64,
}

impl Inspection {
    /// The imports that no policy is given.
    pub fn unexpected_imports(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().map(String::as_str).filter(|name| *name != LOG_INTERFACE)
    }

    /// Whether it exports the interface of a policy.
    #[must_use]
    pub fn is_policy(&self) -> bool {
        self.exports.iter().any(|name| name == POLICY_INTERFACE)
    }
}

/// Compiles a component and says what it is made of, whatever it imports.
///
/// # Errors
///
/// [`crate::Error::ComponentTooLarge`], [`crate::Error::NotAComponent`] or [`crate::Error::NeedsTooMuch`].
pub fn inspect(bytes: &[u8]) -> Result<Inspection> {
    let runtime = Runtime::new(Limits::for_policies(), Allocation::OnDemand)?;
    let component = runtime.compile_any(bytes)?;
    let ty = component.component_type();
    let mut exports = Vec::new();
    for (name, item) in ty.exports(&runtime.engine) {
        exports.push(plain(name, MAX_REASON));
        if let ComponentItem::ComponentInstance(instance) = item.ty {
            let functions = instance
                .exports(&runtime.engine)
                .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)));
            exports.extend(functions.map(|(function, _)| plain(&format!("{name}#{function}"), MAX_REASON)));
        }
    }
    let needs = component.resources_required();
    Ok(Inspection {
        bytes: bytes.len(),
        compiled_bytes: component.serialize().map_or(0, |code| code.len()),
        imports: ty.imports(&runtime.engine).map(|(name, _)| plain(name, MAX_REASON)).collect(),
        exports,
        // wasmtime counts in pages here.
        initial_memory: needs
            .as_ref()
            .and_then(|needs| needs.max_initial_memory_size)
            .unwrap_or(0)
            .saturating_mul(1 << 16),
        initial_table: needs.as_ref().and_then(|needs| needs.max_initial_table_size).unwrap_or(0),
    })
}
