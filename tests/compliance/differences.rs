//! The verdicts in the rows of the tables, and `docs/compliance.md`, which lists the rows in which they differ.

use crate::openssl::Opinion;
use crate::{chain_rows, staples};

const DOCUMENT: &str = include_str!("../../docs/compliance.md");

/// The expected verdicts on a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict {
    /// Both accept it.
    Accepted,
    /// Both refuse it.
    Refused,
    /// Only OpenSSL accepts it; the reason why this program refuses it.
    RefusedHere(&'static str),
    /// Only OpenSSL refuses it; the reason why this program accepts it.
    AcceptedHere(&'static str),
}

impl Verdict {
    fn here(self) -> bool {
        matches!(self, Self::Accepted | Self::AcceptedHere(_))
    }

    fn openssl(self) -> bool {
        matches!(self, Self::Accepted | Self::RefusedHere(_))
    }

    /// The line in the document, if the verdicts differ.
    fn line(self, name: &str) -> Option<String> {
        let word = |accepts| if accepts { "accepts" } else { "refuses" };
        match self {
            Self::Accepted | Self::Refused => None,
            Self::RefusedHere(why) | Self::AcceptedHere(why) => Some(format!(
                "| {name} | {} | {} | {why} |",
                word(self.openssl()),
                word(self.here())
            )),
        }
    }
}

/// Collects the verdicts that differ from the tables, so that one run shows all of them.
#[derive(Default)]
pub(crate) struct Surprises(Vec<String>);

impl Surprises {
    pub(crate) fn compare(&mut self, name: &str, expected: Verdict, openssl: &Opinion, here: Result<(), String>) {
        if openssl.accepts != expected.openssl() {
            self.0.push(format!("{name}: OpenSSL says {}", openssl.said));
        }
        if here.is_ok() != expected.here() {
            self.0.push(format!("{name}: here it is {here:?}"));
        }
    }

    #[track_caller]
    pub(crate) fn are_none(self) {
        assert!(self.0.is_empty(), "\n{}", self.0.join("\n"));
    }
}

#[test]
fn the_document_lists_these_differences_and_no_others() {
    let mut expected: Vec<String> = Vec::new();
    expected.extend(chain_rows::rows().iter().filter_map(|row| row.verdict.line(row.name)));
    expected.extend(staples::rows().iter().filter_map(|row| row.verdict.line(row.name)));
    let listed: Vec<&str> = DOCUMENT
        .lines()
        .filter(|line| line.contains("| accepts |") || line.contains("| refuses |"))
        .collect();
    assert_eq!(listed, expected, "\n{}", expected.join("\n"));
}
