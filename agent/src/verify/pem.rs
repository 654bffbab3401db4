//! The certificates of a PEM text, whatever stands between them.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

const BEGIN: &[u8] = b"-----BEGIN ";

/// The certificates, in order. Text, comments, other kinds of blocks and broken ones are passed over.
///
/// The blocks are told apart first, at the lines that begin one: pki-types carries the base64 of a block that never
/// ends over into the next one, and would lose both.
pub(crate) fn certificates(mut text: &[u8]) -> impl Iterator<Item = CertificateDer<'static>> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let next = text
            .windows(1 + BEGIN.len())
            .position(|window| matches!(window.split_first(), Some((b'\n' | b'\r', BEGIN))))
            .map_or(text.len(), |line_end| line_end + 1);
        let (block, behind) = text.split_at(next);
        text = behind;
        Some(block)
    })
    .filter_map(|block| CertificateDer::from_pem_slice(block).ok())
}
