//! Several workloads at once over several hosts.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use super::Fleet;
use super::filter::FilterOptions;
use super::host_set::HostSet;
use super::rank::{RankOptions, Weigher};
use crate::error::{Error, ErrorKind, Result};
use crate::extra_info::ExtraInfo;
use crate::filter::Prepared;
use crate::fit::{Assignment, Fit};
use crate::limits;
use crate::policy::Policy;
use crate::pool::Pools;
use crate::request::{Relation, Strategy, Workload};
use crate::solve::{self, Budget};
use crate::stock::Families;

/// Several workloads that are placed in one call.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batch {
    /// The workloads, the most important first.
    pub items: Vec<BatchItem>,
    /// Which of them belong together or apart.
    pub rules: Vec<AffinityRule>,
    /// All or nothing, or as many as possible.
    pub mode: BatchMode,
    /// Only these hosts; all if `None`.
    pub among: Option<HostSet>,
    /// In which order hosts are tried; without any, and without a policy that scores, in the order of ids.
    pub weighers: Vec<Weigher>,
    /// What policies are told about the workloads beyond themselves.
    pub facts: ExtraInfo,
    /// How many times a host may be tried before the answer is *undecided*; `None` means [`Batch::DEFAULT_BUDGET`].
    pub budget: Option<u64>,
}

/// A workload of a batch.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BatchItem {
    /// Whom it is for; the owner of its reservation.
    pub owner: String,
    /// What is asked for.
    pub workload: Workload,
}

/// All or nothing, or as many as possible.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchMode {
    /// All items find a place, or none does. An earlier item takes another host if a later one needs that.
    #[default]
    Joint,
    /// Each item in turn takes the best host that is left for it; the others go on without those that find none.
    BestEffort,
}

/// Which items of a batch belong together or apart.
///
/// In JSON: `{"items": [0, 1], "same": "host"}`, or `"distinct"`, or the name of a host's tag instead of `host`
/// (`"rack"`). A host without the tag satisfies neither.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AffinityRule {
    /// The items, by index.
    pub items: Vec<usize>,
    /// Whether they must agree, or all differ.
    pub relation: Relation,
    /// In what: `host`, or a tag of hosts.
    pub key: String,
    /// Hosts of workloads that run already and are under the same rule.
    pub hosts: Vec<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RuleDocument {
    items: Vec<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    same: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    distinct: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
}

impl Serialize for AffinityRule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let key = |relation| (self.relation == relation).then(|| self.key.clone());
        let (same, distinct) = (key(Relation::Same), key(Relation::Distinct));
        RuleDocument { items: self.items.clone(), same, distinct, hosts: self.hosts.clone() }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AffinityRule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let document = RuleDocument::deserialize(deserializer)?;
        let (relation, key) = match (document.same, document.distinct) {
            (Some(key), None) => (Relation::Same, key),
            (None, Some(key)) => (Relation::Distinct, key),
            _ => {
                let error = Error::new(ErrorKind::InvalidArgument, "a rule says either same or distinct")
                    .with_help("write {\"items\": [0, 1], \"distinct\": \"host\"}");
                return Err(crate::json::carry(&error));
            }
        };
        Ok(AffinityRule { items: document.items, relation, key, hosts: document.hosts })
    }
}

/// How a batch came out.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchOutcome {
    /// All items have a place.
    Placed,
    /// Some items have a place; with [`BatchMode::BestEffort`] only.
    Partial,
    /// No item has a place; with [`BatchMode::Joint`] that means that not all can have one together.
    NoFit,
    /// The budget, or that of a workload, ran out before a place was found or ruled out; no item has a place.
    Undecided,
}

/// Where the items of a batch go.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Placed {
    /// How it came out.
    pub outcome: BatchOutcome,
    /// One entry per item; `None` for an item without a place.
    pub items: Vec<Option<PlacedItem>>,
    /// Items that no host could serve even alone, by index: the reason of a *no*, where there are any.
    pub impossible: Vec<usize>,
    /// The state of the fleet ([`Fleet::sequence`]) that the answer is about.
    pub sequence: u64,
}

