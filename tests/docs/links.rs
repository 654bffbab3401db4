//! Every link within the repository leads to a file and a heading that exist, and every test that a document names exists.

use std::fs;
use std::path::Path;

use crate::blocks::{documents, read, repository};

/// The text from `](` to the closing parenthesis.
fn links(text: &str) -> Vec<&str> {
    let parts = text.split("](").skip(1);
    parts.filter_map(|part| Some(part.split_once(')')?.0)).collect()
}

/// The anchors that GitHub derives from a file's headings.
fn anchors(file: &str) -> Vec<String> {
    let text = read(file);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            let kept = words
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut seen = 0;
    for file in documents() {
        for link in links(&read(&file)) {
            if link.contains("://") {
                continue;
            }
            seen += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let directory = file.rsplit_once('/').map_or("", |(directory, _)| directory);
            let target = match path {
                "" => file.clone(),
                path => match path.strip_prefix("../") {
                    Some(above) => above.to_owned(),
                    None if directory.is_empty() => path.to_owned(),
                    None => format!("{directory}/{path}"),
                },
            };
            assert!(repository().join(&target).exists(), "{file}: there is no {link}");
            let found = anchor.is_empty() || anchors(&target).iter().any(|heading| heading == anchor);
            assert!(found, "{file}: {target} has no heading for {link}");
        }
    }
    assert!(seen > 20, "{seen}");
}

/// The Rust source below a directory, in one text.
fn source(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).expect("the directory is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            text.push_str(&source(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("it can be read"));
        }
    }
    text
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let source = source(&repository().join("agent")) + &source(&repository().join("tests"));
    let mut seen = 0;
    for file in documents() {
        let text = read(&file);
        // Names between backticks that consist of several words.
        let names = text.split('`').skip(1).step_by(2).filter(|quoted| {
            let is_name = quoted
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            is_name && quoted.matches('_').count() >= 3
        });
        for name in names.filter(|name| !name.starts_with("eic_")) {
            seen += 1;
            assert!(
                source.contains(&format!("fn {name}(")),
                "{file}: there is no test {name}"
            );
        }
    }
    assert!(seen > 15, "{seen}");
}
