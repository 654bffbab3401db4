//! Text encodings that several modules need: hexadecimal, wrapped base64, PEM, URLs, the time.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes in upper-case hexadecimal.
pub fn upper_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02X}").expect("writing to a String never fails");
        text
    })
}

/// Bytes in base64, in lines of that length or in a single one, each with its newline.
pub fn base64_lines(bytes: &[u8], line_length: Option<usize>) -> String {
    let text = STANDARD.encode(bytes);
    let length = line_length.unwrap_or(text.len()).max(1);
    let mut lines = String::with_capacity(text.len() + text.len() / length + 1);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(length.min(rest.len()));
        lines.push_str(line);
        lines.push('\n');
        rest = after;
    }
    lines
}

/// DER in PEM (RFC 7468: lines of 64), with its final newline.
pub fn pem(label: &str, der: &[u8]) -> String {
    let body = base64_lines(der, Some(64));
    format!("-----BEGIN {label}-----\n{body}-----END {label}-----\n")
}

/// The clock, in seconds since the epoch.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is set to a time after 1970");
    i64::try_from(since.as_secs()).expect("the year is not beyond all reason")
}

/// The URL of the listener, without a trailing slash; an IPv6 address is in brackets.
pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}