/// Where one item goes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PlacedItem {
    /// The host's id.
    pub host: u32,
    /// What serves it there, by index into the host's pools as they are now.
    pub assignment: Assignment,
}

impl Batch {
    /// How many times a host may be tried when the caller sets no budget.
    pub const DEFAULT_BUDGET: u64 = 100_000;

    /// Checks items and rules.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`], [`ErrorKind::LimitExceeded`] or as [`Workload::validate`], with the place.
    pub fn validate(&self) -> Result<()> {
        limits::check("number of items", self.items.len(), limits::MAX_BATCH)
            .map_err(|e| e.inside("items"))?;
        limits::check("number of rules", self.rules.len(), limits::MAX_CONSTRAINTS)
            .map_err(|e| e.inside("rules"))?;
        let mut owners = BTreeSet::new();
        for (i, item) in self.items.iter().enumerate() {
            item.workload.validate().map_err(|e| e.inside(format!("items[{i}].workload")))?;
            if item.owner.is_empty() || !owners.insert(&item.owner) {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!("owner {:?} is empty or listed twice", crate::address::clip(&item.owner)),
                )
                .with_help("give each item an owner of its own")
                .inside(format!("items[{i}].owner")));
            }
        }
        for (r, rule) in self.rules.iter().enumerate() {
            let mut seen = BTreeSet::new();
            let wrong = rule.items.iter().position(|&item| item >= self.items.len() || !seen.insert(item));
            if let Some(wrong) = wrong {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!("item {} does not exist, or is named twice", rule.items[wrong]),
                )
                .with_help(format!("name items 0 to {}, each once", self.items.len().saturating_sub(1)))
                .inside(format!("rules[{r}].items[{wrong}]")));
            }
        }
        Ok(())
    }
}

impl Fleet {
    /// Finds a host for each item of a batch; each sees what the others take. Nothing is held: see
    /// [`Fleet::reserve_placed`].
    ///
    /// Items on one host are solved together; with strategy `nova` or NUMA cells to be chosen, one after the other. An item must fit its host
    /// alone as well: two owners do not share a device group.
    ///
    /// # Errors
    ///
    /// As [`Batch::validate`], and [`ErrorKind::UnknownHost`].
    pub fn place(&self, batch: &Batch, policies: &[&dyn Policy]) -> Result<Placed> {
        batch.validate().map_err(|e| e.inside("batch"))?;
        let mut search = Search::new(self, batch, policies).map_err(|e| e.inside("batch"))?;
        let count = batch.items.len();
        let impossible: Vec<usize> = (0..count).filter(|&i| search.list(i).is_empty()).collect();
        let mut outcome = match batch.mode {
            BatchMode::Joint if !impossible.is_empty() => BatchOutcome::NoFit,
            BatchMode::Joint => match search.joint() {
                Some(true) => BatchOutcome::Placed,
                Some(false) if !search.is_open => BatchOutcome::NoFit,
                Some(false) | None => BatchOutcome::Undecided,
            },
            BatchMode::BestEffort => search.best_effort(),
        };
        let mut items = vec![None; count];
        if matches!(outcome, BatchOutcome::Placed | BatchOutcome::Partial) {
            for (&host, placed) in &search.on_host {
                for (item, assignment) in placed.items.iter().zip(&placed.assignments) {
                    items[*item] = Some(PlacedItem { host, assignment: assignment.clone() });
                }
            }
            if items.iter().all(Option::is_none) && count > 0 {
                outcome = if search.is_open { BatchOutcome::Undecided } else { BatchOutcome::NoFit };
            }
        }
        Ok(Placed { outcome, items, impossible, sequence: self.sequence() })
    }

