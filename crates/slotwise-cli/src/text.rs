//! Tables and short texts for people.

use std::borrow::Cow;

use comfy_table::{Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use slotwise::{ExtraInfo, PciAddress};

/// How a column is laid out where the terminal is too narrow for everything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Layout {
    /// Never broken: addresses, ids.
    Whole,
    /// Never broken, and aligned to the right: counts.
    Number,
    /// Broken between words.
    Flow,
}

/// A table without rules, such as `ps` prints: it can be read, and cut apart by other tools.
///
/// A cell that is `None` is printed as `-`, and a column that has nothing but these is left out. On a terminal the
/// columns fit its width; in a pipe every row is one line.
pub(crate) fn table(columns: &[(&str, Layout)], rows: &[Vec<Option<String>>]) -> String {
    let kept: Vec<usize> = (0..columns.len())
        .filter(|&i| rows.iter().any(|row| row.get(i).is_some_and(Option::is_some)))
        .collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // A pseudo-terminal that nobody has sized says 0.
    if table.width().is_some_and(|width| width >= 20) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(kept.iter().map(|&i| Cell::new(columns[i].0).add_attribute(Attribute::Bold)));
    for row in rows {
        table.add_row(kept.iter().map(|&i| match &row[i] {
            Some(text) => Cell::new(plain(text)),
            None => Cell::new("-"),
        }));
    }
    for (&i, column) in kept.iter().zip(table.column_iter_mut()) {
        column.set_padding((0, 2));
        if columns[i].1 != Layout::Flow {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        if columns[i].1 == Layout::Number {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt() + "\n"
}

/// Escapes what could steer a terminal; the rest stays as it is.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    Cow::Owned(text.chars().map(escape).collect())
}

/// `key=value` pairs with spaces between, the ids first; null is written as `null`. `None` when there are none.
pub(crate) fn pairs<'a>(entries: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Option<String> {
    const FIRST: &[&str] = &["vendor_id", "product_id", "dev_type", "address", "devname"];
    let mut pairs: Vec<_> = entries.into_iter().collect();
    pairs.sort_by_key(|(key, _)| FIRST.iter().position(|first| first == key).unwrap_or(FIRST.len()));
    let pairs: Vec<_> = pairs.iter().map(|(key, text)| format!("{key}={}", text.unwrap_or("null"))).collect();
    (!pairs.is_empty()).then(|| pairs.join(" "))
}

/// All entries of `info` as [`pairs`].
pub(crate) fn info_pairs(info: &ExtraInfo) -> Option<String> {
    pairs(info.iter())
}

/// `1 device`, `2 devices`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Addresses in as few words as possible: three or more functions that follow each other become `first..last`.
///
/// `None` when there are none. The order given does not matter.
pub(crate) fn ranges(addresses: &[PciAddress]) -> Option<String> {
    /// More ranges than this are not read by anybody; `--json` has them all.
    const MOST: usize = 8;
    let mut sorted = addresses.to_vec();
    sorted.sort_unstable();
    let mut runs: Vec<(PciAddress, PciAddress, usize)> = Vec::new();
    for address in sorted {
        match runs.last_mut() {
            Some((_, last, count)) if follows(*last, address) => (*last, *count) = (address, *count + 1),
            _ => runs.push((address, address, 1)),
        }
    }
    let mut words: Vec<(String, usize)> = Vec::new();
    for (first, last, count) in runs {
        match count {
            1 => words.push((first.to_string(), 1)),
            2 => words.extend([(first.to_string(), 1), (last.to_string(), 1)]),
            _ => words.push((format!("{first}..{last}"), count)),
        }
    }
    let left: usize = words.iter().skip(MOST).map(|(_, count)| count).sum();
    let mut words: Vec<String> = words.into_iter().take(MOST).map(|(word, _)| word).collect();
    if left > 0 {
        words.push(format!("and {left} more"));
    }
    (!words.is_empty()).then(|| words.join(" "))
}

/// Whether `next` is the function right behind `last` in the numbering of a bus, as the VFs of a PF are.
fn follows(last: PciAddress, next: PciAddress) -> bool {
    let number = |a: PciAddress| u32::from(a.bus()) << 8 | u32::from(a.slot()) << 3 | u32::from(a.function());
    last.domain() == next.domain() && number(last) + 1 == number(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(addresses: &[&str], expect: Option<&str>) {
        let addresses: Vec<PciAddress> = addresses.iter().map(|a| a.parse().expect(a)).collect();
        assert_eq!(ranges(&addresses).as_deref(), expect);
    }

    #[test]
    fn functions_in_a_row_become_a_range() {
        check(&[], None);
        check(&["0:1:0.1", "0:1:0.0"], Some("0000:01:00.0 0000:01:00.1"));
        check(&["0:1:0.6", "0:1:0.7", "0:1:1.0", "0:1:1.2"], Some("0000:01:00.6..0000:01:01.0 0000:01:01.2"));
        // The last function of a bus is followed by the first of the next, but not across domains.
        check(&["0:1:1f.6", "0:1:1f.7", "0:2:0.0"], Some("0000:01:1f.6..0000:02:00.0"));
        check(&["0:ff:1f.7", "1:0:0.0", "1:0:0.1"], Some("0000:ff:1f.7 0001:00:00.0 0001:00:00.1"));
        let many: Vec<String> = (0..20).map(|slot| format!("0:1:{slot:x}.0")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let shown = (0..8).map(|slot| format!("0000:01:{slot:02x}.0 ")).collect::<String>();
        check(&many, Some(&format!("{shown}and 12 more")));
    }

    #[test]
    fn empty_columns_are_left_out_and_unknown_cells_marked() {
        let columns = [("A", Layout::Whole), ("B", Layout::Flow), ("N", Layout::Number)];
        let rows =
            [vec![Some("a\u{1b}[0m".into()), None, Some("7".into())], vec![None, None, Some("12".into())]];
        assert_eq!(table(&columns, &rows), "A            N\na\\u{1b}[0m   7\n-           12\n");
    }
}
