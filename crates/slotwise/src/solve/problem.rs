//! A workload on a host, put as demands and the bins that can serve them.

use super::bins::Bins;
use crate::filter::Prepared;
use crate::pool::Pool;
use crate::request::{Constraint, Relation};

/// Devices that one request needs from one set of pools; a request bound by Placement has one per provider.
#[derive(Debug)]
pub(super) struct Demand<'a> {
    pub(super) request: usize,
    provider: Option<&'a str>,
    pub(super) count: u32,
}

/// A constraint, in terms of demands and of the keys of bins.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) relation: Relation,
    /// Index into the keys of the bins.
    pub(super) key: usize,
    covers: Vec<bool>,
}

impl Scope {
    /// Whether the devices of a demand are under this constraint.
    pub(super) fn covers(&self, demand: usize) -> bool {
        self.covers[demand]
    }
}

#[derive(Debug)]
pub(super) struct Problem<'a> {
    pub(super) pools: &'a [Pool],
    pub(super) bins: &'a Bins,
    pub(super) prepared: Vec<Prepared<'a>>,
    pub(super) demands: Vec<Demand<'a>>,
    pub(super) scopes: Vec<Scope>,
    /// For each bin the demands that it can serve.
    pub(super) serves: Vec<Vec<usize>>,
}

impl<'a> Problem<'a> {
    /// Puts the problem of these requests. `constraints` name requests by their index in `prepared`.
    pub(super) fn new(
        pools: &'a [Pool],
        bins: &'a Bins,
        keys: &[String],
        constraints: &[Constraint],
        prepared: Vec<Prepared<'a>>,
    ) -> Self {
        let demands: Vec<Demand> =
            (0..prepared.len()).flat_map(|request| demands(&prepared[request], request)).collect();
        let scopes: Vec<Scope> = constraints
            .iter()
            .filter_map(|constraint| {
                Some(Scope {
                    relation: constraint.relation,
                    key: keys.iter().position(|key| *key == constraint.key)?,
                    covers: demands.iter().map(|d| constraint.requests.contains(&d.request)).collect(),
                })
            })
            .collect();
        // Pools repeat where they are split into bins; the filter chain is asked once for each.
        let mut allowed = vec![vec![None; pools.len()]; prepared.len()];
        let serves = bins
            .list
            .iter()
            .map(|bin| {
                let pool = &pools[bin.pool];
                let can_serve = |d: &usize| {
                    let demand = &demands[*d];
                    let has_values =
                        || scopes.iter().all(|scope| !scope.covers(*d) || bin.values[scope.key].is_some());
                    *allowed[demand.request][bin.pool]
                        .get_or_insert_with(|| prepared[demand.request].allows(pool))
                        && (demand.provider.is_none() || demand.provider == pool.provider.as_deref())
                        && has_values()
                };
                (0..demands.len()).filter(can_serve).collect()
            })
            .collect();
        Problem { pools, bins, prepared, demands, scopes, serves }
    }

    pub(super) fn demands_of(&self, request: usize) -> impl Iterator<Item = usize> {
        (0..self.demands.len()).filter(move |&d| self.demands[d].request == request)
    }

    pub(super) fn pool(&self, bin: usize) -> &'a Pool {
        &self.pools[self.bins.list[bin].pool]
    }
}

/// The demands of one request, in the order in which its providers were given.
fn demands<'a>(prepared: &Prepared<'a>, request: usize) -> Vec<Demand<'a>> {
    if prepared.providers.is_empty() {
        return vec![Demand { request, provider: None, count: prepared.count }];
    }
    let mut demands: Vec<Demand> = Vec::new();
    for &provider in &prepared.providers {
        match demands.iter_mut().find(|d| d.provider == Some(provider)) {
            Some(demand) => demand.count += 1,
            None => demands.push(Demand { request, provider: Some(provider), count: 1 }),
        }
    }
    demands
}
