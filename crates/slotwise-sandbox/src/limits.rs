//! What a guest may use.

use std::time::Duration;

use crate::error::{Error, Result};

/// What one instance may use.
///
/// Time, fuel and result size count for each call anew; memory and tables are totals of the instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// How long one call may run. It is stopped some 20 ms after that at most, unless the machine's processors are all
    /// taken.
    pub time: Duration,
    /// How many units of work (about one per WebAssembly instruction) one call may do, the same on every machine;
    /// `None` does not count, which is faster.
    pub fuel: Option<u64>,
    /// How many bytes of memory the instance may have.
    pub memory: usize,
    /// How many entries the instance's tables may have.
    pub table: usize,
    /// How many bytes of the thread's own stack one call may use, at most [`MAX_STACK`].
    pub stack: usize,
    /// About how many bytes one call may hand back. A small guest can name the same text many times in a result; this
    /// bounds what the host allocates for it.
    pub result: usize,
    /// How many instances of one policy may live at once; who asks for one more waits for its turn. The engine component
    /// is not counted: its owner says how many instances there are.
    pub instances: u32,
}

/// The largest component that is read, in bytes. A policy in Rust has about 50 KB, one that brings the interpreter of its
/// language along some 12 MB.
pub const MAX_COMPONENT_BYTES: usize = 40 << 20;

/// The largest stack that a call may be given: a thread has 2 MiB or more, and the host needs some of it.
pub const MAX_STACK: usize = 1 << 20;

/// The most instances of one policy that may be asked for; each reserves addresses, but no memory, for its largest size.
pub const MAX_INSTANCES: u32 = 256;

impl Default for Limits {
    /// For the engine component: 10 s, no fuel, 1 GiB, 10,000 table entries, 512 KiB of stack, 256 MiB of result. That is
    /// room for the largest document that the engine accepts.
    fn default() -> Self {
        Limits {
            time: Duration::from_secs(10),
            fuel: None,
            memory: 1 << 30,
            table: 10_000,
            stack: 512 << 10,
            result: 256 << 20,
            instances: 8,
        }
    }
}

impl Limits {
    /// For a policy: 200 ms, no fuel, 64 MiB, 20,000 table entries, 512 KiB of stack, 16 MiB of result, 8 instances.
    #[must_use]
    pub fn for_policies() -> Self {
        Limits {
            time: Duration::from_millis(200),
            memory: 64 << 20,
            table: 20_000,
            result: 16 << 20,
            ..Limits::default()
        }
    }

    /// Refuses what no instance could be run with.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::Limits(what));
        match self {
            Limits { time, .. } if time.is_zero() => refuse("the time is at least 1 ms".to_owned()),
            Limits { result: 0, .. } => refuse("the result is at least 1 byte".to_owned()),
            Limits { stack, .. } if *stack > MAX_STACK => {
                refuse(format!("the stack is at most {MAX_STACK} bytes"))
            }
            Limits { stack, .. } if *stack < MIN_STACK => {
                refuse(format!("the stack is at least {MIN_STACK} bytes"))
            }
            Limits { instances, .. } if !(1..=MAX_INSTANCES).contains(instances) => {
                refuse(format!("there are 1 to {MAX_INSTANCES} instances"))
            }
            Limits { memory, .. } if *memory as u64 > MAX_MEMORY => {
                refuse(format!("the memory is at most {} GiB", MAX_MEMORY >> 30))
            }
            Limits { table, .. } if *table > MAX_TABLE => {
                refuse(format!("there are at most {MAX_TABLE} table entries"))
            }
            _ => Ok(()),
        }
    }
}

/// The smallest stack that may be given, in bytes.
const MIN_STACK: usize = 4096;

/// The most memory that may be allowed, in bytes: all that WebAssembly of 32 bits can address.
const MAX_MEMORY: u64 = 4 << 30;

/// The most table entries that may be allowed.
const MAX_TABLE: usize = 1_000_000;