    /// Reserves what [`Fleet::place`] found for a batch, all of it or nothing.
    ///
    /// Policies are not asked again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when the fleet changed since, or a host got other tags and a rule is broken now;
    /// [`ErrorKind::InvalidArgument`] when the answer is not to this batch; or as [`Batch::validate`] and
    /// [`Fleet::reserve`]. Nothing is reserved then.
    pub fn reserve_placed(&mut self, batch: &Batch, placed: &Placed, expires: u64) -> Result<()> {
        batch.validate().map_err(|e| e.inside("batch"))?;
        if placed.sequence != self.sequence() {
            return Err(Error::new(ErrorKind::Conflict, "the fleet changed since the batch was placed")
                .with_help("place it again"));
        }
        if placed.items.len() != batch.items.len() {
            return Err(Error::new(ErrorKind::InvalidArgument, "the answer is not to this batch")
                .with_help("hand over the batch that was placed"));
        }
        self.check_placed(batch, placed)?;
        for (item, place) in batch.items.iter().zip(&placed.items) {
            if let Some(place) = place {
                let pools = self.pools_of(place.host);
                self.hold(&item.owner, place.host, &pools, &place.assignment, expires);
            }
        }
        Ok(())
    }

    /// Whether an answer is one to this batch: each item gets what it asks for of what its host has, and the rules hold.
    fn check_placed(&self, batch: &Batch, placed: &Placed) -> Result<()> {
        let mut hosts: BTreeMap<u32, Stock> = BTreeMap::new();
        for (i, (item, place)) in batch.items.iter().zip(&placed.items).enumerate() {
            let Some(place) = place else { continue };
            self.check_reservation(&item.owner).map_err(|e| e.inside(format!("batch.items[{i}]")))?;
            let taken = self.live.contains(place.host) && {
                let stock = hosts.entry(place.host).or_insert_with(|| Stock::new(self.pools_of(place.host)));
                stock.take(&item.workload, &place.assignment).is_some()
            };
            if !taken {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!("it does not get what it asks for from host {}", place.host),
                )
                .with_help("hand over the batch and the answer as they are")
                .inside(format!("placed.items[{i}]")));
            }
        }
        let mut spots = running(self, batch).map_err(|e| e.inside("batch"))?;
        for (i, place) in placed.items.iter().enumerate() {
            let Some(place) = place else { continue };
            if !allowed(self, batch, &spots, i, place.host) {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!("a rule about item {i} no longer holds"),
                )
                .with_help("place the batch again")
                .inside(format!("placed.items[{i}]")));
            }
            settle(self, batch, &mut spots, i, place.host);
        }
        Ok(())
    }
}

/// What a host has left while the items of an answer are served from it.
struct Stock {
    pools: Pools,
    families: Families,
    counts: Vec<u32>,
}

impl Stock {
    fn new(pools: Pools) -> Self {
        let counts = pools.list.iter().map(|pool| pool.count).collect();
        Stock { families: Families::new(&pools.list), counts, pools }
    }

    /// Takes what serves a workload; `None` if that is not what it asks for, or more than there is.
    fn take(&mut self, workload: &Workload, assignment: &Assignment) -> Option<()> {
        if assignment.requests.len() != workload.requests.len() {
            return None;
        }
        let cells = assignment.numa_cells.as_deref().unwrap_or(workload.cells());
        for (request, given) in workload.requests.iter().zip(&assignment.requests) {
            let wants = (given.option <= request.otherwise.len())
                .then(|| Prepared::new(&self.pools, workload, request, given.option, cells))?;
            let mut count = 0_u64;
            for pick in &given.picks {
                count += u64::from(pick.count);
                self.pools.list.get(pick.pool).filter(|pool| wants.allows(pool))?;
            }
            if count != u64::from(wants.count) {
                return None;
            }
            for pick in given.all_picks() {
                self.counts.get(pick.pool).filter(|&&left| left >= pick.count)?;
                match workload.strategy {
                    Strategy::Exact => self.families.take(&mut self.counts, pick.pool, pick.count),
                    // Nova's fit does not see that a PF and its VFs exclude each other.
                    Strategy::Nova => self.counts[pick.pool] -= pick.count,
                }
            }
        }
        Some(())
    }
}

/// The items on a host, and how they are served.
#[derive(Clone, Default)]
struct OnHost {
    items: Vec<usize>,
    assignments: Vec<Assignment>,
}

/// A place that a rule looks at: a host, or a value of a tag.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Spot {
    Host(u32),
    Tag(String),
}

