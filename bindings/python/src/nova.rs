//! What the drop-in for OpenStack Nova asks of the engine, in the forms that Nova's own objects have.

use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PyString};
use slotwise as engine;

use crate::call::{Shared, answer, call};
use crate::convert;
use crate::errors::raise;
use crate::fit::Fit;
use crate::kept::{Content, Map, keep, lock};
use crate::pools::Pools;
use crate::request::Workload;
use crate::specs::DeviceSpecs;

/// Reads pools that are a list of dicts, in the order they have there; their ``devices`` are left alone.
#[pyfunction]
#[pyo3(signature = (rows, numa_topology=None))]
pub(crate) fn nova_pools(
    rows: &Bound<'_, PyList>,
    numa_topology: Option<&Bound<'_, PyAny>>,
) -> PyResult<Pools> {
    let py = rows.py();
    let topology = numa_topology.map(|object| convert::document(object, "numa_topology")).transpose()?;
    let list = match row_content(rows).as_deref().and_then(read_content) {
        Some(list) => list,
        None => read_documents(rows)?,
    };
    call(py, || Ok(Pools(Shared::new(engine::Pools::in_order(list, topology)))))
}

/// The pools that rows are, whatever is in them; their ``devices`` are left alone.
pub(crate) fn read_documents(rows: &Bound<'_, PyList>) -> PyResult<Vec<engine::Pool>> {
    let mut list = Vec::with_capacity(rows.len());
    for (i, row) in rows.iter().enumerate() {
        let row = row.cast_into::<PyDict>()?.copy()?;
        if row.contains(DEVICES)? {
            row.del_item(DEVICES)?;
        }
        list.push(convert::document::<engine::Pool>(row.as_any(), &format!("pools[{i}]"))?);
    }
    Ok(list)
}

const DEVICES: &str = "devices";

/// So many different sets of attributes are kept.
const MAX_ATTRIBUTES: usize = 100_000;

/// Attributes by their content: many hosts have pools that differ in their provider and count only.
static ATTRIBUTES: LazyLock<Mutex<Map<Vec<u8>, Arc<engine::ExtraInfo>>>> = LazyLock::new(Mutex::default);

/// The content of rows as Nova has them: texts, whole numbers and None under flat keys, without ``devices``.
///
/// Equal for two lists of rows only if the rows are. `None` where there is anything else in a row, whose document says then
/// what it is. No Python code runs for this.
pub(crate) fn row_content(rows: &Bound<'_, PyList>) -> Option<Vec<u8>> {
    let mut content = Content(Vec::with_capacity(rows.len() * ROOM));
    for row in rows.iter() {
        let row = row.cast_exact::<PyDict>().ok()?;
        let start = content.0.len();
        content.number(0);
        for (key, value) in row.iter() {
            let key = key.cast_exact::<PyString>().ok()?.to_str().ok()?;
            if key == DEVICES {
                continue;
            }
            content.text(Some(key));
            if let Ok(text) = value.cast_exact::<PyString>() {
                content.text(Some(text.to_str().ok()?));
            } else if value.is_none() {
                content.text(None);
            } else {
                let number: i64 = value.cast_exact::<PyInt>().ok()?.extract().ok()?;
                content.0.push(NUMBER);
                content.0.extend_from_slice(&number.to_ne_bytes());
            }
        }
        let length = (content.0.len() - start) as u64;
        content.0.get_mut(start..start + 8)?.copy_from_slice(&length.to_ne_bytes());
    }
    Some(content.0)
}

/// About the room that the content of a row takes.
const ROOM: usize = 320;
/// Marks a whole number among the texts of a [`Content`].
const NUMBER: u8 = 2;

/// The pools that rows of this content are; `None` where one is no pool, whose document says then what it lacks.
pub(crate) fn read_content(mut content: &[u8]) -> Option<Vec<engine::Pool>> {
    let mut list = Vec::new();
    while !content.is_empty() {
        let length = usize::try_from(take_number(&mut content.get(..8)?)?).ok()?;
        list.push(read_pool(content.get(8..length)?)?);
        content = content.get(length..)?;
    }
    Some(list)
}

enum Value<'a> {
    Text(Option<&'a str>),
    Number(i64),
}

