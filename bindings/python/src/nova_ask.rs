//! A scheduler's question about many hosts, asked in one call with Nova's own objects.
//!
//! Nova makes its objects anew for each request and changes some in place, so nothing is known by identity: a host's rows and
//! an instance's requests are known by their content, which is read in place.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use slotwise as engine;

use crate::call::{Shared, call};
use crate::convert;
use crate::kept::{Content, Map, keep, lock};
use crate::nova::{read_content, read_documents, row_content};
use crate::pools::Pools;
use crate::request::Workload;

/// So many questions, with their answers, are kept; past that they are read anew.
const MAX_QUESTIONS: usize = 20_000;
/// So many hosts are kept; past that they are read anew.
const MAX_HOSTS: usize = 20_000;
/// So many answers are kept of each host; past that they are given anew.
const MAX_ANSWERS: usize = 1000;

/// What an instance asks for, whatever Placement has chosen.
struct Question {
    workload: Arc<engine::Workload>,
    /// As [`Chosen::id`], for where Placement has not chosen.
    id: u64,
    chosen: Mutex<Map<Vec<u8>, Arc<Chosen>>>,
}

/// A question with Placement's choice in it.
struct Chosen {
    workload: Arc<engine::Workload>,
    /// Names the question among a host's answers; never given twice.
    id: u64,
}

static QUESTIONS: LazyLock<Mutex<Map<Vec<u8>, Arc<Question>>>> = LazyLock::new(Mutex::default);
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// The requests of an instance as Nova has them, and which of them Placement chooses for: those of the flavor, by id.
struct Asked<'py> {
    requests: Vec<Bound<'py, PyDict>>,
    ids: Vec<Option<Bound<'py, PyString>>>,
}

impl<'py> Asked<'py> {
    /// Fields are read where the object keeps them: to read one that is not set would set it.
    fn new(requests: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = requests.py();
        let mut asked = Asked { requests: Vec::new(), ids: Vec::new() };
        for request in requests.try_iter()? {
            let fields = request?.getattr(intern!(py, "__dict__"))?.cast_into::<PyDict>()?;
            let id = match field(&fields, intern!(py, "_obj_alias_name"))? {
                None => None,
                Some(_) => field(&fields, intern!(py, "_obj_request_id"))?,
            };
            asked.ids.push(id.map(Bound::cast_into::<PyString>).transpose()?);
            asked.requests.push(fields);
        }
        Ok(asked)
    }

    /// Everything that the answer depends on; ids are names only.
    fn content(&self, cells: &[u64], strategy: &str) -> PyResult<Option<Content>> {
        let mut content = Content::default();
        content.text(Some(strategy));
        content.number(cells.len() as u64);
        cells.iter().for_each(|&cell| content.number(cell));
        for fields in &self.requests {
            let py = fields.py();
            let count = field(fields, intern!(py, "_obj_count"))?;
            let Some(Ok(count)) = count.map(|count| count.extract::<u64>()) else { return Ok(None) };
            content.number(count);
            for name in [intern!(py, "_obj_numa_policy"), intern!(py, "_obj_alias_name")] {
                let value = field(fields, name)?;
                content.text(value.as_ref().map(|text| text.cast::<PyString>()?.to_str()).transpose()?);
            }
            let Some(Ok(spec)) = field(fields, intern!(py, "_obj_spec"))?.map(Bound::cast_into::<PyList>)
            else {
                return Ok(None);
            };
            content.number(spec.len() as u64);
            for alternative in spec.iter() {
                let Ok(alternative) = alternative.cast_into::<PyDict>() else { return Ok(None) };
                content.number(alternative.len() as u64);
                for (key, value) in alternative.iter() {
                    let Ok(key) = key.cast::<PyString>() else { return Ok(None) };
                    content.text(Some(key.to_str()?));
                    if value.is_none() {
                        content.text(None);
                    } else {
                        let Ok(value) = value.cast::<PyString>() else { return Ok(None) };
                        content.text(Some(value.to_str()?));
                    }
                }
            }
        }
        Ok(Some(content))
    }

