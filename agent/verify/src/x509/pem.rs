//! The certificates in PEM text, whatever is between them.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// The start of the line that begins a block (RFC 7468 section 3).
const BEGIN: &[u8] = b"-----BEGIN ";

/// U+FEFF in UTF-8. Some editors write it at the start of a file; `cat` then copies it into the middle of a bundle.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The certificates, in order. Text, comments, other PEM blocks and malformed blocks are skipped.
///
/// The text is first split at the lines that begin a block, which may start with a byte order mark: pki-types adds the
/// base64 of a block without an end to the next block, and would lose both.
pub(crate) fn certificates_in_pem(mut text: &[u8]) -> impl Iterator<Item = CertificateDer<'static>> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let next = text
            .windows(1 + BEGIN.len())
            .enumerate()
            .find(|(at, window)| {
                matches!(window.split_first(), Some((b'\n' | b'\r' | b'\xbf', BEGIN)))
                    && is_start_of_line(text.split_at(at + 1).0)
            })
            .map_or(text.len(), |(at, _)| at + 1);
        let (block, rest) = text.split_at(next);
        text = rest;
        Some(block)
    })
    .filter_map(|block| CertificateDer::from_pem_slice(block).ok())
}

/// Whether a line starts after `before`, or after a byte order mark at its end.
fn is_start_of_line(before: &[u8]) -> bool {
    matches!(
        before.strip_suffix(BYTE_ORDER_MARK).unwrap_or(before),
        [] | [.., b'\n' | b'\r']
    )
}
