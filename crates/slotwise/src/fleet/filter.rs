//! Which hosts fit a workload.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::Fleet;
use super::host_set::HostSet;
use super::plan::Counting;
use crate::error::{Error, ErrorKind, Result};
use crate::extra_info::ExtraInfo;
use crate::policy::{self, HostTable, Policy, Query, Scope, SetId};
use crate::request::Workload;

/// So many hosts are shown to policies at once.
pub(super) const POLICY_BATCH: usize = 4096;

/// Which hosts are asked, and how many are wanted.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterOptions {
    /// Only these hosts; all if `None`. Ids without a host are passed over.
    pub among: Option<HostSet>,
    /// Only these hosts, each with what is particular about it; all if `None`.
    pub hosts: Option<Vec<HostQuestion>>,
    /// Stop after so many hosts that fit, in the order of ids; hosts after the last of them are not asked.
    pub limit: Option<usize>,
    /// What policies are told about the workload beyond itself: project, flavor, user.
    pub facts: ExtraInfo,
}

/// What is particular about a host that is asked.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HostQuestion {
    /// The host's name.
    pub host: String,
    /// The host's NUMA cells that the guest would run on there; `None` leaves those of the workload.
    #[serde(default)]
    pub numa_cells: Option<Vec<u32>>,
    /// Placement's allocation candidates on this host, each as [`Workload::provider_mapping`]. The host fits if one of
    /// them does; if there are none, the workload is asked as it is.
    #[serde(default)]
    pub mappings: Vec<BTreeMap<String, Vec<String>>>,
}

/// Which hosts fit.
///
/// A host that does not fit is in neither set. [`Fleet::names`] gives the names.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct FleetAnswer {
    /// The hosts that fit.
    pub hosts: HostSet,
    /// The hosts for which the search budget ran out.
    pub undecided: HostSet,
    /// How many hosts were asked.
    pub asked: u64,
    /// How many of them fit.
    pub fits: u64,
    /// How many do not.
    pub no_fit: u64,
    /// Why policies refused hosts that would fit, in the order of the reasons' texts.
    pub refused: Vec<PolicyRefusal>,
    /// For each host that was asked with Placement candidates, in the order of ids, which of these can be used.
    pub candidates: Vec<HostCandidates>,
}

/// How many hosts policies refused for a reason.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PolicyRefusal {
    /// The reason, with the policy's name.
    pub reason: String,
    /// How many hosts.
    pub hosts: u64,
}

/// Which of Placement's allocation candidates a host can serve.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HostCandidates {
    /// The host's id.
    pub host: u32,
    /// The candidates that fit, as indices into [`HostQuestion::mappings`].
    pub fits: Vec<u32>,
    /// Those for which the search budget ran out.
    pub undecided: Vec<u32>,
}

/// What policies said of hosts.
struct Judged {
    /// Those that are refused.
    out: Vec<u32>,
    /// How many are refused for each reason.
    refused: BTreeMap<String, u64>,
    /// The first that was not looked at, because enough passed before it.
    bound: Option<u32>,
}

/// What is known about one host and one workload; `None` is undecided.
pub(super) type Verdict = Option<bool>;

