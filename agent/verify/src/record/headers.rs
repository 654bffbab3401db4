//! The header lines of a record, `#Name=value`.

use super::rejection::{MAX_TIMESTAMP_DIGITS, RecordRejection};
use crate::limits::Limits;
use crate::text::quoted;

/// Checks that the line is not longer than [`Limits::record_line_bytes`].
pub(super) fn check_length(line: &[u8], limits: &Limits) -> Result<(), RecordRejection> {
    if line.len() > limits.record_line_bytes {
        return Err(RecordRejection::LongLine(limits.record_line_bytes));
    }
    Ok(())
}

/// The line without the line feed at its end.
pub(super) fn without_line_feed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// The values of the headers that are used. Other headers are covered by the signature, and ignored.
#[derive(Default)]
pub(super) struct Headers<'a> {
    pub(super) timestamp: Option<&'a [u8]>,
    pub(super) instance: Option<&'a [u8]>,
    pub(super) caller: Option<&'a [u8]>,
    pub(super) request: Option<&'a [u8]>,
}

impl<'a> Headers<'a> {
    /// Parses the header lines.
    pub(super) fn parse(lines: &'a [u8], limits: &Limits) -> Result<Self, RecordRejection> {
        let mut headers = Self::default();
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            check_length(line, limits)?;
            let line = without_line_feed(line);
            headers.add(line.strip_prefix(b"#").unwrap_or(line))?;
        }
        Ok(headers)
    }

    fn add(&mut self, header: &'a [u8]) -> Result<(), RecordRejection> {
        let Some(equals) = header.iter().position(|&byte| byte == b'=') else {
            return Ok(());
        };
        let (name, value) = header.split_at(equals);
        let value = value.strip_prefix(b"=").unwrap_or_default();
        let (field, name) = match name {
            b"Timestamp" => (&mut self.timestamp, "Timestamp"),
            b"Instance" => (&mut self.instance, "Instance"),
            b"Caller" => (&mut self.caller, "Caller"),
            b"Request" => (&mut self.request, "Request"),
            _ => return Ok(()),
        };
        match field.replace(value) {
            None => Ok(()),
            Some(_) => Err(RecordRejection::Duplicate(name)),
        }
    }
}

/// Parses a timestamp: seconds since the epoch, in ASCII decimal digits.
pub(super) fn parse_timestamp(timestamp: &[u8]) -> Result<u64, RecordRejection> {
    let refused = || RecordRejection::Timestamp(quoted(timestamp));
    if timestamp.is_empty() || !timestamp.iter().all(u8::is_ascii_digit) {
        return Err(refused());
    }
    if timestamp.len() > MAX_TIMESTAMP_DIGITS {
        return Err(RecordRejection::TimestampDigits(timestamp.len()));
    }
    let digits = std::str::from_utf8(timestamp).map_err(|_| refused())?;
    digits.parse().map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_plain_decimal_of_at_most_18_digits() {
        for (text, expires) in [("0", 0), ("007", 7), ("999999999999999999", 999_999_999_999_999_999)] {
            assert_eq!(parse_timestamp(text.as_bytes()), Ok(expires));
        }
        for text in ["1000000000000000000", "0000000001750000060", "18446744073709551616"] {
            assert_eq!(
                parse_timestamp(text.as_bytes()),
                Err(RecordRejection::TimestampDigits(text.len()))
            );
        }
        for text in ["", " 1", "1 ", "+1", "-1", "1.5", "0x10", "1e9", "١"] {
            assert!(
                matches!(parse_timestamp(text.as_bytes()), Err(RecordRejection::Timestamp(_))),
                "{text:?}"
            );
        }
    }
}