    /// The providers that a mapping gives to each request: the same for two mappings that no request can tell apart.
    ///
    /// Which provider serves which of a request's groups makes no difference, only how often each serves it; groups of other
    /// resources make none at all. Of a thousand candidates of a host most are equal in this way.
    fn providers(&self, mapping: &Bound<'py, PyDict>) -> PyResult<Vec<Vec<Bound<'py, PyString>>>> {
        let mut providers = vec![Vec::new(); self.ids.len()];
        for (group, of_group) in mapping.iter() {
            let group = group.cast::<PyString>()?.to_str()?;
            for (id, chosen) in self.ids.iter().zip(&mut providers) {
                let Some(id) = id else { continue };
                if group.starts_with(id.to_str()?)
                    && let Some(first) = of_group.try_iter()?.next()
                {
                    chosen.push(first?.cast_into::<PyString>()?);
                }
            }
        }
        for chosen in providers.iter_mut().filter(|chosen| chosen.len() > 1) {
            let mut texts = chosen
                .iter()
                .map(|one| Ok((one.to_str()?.to_owned(), one.clone())))
                .collect::<PyResult<Vec<_>>>()?;
            texts.sort_by(|(a, _), (b, _)| a.cmp(b));
            *chosen = texts.into_iter().map(|(_, one)| one).collect();
        }
        Ok(providers)
    }
}

/// A field of a versioned object that is set and not None.
fn field<'py>(
    fields: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(fields.get_item(name)?.filter(|value| !value.is_none()))
}

impl Question {
    /// The question that these requests ask. `make` makes its workload of the requests, the cells and the strategy, where
    /// the same was not asked lately.
    fn new(
        asked: &Asked<'_>,
        requests: &Bound<'_, PyAny>,
        cells: Vec<u64>,
        strategy: &str,
        make: &Bound<'_, PyAny>,
    ) -> PyResult<Arc<Self>> {
        let content = asked.content(&cells, strategy)?;
        if let Some(content) = &content
            && let Some(known) = lock(&QUESTIONS).get(&content.0)
        {
            return Ok(Arc::clone(known));
        }
        let made = make.call1((requests, cells, strategy))?.cast_into::<Workload>()?;
        let question = Arc::new(Question {
            workload: Arc::clone(&made.get().0),
            id: next_id(),
            chosen: Mutex::default(),
        });
        if let Some(content) = content {
            keep(&QUESTIONS, MAX_QUESTIONS, content.0, Arc::clone(&question));
        }
        Ok(question)
    }

    /// The question with Placement's choice.
    fn with_choice(&self, asked: &Asked<'_>, mapping: Option<&Bound<'_, PyAny>>) -> PyResult<Arc<Chosen>> {
        let none = || Ok(Arc::new(Chosen { workload: Arc::clone(&self.workload), id: self.id }));
        let Some(mapping) = mapping.filter(|mapping| !mapping.is_none()) else { return none() };
        let mapping = mapping.cast::<PyDict>()?;
        if mapping.is_empty() {
            return none();
        }
        let providers = asked.providers(mapping)?;
        let mut content = Content::default();
        for chosen in &providers {
            content.number(chosen.len() as u64);
            for one in chosen {
                content.text(Some(one.to_str()?));
            }
        }
        if let Some(known) = lock(&self.chosen).get(&content.0) {
            return Ok(Arc::clone(known));
        }
        // The ids name the requests here and nowhere else. No group is called like the last one, which stands for a mapping
        // that says nothing about these requests: it is a choice too.
        let mut workload = engine::Workload::clone(&self.workload);
        let mut groups = BTreeMap::new();
        for (number, (request, chosen)) in workload.requests.iter_mut().zip(&providers).enumerate() {
            request.request_id = Some(format!("request {number}"));
            for (n, provider) in chosen.iter().enumerate() {
                groups.insert(format!("request {number}-{n}"), vec![provider.to_str()?.to_owned()]);
            }
        }
        groups.insert("other".to_owned(), Vec::new());
        workload.provider_mapping = Some(groups);
        let made = Arc::new(Chosen { workload: Arc::new(workload), id: next_id() });
        keep(&self.chosen, MAX_QUESTIONS, content.0, Arc::clone(&made));
        Ok(made)
    }
}