impl Fleet {
    /// Which hosts fit a workload: those of which [`Fleet::fit`] says so and that no policy refuses.
    ///
    /// Where the search budget runs out while [`Fleet::fit`] chooses or explains, this may know the answer nevertheless.
    /// Policies are asked about hosts that fit only.
    ///
    /// # Errors
    ///
    /// As [`crate::Pools::fit`]; [`ErrorKind::UnknownHost`] or [`ErrorKind::InvalidArgument`] when the options name a
    /// host that is not there, or twice; [`ErrorKind::PolicyFailed`].
    pub fn filter(
        &self,
        workload: &Workload,
        options: &FilterOptions,
        policies: &[&dyn Policy],
    ) -> Result<FleetAnswer> {
        workload.validate().map_err(|e| e.inside("workload"))?;
        let filtering = policies.iter().any(|policy| policy.scope().filter);
        // Which of the hosts that fit are wanted is known only when the policies have been asked.
        let limit = options.limit.filter(|_| !filtering).unwrap_or(usize::MAX);
        let mut answer = FleetAnswer::default();
        if options.hosts.is_none() && options.among.is_none() && options.limit.is_none() && !filtering {
            let known = self.cache.answer(self, workload);
            (answer.hosts, answer.undecided) = (known.hosts.clone(), known.undecided.clone());
            (answer.asked, answer.fits) = (self.len() as u64, known.fits as u64);
            answer.no_fit = answer.asked - answer.fits - answer.undecided.len() as u64;
            return Ok(answer);
        }
        let mut asked = self.asked(options)?;
        match &options.hosts {
            None => self.decide(workload, &asked, limit, &mut answer),
            Some(questions) => self.ask_each(workload, questions, &asked, limit, &mut answer)?,
        }
        if filtering {
            self.apply_policies(workload, options, policies, &mut answer)?;
        }
        if let Some(limit) = options.limit {
            answer.hosts.truncate(limit);
            if limit == answer.hosts.len() {
                let bound = answer.hosts.last().map_or(0, |last| last + 1);
                asked.keep_below(bound);
                answer.undecided.keep_below(bound);
                answer.candidates.retain(|candidates| candidates.host < bound);
            }
        }
        answer.asked = asked.len() as u64;
        answer.fits = answer.hosts.len() as u64;
        let refused: u64 = answer.refused.iter().map(|refusal| refusal.hosts).sum();
        answer.no_fit = answer.asked - answer.fits - answer.undecided.len() as u64 - refused;
        Ok(answer)
    }

    /// The hosts that the options ask about.
    pub(super) fn asked(&self, options: &FilterOptions) -> Result<HostSet> {
        let mut asked = match &options.hosts {
            None => self.live.clone(),
            Some(questions) => {
                let mut asked = HostSet::new();
                for (place, question) in questions.iter().enumerate() {
                    let inside = |e: Error| e.inside(format!("hosts[{place}]"));
                    if !asked.insert(self.id(&question.host).map_err(inside)?) {
                        return Err(inside(
                            Error::new(
                                ErrorKind::InvalidArgument,
                                format!("host {:?} is listed twice", crate::address::clip(&question.host)),
                            )
                            .with_help("list each host once, with all its candidates")
                            .inside("host"),
                        ));
                    }
                }
                asked
            }
        };
        if let Some(among) = &options.among {
            asked.intersect(among);
        }
        Ok(asked)
    }

    /// Decides these hosts in the order of ids, at least up to the `limit`th that fits.
    fn decide(&self, workload: &Workload, asked: &HostSet, limit: usize, answer: &mut FleetAnswer) {
        let few = asked.len() <= self.rows.len() / 64;
        let costly = || !Counting::of(workload).is_some_and(|counting| counting.settles());
        if !few && (limit == usize::MAX || !costly()) {
            let known = self.cache.answer(self, workload);
            (answer.hosts, answer.undecided) = (known.hosts.clone(), known.undecided.clone());
            answer.hosts.intersect(asked);
            answer.undecided.intersect(asked);
            return;
        }
        let mut decider = Decider::new(self, workload);
        let mut found = 0;
        for id in asked.iter() {
            if found >= limit {
                break;
            }
            found += usize::from(answer.note(id, decider.verdict(id)));
        }
    }

    /// Decides hosts one by one, each with its own cells and candidates.
    fn ask_each(
        &self,
        workload: &Workload,
        questions: &[HostQuestion],
        asked: &HostSet,
        limit: usize,
        answer: &mut FleetAnswer,
    ) -> Result<()> {
        let mut list = Vec::with_capacity(questions.len());
        for (place, question) in questions.iter().enumerate() {
            let id = self.id(&question.host)?;
            if asked.contains(id) {
                list.push((id, place));
            }
        }
        list.sort_unstable();
        let mut found = 0;
        for (id, place) in list {
            if found >= limit {
                break;
            }
            let verdict = self
                .ask(id, workload, &questions[place], answer)
                .map_err(|e| e.inside(format!("hosts[{place}]")))?;
            found += usize::from(answer.note(id, verdict));
        }
        Ok(())
    }

