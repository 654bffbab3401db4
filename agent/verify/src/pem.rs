//! The certificates of a PEM text, whatever stands between them.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

const BEGIN: &[u8] = b"-----BEGIN ";

/// What some editors put at the start of a file, which `cat` then carries into the middle of a bundle: U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The certificates, in order. Text, comments, other kinds of blocks and broken ones are passed over.
///
/// The blocks are told apart first, at the lines that begin one, perhaps after a byte order mark: pki-types carries the
/// base64 of a block that never ends over into the next one, and would lose both.
pub(crate) fn certificates(mut text: &[u8]) -> impl Iterator<Item = CertificateDer<'static>> {
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
        let (block, behind) = text.split_at(next);
        text = behind;
        Some(block)
    })
    .filter_map(|block| CertificateDer::from_pem_slice(block).ok())
}

/// Whether a line starts after this, perhaps with a byte order mark.
fn is_start_of_line(before: &[u8]) -> bool {
    matches!(
        before.strip_suffix(BYTE_ORDER_MARK).unwrap_or(before),
        [] | [.., b'\n' | b'\r']
    )
}
