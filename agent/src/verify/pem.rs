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
        let next = (1..text.len())
            .find(|&at| begins_a_block(text.split_at(at)))
            .unwrap_or(text.len());
        let (block, behind) = text.split_at(next);
        text = behind;
        Some(block)
    })
    .filter_map(|block| CertificateDer::from_pem_slice(block).ok())
}

/// Whether what is after this place is the first line of a block, and stands at the start of its line.
fn begins_a_block((before, after): (&[u8], &[u8])) -> bool {
    after.starts_with(BEGIN)
        && matches!(
            before.strip_suffix(BYTE_ORDER_MARK).unwrap_or(before),
            [] | [.., b'\n' | b'\r']
        )
}