    /// Asks the policies about the hosts that fit, until enough pass.
    fn apply_policies(
        &self,
        workload: &Workload,
        options: &FilterOptions,
        policies: &[&dyn Policy],
        answer: &mut FleetAnswer,
    ) -> Result<()> {
        let query = Query { workload, facts: &options.facts };
        let limit = options.limit.unwrap_or(usize::MAX);
        let mut asked = policy::filtering(policies);
        // Each time with fewer policies.
        let judged = loop {
            if let Some(judged) = self.judge(&query, &answer.hosts, limit, &mut asked)? {
                break judged;
            }
        };
        for &id in &judged.out {
            answer.hosts.remove(id);
        }
        if let Some(bound) = judged.bound {
            answer.hosts.keep_below(bound);
        }
        let refused = judged.refused.into_iter();
        answer.refused = refused.map(|(reason, hosts)| PolicyRefusal { reason, hosts }).collect();
        Ok(())
    }

    /// Asks them about some thousands of hosts at a time. `None` when one that has judged some abstains from others: it is
    /// taken out, and what it said does not count either.
    fn judge(
        &self,
        query: &Query<'_>,
        hosts: &HostSet,
        limit: usize,
        policies: &mut Vec<&dyn Policy>,
    ) -> Result<Option<Judged>> {
        let mut judged = Judged { out: Vec::new(), refused: BTreeMap::new(), bound: None };
        let mut passed = 0;
        for (batch, hosts) in hosts.ids().chunks(POLICY_BATCH).enumerate() {
            if passed >= limit {
                judged.bound = hosts.first().copied();
                break;
            }
            let count = policies.len();
            let table = self.host_table(hosts, policies, |scope| scope.filter_pools)?;
            let verdicts = policy::filter_by(policies, query, &table)?;
            if batch > 0 && policies.len() < count {
                return Ok(None);
            }
            for (i, &id) in hosts.iter().enumerate() {
                if passed >= limit {
                    judged.bound = Some(id);
                    return Ok(Some(judged));
                }
                match verdicts.reason(i) {
                    None => passed += 1,
                    Some(reason) => {
                        judged.out.push(id);
                        *judged.refused.entry(reason.to_owned()).or_default() += 1;
                    }
                }
            }
        }
        Ok(Some(judged))
    }

    /// Hosts as the columns that policies read.
    pub(super) fn host_table(
        &self,
        hosts: &[u32],
        policies: &[&dyn Policy],
        reads_pools: impl Fn(Scope) -> bool,
    ) -> Result<HostTable> {
        let scope = policies.iter().fold(Scope::NOTHING, |scope, policy| scope.or(policy.scope()));
        let mut table = HostTable::new();
        let mut sets: HashMap<u32, SetId> = HashMap::new();
        let mut tag_sets: BTreeMap<&ExtraInfo, SetId> = BTreeMap::new();
        for &id in hosts {
            let tags = self.tags.get(&id).filter(|_| scope.attributes);
            let set = match tags {
                None => SetId::EMPTY,
                Some(tags) => match tag_sets.get(tags) {
                    Some(&set) => set,
                    None => {
                        let set = table.set(tags)?;
                        tag_sets.insert(tags, set);
                        set
                    }
                },
            };
            table.push_host(if scope.names { self.names.get(id) } else { "" }, set)?;
            if reads_pools(scope) {
                for slot in self.rows.slots(id) {
                    let pool = self.classes.pool(slot.class);
                    let set = match sets.get(&slot.class) {
                        Some(&set) => set,
                        None => {
                            let set = table.set(&pool.attributes)?;
                            sets.insert(slot.class, set);
                            set
                        }
                    };
                    table.push_pool(set, pool.numa_node, slot.count)?;
                }
            }
        }
        Ok(table)
    }

