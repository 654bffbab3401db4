//! Every block in the documentation is marked: it runs in a place that a test follows, or gives the reason why it does not
//! run.

use crate::blocks::{Mark, blocks, documents, matches, read};

/// The places, each with the tests that follow documents through it.
const PLACES: [(&str, &str); 4] = [
    ("checkout", "tests/checkout/documents.rs"),
    ("client", "tests/e2e/documents.rs"),
    ("debian", "tests/packages/documents.rs"),
    ("rpm", "tests/packages/documents.rs"),
];

/// The languages of blocks that are not commands.
const OTHERS: [&str; 5] = ["text", "sshd_config", "ini", "json", "yaml"];

#[test]
fn every_block_of_commands_says_where_it_runs_or_why_it_does_not() {
    let mut shown = 0;
    for block in documents().iter().flat_map(|file| blocks(file)) {
        let place = block.place();
        match (block.language.as_str(), &block.mark) {
            ("sh", Mark::Run { place: name, .. }) => {
                let known = PLACES.iter().any(|(known, _)| known == name);
                assert!(known, "{place}: no test knows the place \"{name}\"");
            }
            ("sh", Mark::Shown(reason)) => {
                shown += 1;
                println!("NOT RUN: the commands of {place}: {reason}");
            }
            ("sh", _) => panic!("{place}: say where this runs, or why it does not (tests/support/blocks.rs)"),
            (other, Mark::None | Mark::Prints | Mark::Logs) if OTHERS.contains(&other) => {
                let typed = block
                    .text
                    .lines()
                    .find(|line| line.starts_with("$ ") || line.starts_with("# apt"));
                assert_eq!(typed, None, "{place}: commands belong into a block of their own");
            }
            (other, mark) => panic!("{place}: a block \"{other}\" cannot be {mark:?}"),
        }
    }
    println!("{shown} blocks of commands are only shown");
}

#[test]
fn what_a_block_prints_follows_the_block() {
    for file in documents() {
        let mut previous = Mark::None;
        for block in blocks(&file) {
            if matches!(block.mark, Mark::Prints | Mark::Logs) {
                let follows = matches!(previous, Mark::Run { .. } | Mark::Prints);
                assert!(follows, "{}: no block before it runs", block.place());
            }
            previous = block.mark;
        }
    }
}

#[test]
fn every_place_of_every_document_is_followed_by_a_test() {
    for file in documents() {
        for block in blocks(&file) {
            let Mark::Run { place, .. } = &block.mark else { continue };
            let (_, test) = PLACES
                .iter()
                .find(|(name, _)| name == place)
                .expect("the place is known");
            let follows = read(test).contains(&format!("\"{file}\""));
            assert!(follows, "{}: {test} does not follow {file}", block.place());
        }
    }
}

#[test]
fn an_ellipsis_stands_for_anything_and_nothing_else_does() {
    assert!(matches("a…c\n…\nz\n", "abc\n1\n2\nz\n"));
    assert!(matches("…\nz", "z"));
    assert!(matches("a\n\nb", "a\nb"));
    for (expected, actual) in [("a", "b"), ("a…c", "abd"), ("a", "a\nb"), ("a\nb", "a"), ("…\nz", "y")] {
        assert!(!matches(expected, actual), "{expected:?} {actual:?}");
    }
}
