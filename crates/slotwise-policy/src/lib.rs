//! For authors of placement policies: a policy as a WebAssembly component in about ten lines.
//!
//! A policy is a type that implements [`Policy`], and one line that exports it. The scheduler runs it in its own process
//! without trusting it: it sees what it is asked about, and nothing of the machine.
//!
//! ```
//! use slotwise_policy::{Hosts, Policy, Query, Scope, Verdicts};
//!
//! /// Keeps workloads off one rack.
//! struct KeepOffRack(String);
//!
//! impl Policy for KeepOffRack {
//!     const SCOPE: Scope = Scope::FILTER.union(Scope::ATTRIBUTES);
//!
//!     fn configure(configuration: &str) -> Result<Self, String> {
//!         Ok(KeepOffRack(configuration.trim().to_owned()))
//!     }
//!
//!     fn filter(&self, _: &Query, hosts: &Hosts) -> Result<Verdicts, String> {
//!         Ok(hosts.judge(|host| (host.attribute("rack") == Some(&self.0)).then(|| "the rack is kept free".into())))
//!     }
//! }
//!
//! slotwise_policy::export!(KeepOffRack);
//!
//! // A policy is a plain type: a test needs no sandbox.
//! let hosts = Hosts::of([("node-1", [("rack", "r1")]), ("node-2", [("rack", "r2")])]);
//! let policy = KeepOffRack::configure("r2").unwrap();
//! let verdicts = policy.filter(&Query::default(), &hosts).unwrap();
//! assert_eq!(verdicts.reason(0), None);
//! assert_eq!(verdicts.reason(1), Some("the rack is kept free"));
//! ```
//!
//! Build it as a `cdylib` for `wasm32-unknown-unknown` and turn it into a component with `wasm-tools component new`; the
//! folder `examples/policies/template` of the repository is one to start from, and `docs/policies.md` the guide.
//!
//! An instance lives for one call, so that nothing is remembered from one question to the next; what
//! [`Policy::configure`] works out is worked out again each time, and should be little.

#![forbid(unsafe_op_in_unsafe_fn)]

#[doc(hidden)]
#[allow(missing_docs, reason = "for the macro alone")]
pub mod calls;
mod devices;
mod hosts;
mod log;
mod query;
mod sets;
mod verdicts;

pub use devices::{Device, Devices};
pub use hosts::{Host, Hosts, Pool};
pub use log::{Level, log};
pub use query::{Attributes, Query, Request, Want};
pub use sets::Key;
pub use verdicts::Verdicts;

#[doc(hidden)]
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated from policy.wit")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "policy",
        pub_export_macro: true,
        default_bindings_module: "slotwise_policy::bindings",
    });
}

pub use bindings::exports::slotwise::policy::api::Scope;

/// An operator's rule about where workloads go.
///
/// Implement those of the three questions that [`Policy::SCOPE`] names; the others are never asked.
pub trait Policy: Sized {
    /// What the policy answers, and which columns it reads; what it does not name is handed over empty.
    const SCOPE: Scope;

    /// Makes the policy out of the operator's configuration, which may be any text.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in a sentence for the operator. The policy is not loaded then.
    fn configure(configuration: &str) -> Result<Self, String>;

    /// Which hosts may take the workload: one verdict for each.
    ///
    /// # Errors
    ///
    /// Why it cannot say; the operator decided what happens then.
    fn filter(&self, query: &Query, hosts: &Hosts) -> Result<Verdicts, String> {
        let _ = query;
        Ok(Verdicts::all_pass(hosts.len()))
    }

    /// How well each host suits it: one finite number for each, more is better.
    ///
    /// # Errors
    ///
    /// As [`Policy::filter`].
    fn score(&self, query: &Query, hosts: &Hosts) -> Result<Vec<f64>, String> {
        let _ = query;
        Ok(vec![0.0; hosts.len()])
    }

    /// How gladly each free device of a host is given away: one finite number for each, the highest is taken first.
    ///
    /// # Errors
    ///
    /// As [`Policy::filter`].
    fn prefer(&self, query: &Query, devices: &Devices) -> Result<Vec<f64>, String> {
        let _ = query;
        Ok(vec![0.0; devices.len()])
    }
}

/// Exports a type that implements [`Policy`] as the component's policy.
///
/// On any other target than WebAssembly this is nothing, so that the crate's tests build and run natively.
#[macro_export]
macro_rules! export {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "the exports of a component have a C calling convention")]
        const _: () = {
            use $crate::bindings::exports::slotwise::policy::api;

            ::std::thread_local! {
                static POLICY: ::std::cell::RefCell<Option<$policy>> = const { ::std::cell::RefCell::new(None) };
            }

            fn ask<T>(question: impl FnOnce(&$policy) -> Result<T, String>) -> Result<T, String> {
                POLICY.with_borrow(|policy| match policy {
                    Some(policy) => question(policy),
                    None => Err("the policy was not configured".to_owned()),
                })
            }

            struct Component;

            impl api::Guest for Component {
                fn configure(configuration: Vec<u8>) -> Result<api::Scope, String> {
                    let configuration = String::from_utf8(configuration)
                        .map_err(|error| format!("the configuration is not UTF-8: {error}"))?;
                    let policy = <$policy as $crate::Policy>::configure(&configuration)?;
                    POLICY.set(Some(policy));
                    Ok(<$policy as $crate::Policy>::SCOPE)
                }

                fn filter(query: api::Query, hosts: api::Hosts) -> Result<api::Verdicts, String> {
                    ask(|policy| $crate::calls::filter(policy, &query.into(), &hosts.into()).map(Into::into))
                }

                fn score(query: api::Query, hosts: api::Hosts) -> Result<Vec<f64>, String> {
                    ask(|policy| $crate::calls::score(policy, &query.into(), &hosts.into()))
                }

                fn prefer(query: api::Query, devices: api::Devices) -> Result<Vec<f64>, String> {
                    ask(|policy| $crate::calls::prefer(policy, &query.into(), &devices.into()))
                }
            }

            $crate::bindings::export!(Component with_types_in $crate::bindings);
        };
    };
}