    /// Asks one host with its own cells and candidates.
    fn ask(
        &self,
        id: u32,
        workload: &Workload,
        question: &HostQuestion,
        answer: &mut FleetAnswer,
    ) -> Result<Verdict> {
        let pools = self.pools_of(id);
        let mut own = workload.clone();
        if let Some(cells) = &question.numa_cells {
            own.numa_cells = Some(cells.clone());
            own.validate()?;
        }
        if question.mappings.is_empty() {
            return Ok(pools.verdict(&own));
        }
        // Which provider serves which of a request's groups makes no difference, only how often each serves it: of a
        // thousand candidates, most are equal in this way.
        let mut known: HashMap<Vec<Vec<String>>, Verdict> = HashMap::new();
        let mut found = HostCandidates { host: id, fits: Vec::new(), undecided: Vec::new() };
        for (number, mapping) in question.mappings.iter().enumerate() {
            own.provider_mapping = Some(mapping.clone());
            let mut key = Vec::with_capacity(own.requests.len());
            for request in &own.requests {
                let mut providers: Vec<String> =
                    own.providers(request).into_iter().map(str::to_owned).collect();
                providers.sort_unstable();
                key.push(providers);
            }
            let verdict = match known.get(&key) {
                Some(&verdict) => verdict,
                None => {
                    own.validate().map_err(|e| e.inside(format!("mappings[{number}]")))?;
                    let verdict = pools.verdict(&own);
                    known.insert(key, verdict);
                    verdict
                }
            };
            match verdict {
                Some(true) => found.fits.push(number as u32),
                Some(false) => {}
                None => found.undecided.push(number as u32),
            }
        }
        let verdict = match (found.fits.is_empty(), found.undecided.is_empty()) {
            (false, _) => Some(true),
            (true, true) => Some(false),
            (true, false) => None,
        };
        answer.candidates.push(found);
        Ok(verdict)
    }
}

impl FleetAnswer {
    /// Notes what is known of a host, and says whether it fits.
    fn note(&mut self, id: u32, verdict: Verdict) -> bool {
        match verdict {
            Some(true) => self.hosts.insert(id),
            Some(false) => false,
            None => {
                self.undecided.insert(id);
                false
            }
        }
    }
}

/// Decides hosts one by one with the single-host solver; hosts that look alike are decided once.
pub(super) struct Decider<'a> {
    fleet: &'a Fleet,
    workload: &'a Workload,
    /// Whether the workload can tell hosts apart by the providers of their pools.
    sees_providers: bool,
    /// What is known of a topology and a row.
    known: HashMap<(u32, Box<[u32]>), Verdict>,
}

impl<'a> Decider<'a> {
    /// So many different hosts are remembered at most.
    const MAX_KNOWN: usize = 1 << 16;

    pub(super) fn new(fleet: &'a Fleet, workload: &'a Workload) -> Self {
        Decider { fleet, workload, sees_providers: sees_providers(workload), known: HashMap::new() }
    }

    pub(super) fn verdict(&mut self, id: u32) -> Verdict {
        let fleet = self.fleet;
        let lanes = fleet.rows.lanes(id);
        if (self.sees_providers && fleet.providers.contains_key(&id)) || fleet.rows.has_large() {
            return fleet.pools_of(id).verdict(self.workload);
        }
        let key = (fleet.topologies.number(id), Box::from(lanes));
        if let Some(&verdict) = self.known.get(&key) {
            return verdict;
        }
        let verdict = fleet.pools_of(id).verdict(self.workload);
        if self.known.len() < Self::MAX_KNOWN {
            self.known.insert(key, verdict);
        }
        verdict
    }
}

/// Whether what a workload asks for depends on the Placement providers of pools.
pub(super) fn sees_providers(workload: &Workload) -> bool {
    let key = "rp_uuid";
    workload.requests.iter().any(|request| {
        !workload.providers(request).is_empty() || request.prefer_same.iter().any(|other| other == key)
    }) || workload.all_constraints().iter().any(|constraint| constraint.key == key)
        || workload.spread_over.as_deref() == Some(key)
}
