//! A policy that runs under wasmtime.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use slotwise::policy::{DeviceTable, HostTable, Query, Scope, Verdicts};
use wasmtime::Store;
use wasmtime::component::{HasSelf, Linker};

use super::failures::{Counters, Failures, OnFailure};
use super::guest::{self, Guest, bindings};
use super::log::{Lines, Log, LogLevel};
use super::slots::{Slot, Slots};
use super::{CodeOrigin, LOG_INTERFACE, PolicyOptions};
use crate::cache::Cache;
use crate::clock::Running;
use crate::error::{Error, Result, plain};
use crate::limits::Limits;
use crate::runtime::{Allocation, Runtime, read_component, reason};

/// A loaded policy; clones are the same policy, with the same counters, and threads may ask it at once.
///
/// It is asked through the functions of [`slotwise::policy`], which check its answers once more.
///
/// ```no_run
/// use slotwise::{FilterOptions, Fleet, Workload};
/// use slotwise_sandbox::{OnFailure, Policy, PolicyOptions};
///
/// let policy = Policy::load(
///     "separate-tenants.wasm",
///     PolicyOptions {
///         configuration: b"leaf-1 = payroll, audit".to_vec(),
///         on_failure: OnFailure::Closed,
///         ..PolicyOptions::default()
///     },
/// )?;
/// let fleet = Fleet::new();
/// let answer = fleet.filter(&Workload::default(), &FilterOptions::default(), &[&policy])?;
/// for refused in &answer.refused {
///     println!("{} hosts: {}", refused.hosts, refused.reason);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Policy(Arc<Inner>);

/// As much of a name as stands before reasons and log lines, in bytes.
const MAX_NAME: usize = 256;

struct Inner {
    name: String,
    runtime: Runtime,
    code: bindings::PolicyPre<Guest>,
    origin: CodeOrigin,
    configuration: Vec<u8>,
    scope: Scope,
    failures: Failures,
    log: Log,
    /// Where instances live; those that are kept wait there for their next call.
    slots: Slots<Box<Live>>,
    keep_instances: bool,
}

pub(super) struct Live {
    pub(super) store: Store<Guest>,
    pub(super) policy: bindings::Policy,
}

impl Policy {
    /// Reads, compiles and configures the policy in a file.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`], or as [`Policy::from_bytes`].
    pub fn load(path: impl AsRef<Path>, mut options: PolicyOptions) -> Result<Self> {
        let path = path.as_ref();
        let bytes = read_component(path)?;
        if options.name.is_none() {
            options.name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        }
        Policy::from_bytes(&bytes, options)
    }

