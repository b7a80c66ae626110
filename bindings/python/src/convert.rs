//! Python values to documents and back.
//!
//! A document may be handed over as Python values or as ready JSON text; results are plain dicts and lists.

use std::ops::Deref;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PySequence, PyString, PyTuple,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};
use slotwise::{Error, ErrorKind, PciAddress, json, limits};

use crate::call::call;
use crate::errors::raise;

/// How deep values may be nested: as deep as JSON text may.
const MAX_DEPTH: usize = 127;

/// Reads a document from Python values, or from its JSON text as `str` or `bytes`.
pub(crate) fn document<T: DeserializeOwned + Send>(object: &Bound<'_, PyAny>, what: &str) -> PyResult<T> {
    match json_text(object, what)? {
        Some(text) => call(object.py(), || json::parse(&text, what)),
        None => read(object, what),
    }
}

/// As [`document`], where a `str` is a value itself and only `bytes` are JSON text.
pub(crate) fn value<T: DeserializeOwned + Send>(object: &Bound<'_, PyAny>, what: &str) -> PyResult<T> {
    if object.is_instance_of::<PyBytes>() { document(object, what) } else { read(object, what) }
}

/// A flag that is false unless given.
pub(crate) fn flag(object: Option<&Bound<'_, PyAny>>, what: &str) -> PyResult<bool> {
    object.map_or(Ok(false), |object| value(object, what))
}

/// The entries of a configuration list: texts as they are, anything else as the JSON text that it would be there.
///
/// A single `str` is a list of one.
pub(crate) fn entries(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<String>> {
    if object.is_instance_of::<PyString>() {
        return Ok(vec![text(object, what)?]);
    }
    let entries: Vec<Value> = value(object, what)?;
    let as_text = |entry| match entry {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(entries.into_iter().map(as_text).collect())
}

/// A plain text.
pub(crate) fn text(object: &Bound<'_, PyAny>, what: &str) -> PyResult<String> {
    let string = object
        .cast::<PyString>()
        .map_err(|_| PyTypeError::new_err(format!("{what} must be str, not {}", type_name(object))))?;
    utf8(string).map(str::to_owned).map_err(|error| raise(object.py(), &error.inside(what)))
}

/// A PCI address.
pub(crate) fn address(object: &Bound<'_, PyAny>, what: &str) -> PyResult<PciAddress> {
    let text = text(object, what)?;
    text.parse().map_err(|error: Error| raise(object.py(), &error.inside(what)))
}

/// How pickle makes an object again: what to call, and with which arguments.
pub(crate) type Recipe<'py, A> = (Bound<'py, PyAny>, A);

/// Keyword arguments that are the fields of a document.
pub(crate) type Fields<'a, 'py> = &'a Bound<'py, PyDict>;

/// Reads a document that is given as a whole, or else by its fields.
pub(crate) fn document_or_fields<T: DeserializeOwned + Send>(
    py: Python<'_>,
    whole: Option<&Bound<'_, PyAny>>,
    fields: Option<Fields<'_, '_>>,
    what: &str,
) -> PyResult<T> {
    match (whole, fields) {
        (None, Some(fields)) => read(fields, what),
        (None, None) => read(&PyDict::new(py), what),
        (Some(whole), fields) => {
            refuse_fields(py, fields, what)?;
            document(whole, what)
        }
    }
}

/// Reads a document of its first field and the others.
pub(crate) fn first_and_fields<T: DeserializeOwned + Send>(
    (name, first): (&str, &Bound<'_, PyAny>),
    fields: Option<Fields<'_, '_>>,
    what: &str,
) -> PyResult<T> {
    let whole = fields.map_or_else(|| Ok(PyDict::new(first.py())), PyDictMethods::copy)?;
    whole.set_item(name, first)?;
    read(&whole, what)
}

/// Refuses fields beside a whole document, which has them inside.
pub(crate) fn refuse_fields(py: Python<'_>, fields: Option<Fields<'_, '_>>, what: &str) -> PyResult<()> {
    match fields.and_then(|fields| fields.keys().iter().next()) {
        None => Ok(()),
        Some(name) => Err(raise(
            py,
            &Error::new(ErrorKind::InvalidArgument, format!("{name} is given beside a whole {what}"))
                .with_help(format!("put it into the {what}"))
                .inside(what),
        )),
    }
}

/// The JSON form of a document of the engine.
pub(crate) fn value_of<T: Serialize + ?Sized>(document: &T) -> slotwise::Result<Value> {
    serde_json::to_value(document)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("a result has no JSON form: {error}")))
}