/// What an instance asks of a host, in the engine's form.
#[pyfunction]
pub(crate) fn nova_workload(
    requests: &Bound<'_, PyAny>,
    mapping: Option<&Bound<'_, PyAny>>,
    cells: Vec<u64>,
    strategy: &str,
    make: &Bound<'_, PyAny>,
) -> PyResult<Workload> {
    let asked = Asked::new(requests)?;
    let chosen = Question::new(&asked, requests, cells, strategy, make)?.with_choice(&asked, mapping)?;
    Ok(Workload(Arc::clone(&chosen.workload)))
}

/// The pools of one host, and what was asked about them. Neither changes: another state of the host is another object.
#[pyclass(frozen, module = "slotwise")]
pub(crate) struct NovaHost {
    pools: Arc<engine::Pools>,
    /// The content of the rows that the pools were read from; empty where that was a text.
    rows: Vec<u8>,
    answers: Mutex<Map<u64, Option<bool>>>,
}

impl NovaHost {
    fn new(pools: engine::Pools, rows: Vec<u8>) -> Self {
        NovaHost { pools: Arc::new(pools), rows, answers: Mutex::default() }
    }

    fn known(&self, asked: &Chosen) -> Option<Option<bool>> {
        lock(&self.answers).get(&asked.id).copied()
    }

    fn ask(&self, asked: &Chosen) -> engine::Result<Option<bool>> {
        let answer = self.pools.supports(&asked.workload)?;
        keep(&self.answers, MAX_ANSWERS, asked.id, answer);
        Ok(answer)
    }
}

#[pymethods]
impl NovaHost {
    /// The pools in the engine's form.
    #[getter]
    fn pools(&self) -> Pools {
        Pools(Shared::of(Arc::clone(&self.pools)))
    }

    /// How many free devices there are.
    #[getter]
    fn free(&self) -> u64 {
        self.pools.free()
    }

    /// Whether the host can serve these requests with Placement's choice, for a guest on these cells; None when the search
    /// budget ran out. The same is answered once.
    fn supports(
        &self,
        requests: &Bound<'_, PyAny>,
        mapping: Option<&Bound<'_, PyAny>>,
        cells: Vec<u64>,
        strategy: &str,
        make: &Bound<'_, PyAny>,
    ) -> PyResult<Option<bool>> {
        let asked = Asked::new(requests)?;
        let chosen = Question::new(&asked, requests, cells, strategy, make)?.with_choice(&asked, mapping)?;
        match self.known(&chosen) {
            Some(answer) => Ok(answer),
            None => call(requests.py(), || self.ask(&chosen)),
        }
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }
}

/// Hosts by what they were read from.
type Hosts<K> = Mutex<Map<K, Arc<Py<NovaHost>>>>;

static TEXTS: LazyLock<Hosts<Box<str>>> = LazyLock::new(Mutex::default);

/// The host whose pools are in this text of the database; the same text is read once.
#[pyfunction]
pub(crate) fn nova_host(text: &Bound<'_, PyString>) -> PyResult<Py<NovaHost>> {
    let py = text.py();
    let known = text.to_str().ok().and_then(|text| lock(&TEXTS).get(text).cloned());
    if let Some(known) = known {
        return Ok(known.clone_ref(py));
    }
    let ready = convert::ready_text(text, "pools")?;
    let pools = call(py, || engine::Pools::from_json(&ready, None))?;
    let host = Py::new(py, NovaHost::new(pools, Vec::new()))?;
    keep(&TEXTS, MAX_HOSTS, ready.to_owned().into(), Arc::new(host.clone_ref(py)));
    Ok(host)
}

/// Forgets all hosts and questions that are kept.
#[pyfunction]
pub(crate) fn nova_forget() {
    let texts = std::mem::take(&mut *lock(&TEXTS));
    let questions = std::mem::take(&mut *lock(&QUESTIONS));
    drop((texts, questions));
}

