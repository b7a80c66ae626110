//! Configuration texts.

use std::ffi::c_char;

use slotwise::{Config, ConfigFormat, Error, ErrorKind, Result};

use crate::aliases::slotwise_aliases;
use crate::error::slotwise_error;
use crate::ffi;
use crate::settings::log_warnings;
use crate::specs::slotwise_specs;
use crate::text::slotwise_string;

/// What a configuration file says about PCI devices.
///
/// Owned by the caller; free it with slotwise_config_free(). It never changes: any number of threads may use it.
pub struct slotwise_config {
    inner: Config,
}

fn format_from(name: &str) -> Result<ConfigFormat> {
    match name {
        "nova.conf" => Ok(ConfigFormat::NovaConf),
        "toml" => Ok(ConfigFormat::Toml),
        _ => Err(Error::new(ErrorKind::InvalidArgument, "no configuration format of that name")
            .with_help("write one of: nova.conf, toml")
            .inside("format")),
    }
}

/// Parses the configuration `text`, whose `format` is `nova.conf` (the INI dialect of oslo.config) or `toml`.
///
/// Fails with SLOTWISE_ERROR_INVALID_CONFIG where the text itself cannot be read, and otherwise as slotwise_specs_parse() and
/// slotwise_aliases_parse() do; with the line and column in `text`. SLOTWISE_ERROR_INVALID_ARGUMENT for another format.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_config_parse(
    format: *const c_char,
    format_len: usize,
    text: *const c_char,
    text_len: usize,
    config: *mut *mut slotwise_config,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let config = ffi::out(config, "config")?;
            let format = format_from(ffi::text(format, format_len, "format")?)?;
            let text = ffi::text(text, text_len, "text")?;
            let inner = Config::parse(text, format)?;
            log_warnings!(inner);
            config.set_handle(slotwise_config { inner });
            Ok(())
        })
    }
}

/// Frees a configuration; NULL is nothing to free. Handles taken from it are not touched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_config_free(config: *mut slotwise_config) {
    // SAFETY: NULL, or a configuration that the caller gives up.
    unsafe { ffi::free(config) };
}

/// Gives the rules of `[pci]device_spec` as a handle of its own, which outlives the configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_config_specs(
    config: *const slotwise_config,
    specs: *mut *mut slotwise_specs,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (config, specs) = (ffi::shared(config, "config")?, ffi::out(specs, "specs")?);
            specs.set_handle(slotwise_specs { inner: config.inner.device_specs.clone() });
            Ok(())
        })
    }
}

/// Gives the aliases of `[pci]alias` as a handle of its own, which outlives the configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_config_aliases(
    config: *const slotwise_config,
    aliases: *mut *mut slotwise_aliases,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (config, aliases) = (ffi::shared(config, "config")?, ffi::out(aliases, "aliases")?);
            aliases.set_handle(slotwise_aliases { inner: config.inner.aliases.clone() });
            Ok(())
        })
    }
}

/// Gives the two switches `[pci]report_in_placement` and `[filter_scheduler]pci_in_placement`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_config_placement(
    config: *const slotwise_config,
    report_in_placement: *mut bool,
    pci_in_placement: *mut bool,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let config = ffi::shared(config, "config")?;
            let report = ffi::out(report_in_placement, "report_in_placement")?;
            let filter = ffi::out(pci_in_placement, "pci_in_placement")?;
            report.set(config.inner.report_in_placement);
            filter.set(config.inner.pci_in_placement);
            Ok(())
        })
    }
}

/// Gives what is allowed in the file but probably not meant, rules and aliases included: a JSON array of sentences.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_config_warnings(
    config: *const slotwise_config,
    warnings: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (config, warnings) = (ffi::shared(config, "config")?, ffi::out(warnings, "warnings")?);
            warnings.set_document(&config.inner.warnings());
            Ok(())
        })
    }
}
