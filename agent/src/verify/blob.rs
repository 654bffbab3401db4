//! The key blob: its records told apart, and those set aside that cannot lead to a key whoever signed them.

use std::fmt;

use super::identity::InstanceId;
use super::limits::Limits;
use super::login::Wanted;
use super::record::{Record, RecordRejection};
use super::text::quoted;

/// What a blob holds for one login, before any signature was looked at.
#[derive(Debug)]
pub struct Sifted<'a> {
    /// The records that may lead to a key.
    pub candidates: Vec<Record<'a>>,
    /// What was pushed for this key and cannot. A record for another key is in neither list.
    pub refused: Vec<Refusal>,
}

/// One thing that was pushed and did not lead to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The fingerprint of the key in the record, where it could be read.
    pub fingerprint: Option<String>,
    /// Why.
    pub reason: RecordRejection,
}

/// Whether the answer says that nobody pushed a key: nothing in it but white space.
#[must_use]
pub fn is_empty(body: &[u8]) -> bool {
    body.trim_ascii().is_empty()
}

/// Tells a blob's records apart and sorts out those that cannot hold for this key, instance and time.
///
/// `now` is in seconds since the epoch. Each record that remains is judged again, by a later clock, when its
/// signature is.
///
/// # Errors
/// [`BlobError`] where the answer is no key blob at all.
pub fn sift<'a>(
    body: &'a [u8],
    wanted: &Wanted,
    instance: &InstanceId,
    now: u64,
    limits: &Limits,
) -> Result<Sifted<'a>, BlobError> {
    let mut sifted = Sifted {
        candidates: Vec::new(),
        refused: Vec::new(),
    };
    for bytes in records(body, limits)? {
        match Record::parse(bytes, limits) {
            Ok(record) if !wanted.includes(record.key().fingerprint()) => {}
            Ok(record) => match record.holds_for(instance, now) {
                Ok(()) => sifted.candidates.push(record),
                Err(reason) => sifted.refused.push(record.refusal(reason)),
            },
            Err(refusal) if refusal.fingerprint.as_deref().is_some_and(|key| !wanted.includes(key)) => {}
            Err(refusal) => sifted.refused.push(refusal),
        }
    }
    Ok(sifted)
}

/// The records of a blob: the stretches between blank lines whose first line starts with `#`.
fn records<'a>(body: &'a [u8], limits: &Limits) -> Result<Vec<&'a [u8]>, BlobError> {
    let mut records = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (stretch, behind) = match rest.windows(2).position(|pair| pair == b"\n\n") {
            Some(end) => rest.split_at(end + 1),
            None => (rest, &[][..]),
        };
        rest = behind;
        // Blank lines in a row, and before the first record.
        let stretch = match stretch.iter().position(|&byte| byte != b'\n') {
            Some(start) => stretch.split_at(start).1,
            None => continue,
        };
        if stretch.first() == Some(&b'#') {
            if records.len() == limits.records {
                return Err(BlobError::TooManyRecords(limits.records));
            }
            records.push(stretch);
        }
    }
    if records.is_empty() {
        return Err(BlobError::NoRecord(quoted(body)));
    }
    Ok(records)
}

/// Why an answer is no key blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobError {
    /// More records than are taken.
    TooManyRecords(usize),
    /// Something, but no record; this is how it starts.
    NoRecord(String),
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyRecords(limit) => {
                write!(f, "IMDS served more than {limit} records")
            }
            Self::NoRecord(start) => {
                write!(f, "IMDS served keys without a record, starting \"{start}\"")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told_apart(body: &str) -> Vec<&str> {
        records(body.as_bytes(), &Limits::default())
            .unwrap_or_default()
            .into_iter()
            .map(|record| std::str::from_utf8(record).unwrap())
            .collect()
    }

    #[test]
    fn records_end_at_a_blank_line_or_at_the_end() {
        assert_eq!(told_apart("#a\nk\ns\n\n#b\nk\ns"), ["#a\nk\ns\n", "#b\nk\ns"]);
        assert_eq!(told_apart("\n\n#a\nk\n\n\n\n#b\n\n"), ["#a\nk\n", "#b\n"]);
    }

    #[test]
    fn what_does_not_start_with_a_number_sign_is_skipped_up_to_the_next_blank_line() {
        assert_eq!(told_apart("junk\n#not a record\n\n#a\nk\n"), ["#a\nk\n"]);
    }

    #[test]
    fn a_line_of_blanks_is_not_a_blank_line() {
        assert_eq!(told_apart("#a\n \n#b\n"), ["#a\n \n#b\n"]);
    }

    #[test]
    fn more_records_than_the_limit_are_refused_whole() {
        let limits = Limits {
            records: 2,
            ..Limits::default()
        };
        assert!(records(b"#\n\n#\n\n", &limits).is_ok());
        assert_eq!(records(b"#\n\n#\n\n#\n\n", &limits), Err(BlobError::TooManyRecords(2)));
    }

    #[test]
    fn an_answer_without_a_record_is_told_from_an_empty_one() {
        assert!(is_empty(b"") && is_empty(b"\n \n"));
        assert!(!is_empty(b"<html>"));
        assert_eq!(
            records(b"<html>\x1b", &Limits::default()),
            Err(BlobError::NoRecord("<html>\\x1b".into()))
        );
    }

    proptest! {
        #[test]
        fn telling_apart_never_panics_and_never_mixes_records(body in "[#a\n ]{0,60}") {
            for record in records(body.as_bytes(), &Limits::default()).unwrap_or_default() {
                prop_assert_eq!(record.first(), Some(&b'#'));
                prop_assert!(!record.windows(2).any(|pair| pair == b"\n\n"));
            }
        }
    }
}