/// The host whose pools are these rows; `known` itself if its rows were the same.
///
/// Devices that rows have are no part of a scheduler's question. Raises for a row that is no pool.
#[pyfunction]
#[pyo3(signature = (rows, known=None))]
pub(crate) fn nova_host_of(rows: &Bound<'_, PyList>, known: Option<Py<NovaHost>>) -> PyResult<Py<NovaHost>> {
    let py = rows.py();
    let content = row_content(rows);
    if let (Some(host), Some(content)) = (known, &content)
        && host.get().rows == *content
    {
        return Ok(host);
    }
    let read = content.as_deref().and_then(read_content);
    let list = read.map_or_else(|| read_documents(rows), Ok)?;
    // Rows of an unusual kind have no content here; they are read anew each time, as if they had changed.
    let host = NovaHost::new(engine::Pools::in_order(list, None), content.unwrap_or_default());
    Py::new(py, host)
}

/// The hosts that a filter has seen, by name.
#[pyclass(frozen, module = "slotwise")]
pub(crate) struct NovaHosts(Hosts<Vec<u8>>);

/// What a filter call has found: the hosts that pass, those whose pools cannot be read with the reason, and the hosts and
/// questions that were undecided, and that were refused if that was asked for.
type Outcome<'py> = (
    Bound<'py, PyList>,
    Vec<(Bound<'py, PyAny>, PyErr)>,
    Vec<(Bound<'py, PyAny>, Workload)>,
    Vec<(Bound<'py, PyAny>, Py<NovaHost>, Workload)>,
);

/// One host of a filter call, with the question of each of its candidates.
struct Waiting<'py> {
    state: Bound<'py, PyAny>,
    host: Py<NovaHost>,
    candidates: Bound<'py, PyList>,
    questions: Vec<Arc<Chosen>>,
}

#[pymethods]
impl NovaHosts {
    #[new]
    fn new() -> Self {
        NovaHosts(Mutex::default())
    }

    /// Forgets all hosts.
    fn clear(&self) {
        let hosts = std::mem::take(&mut *lock(&self.0));
        drop(hosts);
    }

    fn __len__(&self) -> usize {
        lock(&self.0).len()
    }

    /// The pools of a host state, which are read only if they are not as they were when that host was last seen.
    ///
    /// ``unread`` is the attribute of its ``pci_stats`` that has a ``NovaHost`` already, where there is one.
    #[pyo3(signature = (state, unread=None))]
    fn host(&self, state: &Bound<'_, PyAny>, unread: Option<&Bound<'_, PyString>>) -> PyResult<Py<NovaHost>> {
        let py = state.py();
        self.host_of(state, &state.getattr(intern!(py, "pci_stats"))?, unread)
    }

    /// Asks all hosts, and takes the allocation candidates from each that it cannot serve.
    ///
    /// ``make`` makes a workload of requests, cells and strategy, when these are asked for the first time. Hosts without
    /// candidates do not pass.
    #[pyo3(signature = (states, requests, strategy, make, unread=None, explain=false))]
    fn passing<'py>(
        &self,
        states: &Bound<'py, PyList>,
        requests: &Bound<'py, PyAny>,
        strategy: &str,
        make: &Bound<'py, PyAny>,
        unread: Option<&Bound<'py, PyString>>,
        explain: bool,
    ) -> PyResult<Outcome<'py>> {
        let py = states.py();
        let asked = Asked::new(requests)?;
        let question = Question::new(&asked, requests, Vec::new(), strategy, make)?;
        let mut broken = Vec::new();
        let mut waiting = Vec::with_capacity(states.len());
        for state in states.iter() {
            let stats = state.getattr(intern!(py, "pci_stats"))?;
            if !stats.is_truthy()? {
                continue;
            }
            let host = match self.host_of(&state, &stats, unread) {
                Ok(host) => host,
                Err(error) => {
                    broken.push((state, error));
                    continue;
                }
            };
            let candidates = state.getattr(intern!(py, "allocation_candidates"))?.cast_into::<PyList>()?;
            let mut questions = Vec::with_capacity(candidates.len());
            for candidate in candidates.iter() {
                let mapping = candidate.get_item(intern!(py, "mappings"))?;
                questions.push(question.with_choice(&asked, Some(&mapping))?);
            }
            waiting.push(Waiting { state, host, candidates, questions });
        }
        let answers = answers(py, &waiting)?;

        let passing = PyList::empty(py);
        let (mut undecided, mut refused) = (Vec::new(), Vec::new());
        for (one, answers) in waiting.into_iter().zip(answers) {
            let kept = PyList::empty(py);
            for ((candidate, asked), answer) in one.candidates.iter().zip(&one.questions).zip(answers) {
                let workload = || Workload(Arc::clone(&asked.workload));
                match answer {
                    Some(false) if explain => {
                        refused.push((one.state.clone(), one.host.clone_ref(py), workload()));
                    }
                    Some(false) => continue,
                    Some(true) => {}
                    None => undecided.push((one.state.clone(), workload())),
                }
                if answer != Some(false) {
                    kept.append(candidate)?;
                }
            }
            let (some, all) = (!kept.is_empty(), kept.len() == one.candidates.len());
            if !all {
                one.state.setattr(intern!(py, "allocation_candidates"), kept)?;
            }
            if some {
                passing.append(one.state)?;
            }
        }
        Ok((passing, broken, undecided, refused))
    }
}

