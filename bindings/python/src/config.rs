//! `slotwise.Config`.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use slotwise as engine;

use crate::aliases::Aliases;
use crate::call::{Shared, call};
use crate::convert::{self, Recipe};
use crate::errors::raise;
use crate::log;
use crate::specs::DeviceSpecs;

/// What a configuration file says about PCI devices.
///
/// Made by ``Config.read`` or ``Config.parse``.
#[pyclass(frozen, module = "slotwise")]
pub(crate) struct Config {
    /// The rules of ``[pci]device_spec``.
    #[pyo3(get)]
    device_specs: Py<DeviceSpecs>,
    /// The aliases of ``[pci]alias``.
    #[pyo3(get)]
    aliases: Py<Aliases>,
    /// ``[pci]report_in_placement``.
    #[pyo3(get)]
    report_in_placement: bool,
    /// ``[filter_scheduler]pci_in_placement``.
    #[pyo3(get)]
    pci_in_placement: bool,
    /// What is allowed but probably not meant, one sentence each: about the file, its rules, its aliases, and aliases that
    /// no rule can serve.
    #[pyo3(get)]
    warnings: Vec<String>,
}

/// What pickle keeps of a configuration.
type Parts = (Py<DeviceSpecs>, Py<Aliases>, bool, bool, Vec<String>);

#[pymethods]
impl Config {
    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(&self, memo: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = memo.py();
        Ok(Config {
            device_specs: self.device_specs.clone_ref(py),
            // The only part that may be changed.
            aliases: Py::new(py, self.aliases.get().copy(py)?)?,
            warnings: self.warnings.clone(),
            ..*self
        })
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Recipe<'py, Parts>> {
        let parts = (
            self.device_specs.clone_ref(py),
            self.aliases.clone_ref(py),
            self.report_in_placement,
            self.pci_in_placement,
            self.warnings.clone(),
        );
        Ok((py.get_type::<Self>().getattr("_of_parts")?, parts))
    }

    /// Undoes ``__reduce__``.
    #[staticmethod]
    fn _of_parts(
        device_specs: Py<DeviceSpecs>,
        aliases: Py<Aliases>,
        report_in_placement: bool,
        pci_in_placement: bool,
        warnings: Vec<String>,
    ) -> Self {
        Config { device_specs, aliases, report_in_placement, pci_in_placement, warnings }
    }

    /// Reads a configuration text; ``format`` is ``nova.conf`` or ``toml``.
    ///
    /// Raises ``InvalidConfigError``, ``InvalidSpecError`` or ``InvalidAliasError`` with line and column in the text.
    #[staticmethod]
    #[pyo3(signature = (text, format="nova.conf"))]
    fn parse(text: &Bound<'_, PyAny>, format: &str) -> PyResult<Self> {
        let py = text.py();
        let text = convert::text(text, "text")?;
        let format = match format {
            "nova.conf" => engine::ConfigFormat::NovaConf,
            "toml" => engine::ConfigFormat::Toml,
            other => {
                let message = format!("{other:?} is not a configuration format");
                let error = engine::Error::new(engine::ErrorKind::InvalidArgument, message);
                return Err(raise(py, &error.with_help("write one of: nova.conf, toml").inside("format")));
            }
        };
        let (config, warnings) = call(py, || {
            let config = engine::Config::parse(&text, format)?;
            let warnings = config.warnings();
            Ok((config, warnings))
        })?;
        log::warnings(py, warnings.iter().cloned());
        Ok(Config {
            device_specs: Py::new(py, DeviceSpecs(config.device_specs))?,
            aliases: Py::new(py, Aliases(Shared::new(config.aliases)))?,
            report_in_placement: config.report_in_placement,
            pci_in_placement: config.pci_in_placement,
            warnings,
        })
    }

    /// Reads a configuration file; ``format`` is that of a name that ends in ``.toml``, else ``nova.conf``.
    ///
    /// Raises ``OSError`` when the file cannot be read, else as ``parse``.
    #[staticmethod]
    #[pyo3(signature = (path, format=None))]
    fn read(path: &Bound<'_, PyAny>, format: Option<&str>) -> PyResult<Self> {
        let py = path.py();
        // Python's own `open` takes any path-like object, and its errors are what callers expect.
        let file = py.import("io")?.call_method1("open", (path, "rb"))?;
        let content = file.call_method1("read", (engine::limits::MAX_DOCUMENT_BYTES + 1,));
        file.call_method0("close")?;
        let content = content?.cast_into::<PyBytes>()?;
        let text = std::str::from_utf8(content.as_bytes()).map_err(|error| {
            let message = format!("the file is not UTF-8 from byte {}", error.valid_up_to());
            raise(py, &engine::Error::new(engine::ErrorKind::InvalidUtf8, message).inside("path"))
        })?;
        let is_toml = path.str()?.to_string_lossy().ends_with(".toml");
        let format = format.unwrap_or(if is_toml { "toml" } else { "nova.conf" });
        Config::parse(text.into_pyobject(py)?.as_any(), format)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (specs, aliases) = (self.device_specs.bind(py).repr()?, self.aliases.bind(py).repr()?);
        Ok(format!("<slotwise.Config: {specs}, {aliases}>"))
    }
}