/// The spot of a host that a rule looks at.
fn spot(fleet: &Fleet, rule: &AffinityRule, host: u32) -> Option<Spot> {
    match rule.key.as_str() {
        "host" => Some(Spot::Host(host)),
        key => fleet.tags.get(&host)?.text(key).map(|text| Spot::Tag(text.to_owned())),
    }
}

/// For each rule where its workloads are that run already.
fn running(fleet: &Fleet, batch: &Batch) -> Result<Vec<Vec<Spot>>> {
    let mut all = Vec::with_capacity(batch.rules.len());
    for (r, rule) in batch.rules.iter().enumerate() {
        let mut spots = Vec::new();
        for (h, host) in rule.hosts.iter().enumerate() {
            let id = fleet.id(host).map_err(|e| e.inside(format!("rules[{r}].hosts[{h}]")))?;
            spots.extend(spot(fleet, rule, id));
        }
        all.push(spots);
    }
    Ok(all)
}

/// Whether the rules allow an item on a host, given where the others are.
fn allowed(fleet: &Fleet, batch: &Batch, spots: &[Vec<Spot>], item: usize, host: u32) -> bool {
    batch.rules.iter().zip(spots).filter(|(rule, _)| rule.items.contains(&item)).all(|(rule, spots)| {
        spot(fleet, rule, host).is_some_and(|spot| match rule.relation {
            Relation::Same => spots.iter().all(|other| *other == spot),
            Relation::Distinct => !spots.contains(&spot),
        })
    })
}

/// Notes for the rules that an item is on a host.
fn settle(fleet: &Fleet, batch: &Batch, spots: &mut [Vec<Spot>], item: usize, host: u32) {
    for (rule, spots) in batch.rules.iter().zip(spots).filter(|(rule, _)| rule.items.contains(&item)) {
        spots.extend(spot(fleet, rule, host));
    }
}

/// A host's topology, its row, its value of each rule's tag, and where policies filter, whose candidate it is.
type Looks<'a> = (u32, &'a [u32], Vec<Option<&'a str>>, Vec<bool>);

/// Where the search for a host for one item stands.
#[derive(Default)]
struct Level<'a> {
    item: usize,
    /// The next of its candidates.
    next: usize,
    /// Hosts that look alike and hold nothing yet are tried once.
    tried: HashSet<Looks<'a>>,
    /// Where the item is, and what was there before it.
    placed: Option<(u32, Option<OnHost>)>,
}

/// The search for a host for each item, in their order.
struct Search<'a> {
    fleet: &'a Fleet,
    batch: &'a Batch,
    /// For each item the hosts that could serve it alone; items that ask the same share a list.
    lists: Vec<Candidates>,
    list_of: Vec<usize>,
    /// Whether policies say for each item which hosts it may go to, so that hosts that look alike may differ in that.
    is_judged: bool,
    on_host: BTreeMap<u32, OnHost>,
    /// For each rule where its items are, those that run already among them.
    spots: Vec<Vec<Spot>>,
    budget: u64,
    /// Whether a host was passed over because it was not decided whether it serves an item.
    is_open: bool,
}

/// The hosts that could serve an item alone.
struct Candidates {
    /// The best first.
    ranked: Vec<u32>,
    fit: HostSet,
    /// Whether there are hosts for which that is undecided.
    is_open: bool,
}

impl Candidates {
    /// Whether there is no host, and none that is undecided.
    fn is_empty(&self) -> bool {
        self.ranked.is_empty() && !self.is_open
    }
}

