//! What the benches and the comparison share: a host that looks like a real one, and a stopwatch for each door.

pub mod doors;
pub mod fleet;
pub mod fleet_doors;
pub mod host;
pub mod plot;
pub mod table;