impl NovaHosts {
    fn host_of(
        &self,
        state: &Bound<'_, PyAny>,
        stats: &Bound<'_, PyAny>,
        unread: Option<&Bound<'_, PyString>>,
    ) -> PyResult<Py<NovaHost>> {
        let py = state.py();
        if let Some(unread) = unread
            && let Some(host) = stats.getattr(intern!(py, "__dict__"))?.cast::<PyDict>()?.get_item(unread)?
        {
            return Ok(host.cast_into::<NovaHost>()?.unbind());
        }
        let rows = stats.getattr(intern!(py, "pools"))?;
        let rows = rows.cast::<PyList>().map_err(|_| PyTypeError::new_err("the host's pools are no list"))?;
        let mut name = Content::default();
        for part in [intern!(py, "host"), intern!(py, "nodename")] {
            let part = state.getattr(part)?;
            name.text(Some(
                part.cast::<PyString>()
                    .map_err(|_| PyValueError::new_err("the host has no name"))?
                    .to_str()?,
            ));
        }
        let known = lock(&self.0).get(name.0.as_slice()).cloned();
        let before = known.as_deref().map(|host| host.clone_ref(py));
        let host = nova_host_of(rows, before)?;
        if known.is_none_or(|known| !known.is(&host)) {
            keep(&self.0, MAX_HOSTS, name.0, Arc::new(host.clone_ref(py)));
        }
        Ok(host)
    }
}

/// The answers of each host to its questions; what is not known yet is found without the interpreter's lock.
fn answers(py: Python<'_>, waiting: &[Waiting<'_>]) -> PyResult<Vec<Vec<Option<bool>>>> {
    let mut open: Vec<(usize, usize, &NovaHost, &Chosen)> = Vec::new();
    let mut answers = Vec::with_capacity(waiting.len());
    for (i, one) in waiting.iter().enumerate() {
        let host = one.host.get();
        let mut of_host = Vec::with_capacity(one.questions.len());
        for (n, asked) in one.questions.iter().enumerate() {
            let known = host.known(asked);
            if known.is_none() {
                open.push((i, n, host, asked.as_ref()));
            }
            of_host.push(known.flatten());
        }
        answers.push(of_host);
    }
    if open.is_empty() {
        return Ok(answers);
    }
    let found = call(py, || {
        open.into_iter()
            // Of many candidates that ask the same the first has been answered by now.
            .map(|(i, n, host, asked)| Ok((i, n, host.known(asked).map_or_else(|| host.ask(asked), Ok)?)))
            .collect::<engine::Result<Vec<_>>>()
    })?;
    for (i, n, answer) in found {
        answers[i][n] = answer;
    }
    Ok(answers)
}
