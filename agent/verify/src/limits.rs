//! How much of each IMDS answer is accepted. Nothing is unlimited, and each number has its reason.
//!
//! The functions that apply a limit take it as an argument, so that a test can set each one.

/// Limits on what one call accepts from IMDS.
///
/// What exceeds a limit ends the call without a key, except for records: one with a line that is too long is refused on its
/// own, and those above [`Limits::records`] or [`Limits::records_read`] are skipped.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Certificates in `signer-cert/`. AWS serves four; webpki does not build a path with more than six CAs.
    pub certificates: usize,
    /// Names in `signer-ocsp/`. There is one OCSP response for each certificate.
    pub staples: usize,
    /// Records of the offered key that are verified: four pushes of the same key in each of the 60 seconds that a record is
    /// valid. Each signature takes 0.03 ms to check (RSA 2048).
    pub records: usize,
    /// Records that are read to find those of the offered key. More do not fit into [`Limits::blob_bytes`], unless they are
    /// shorter than any that the service signs (450 bytes, 345 of them the signature).
    pub records_read: usize,
    /// Bytes of one line of a record. An RSA key of 16384 bits has 2,800 characters, and its comment follows.
    pub record_line_bytes: usize,
    /// Bytes of the token. AWS's has 56; it is a header of every later request.
    pub token_bytes: usize,
    /// Bytes of a one-line answer: instance ID, region, availability zone, domain (255 bytes, RFC 1035 2.3.4).
    pub line_bytes: usize,
    /// Bytes of the instance identity document. AWS's has about 500.
    pub document_bytes: usize,
    /// Bytes of the key blob: 256 records of 7 KiB. The longest have a key of 4,096 characters with its comment (the API's
    /// maximum), a caller of 2,048 (the maximum of an ARN), a signature of 700 (RSA 4096) and 150 for the rest.
    pub blob_bytes: usize,
    /// Bytes of `signer-cert/`: [`Limits::certificates`] of 4 KiB each in PEM (AWS's have 1.5 to 2 KiB).
    pub chain_bytes: usize,
    /// Bytes of the listing `signer-ocsp/`: [`Limits::staples`] names of [`Limits::staple_name_bytes`] each, and more.
    pub listing_bytes: usize,
    /// Bytes of the name of an OCSP response. A SHA-256 hash in hexadecimal has 64.
    pub staple_name_bytes: usize,
    /// Bytes of one OCSP response in base64: half a KiB if the issuer signed it, 4 KiB with the certificates of a responder.
    pub staple_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            certificates: 16,
            staples: 16,
            records: 256,
            records_read: 4096,
            record_line_bytes: 8 * 1024,
            token_bytes: 1024,
            line_bytes: 256,
            document_bytes: 4 * 1024,
            blob_bytes: 256 * 7 * 1024,
            chain_bytes: 64 * 1024,
            listing_bytes: 4 * 1024,
            staple_name_bytes: 128,
            staple_bytes: 16 * 1024,
        }
    }
}