fn read_pool(row: &[u8]) -> Option<engine::Pool> {
    let mut shared = Vec::with_capacity(row.len());
    let mut attributes = Vec::new();
    let (mut numa_node, mut provider, mut count) = (None, None, None);
    let mut rest = row;
    while !rest.is_empty() {
        let start = rest;
        let Value::Text(Some(key)) = take_value(&mut rest)? else { return None };
        let value = take_value(&mut rest)?;
        match (key, value) {
            ("count", Value::Number(number)) => count = Some(u32::try_from(number).ok()?),
            ("numa_node", Value::Number(number)) => numa_node = Some(u32::try_from(number).ok()?),
            ("numa_node", Value::Text(None)) => numa_node = None,
            ("count" | "numa_node" | "tags", _) | (_, Value::Number(_)) => return None,
            ("rp_uuid", Value::Text(uuid)) => provider = uuid.map(str::to_owned),
            (key, Value::Text(text)) => {
                shared.extend_from_slice(&start[..start.len() - rest.len()]);
                attributes.push((key, text));
            }
        }
    }
    let count = count?;
    let known = lock(&ATTRIBUTES).get(&shared).cloned();
    if let Some(attributes) = known {
        return Some(engine::Pool { attributes, numa_node, provider, count, devices: Vec::new() });
    }
    let mut info = engine::ExtraInfo::new();
    for (key, text) in attributes {
        info.insert(key, text.map(str::to_owned)).ok()?;
    }
    let pool = engine::Pool::new(info, numa_node, provider, count).ok()?;
    keep(&ATTRIBUTES, MAX_ATTRIBUTES, shared, Arc::clone(&pool.attributes));
    Some(pool)
}

fn take_value<'a>(rest: &mut &'a [u8]) -> Option<Value<'a>> {
    let (&kind, after) = rest.split_first()?;
    *rest = after;
    match kind {
        0 => Some(Value::Text(None)),
        NUMBER => take_number(rest).map(|number| Value::Number(i64::from_ne_bytes(number.to_ne_bytes()))),
        _ => {
            let length = usize::try_from(take_number(rest)?).ok()?;
            let (text, after) = rest.split_at_checked(length)?;
            *rest = after;
            std::str::from_utf8(text).ok().map(|text| Value::Text(Some(text)))
        }
    }
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_first_chunk::<8>()?;
    *rest = after;
    Some(u64::from_ne_bytes(*number))
}

/// Fits a workload for a scheduler (``claim`` false) or for a claim.
///
/// Returns the answer and, if it fits, what is taken as ``(pool, count)`` for each request, with what comes along of its
/// device groups, and what each pool has left.
#[pyfunction]
#[allow(clippy::type_complexity)]
pub(crate) fn nova_fit(
    py: Python<'_>,
    pools: &Pools,
    workload: &Workload,
    claim: bool,
) -> PyResult<(Fit, Option<(Vec<Vec<(usize, u32)>>, Vec<u32>)>)> {
    let purpose = if claim { engine::Purpose::Claim } else { engine::Purpose::Fit };
    let (fit, left) = call(py, || {
        pools.0.read(|pools| {
            let fit = pools.fit_for(&workload.0, purpose)?;
            let left = fit.assignment().map(|a| pools.left_after(a, workload.0.strategy, purpose));
            Ok((fit, left))
        })
    })?;
    let taken = fit.assignment().zip(left).map(|(assignment, left)| {
        let picks = |request: &engine::RequestAssignment| {
            request.all_picks().map(|pick| (pick.pool, pick.count)).collect()
        };
        (assignment.requests.iter().map(picks).collect(), left)
    });
    Ok((Fit(fit), taken))
}

/// Whether a workload fits, for a scheduler; the answer alone, and None when the search budget ran out.
#[pyfunction]
pub(crate) fn nova_supports(py: Python<'_>, pools: &Pools, workload: &Workload) -> PyResult<Option<bool>> {
    call(py, || pools.0.read(|pools| pools.supports(&workload.0)))
}

/// The pools (by index) that one step of the filter chain keeps for the first request of a workload.
#[pyfunction]
pub(crate) fn nova_kept(pools: &Pools, workload: &Workload, step: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
    let py = step.py();
    let step: engine::Step = convert::value(step, "step")?;
    call(py, || pools.0.read(|pools| Ok(pools.kept(&workload.0, 0, step))))
}

/// The keys of the pool that a device with these tags belongs to, as a flat dict.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
pub(crate) fn nova_pool_keys<'py>(
    py: Python<'py>,
    address: &str,
    vendor_id: &str,
    product_id: &str,
    dev_type: &str,
    numa_node: Option<u32>,
    parent_addr: Option<&str>,
    parent_ifname: Option<&str>,
    tags: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyDict>> {
    let tags: engine::ExtraInfo = convert::document(tags.as_any(), "tags")?;
    let pool = call(py, || {
        let mut device = function(address, vendor_id, product_id, parent_addr)?;
        device.dev_type = dev_type.parse()?;
        device.numa_node = numa_node;
        device.extra_info.insert("parent_ifname", parent_ifname.map(str::to_owned))?;
        engine::Pool::of_device(&device, &tags)
    })?;
    let keys = PyDict::new(py);
    for (key, text) in pool.attributes.iter() {
        keys.set_item(PyString::intern(py, key), text)?;
    }
    keys.set_item("numa_node", numa_node)?;
    Ok(keys)
}

