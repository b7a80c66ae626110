//! The INI dialect of OpenStack's oslo.config, in which `nova.conf` is written.
//!
//! Source: `oslo_config/iniparser.py` and `cfg.py`. Lines end as Python's universal newlines do. A line that starts
//! with a space or tab continues the assignment before it, which a blank line, a comment, a section or the next
//! assignment ends. Quotes around the first line of a value are taken off. Section names are compared without regard
//! to case, `DEFAULT` excepted; names of options with regard to case.

use std::borrow::Cow;

use crate::address::clip;
use crate::config::document::{Entry, line_column};
use crate::error::{Error, ErrorKind, Result};

/// One assignment.
#[derive(Clone, Debug)]
pub(super) struct Assignment<'a> {
    /// The section, as it is written.
    pub(super) section: &'a str,
    pub(super) key: &'a str,
    /// The value, over as many lines as it has. Indentation is left in, which JSON does not mind, so that a place in
    /// the value is a place in the file.
    text: Cow<'a, str>,
    start: usize,
}

impl Assignment<'_> {
    /// The value, which lies in the file `whole`.
    pub(super) fn entry<'b>(&'b self, whole: &'b str) -> Entry<'b> {
        Entry { whole, start: self.start, text: &self.text }
    }
}

/// Reads the assignments that `wanted` selects by section and key; the rest is only checked.
///
/// # Errors
///
/// [`ErrorKind::InvalidConfig`] with line and column.
pub(super) fn parse<'a>(text: &'a str, wanted: impl Fn(&str, &str) -> bool) -> Result<Vec<Assignment<'a>>> {
    let mut found = Vec::new();
    let mut section = None;
    let mut open: Option<Open<'a>> = None;
    let invalid = |offset: usize, message: String, help: &str| {
        let (line, column) = line_column(text, offset);
        Error::new(ErrorKind::InvalidConfig, message).with_help(help).at(line, column)
    };
    for (start, raw) in lines(text) {
        let line = raw.trim_end_matches(is_space);
        if line.is_empty() {
            close(text, open.take(), &wanted, &mut found);
        } else if line.starts_with([' ', '\t']) {
            match &mut open {
                Some(open) => open.end = start + line.len(),
                None => {
                    let help = "take the indentation off, or put the line directly below the assignment it continues";
                    return Err(invalid(
                        start,
                        "nothing comes before this continuation line".to_owned(),
                        help,
                    ));
                }
            }
        } else {
            close(text, open.take(), &wanted, &mut found);
            match line.as_bytes().first() {
                Some(b'[') => match line[1..].strip_suffix(']') {
                    Some("") => {
                        return Err(invalid(start, "the section has no name".to_owned(), "write [pci]"));
                    }
                    Some(name) => section = Some(name),
                    None => {
                        let message = format!("the section {:?} does not end with ]", clip(line));
                        return Err(invalid(start, message, "write [pci], with nothing after it"));
                    }
                },
                Some(b'#' | b';') => {}
                _ => {
                    let Some(mark) = line.find([':', '=']) else {
                        let message = format!("{:?} is no assignment", clip(line));
                        return Err(invalid(start, message, "write key = value, or # in front of a comment"));
                    };
                    let key = line[..mark].trim_matches(is_space);
                    if key.is_empty() {
                        return Err(invalid(
                            start,
                            "the assignment has no key".to_owned(),
                            "write key = value",
                        ));
                    }
                    let Some(section) = section else {
                        let message = format!("{:?} stands before any section", clip(key));
                        return Err(invalid(start, message, "write [DEFAULT] above it"));
                    };
                    let value = line[mark + 1..].trim_matches(is_space);
                    // What is left of the line from the value on tells where the value starts.
                    let value_start =
                        start + line.len() - line[mark + 1..].trim_start_matches(is_space).len();
                    let first_end = value_start + value.len();
                    open = Some(Open { section, key, start: value_start, first_end, end: first_end });
                }
            }
        }
    }
    close(text, open.take(), &wanted, &mut found);
    Ok(found)
}

/// An assignment that the next line may continue.
struct Open<'a> {
    section: &'a str,
    key: &'a str,
    start: usize,
    /// Where the value's first line ends.
    first_end: usize,
    end: usize,
}

