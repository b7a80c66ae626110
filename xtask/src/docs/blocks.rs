//! The code blocks of a Markdown page, and what the page says about running them.

use anyhow::{Context, Result, bail};

/// One fenced code block.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Block {
    /// The line of its opening fence, counted from 1.
    pub(super) line: usize,
    /// The first word after the fence, such as `python`.
    pub(super) language: String,
    pub(super) text: String,
    /// `file=PATH`: the block is a part of this file of the repository, which is run elsewhere.
    pub(super) file: Option<String>,
    /// `save=NAME`: the block is this file, which other blocks of the page use.
    pub(super) save: Option<String>,
    /// `invalid`: what the block holds must be refused.
    pub(super) invalid: bool,
    /// Why the block cannot be run, as the line above it says.
    pub(super) not_run: Option<String>,
    /// What it prints: the `text` block that follows, with nothing but blank lines between.
    pub(super) prints: Option<String>,
}

/// How the line above a block begins that cannot be run; the reason follows, and the line stands alone.
pub(super) const NOT_RUN: &str = "*Not run by the tests: ";

/// Reads the blocks of a page, in order. A `text` block after a block that is run is joined to it.
pub(super) fn parse(page: &str) -> Result<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = page.lines().enumerate();
    // The last line that was not blank, where it was no fence.
    let mut above = "";
    let mut follows = false;
    while let Some((index, line)) = lines.next() {
        let trimmed = line.trim_start();
        let fence: String = trimmed.chars().take_while(|c| *c == '`').collect();
        if fence.len() < 3 {
            if !trimmed.is_empty() {
                (above, follows) = (trimmed, false);
            }
            continue;
        }
        let indent = line.len() - trimmed.len();
        let mut block = opened(&trimmed[fence.len()..], index + 1)?;
        loop {
            let (_, line) =
                lines.next().with_context(|| format!("line {}: the block has no end", index + 1))?;
            if line.trim() == fence {
                break;
            }
            block.text.push_str(line.get(indent..).unwrap_or_else(|| line.trim_start()));
            block.text.push('\n');
        }
        if let Some(reason) = above.strip_prefix(NOT_RUN) {
            let reason = reason.trim_end_matches(['.', '*']);
            if reason.is_empty() {
                bail!("line {}: say why the block is not run", index + 1);
            }
            block.not_run = Some(reason.to_owned());
        }
        match blocks.last_mut() {
            Some(before) if follows && block.language == "text" && before.language != "text" => {
                before.prints = Some(block.text);
            }
            _ => blocks.push(block),
        }
        (above, follows) = ("", true);
    }
    Ok(blocks)
}

/// A block from what stands after its opening fence.
fn opened(info: &str, line: usize) -> Result<Block> {
    let mut words = info.split_whitespace();
    let Some(language) = words.next() else {
        bail!("line {line}: the block names no language; what is not to be run is `text`");
    };
    let mut block = Block { line, language: language.to_owned(), ..Block::default() };
    for word in words {
        match word.split_once('=') {
            Some(("file", path)) => block.file = Some(path.to_owned()),
            Some(("save", name)) if !name.is_empty() && !name.contains('/') => {
                block.save = Some(name.to_owned());
            }
            None if word == "invalid" => block.invalid = true,
            _ => bail!("line {line}: a block may have file=PATH, save=NAME or invalid, not {word:?}"),
        }
    }
    Ok(block)
}

/// One command of a `console` block, and what it writes.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Step {
    pub(super) command: String,
    pub(super) output: String,
}

/// The commands of a `console` block: lines that begin with `$ `, continued by lines that begin with `> `.
pub(super) fn steps(text: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), output: String::new() });
            continue;
        }
        let Some(step) = steps.last_mut() else { bail!("a console block begins with `$ ` and a command") };
        match line.strip_prefix("> ") {
            Some(more) if step.output.is_empty() => {
                step.command.push('\n');
                step.command.push_str(more);
            }
            _ => {
                step.output.push_str(line);
                step.output.push('\n');
            }
        }
    }
    Ok(steps)
}

/// Whether the output is the expected one, in which a line `...` stands for any number of lines.
///
/// Spaces at the ends of lines do not count, and neither do blank lines at the end.
pub(super) fn matches(expected: &str, output: &str) -> bool {
    fn rest(expected: &[&str], output: &[&str]) -> bool {
        match expected.split_first() {
            None => output.is_empty(),
            Some((&"...", more)) => (0..=output.len()).any(|skipped| rest(more, &output[skipped..])),
            Some((line, more)) => output.first() == Some(line) && rest(more, &output[1..]),
        }
    }
    let split = |text: &str| -> Vec<String> {
        let mut lines: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    };
    let (expected, output) = (split(expected), split(output));
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let output: Vec<&str> = output.iter().map(String::as_str).collect();
    rest(&expected, &output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_with_what_the_page_says_about_them() -> Result<()> {
        let page = "# T\n\n```python\nprint(1)\n```\n\n```text\n1\n```\nwords\n```text\na picture\n```\n\
                    *Not run by the tests: it needs a moon.*\n\n- item\n  ```sh\n  ls\n  ```\n\
                    *Not run by the tests: it needs a moon.*\n\n```ini save=a.conf invalid\n[x]\n```\n";
        let blocks = parse(page)?;
        let languages: Vec<_> = blocks.iter().map(|block| (block.line, block.language.as_str())).collect();
        assert_eq!(languages, [(3, "python"), (11, "text"), (17, "sh"), (22, "ini")]);
        assert_eq!(blocks[0].prints.as_deref(), Some("1\n"));
        assert_eq!((blocks[2].text.as_str(), blocks[2].not_run.as_deref()), ("ls\n", None));
        assert_eq!(blocks[3].not_run.as_deref(), Some("it needs a moon"));
        assert_eq!((blocks[3].save.as_deref(), blocks[3].invalid), (Some("a.conf"), true));
        Ok(())
    }

    #[test]
    fn a_page_that_hides_something_is_refused() {
        for page in [
            "```\nx\n```\n",
            "```rust no_run\nx\n```\n",
            "```sh\nx\n",
            "*Not run by the tests: *\n```sh\n```\n",
        ] {
            assert!(parse(page).is_err(), "{page}");
        }
    }

    #[test]
    fn a_console_is_commands_and_what_they_write() -> Result<()> {
        let read = steps("$ cat <<E\n> one\n> E\none\n$ true\n")?;
        assert_eq!(read[0], Step { command: "cat <<E\none\nE".to_owned(), output: "one\n".to_owned() });
        assert_eq!(read[1], Step { command: "true".to_owned(), output: String::new() });
        assert!(steps("one\n").is_err());
        Ok(())
    }

    #[test]
    fn three_dots_stand_for_any_lines() {
        assert!(matches("a\n...\nd\n", "a\nb \nc\nd\n\n"));
        assert!(matches("...\n", ""));
        assert!(!matches("a\n...\nd\n", "a\nb\n"));
        assert!(!matches("a\n", "a\nb\n"));
    }
}