/// Makes plain Python values of a document.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into_pyobject(py)?.into_any(),
            (None, Some(number)) => number.into_pyobject(py)?.into_any(),
            (None, None) => number.as_f64().into_pyobject(py)?.into_any(),
        },
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_python(py, item)?)?;
            }
            list.into_any()
        }
        Value::Object(fields) => {
            let dict = PyDict::new(py);
            for (name, value) in fields {
                dict.set_item(name, to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

/// Writes `name(field=value, …)` with the fields of a document that are not null.
pub(crate) fn repr<T: Serialize>(py: Python<'_>, name: &str, document: &T) -> PyResult<String> {
    let mut fields = Vec::new();
    if let Value::Object(values) = value_of(document).map_err(|error| raise(py, &error))? {
        for (field, value) in values.iter().filter(|(_, value)| !value.is_null()) {
            fields.push(format!("{field}={}", to_python(py, value)?.repr()?.to_str()?));
        }
    }
    Ok(format!("{name}({})", fields.join(", ")))
}

/// JSON text as Python keeps it, readable without the interpreter lock.
pub(crate) enum JsonText {
    Str(PyBackedStr),
    /// Known to be UTF-8.
    Bytes(PyBackedBytes),
    /// Written here, of Python values.
    Own(String),
}

impl Deref for JsonText {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            JsonText::Str(text) => text,
            JsonText::Bytes(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            JsonText::Own(text) => text,
        }
    }
}

/// The JSON text, if `object` is one.
pub(crate) fn json_text(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Option<JsonText>> {
    let raised = |error: Error| raise(object.py(), &error.inside(what));
    if let Ok(string) = object.cast::<PyString>() {
        utf8(string).map_err(raised)?;
        return Ok(Some(JsonText::Str(object.extract()?)));
    }
    let Ok(bytes) = object.cast::<PyBytes>() else { return Ok(None) };
    std::str::from_utf8(bytes.as_bytes()).map_err(|error| {
        raised(Error::new(
            ErrorKind::InvalidUtf8,
            format!("the text is not UTF-8 from byte {}", error.valid_up_to()),
        ))
    })?;
    Ok(Some(JsonText::Bytes(object.extract()?)))
}

/// A text that is given as `str` or `bytes`, and not as values.
pub(crate) fn ready_text(object: &Bound<'_, PyAny>, what: &str) -> PyResult<JsonText> {
    let wrong = || PyTypeError::new_err(format!("{what} must be str or bytes, not {}", type_name(object)));
    json_text(object, what)?.ok_or_else(wrong)
}

/// Refuses a list that is not as long as the one that it belongs to.
pub(crate) fn same_length(py: Python<'_>, len: usize, other: Option<usize>, what: &str) -> PyResult<()> {
    match other.filter(|other| *other != len) {
        None => Ok(()),
        Some(other) => Err(raise(
            py,
            &Error::new(ErrorKind::InvalidArgument, format!("{other} entries are given for {len} hosts"))
                .with_help("give one for each host")
                .inside(what),
        )),
    }
}

/// Reads a document from Python values.
fn read<T: DeserializeOwned + Send>(object: &Bound<'_, PyAny>, what: &str) -> PyResult<T> {
    let value = to_value(object, what)?;
    call(object.py(), || json::from_value(&value, what))
}

/// The JSON value that stands for a Python value.
pub(crate) fn to_value(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Value> {
    let mut budget = limits::MAX_DOCUMENT_BYTES;
    walk(object, MAX_DEPTH, &mut budget).map_err(|failure| match failure {
        Failure::Input(error) => raise(object.py(), &error.inside(what)),
        Failure::Python(error) => error,
    })
}

/// Why a Python value is not a JSON value: what it is, or what its own methods raised.
enum Failure {
    Input(Error),
    Python(PyErr),
}

impl Failure {
    fn inside(self, step: impl std::fmt::Display) -> Self {
        match self {
            Failure::Input(error) => Failure::Input(error.inside(step)),
            other => other,
        }
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Failure::Python(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Input(error)
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// `depth` bounds cyclic values; `budget`, about the bytes of the JSON text, bounds values that share parts of
/// themselves many times over.
fn walk(object: &Bound<'_, PyAny>, depth: usize, budget: &mut usize) -> Result<Value, Failure> {
    spend(budget, 1)?;
    if object.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(text) = object.cast::<PyString>() {
        let text = utf8(text)?;
        spend(budget, text.len())?;
        return Ok(Value::from(text));
    }
    if let Ok(value) = object.cast::<PyBool>() {
        return Ok(Value::from(value.is_true()));
    }
    if object.is_instance_of::<PyInt>() {
        return integer(object);
    }
    if let Ok(number) = object.cast::<PyFloat>() {
        let finite = Number::from_f64(number.value()).map(Value::Number);
        return finite.ok_or_else(|| invalid(format!("{} has no JSON form", number.value())).into());
    }
    let deeper = depth.checked_sub(1).ok_or_else(|| {
        invalid(format!("values are nested deeper than {MAX_DEPTH}"))
            .with_help("is a list or dict part of itself?")
    })?;
    if let Ok(dict) = object.cast::<PyDict>() {
        // A copy of the items, because the methods called below may change the dict.
        return entries_of(&dict.items(), deeper, budget);
    }
    if let Ok(list) = object.cast::<PyList>() {
        return items_of(list.iter().map(Ok), deeper, budget);
    }
    if let Ok(tuple) = object.cast::<PyTuple>() {
        return items_of(tuple.iter().map(Ok), deeper, budget);
    }
    // A class has its methods too, but is no value of itself.
    if !object.is_instance_of::<pyo3::types::PyType>() && object.hasattr("to_dict")? {
        return walk(&object.call_method0("to_dict")?, deeper, budget);
    }
    if let Ok(mapping) = object.cast::<PyMapping>() {
        return entries_of(&mapping.items()?, deeper, budget);
    }
    if let Ok(sequence) = object.cast::<PySequence>()
        && !object.is_instance_of::<PyBytes>()
        && !object.is_instance_of::<pyo3::types::PyByteArray>()
    {
        return items_of(sequence.try_iter()?, deeper, budget);
    }
    if object.hasattr("__index__")? {
        return integer(object);
    }
    Err(invalid(format!("a value of type {} has no JSON form", type_name(object)))
        .with_help("use None, bool, int, float, str, a mapping, a sequence, or an object with to_dict()")
        .into())
}

fn integer(object: &Bound<'_, PyAny>) -> Result<Value, Failure> {
    if let Ok(number) = object.extract::<i64>() {
        return Ok(Value::from(number));
    }
    let number = object.extract::<u64>().map(Value::from);
    number.map_err(|_| invalid("a whole number is below -2**63 or above 2**64 - 1").into())
}

fn items_of<'py>(
    items: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
    depth: usize,
    budget: &mut usize,
) -> Result<Value, Failure> {
    let mut values = Vec::new();
    for (i, item) in items.enumerate() {
        values.push(walk(&item?, depth, budget).map_err(|failure| failure.inside(format_args!("[{i}]")))?);
    }
    Ok(Value::Array(values))
}

fn entries_of(items: &Bound<'_, PyList>, depth: usize, budget: &mut usize) -> Result<Value, Failure> {
    let mut fields = Map::new();
    for item in items {
        let (key, object): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
        let name = key
            .cast::<PyString>()
            .map_err(|_| invalid(format!("a key is of type {}, not str", type_name(&key))))?;
        let name = utf8(name)?;
        spend(budget, name.len())?;
        let value = walk(&object, depth, budget).map_err(|failure| failure.inside(name))?;
        fields.insert(name.to_owned(), value);
    }
    Ok(Value::Object(fields))
}

fn spend(budget: &mut usize, bytes: usize) -> Result<(), Error> {
    *budget = budget.checked_sub(bytes).ok_or_else(|| {
        let limit = limits::MAX_DOCUMENT_BYTES;
        Error::new(ErrorKind::LimitExceeded, format!("the document is over the limit of {limit} bytes"))
            .with_help(format!("hand over at most {limit}"))
    })?;
    Ok(())
}

fn utf8<'a>(string: &'a Bound<'_, PyString>) -> Result<&'a str, Error> {
    string.to_str().map_err(|_| {
        Error::new(ErrorKind::InvalidUtf8, "the text holds a lone surrogate, so it is not UTF-8")
            .with_help("decode bytes without the error handler surrogateescape")
    })
}

fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string())
}