impl<'a> Search<'a> {
    fn new(fleet: &'a Fleet, batch: &'a Batch, policies: &[&dyn Policy]) -> Result<Self> {
        let mut lists: Vec<Candidates> = Vec::new();
        let mut list_of = Vec::new();
        for (i, item) in batch.items.iter().enumerate() {
            let same = batch.items[..i].iter().position(|other| other.workload == item.workload);
            if let Some(same) = same {
                list_of.push(list_of[same]);
                continue;
            }
            let options = RankOptions {
                filter: FilterOptions {
                    among: batch.among.clone(),
                    facts: batch.facts.clone(),
                    ..FilterOptions::default()
                },
                weighers: batch.weighers.clone(),
                ..RankOptions::default()
            };
            list_of.push(lists.len());
            let (ranking, answer) = fleet.rank_answer(&item.workload, &options, policies)?;
            let is_open = !answer.undecided.is_empty();
            lists.push(Candidates { ranked: ranking.hosts, fit: answer.hosts, is_open });
        }
        Ok(Search {
            fleet,
            batch,
            is_open: lists.iter().any(|list| list.is_open),
            lists,
            list_of,
            is_judged: policies.iter().any(|policy| policy.scope().filter),
            on_host: BTreeMap::new(),
            spots: running(fleet, batch)?,
            budget: batch.budget.unwrap_or(Batch::DEFAULT_BUDGET),
        })
    }
    fn list(&self, item: usize) -> &Candidates {
        &self.lists[self.list_of[item]]
    }

    fn candidates(&self, item: usize) -> &[u32] {
        &self.list(item).ranked
    }

    fn allowed(&self, item: usize, host: u32) -> bool {
        allowed(self.fleet, self.batch, &self.spots, item, host)
    }

    /// Puts an item on a host, if it can be served there together with those that are there.
    ///
    /// `None` when the budget is spent. What the single-host solver cannot decide counts as no, and is noted.
    fn try_host(&mut self, item: usize, host: u32) -> Option<bool> {
        self.budget = self.budget.checked_sub(1)?;
        let mut items = self.on_host.get(&host).map(|on| on.items.clone()).unwrap_or_default();
        items.push(item);
        let workloads: Vec<&Workload> = items.iter().map(|&i| &self.batch.items[i].workload).collect();
        match together(&self.fleet.pools_of(host), &workloads) {
            Together::Served(assignments) => self.on_host.insert(host, OnHost { items, assignments }),
            Together::No => return Some(false),
            Together::Undecided => {
                self.is_open = true;
                return Some(false);
            }
        };
        settle(self.fleet, self.batch, &mut self.spots, item, host);
        Some(true)
    }

    /// Undoes the last [`Search::try_host`] of this item.
    fn take_back(&mut self, item: usize, host: u32, before: Option<OnHost>) {
        match before {
            Some(before) => self.on_host.insert(host, before),
            None => self.on_host.remove(&host),
        };
        for (r, rule) in self.batch.rules.iter().enumerate() {
            if rule.items.contains(&item) && spot(self.fleet, rule, host).is_some() {
                self.spots[r].pop();
            }
        }
    }

    /// Places all items, going back to an earlier one where a later one finds no host.
    fn joint(&mut self) -> Option<bool> {
        let mut levels: Vec<Level<'a>> = vec![Level::default()];
        while let Some(level) = levels.last_mut() {
            let item = level.item;
            if item == self.batch.items.len() {
                return Some(true);
            }
            if let Some((host, before)) = level.placed.take() {
                self.take_back(item, host, before);
            }
            match self.next_host(item, level)? {
                true => {
                    let next = item + 1;
                    levels.push(Level { item: next, ..Level::default() });
                }
                false => {
                    levels.pop();
                }
            }
        }
        Some(false)
    }

    /// Puts the item of a level on the next host that can serve it.
    fn next_host(&mut self, item: usize, level: &mut Level<'a>) -> Option<bool> {
        while let Some(&host) = self.candidates(item).get(level.next) {
            level.next += 1;
            if !self.allowed(item, host) {
                continue;
            }
            if let Some(looks) = self.looks(host)
                && !level.tried.insert(looks)
            {
                continue;
            }
            let before = self.on_host.get(&host).cloned();
            if self.try_host(item, host)? {
                level.placed = Some((host, before));
                return Some(true);
            }
        }
        Some(false)
    }

