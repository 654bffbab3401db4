//! The key blob: its records told apart, and those set aside that cannot lead to a key whoever signed them.

use std::cmp::Reverse;
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
    /// How many more records there are than are judged.
    pub passed_over: usize,
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
/// signature is. Where more remain than are judged, those that expire last do: the key of somebody who is logging in was
/// pushed a moment ago, wherever IMDS lists it.
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
    let mut records = Records(body).peekable();
    if records.peek().is_none() {
        return Err(BlobError::NoRecord(quoted(body)));
    }
    let mut candidates = Vec::new();
    let mut refused = Vec::new();
    let mut passed_over = 0;
    for bytes in records.by_ref().take(limits.records_read) {
        let refusal = match Record::parse(bytes, limits) {
            Ok(record) if !wanted.includes(record.key().fingerprint()) => continue,
            Ok(record) => match record.holds_for(instance, now) {
                Ok(()) => {
                    candidates.push(record);
                    continue;
                }
                Err(reason) => record.refusal(reason),
            },
            Err(refusal) if refusal.fingerprint.as_deref().is_some_and(|key| !wanted.includes(key)) => continue,
            Err(refusal) => refusal,
        };
        if refused.len() < limits.records {
            refused.push(refusal);
        } else {
            passed_over += 1;
        }
    }
    passed_over += records.count();
    if candidates.len() > limits.records {
        passed_over += candidates.len() - limits.records;
        candidates.sort_by_key(|record| Reverse(record.expires()));
        candidates.truncate(limits.records);
    }
    Ok(Sifted {
        candidates,
        refused,
        passed_over,
    })
}

/// The records of a blob: the stretches between blank lines whose first line starts with `#`.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            // Blank lines in a row, and before the first record.
            let start = self.0.iter().position(|&byte| byte != b'\n')?;
            let (_, rest) = self.0.split_at(start);
            let end = rest.windows(2).position(|pair| pair == b"\n\n");
            let (stretch, behind) = rest.split_at(end.map_or(rest.len(), |line_end| line_end + 1));
            self.0 = behind;
            if stretch.first() == Some(&b'#') {
                return Some(stretch);
            }
        }
    }
}

/// Why an answer is no key blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobError {
    /// Something, but no record; this is how it starts.
    NoRecord(String),
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
        Records(body.as_bytes())
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
    fn an_answer_without_a_record_is_told_from_an_empty_one() {
        assert!(is_empty(b"") && is_empty(b"\n \n"));
        assert!(!is_empty(b"<html>"));
        let instance = InstanceId::parse(b"i-01234567").unwrap();
        let refusal = sift(b"<html>\x1b", &Wanted::Any, &instance, 0, &Limits::default()).map(|_| ());
        assert_eq!(refusal, Err(BlobError::NoRecord("<html>\\x1b".into())));
    }

    proptest! {
        #[test]
        fn telling_apart_never_panics_and_never_mixes_records(body in "[#a\n ]{0,60}") {
            for record in Records(body.as_bytes()) {
                prop_assert_eq!(record.first(), Some(&b'#'));
                prop_assert!(!record.windows(2).any(|pair| pair == b"\n\n"));
            }
        }
    }
}
