//! Bad input, shown to a person: the line of text with a caret under the place, what is wrong, and what to do.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use slotwise::{Error, ErrorKind};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::text::plain;

pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default().bold();
const BLUE: Style = AnsiColor::Blue.on_default().bold();
pub(crate) const BOLD: Style = Style::new().bold();

/// The result of a step that may meet bad input.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// A text that came from outside, and what to call it: a file's name, or the name of an argument.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: Arc<str>,
    /// How many lines of what came from outside stand before the text.
    pub(crate) before: usize,
}

/// An error, and the text that it points into if there is one.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) source: Option<Source>,
}

impl Failure {
    /// Bad input that has no text to point into.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>, help: &str) -> Self {
        Failure { error: Error::new(kind, message).with_help(help), source: None }
    }

    /// Puts `error` into the text it was found in.
    pub(crate) fn within(error: Error, source: &Source) -> Self {
        Failure { error, source: Some(source.clone()) }
    }

    /// The whole message, styled for a terminal; ends with a newline.
    pub(crate) fn render(&self) -> String {
        let place = self.error.place();
        let at = self.source.as_ref().zip(place.line).and_then(|(source, line)| {
            let text = source.text.lines().nth((line as usize).checked_sub(1 + source.before)?)?;
            Some((line.to_string(), Excerpt::new(text, place.column.unwrap_or(1) as usize)))
        });
        let gutter = at.as_ref().map_or(1, |(line, _)| line.len());
        let mut out = format!("{RED}error{RED:#}{BOLD}: {}{BOLD:#}\n", plain(self.error.message()));
        if let Some(source) = &self.source {
            _ = write!(out, "{:gutter$}{BLUE}-->{BLUE:#} {}", "", plain(&source.name));
            if let (Some(line), Some(column)) = (place.line, place.column) {
                _ = write!(out, ":{line}:{column}");
            }
            out.push('\n');
        }
        if let Some((line, excerpt)) = &at {
            _ = writeln!(out, "{:gutter$} {BLUE}|{BLUE:#}", "");
            _ = writeln!(out, "{BLUE}{line} |{BLUE:#} {}", excerpt.text);
            _ = writeln!(out, "{:gutter$} {BLUE}|{BLUE:#} {:2$}{RED}^{RED:#}", "", "", excerpt.caret);
        }
        if !place.path.is_empty() {
            _ = writeln!(out, "{:gutter$} {BLUE}={BLUE:#} in: {}", "", plain(&place.path));
        }
        if let Some(help) = self.error.help() {
            _ = writeln!(out, "{:gutter$} {BLUE}={BLUE:#} help: {}", "", plain(help));
        }
        out
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { error, source: None }
    }
}

/// Writes to standard error. Where that cannot be written to, nothing is left to say it to.
pub(crate) fn eprint(text: &str) {
    _ = anstream::stderr().write_all(text.as_bytes());
}

/// The part of a line that is shown, and how many terminal cells stand before the caret.
struct Excerpt {
    text: String,
    caret: usize,
}

impl Excerpt {
    /// Most characters shown on either side of the place: a rule is often one very long line.
    const AROUND: usize = 60;

    /// `column` counts characters from 1, and may point behind the end of the line.
    fn new(line: &str, column: usize) -> Self {
        let chars: Vec<char> = line.chars().collect();
        let place = column.saturating_sub(1).min(chars.len());
        let from = place.saturating_sub(Self::AROUND);
        let to = chars.len().min(place.saturating_add(Self::AROUND));
        let shown = |range: &[char]| range.iter().map(|&c| visible(c)).collect::<String>();
        let mut before = shown(&chars[from..place]);
        if from > 0 {
            before.insert_str(0, "...");
        }
        let after = shown(&chars[place..to]) + if to < chars.len() { "..." } else { "" };
        Excerpt { caret: before.width(), text: before + &after }
    }
}

/// A character that takes its own width and cannot steer the terminal.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.width().is_none() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, line: usize, column: usize, expect: &str) {
        let error = Error::new(ErrorKind::InvalidConfig, "wrong")
            .with_help("do right")
            .inside("a.b")
            .at(line, column);
        let source = Source { name: "x.conf".into(), text: text.into(), before: 0 };
        let shown = anstream::adapter::strip_str(&Failure::within(error, &source).render()).to_string();
        assert_eq!(shown, expect, "\n{shown}");
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        check(
            "[pci]\nalias = {]\n",
            2,
            10,
            "error: wrong\n --> x.conf:2:10\n  |\n2 | alias = {]\n  |          ^\n  = in: a.b\n  = help: do right\n",
        );
    }

    #[test]
    fn tabs_wide_and_control_characters_keep_the_caret_in_place() {
        check(
            "\t\u{1b}[2J接x",
            1,
            7,
            "error: wrong\n --> x.conf:1:7\n  |\n1 |  \u{fffd}[2J接x\n  |        ^\n  = in: a.b\n  = help: do right\n",
        );
    }

    #[test]
    fn a_place_behind_the_text_is_still_shown() {
        check(
            "ab",
            1,
            99,
            "error: wrong\n --> x.conf:1:99\n  |\n1 | ab\n  |   ^\n  = in: a.b\n  = help: do right\n",
        );
        check("ab", 9, 1, "error: wrong\n --> x.conf:9:1\n  = in: a.b\n  = help: do right\n");
    }

    #[test]
    fn only_the_neighbourhood_of_a_long_line_is_shown() {
        let text = "x".repeat(1_000_000);
        let excerpt = Excerpt::new(&text, 500_000);
        assert_eq!(excerpt.text.len(), 2 * Excerpt::AROUND + 6);
        assert_eq!(excerpt.caret, Excerpt::AROUND + 3);
    }
}