    /// Compiles a component and makes one instance, to see that it is a policy, fits its limits, and takes its
    /// configuration.
    ///
    /// # Errors
    ///
    /// [`Error::ComponentTooLarge`], [`Error::NotAComponent`], [`Error::NeedsTooMuch`], [`Error::UnexpectedImport`],
    /// [`Error::MissingExport`], [`Error::WrongType`] or [`Error::AnswersNothing`] for what cannot be run;
    /// [`Error::Limits`], [`Error::CacheUnreadable`] or [`Error::CacheNotPrivate`] for options that cannot be used;
    /// [`Error::Refused`] when the policy does not accept its configuration; or what stopped it from starting within its
    /// limits.
    pub fn from_bytes(bytes: &[u8], options: PolicyOptions) -> Result<Self> {
        let runtime = Runtime::new(options.limits, Allocation::Pooled)?;
        let cache = options.cache.as_deref().map(Cache::open).transpose()?;
        let start = Instant::now();
        let code = runtime.compile(bytes, cache.as_ref(), &[LOG_INTERFACE])?;
        let origin = CodeOrigin { from_cache: code.from_cache, took: start.elapsed() };
        let not_kept = code.not_kept;
        let mut linker = Linker::new(&runtime.engine);
        bindings::slotwise::policy::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)
            .map_err(|error| Error::Trap(reason(&error)))?;
        let code =
            linker.instantiate_pre(&code.component).map_err(|error| Error::WrongType(reason(&error)))?;
        let code = bindings::PolicyPre::new(code).map_err(|error| Error::MissingExport(reason(&error)))?;
        let limits = runtime.limits.clone();
        let mut inner = Inner {
            // It stands in lines of logs.
            name: plain(&options.name.unwrap_or_else(|| "policy".to_owned()), MAX_NAME),
            code,
            origin,
            configuration: options.configuration,
            scope: Scope::NOTHING,
            failures: Failures::new(options.on_failure),
            log: Log::new(options.log),
            slots: Slots::new(limits.instances),
            keep_instances: options.keep_instances,
            runtime,
        };
        let mut store = inner.runtime.store(Guest::new(&limits));
        let running = inner.runtime.begin(&mut store)?;
        let instance = inner.code.instance_pre().instantiate(&mut store);
        let scope = instance
            .map_err(|error| Error::stopped(error, &limits))
            // The names are all there; what this compares are the types.
            .and_then(|instance| {
                bindings::Policy::new(&mut store, &instance).map_err(|error| Error::WrongType(reason(&error)))
            })
            .and_then(|policy| inner.configure(&mut store, &policy));
        drop(running);
        inner.log.take(&inner.name, &mut store.data_mut().lines);
        inner.scope = scope?;
        if !(inner.scope.filter || inner.scope.score || inner.scope.prefer) {
            return Err(Error::AnswersNothing);
        }
        if let Some(error) = not_kept {
            let text = format!("its compiled code could not be put in the cache: {error}");
            inner.log.write(&inner.name, LogLevel::Warning, text);
        }
        Ok(Policy(Arc::new(inner)))
    }

    /// The name that reasons, errors and log lines give to it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it answers, and which columns it reads.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.0.scope
    }

    /// Where its compiled code came from, and how long that took.
    #[must_use]
    pub fn code_origin(&self) -> CodeOrigin {
        self.0.origin
    }

    /// What one call may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.runtime.limits
    }

    /// What a call gives when the policy fails.
    #[must_use]
    pub fn on_failure(&self) -> OnFailure {
        self.0.failures.mode()
    }

    /// How often it was asked and failed so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.failures.counters(&self.0.log)
    }

    /// Asks it which hosts may take the workload, without regard to what is to happen on failure and to the counters.
    ///
    /// # Errors
    ///
    /// What stopped the call, or is wrong with the answer.
    pub fn try_filter(&self, query: &Query<'_>, hosts: &HostTable) -> Result<Verdicts> {
        self.0.call(|live, scope| live.filter(scope, query, hosts))
    }

    /// Asks it how well each host suits the workload, as [`Policy::try_filter`].
    ///
    /// # Errors
    ///
    /// As [`Policy::try_filter`].
    pub fn try_score(&self, query: &Query<'_>, hosts: &HostTable) -> Result<Vec<f64>> {
        self.0.call(|live, scope| live.score(scope, query, hosts))
    }

    /// Asks it which devices are to be taken first, as [`Policy::try_filter`].
    ///
    /// # Errors
    ///
    /// As [`Policy::try_filter`].
    pub fn try_prefer(&self, query: &Query<'_>, devices: &DeviceTable) -> Result<Vec<f64>> {
        self.0.call(|live, scope| live.prefer(scope, query, devices))
    }

    /// Asks the policy; `None` if it was dropped or fails open.
    fn ask<T>(
        &self,
        call: impl FnOnce(&mut Live, Scope) -> wasmtime::Result<T>,
    ) -> slotwise::Result<Option<T>> {
        let Inner { name, failures, log, slots, .. } = &*self.0;
        if failures.is_dropped() {
            return Ok(None);
        }
        let running = match self.0.runtime.enter() {
            Ok(running) => running,
            Err(error) => {
                let failed = failures.count(&error);
                return Failures::tell(name, log, &error, &failed).map(|()| None);
            }
        };
        let (slot, kept) = slots.take();
        // It may have been dropped while this call waited.
        if failures.is_dropped() {
            drop(kept);
            drop(slot);
            return Ok(None);
        }
        match self.0.call_in(&running, slot, kept, call, |error| failures.count(error)) {
            Ok(answer) => {
                failures.answered();
                Ok(Some(answer))
            }
            Err((error, failed)) => Failures::tell(name, log, &error, &failed).map(|()| None),
        }
    }
}