fn close<'a>(
    text: &'a str,
    open: Option<Open<'a>>,
    wanted: &impl Fn(&str, &str) -> bool,
    found: &mut Vec<Assignment<'a>>,
) {
    let Some(Open { section, key, start, first_end, end }) =
        open.filter(|open| wanted(open.section, open.key))
    else {
        return;
    };
    let first = &text[start..first_end];
    let quote = first.chars().next().filter(|&c| matches!(c, '"' | '\'') && first.ends_with(c));
    let (text, start) = match quote {
        None => (Cow::Borrowed(&text[start..end]), start),
        Some(_) if end == first_end => {
            (Cow::Borrowed(first.get(1..first.len() - 1).unwrap_or_default()), start + 1)
        }
        // Quotes around the first of several lines become spaces, so that places stay what they are.
        Some(_) => {
            let inner = first.get(1..first.len() - 1).map_or(" ".to_owned(), |inner| format!(" {inner} "));
            (Cow::Owned(inner + &text[first_end..end]), start)
        }
    };
    found.push(Assignment { section, key, text, start });
}

/// The lines with their offsets, without their ends.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let start = next;
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        next = start + end + if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        Some((start, &rest[..end]))
    })
}

/// What Python's `str.strip` takes off: white space, and the four separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[(&str, &str, &str)]) {
        let found = parse(text, |_, _| true).expect(text);
        let found: Vec<_> = found.iter().map(|a| (a.section, a.key, a.text.as_ref())).collect();
        assert_eq!(found, expect, "{text:?}");
    }

    #[track_caller]
    fn refused(text: &str, line: u32, message: &str) {
        let error = parse(text, |_, _| true).expect_err(text);
        assert_eq!((error.kind(), error.place().line), (ErrorKind::InvalidConfig, Some(line)), "{error}");
        assert!(error.message().contains(message), "{error}");
    }

    /// Each was tried with oslo.config 10.
    #[test]
    fn reads_what_oslo_config_reads() {
        check(
            "[pci]\na = b\nc: d=e\nf=g:h\n",
            &[("pci", "a", "b"), ("pci", "c", "d=e"), ("pci", "f", "g:h")],
        );
        check("[pci]\na = {\"b\":\n   1}\n", &[("pci", "a", "{\"b\":\n   1}")]);
        check("[pci]\n; c\n#d\na=b # no comment\n", &[("pci", "a", "b # no comment")]);
        check(
            "[pci]\na = \"b\"\nc = 'd\"\ne = \"\nf =\n",
            &[("pci", "a", "b"), ("pci", "c", "'d\""), ("pci", "e", ""), ("pci", "f", "")],
        );
        check("[pci]\na = '{\"b\":\n 1}'\n", &[("pci", "a", "'{\"b\":\n 1}'")]);
        check("[pci]\na = '{'\n \"b\": 1}\n", &[("pci", "a", " { \n \"b\": 1}")]);
        check("[pci]\r\na = b\r\n c\r\n", &[("pci", "a", "b\r\n c")]);
        check("[pci]\ra = b\r", &[("pci", "a", "b")]);
        check("[ pci ]\na=b", &[(" pci ", "a", "b")]);
        check("[a]b]\nx=1\n", &[("a]b", "x", "1")]);
        check("[pci]\na=b\n [pci]\n", &[("pci", "a", "b\n [pci]")]);
        check("[pci]\na=b\u{1c}\n\u{b}c=d\n", &[("pci", "a", "b"), ("pci", "c", "d")]);
        check("", &[]);
    }

    #[test]
    fn refuses_what_oslo_config_refuses() {
        refused("[pci] # c\n", 1, "does not end with ]");
        refused("[pci\n", 1, "does not end with ]");
        refused("[]\n", 1, "no name");
        refused("x=1\n", 1, "before any section");
        refused("[pci]\nnoassign\n", 2, "no assignment");
        refused("[pci]\n=x\n", 2, "no key");
        refused("[pci]\na = {\n\n }\n", 4, "continuation");
        refused("[pci]\n# c\n  x\n", 3, "continuation");
        refused("[pci]\na = {\n# comment\n }\n", 4, "continuation");
        refused("\u{feff}[pci]\n", 1, "no assignment");
        refused("[pci]\na=b\n\u{a0}c\n", 3, "no assignment");
        refused("[pci]\r\n[x\r\n", 2, "does not end with ]");
    }
}
