//! Untrusted bytes and spans of time as text for logs and messages.

use std::fmt;

/// The maximum length of a value in the audit line, in bytes: the maximum of an ARN (AWS, "Amazon Resource Names"), so that
/// the line contains all of it.
const MAX_FIELD_BYTES: usize = 2048;

/// The maximum length of a quotation in a message, in bytes. A signer's name has 42 to 50; the start of the audit line
/// ("Providing ssh key from EC2 Instance Connect with fingerprint: ") has more than 60.
const MAX_QUOTE_BYTES: usize = 60;

/// Untrusted bytes as printable ASCII: all other bytes and the backslash become `\xNN`. After 2048 bytes, `...` follows.
///
/// So no control character (C0, DEL, C1, or one encoded in UTF-8) reaches a log or a terminal, and different inputs give
/// different texts.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    escaped(bytes, MAX_FIELD_BYTES, b"\\")
}

/// Untrusted bytes as a quotation in a message: as [`printable`], but with quotation marks and colons escaped too, and with
/// `...` after 60 bytes. So a quotation cannot contain its own end or the start of an audit line.
#[must_use]
pub fn quoted(bytes: &[u8]) -> String {
    escaped(bytes, MAX_QUOTE_BYTES, b"\\\":")
}

/// The first `max` bytes, with the characters in `also` escaped too; `...` follows if there are more bytes.
fn escaped(bytes: &[u8], max: usize, also: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().min(max));
    for &byte in bytes.iter().take(max) {
        if (byte == b' ' || byte.is_ascii_graphic()) && !also.contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if bytes.len() > max {
        text.push_str("...");
    }
    text
}

/// A span of time, which prints as `12 s`, `4 min`, `3 h` or `9 d`, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeSpan {
    /// The span in seconds.
    pub seconds: u64,
}

impl TimeSpan {
    /// The span from `earlier` to `later` (seconds since the epoch); 0 if `later` is the earlier one.
    pub(crate) fn between(earlier: u64, later: u64) -> Self {
        Self {
            seconds: later.saturating_sub(earlier),
        }
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = match self.seconds {
            0..120 => (self.seconds, "s"),
            120..7_200 => (self.seconds / 60, "min"),
            7_200..172_800 => (self.seconds / 3_600, "h"),
            _ => (self.seconds / 86_400, "d"),
        };
        write!(f, "{count} {unit}")
    }
}

/// A one-line answer without the line feed at its end; `None` if it is not UTF-8.
pub(crate) fn single_line(answer: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(answer).ok()?;
    Some(text.strip_suffix('\n').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_of_every_kind_are_escaped() {
        assert_eq!(printable(b"a\n\x1b[31m\x7f\0"), "a\\x0a\\x1b[31m\\x7f\\x00");
        assert_eq!(printable("C1 \u{9b}31m".as_bytes()), "C1 \\xc2\\x9b31m");
        assert_eq!(printable(b"back\\slash"), "back\\x5cslash");
    }

    #[test]
    fn an_arn_is_quoted_byte_for_byte() {
        let arn = "arn:aws:sts::123412341234:assumed-role/Name+=,.@-_/session";
        assert_eq!(printable(arn.as_bytes()), arn);
    }

    #[test]
    fn a_quotation_has_at_most_60_bytes_and_an_audit_field_2048() {
        let long = vec![b'a'; 2049];
        assert_eq!(quoted(&long[..60]), "a".repeat(60));
        assert_eq!(quoted(&long[..61]), format!("{}...", "a".repeat(60)));
        assert_eq!(printable(&long[..2048]), "a".repeat(2048));
        assert_eq!(printable(&long), format!("{}...", "a".repeat(2048)));
    }

    #[test]
    fn a_quotation_contains_neither_its_own_end_nor_an_audit_line() {
        assert_eq!(quoted(b"a\" b: c\\d\n"), "a\\x22 b\\x3a c\\x5cd\\x0a");
        let audit = b"Providing ssh key from EC2 Instance Connect with fingerprint: SHA256:x";
        assert!(!quoted(audit).contains("fingerprint:"));
        assert!(!quoted(&audit[10..]).contains("fingerprint:"));
    }

    #[test]
    fn a_time_span_prints_in_one_unit_rounded_down() {
        let printed = |seconds| TimeSpan { seconds }.to_string();
        assert_eq!(printed(12), "12 s");
        assert_eq!(printed(119), "119 s");
        assert_eq!(printed(120), "2 min");
        assert_eq!(printed(3 * 3600), "3 h");
        assert_eq!(printed(9 * 86_400), "9 d");
        assert_eq!(TimeSpan::between(10, 5).seconds, 0);
    }

    proptest! {
        #[test]
        fn the_result_is_always_printable_ascii(bytes: Vec<u8>) {
            prop_assert!(printable(&bytes).bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
        }
    }
}