impl slotwise::policy::Policy for Policy {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn scope(&self) -> Scope {
        self.0.scope
    }

    fn filter(&self, query: &Query<'_>, hosts: &HostTable) -> slotwise::Result<Option<Verdicts>> {
        self.ask(|live, scope| live.filter(scope, query, hosts))
    }

    fn score(&self, query: &Query<'_>, hosts: &HostTable) -> slotwise::Result<Option<Vec<f64>>> {
        self.ask(|live, scope| live.score(scope, query, hosts))
    }

    fn prefer(&self, query: &Query<'_>, devices: &DeviceTable) -> slotwise::Result<Option<Vec<f64>>> {
        self.ask(|live, scope| live.prefer(scope, query, devices))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("name", &self.0.name)
            .field("scope", &self.0.scope)
            .field("limits", &self.0.runtime.limits)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Makes an instance and configures it; time and fuel count from here. What it wrote to the log comes with an error
    /// too: it may say why.
    fn start(&self, running: &Running<'_>) -> std::result::Result<Box<Live>, (Error, Lines)> {
        let mut store = self.runtime.store(Guest::new(&self.runtime.limits));
        self.runtime.limit(&mut store, running).map_err(|error| (error, Lines::default()))?;
        let policy = self
            .code
            .instantiate(&mut store)
            .map_err(|error| Error::stopped(error, &self.runtime.limits))
            .and_then(|policy| self.configure(&mut store, &policy).map(|_| policy));
        match policy {
            Ok(policy) => Ok(Box::new(Live { store, policy })),
            Err(error) => Err((error, std::mem::take(&mut store.data_mut().lines))),
        }
    }

    /// Hands the configuration over, and takes what the policy answers and reads.
    fn configure(&self, store: &mut Store<Guest>, policy: &bindings::Policy) -> Result<Scope> {
        policy
            .slotwise_policy_api()
            .call_configure(store, &self.configuration)
            .and_then(|scope| scope.map_err(|reason| guest::refused(&reason)))
            .map(guest::scope)
            .map_err(|error| Error::stopped(error, &self.runtime.limits))
    }

    /// Runs one call in an instance of its own, or in one that was kept; an instance that failed is thrown away.
    fn call<T>(&self, call: impl FnOnce(&mut Live, Scope) -> wasmtime::Result<T>) -> Result<T> {
        let running = self.runtime.enter()?;
        let (slot, kept) = self.slots.take();
        self.call_in(&running, slot, kept, call, |_| ()).map_err(|(error, ())| error)
    }

    /// The same in a slot. An error is counted before the slot is free: whoever waits for it may have to know.
    fn call_in<T, C>(
        &self,
        running: &Running<'_>,
        slot: Slot<'_, Box<Live>>,
        kept: Option<Box<Live>>,
        call: impl FnOnce(&mut Live, Scope) -> wasmtime::Result<T>,
        count: impl FnOnce(&Error) -> C,
    ) -> std::result::Result<T, (Error, C)> {
        let counted = |error: Error| {
            let counted = count(&error);
            (error, counted)
        };
        let started = match kept {
            Some(mut live) => match self.runtime.limit(&mut live.store, running) {
                Ok(()) => Ok(live),
                Err(error) => Err((error, Lines::default())),
            },
            // Making the instance counts: the call as a whole is what has a limit.
            None => self.start(running),
        };
        let (answer, mut lines) = match started {
            Ok(mut live) => {
                let answer = call(&mut live, self.scope)
                    .map_err(|error| counted(Error::stopped(error, &self.runtime.limits)));
                let lines = std::mem::take(&mut live.store.data_mut().lines);
                if answer.is_ok() && self.keep_instances {
                    slot.keep(live);
                } else {
                    // Before the slot is free, so that whoever takes it finds room for an instance.
                    drop(live);
                    drop(slot);
                }
                (answer, lines)
            }
            Err((error, lines)) => {
                let error = counted(error);
                drop(slot);
                (Err(error), lines)
            }
        };
        // Whoever takes the lines may ask the policy again: the slot is free by now.
        self.log.take(&self.name, &mut lines);
        answer
    }
}
