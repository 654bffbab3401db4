//! The key blob: splits it into records and selects those that can be valid for this login, before any signature is
//! checked.

use std::cmp::Reverse;
use std::error::Error;
use std::fmt;

use super::rejection::RefusedRecord;
use super::unverified::UnverifiedRecord;
use crate::identity::InstanceId;
use crate::limits::Limits;
use crate::login::FingerprintFilter;
use crate::text::quoted;

/// The IMDS answer `managed-ssh-keys/active-keys/<user>`: a record for each key that was pushed for that user.
#[derive(Debug, Clone, Copy)]
pub struct KeyBlob<'a>(&'a [u8]);

/// The records of a key blob that can be valid for one login, before their signatures are checked.
#[derive(Debug)]
#[non_exhaustive]
pub struct Candidates<'a> {
    /// The records to verify.
    pub records: Vec<UnverifiedRecord<'a>>,
    /// The records of the offered key that cannot be valid. Records of other keys are in neither list.
    pub refused: Vec<RefusedRecord>,
    /// The number of records that were skipped because there are more than [`Limits`] allows.
    pub skipped: usize,
}

impl<'a> KeyBlob<'a> {
    /// The key blob that IMDS returned.
    #[must_use]
    pub fn new(answer: &'a [u8]) -> Self {
        Self(answer)
    }

    /// Whether no key was pushed: the answer contains only white space.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.trim_ascii().is_empty()
    }

    /// Selects the records that can be valid for this key, this instance and `now` (seconds since the epoch).
    ///
    /// [`UnverifiedRecord::verify`] checks instance and time again, with a later clock reading. If there are more records
    /// than [`Limits::records`], those that expire last are selected: the key of a user who is logging in was pushed a
    /// moment ago, wherever IMDS lists it.
    ///
    /// # Errors
    /// [`BlobError`] if the answer is not a key blob.
    pub fn select_candidates(
        &self,
        filter: &FingerprintFilter,
        instance: &InstanceId,
        now: u64,
        limits: &Limits,
    ) -> Result<Candidates<'a>, BlobError> {
        let mut blocks = Records(self.0).peekable();
        if blocks.peek().is_none() {
            return Err(BlobError::NoRecord(quoted(self.0)));
        }
        let mut records = Vec::new();
        let mut refused = Vec::new();
        let mut skipped = 0;
        for block in blocks.by_ref().take(limits.records_read) {
            let refusal = match UnverifiedRecord::parse(block, limits) {
                Ok(record) if !filter.matches(record.key().fingerprint()) => continue,
                Ok(record) => match record.check_instance_and_expiry(instance, now) {
                    Ok(()) => {
                        records.push(record);
                        continue;
                    }
                    Err(reason) => record.refused(reason),
                },
                Err(refusal) if refusal.fingerprint.as_deref().is_some_and(|key| !filter.matches(key)) => continue,
                Err(refusal) => refusal,
            };
            if refused.len() < limits.records {
                refused.push(refusal);
            } else {
                skipped += 1;
            }
        }
        skipped += blocks.count();
        if records.len() > limits.records {
            skipped += records.len() - limits.records;
            records.sort_by_key(|record| Reverse(record.expires()));
            records.truncate(limits.records);
        }
        Ok(Candidates {
            records,
            refused,
            skipped,
        })
    }
}

/// The records of a blob: the blocks between empty lines whose first line starts with `#`.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            // Skips empty lines, of which there may be several.
            let start = self.0.iter().position(|&byte| byte != b'\n')?;
            let (_, rest) = self.0.split_at(start);
            let end = rest.windows(2).position(|pair| pair == b"\n\n");
            let (block, rest) = rest.split_at(end.map_or(rest.len(), |line_end| line_end + 1));
            self.0 = rest;
            if block.first() == Some(&b'#') {
                return Some(block);
            }
        }
    }
}

/// Why an answer is not a key blob.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlobError {
    /// It contains no record; this is how it starts.
    NoRecord(String),
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecord(start) => {
                write!(f, "IMDS returned keys in an unknown format, starting with \"{start}\"")
            }
        }
    }
}

impl Error for BlobError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(body: &str) -> Vec<&str> {
        Records(body.as_bytes())
            .map(|record| std::str::from_utf8(record).unwrap())
            .collect()
    }

    #[test]
    fn records_end_at_an_empty_line_or_at_the_end() {
        assert_eq!(split("#a\nk\ns\n\n#b\nk\ns"), ["#a\nk\ns\n", "#b\nk\ns"]);
        assert_eq!(split("\n\n#a\nk\n\n\n\n#b\n\n"), ["#a\nk\n", "#b\n"]);
    }

    #[test]
    fn a_block_that_does_not_start_with_a_number_sign_is_skipped() {
        assert_eq!(split("junk\n#not a record\n\n#a\nk\n"), ["#a\nk\n"]);
    }

    #[test]
    fn a_line_of_spaces_is_not_an_empty_line() {
        assert_eq!(split("#a\n \n#b\n"), ["#a\n \n#b\n"]);
    }

    #[test]
    fn an_answer_without_a_record_differs_from_an_empty_one() {
        assert!(KeyBlob::new(b"").is_empty() && KeyBlob::new(b"\n \n").is_empty());
        assert!(!KeyBlob::new(b"<html>").is_empty());
        let instance = InstanceId::parse(b"i-01234567").unwrap();
        let candidates =
            KeyBlob::new(b"<html>\x1b").select_candidates(&FingerprintFilter::Any, &instance, 0, &Limits::default());
        assert_eq!(candidates.map(|_| ()), Err(BlobError::NoRecord("<html>\\x1b".into())));
    }

    proptest! {
        #[test]
        fn splitting_never_panics_and_never_joins_records(body in "[#a\n ]{0,60}") {
            for record in Records(body.as_bytes()) {
                prop_assert_eq!(record.first(), Some(&b'#'));
                prop_assert!(!record.windows(2).any(|pair| pair == b"\n\n"));
            }
        }
    }
}