    /// All that tells a host without items from others; `None` for one that nothing else is like.
    fn looks(&self, host: u32) -> Option<Looks<'a>> {
        let fleet = self.fleet;
        let named = |rule: &AffinityRule| {
            rule.key == "host" && rule.hosts.iter().any(|name| fleet.names.id(name) == Some(host))
        };
        if self.on_host.contains_key(&host)
            || fleet.rows.has_large()
            || fleet.providers.contains_key(&host)
            || self.batch.rules.iter().any(named)
        {
            return None;
        }
        let tags = fleet.tags.get(&host);
        let values = self.batch.rules.iter().map(|rule| tags.and_then(|tags| tags.text(&rule.key))).collect();
        let judged = if self.is_judged { self.lists.as_slice() } else { &[] };
        let serves = judged.iter().map(|list| list.fit.contains(host)).collect();
        Some((fleet.topologies.number(host), fleet.rows.lanes(host), values, serves))
    }

    fn best_effort(&mut self) -> BatchOutcome {
        let mut placed = 0;
        for item in 0..self.batch.items.len() {
            for n in 0..self.candidates(item).len() {
                let host = self.candidates(item)[n];
                if !self.allowed(item, host) {
                    continue;
                }
                match self.try_host(item, host) {
                    Some(true) => {
                        placed += 1;
                        break;
                    }
                    Some(false) => {}
                    None => {
                        self.is_open = true;
                        return BatchOutcome::Partial;
                    }
                }
            }
        }
        if placed == self.batch.items.len() { BatchOutcome::Placed } else { BatchOutcome::Partial }
    }
}

/// Whether and how some workloads can be served on one host.
enum Together {
    Served(Vec<Assignment>),
    No,
    Undecided,
}

fn together(pools: &Pools, workloads: &[&Workload]) -> Together {
    let alone = |w: &&Workload| w.strategy == Strategy::Nova || w.numa_cells_from.is_some();
    if workloads.len() > 1 && workloads.iter().any(alone) {
        return one_by_one(pools, workloads);
    }
    let fit = match workloads {
        [one] => pools.fit(one),
        several => solve::joint(pools, several, None, &Budget::of(several)),
    };
    match fit {
        Ok(Fit::Fits(mut all)) => {
            let mut assignments = Vec::with_capacity(workloads.len());
            for workload in workloads {
                let rest = all.requests.split_off(workload.requests.len().min(all.requests.len()));
                let requests = std::mem::replace(&mut all.requests, rest);
                assignments.push(Assignment {
                    requests,
                    numa_cells: all.numa_cells.clone(),
                    cut_short: all.cut_short,
                });
            }
            Together::Served(assignments)
        }
        Ok(Fit::Undecided(_)) => Together::Undecided,
        _ => Together::No,
    }
}

/// One workload after the other, as Nova creates several instances: each sees the pools that those before it left.
fn one_by_one(pools: &Pools, workloads: &[&Workload]) -> Together {
    let mut left = pools.clone();
    // Empty pools are dropped as devices are taken; these are the places of those that are left.
    let mut places: Vec<usize> = (0..pools.list.len()).collect();
    let mut assignments = Vec::with_capacity(workloads.len());
    for workload in workloads {
        let mut assignment = match left.fit(workload) {
            Ok(Fit::Fits(assignment)) => assignment,
            Ok(Fit::Undecided(_)) => return Together::Undecided,
            _ => return Together::No,
        };
        let families = Families::new(&left.list);
        let mut counts: Vec<u32> = left.list.iter().map(|pool| pool.count).collect();
        for request in &mut assignment.requests {
            for pick in request.picks.iter_mut().chain(&mut request.companion_picks) {
                // Strategy nova does not see that a physical function excludes its virtual ones; a claim does.
                if counts[pick.pool] < pick.count {
                    return Together::No;
                }
                families.take(&mut counts, pick.pool, pick.count);
                pick.pool = places[pick.pool];
            }
        }
        let used = |count: &u32| *count > 0;
        places = places
            .into_iter()
            .zip(&counts)
            .filter(|(_, count)| used(count))
            .map(|(place, _)| place)
            .collect();
        left.list.iter_mut().zip(&counts).for_each(|(pool, &count)| pool.count = count);
        left.list.retain(|pool| used(&pool.count));
        assignments.push(assignment);
    }
    Together::Served(assignments)
}
