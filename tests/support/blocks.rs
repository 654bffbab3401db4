//! The fenced blocks of the documentation: which ones run, where they run, and what they must print.
//!
//! A comment on the line before a block's opening fence marks the block:
//!
//! ```text
//! <!-- run: PLACE -->                       its commands run in that place and must succeed
//! <!-- run: PLACE, exits 3 -->              its commands run there, and the last one must exit with that status
//! <!-- run: PLACE, in another terminal -->  it keeps running while the blocks after it run
//! <!-- prints -->                           the output of the block before it; … stands for any text
//! <!-- logs -->                             lines that are then in the log; … stands for any text
//! <!-- shown: REASON -->                    it does not run, for that reason
//! ```
//!
//! All blocks of a file with the same place run in order, as if typed into one shell.

use std::fs;
use std::path::Path;

/// How a block is marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    Run {
        place: String,
        exits: i32,
        keeps_running: bool,
    },
    Prints,
    Logs,
    Shown(String),
    None,
}

/// A fenced block.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) file: String,
    /// The line of its opening fence, from 1.
    pub(crate) line: usize,
    /// The fence's info string.
    pub(crate) language: String,
    pub(crate) mark: Mark,
    pub(crate) text: String,
}

impl Block {
    /// Its place, in the form that editors accept.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

/// This repository.
pub(crate) fn repository() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests are a directory of the repository")
}

/// Every Markdown file that users read, by its path in the repository.
pub(crate) fn documents() -> Vec<String> {
    let mut found = Vec::new();
    for directory in ["", "docs/"] {
        let entries = fs::read_dir(repository().join(directory)).expect("the directory is there");
        let names = entries.map(|entry| entry.expect("it can be read").file_name());
        let names = names.filter_map(|name| name.into_string().ok());
        found.extend(
            names
                .filter(|name| name.ends_with(".md"))
                .map(|name| format!("{directory}{name}")),
        );
    }
    found.sort();
    found
}

/// The text of one of them.
pub(crate) fn read(file: &str) -> String {
    fs::read_to_string(repository().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Its fenced blocks, in their order.
pub(crate) fn blocks(file: &str) -> Vec<Block> {
    let text = read(file);
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    let mut before = "";
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(language)) => {
                open = Some(Block {
                    file: file.to_owned(),
                    line: number + 1,
                    language: language.to_owned(),
                    mark: mark(before, &format!("{file}:{}", number + 1)),
                    text: String::new(),
                });
            }
            (None, None) => {}
        }
        before = line;
    }
    assert!(open.is_none(), "{file}: a block is not closed");
    blocks
}

fn mark(comment: &str, place: &str) -> Mark {
    let Some(inside) = comment.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) else {
        return Mark::None;
    };
    if let Some(reason) = inside.strip_prefix("shown: ") {
        return Mark::Shown(reason.to_owned());
    }
    let Some(run) = inside.strip_prefix("run: ") else {
        return match inside {
            "prints" => Mark::Prints,
            "logs" => Mark::Logs,
            _ => panic!("{place}: what is <!-- {inside} -->?"),
        };
    };
    let (name, how) = run.split_once(", ").unwrap_or((run, "exits 0"));
    Mark::Run {
        place: name.to_owned(),
        keeps_running: how == "in another terminal",
        exits: match how.strip_prefix("exits ") {
            Some(status) => status.parse().expect("a status is a number"),
            None if how == "in another terminal" => 0,
            None => panic!("{place}: what is \"{how}\"?"),
        },
    }
}

/// Whether `actual` matches `expected`, in which `…` stands for any text within a line, and a line `…` for any lines.
pub(crate) fn matches(expected: &str, actual: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.trim_end().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    };
    matches_lines(&lines(expected), &lines(actual))
}

fn matches_lines(expected: &[String], actual: &[String]) -> bool {
    match (expected.split_first(), actual.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "…" => {
            (0..=actual.len()).any(|skipped| matches_lines(rest, &actual[skipped..]))
        }
        (Some((first, rest)), Some((line, lines))) => matches_line(first, line) && matches_lines(rest, lines),
        _ => false,
    }
}

/// The same for one line.
pub(crate) fn matches_line(expected: &str, actual: &str) -> bool {
    match expected.split_once('…') {
        None => expected == actual,
        Some((before, after)) => actual.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches_line(after, &rest[at..]))
        }),
    }
}

/// The exit status of a script, and what it wrote to both outputs.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) output: String,
}

/// Keeps the shell's variables and directory from one script to the next, in the file `state`.
pub(crate) fn continued(script: &str, state: &str) -> String {
    format!(
        "set -e\nexec 2>&1\nif [ -e {state} ]; then . {state}; cd \"$PWD\"; fi\ntrap 'export -p >{state}' EXIT\n{script}"
    )
}

/// Runs that file's blocks for that place, in order. `run` runs a script to its end, or starts it if it keeps running,
/// and returns its output; `log` returns the log so far.
///
/// # Panics
/// If a block does not exit with its status, or prints something other than what the documentation shows.
pub(crate) fn follow(
    file: &str,
    place: &str,
    mut run: impl FnMut(&Block, bool) -> Ended,
    log: impl Fn(&dyn Fn(&str) -> bool) -> String,
) {
    let mut ran = 0;
    let mut printed: Option<String> = None;
    for block in blocks(file) {
        match &block.mark {
            Mark::Run {
                place: its,
                exits,
                keeps_running,
            } => {
                printed = None;
                if its == place {
                    println!("== {}\n{}", block.place(), block.text);
                    let ended = run(&block, *keeps_running);
                    println!("{}-> {}", ended.output, ended.status);
                    assert_eq!(ended.status, *exits, "{}: {}", block.place(), ended.output);
                    printed = Some(ended.output);
                    ran += 1;
                }
            }
            Mark::Prints => {
                if let Some(printed) = &printed {
                    let place = block.place();
                    assert!(
                        matches(&block.text, printed),
                        "{place} shows\n{}\nbut this was printed:\n{printed}",
                        block.text
                    );
                }
            }
            Mark::Logs => {
                if printed.is_some() {
                    for expected in block.text.lines() {
                        let there = |log: &str| log.lines().any(|line| matches_line(expected, line));
                        let log = log(&there);
                        assert!(there(&log), "{}: not in the log: {expected}\n{log}", block.place());
                    }
                }
            }
            Mark::Shown(_) | Mark::None => {}
        }
    }
    assert!(ran > 0, "{file} has nothing to run in the place {place}");
}