/// The index of the first rule that matches a function, or None.
#[pyfunction]
pub(crate) fn nova_matching(
    py: Python<'_>,
    specs: &DeviceSpecs,
    address: &str,
    vendor_id: &str,
    product_id: &str,
    parent_addr: Option<&str>,
    card_serial_number: Option<&str>,
) -> PyResult<Option<usize>> {
    call(py, || {
        let mut device = function(address, vendor_id, product_id, parent_addr)?;
        if let Some(serial) = card_serial_number {
            device.extra_info.insert("card_serial_number", Some(serial.to_owned()))?;
        }
        Ok(specs.0.matching(&device).map(|(rule, _)| rule))
    })
}

fn function(
    address: &str,
    vendor_id: &str,
    product_id: &str,
    parent_addr: Option<&str>,
) -> engine::Result<engine::Device> {
    let address = address.parse().map_err(|error: engine::Error| error.inside("address"))?;
    let mut device = engine::Device::new(address, vendor_id, product_id);
    device.parent_addr = parent_addr
        .map(str::parse)
        .transpose()
        .map_err(|error: engine::Error| error.inside("parent_addr"))?;
    Ok(device)
}

/// What an event makes of a device: ``(status, parent's, children's, inconsistent)``, or the name of the refusal.
///
/// A status that is None is left as it is.
#[pyfunction]
#[pyo3(signature = (event, dev_type, status, row_owner, parent, relatives, owner=None))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn nova_transition<'py>(
    py: Python<'py>,
    event: &str,
    dev_type: &str,
    status: &str,
    row_owner: Option<&str>,
    parent: Option<&str>,
    relatives: &Bound<'py, PyList>,
    owner: Option<&str>,
) -> PyResult<Bound<'py, PyAny>> {
    let refuse = |error: engine::Error| raise(py, &error);
    let mut statuses = Vec::with_capacity(relatives.len());
    for relative in relatives.iter() {
        let text = relative.cast::<PyString>()?;
        statuses.push(engine::StoredStatus::from_str(text.to_str()?).map_err(refuse)?);
    }
    let kin = engine::Kin {
        dev_type: dev_type.parse().map_err(refuse)?,
        status: status.parse().map_err(refuse)?,
        owner: row_owner,
        parent: parent.map(str::parse).transpose().map_err(refuse)?,
        relatives: &statuses,
    };
    let event = event.parse().map_err(refuse)?;
    let name = |status: engine::StoredStatus| PyString::intern(py, status.as_str());
    match engine::transition(event, &kin, owner) {
        Ok(made) => {
            let answer =
                (name(made.status), made.parent.map(name), made.children.map(name), made.inconsistent);
            Ok(answer.into_pyobject(py)?.into_any())
        }
        Err(refusal) => Ok(PyString::intern(py, refusal.as_str()).into_any()),
    }
}

/// What a host reports about its functions, compared with what it reported last.
///
/// ``read`` takes the JSON text of a list of devices, and gives None when it is the same as the last.
#[pyclass(frozen, module = "slotwise")]
pub(crate) struct Inventory(Shared<engine::Inventory>);

#[pymethods]
impl Inventory {
    #[new]
    fn new(specs: &DeviceSpecs) -> Self {
        Inventory(Shared::new(engine::Inventory::new(specs.0.clone())))
    }

    /// The addresses of all assignable devices; the devices that are new or differ, with the index of their rule; and
    /// the devices that cannot be read, with the reason. None when the text is the same as the last.
    fn read<'py>(&self, text: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = text.py();
        let report = convert::text(text, "devices")?;
        let Some(news) = call(py, || self.0.write(|inventory| inventory.read(&report)))? else {
            return Ok(None);
        };
        let changed = PyList::empty(py);
        for (device, rule) in &news.changed {
            changed.append((convert::to_python(py, device)?, rule))?;
        }
        let skipped: Vec<(String, String)> =
            news.skipped.into_iter().map(|(address, error)| (address, error.to_string())).collect();
        let assignable = answer(py, || Ok(news.assignable))?;
        Ok(Some((assignable, changed, skipped).into_pyobject(py)?.into_any()))
    }
}
