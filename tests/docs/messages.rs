//! Every message that the program can log or print has a row in docs/troubleshooting.md, and every row is a message of the
//! program.
//!
//! The test reads the messages from the source: every string literal of at least two words in the program's modules. A new
//! message therefore fails this test until it has a row.

use std::fs;
use std::path::{Path, PathBuf};

use crate::blocks::{read, repository};

const DOCUMENT: &str = "docs/troubleshooting.md";

/// A literal of the source, with `…` for each value in it.
#[derive(Debug)]
struct Literal {
    file: String,
    text: String,
}

/// All of the program but its options, whose help texts the manual page has.
fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for directory in ["authorized-keys/src", "verify/src"] {
        add_files(&repository().join("agent").join(directory), &mut files);
    }
    files.retain(|file| !file.ends_with("authorized-keys/src/options.rs"));
    files.sort();
    files
}

fn add_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the source is there") {
        let path = entry.expect("it can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            add_files(&path, files);
        } else if name.ends_with(".rs") && !name.contains("test") {
            files.push(path);
        }
    }
}

/// The string literals of a source file, without its tests.
fn literals(source: &str) -> Vec<String> {
    let source = source.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '/', '\'', '#', 'b', 'r']) {
        let here = &rest[at..];
        let before = rest[..at].chars().next_back();
        let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        rest = if here.starts_with("//") {
            here.split_once('\n').map_or("", |(_, after)| after)
        } else if here.starts_with("#[") || here.starts_with("#![") {
            after_attribute(here)
        } else if let Some(raw) = here.strip_prefix("r#\"").filter(|_| !in_word) {
            let (text, after) = raw.split_once("\"#").expect("a raw string ends");
            found.push(text.to_owned());
            after
        } else if let Some(bytes) = here.strip_prefix("b\"").filter(|_| !in_word) {
            string(bytes).1
        } else if let Some(text) = here.strip_prefix('"') {
            let (text, after) = string(text);
            found.push(text);
            after
        } else if let Some(quoted) = here.strip_prefix('\'') {
            // A character, or a lifetime.
            let mut inside = quoted.char_indices();
            match (inside.next(), inside.next()) {
                (Some((_, '\\')), Some((next, _))) => {
                    quoted[next + 1..].split_once('\'').map_or("", |(_, after)| after)
                }
                (Some(_), Some((next, '\''))) => &quoted[next + 1..],
                _ => quoted,
            }
        } else {
            &here[1..]
        };
    }
    found
}

/// The value of a literal, and the text after it.
fn string(text: &str) -> (String, &str) {
    let mut said = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (said, &text[at + 1..]),
            '\\' => match characters.next() {
                Some((at, '\n')) => {
                    let skipped = text[at + 1..].len() - text[at + 1..].trim_start().len();
                    for _ in 0..text[at + 1..at + 1 + skipped].chars().count() {
                        characters.next();
                    }
                }
                Some((_, 'n')) => said.push('\n'),
                Some((_, other)) => said.push(other),
                None => {}
            },
            other => said.push(other),
        }
    }
    panic!("a literal does not end: {said}");
}

fn after_attribute(here: &str) -> &str {
    let mut depth = 0;
    for (at, c) in here.char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth == 1 => return &here[at + 1..],
            ']' => depth -= 1,
            _ => {}
        }
    }
    ""
}

/// With `…` for each `{…}`.
fn with_ellipses(literal: &str) -> String {
    let mut text = String::new();
    let mut rest = literal;
    while let Some((before, inside)) = rest.split_once('{') {
        text.push_str(before);
        match inside.split_once('}') {
            Some((_, after)) => {
                text.push('…');
                rest = after;
            }
            None => rest = inside,
        }
    }
    text.push_str(rest);
    text
}

/// Every message or part of one: the literals of at least two words.
fn messages() -> Vec<Literal> {
    let mut found: Vec<Literal> = Vec::new();
    for path in sources() {
        let source = fs::read_to_string(&path).expect("it can be read");
        let file = path
            .strip_prefix(repository())
            .expect("it is ours")
            .display()
            .to_string();
        for literal in literals(&source) {
            let mut text = with_ellipses(&literal);
            let is_prose = text.trim().contains(' ') && text.contains(|c: char| c.is_ascii_alphabetic());
            if text.ends_with(' ') {
                // Another value follows the literal.
                text.push('…');
            }
            if is_prose && !found.iter().any(|other| other.text == text) {
                found.push(Literal {
                    file: file.clone(),
                    text,
                });
            }
        }
    }
    found
}

/// The messages of which `text` is composed: one, or one with another in place of its first or last value.
fn parts<'a>(text: &str, messages: &'a [Literal]) -> Option<Vec<&'a str>> {
    if let Some(whole) = messages.iter().find(|message| message.text == text) {
        return Some(vec![&whole.text]);
    }
    messages.iter().find_map(|outer| {
        let places = [outer.text.rsplit_once('…'), outer.text.split_once('…')];
        places.into_iter().flatten().find_map(|(before, after)| {
            let inside = text.strip_prefix(before)?.strip_suffix(after)?;
            let mut inner = (inside.len() < text.len()).then(|| parts(inside, messages))??;
            inner.push(&outer.text);
            Some(inner)
        })
    })
}

/// The messages that the document explains: the quotations in the first column of the tables in the section.
fn rows() -> Vec<String> {
    let text = read(DOCUMENT);
    let heading = "\n## Every message\n";
    let (_, section) = text.split_once(heading).expect("the document has the heading");
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let quoted = cells.flat_map(|cell| cell.trim_end_matches('`').split("`, `"));
    quoted.map(str::to_owned).collect()
}

#[test]
fn every_message_of_the_program_has_its_row_and_every_row_is_a_message() {
    let messages = messages();
    assert!(
        messages.len() > 80,
        "the source has more than {} messages",
        messages.len()
    );
    let mut wrong: Vec<String> = Vec::new();
    let mut explained: Vec<&str> = Vec::new();
    for row in rows() {
        match parts(&row, &messages) {
            Some(found) => explained.extend(found),
            None => wrong.push(format!("{DOCUMENT} explains what the program does not say: {row}")),
        }
    }
    for Literal { file, text } in &messages {
        if !explained.contains(&text.as_str()) {
            wrong.push(format!("{DOCUMENT} has no row for the message of {file}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_manual_page_s_diagnostics_are_messages_of_the_program() {
    let messages = messages();
    let page = read("packaging/man/eic_run_authorized_keys.8");
    let (_, section) = page
        .split_once("\n.Sh DIAGNOSTICS\n")
        .expect("the page has diagnostics");
    let section = section.split("\n.Sh ").next().unwrap_or_default();
    let items: Vec<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix(".It \""))
        .map(|item| item.trim_end_matches('"').replace("\"\"", "\"").replace("...", "…"))
        .collect();
    assert!(items.len() > 10, "{items:?}");
    for item in items {
        assert!(parts(&item, &messages).is_some(), "the program does not say: {item}");
    }
}

#[test]
fn literals_are_read_as_the_compiler_reads_them() {
    let source = r##"
        // "no"
        #[arg(long = "no")]
        f('"', '\'', b"no", "a \"b\" {c:?}", r#"raw "d""#, "over \
            two lines", x::<'a>);
        #[cfg(test)]
        fn g() { "in a test's helper" }
"##;
    let found: Vec<String> = literals(source).iter().map(|literal| with_ellipses(literal)).collect();
    assert_eq!(
        found,
        ["a \"b\" …", "raw \"d\"", "over two lines", "in a test's helper"]
    );
}
