//! How much of everything is taken from IMDS, each number with its reason; nothing is unbounded.
//!
//! They are passed in, never read as constants where they are applied, so that a test can set each one.

/// Bounds on what one call takes from IMDS. What goes over one ends the call with nothing printed, except among records: one
/// with a line that is too long is refused alone, and those over a number are passed over.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Certificates in `signer-cert/`. The real chain has four; a path longer than a handful is never built.
    pub certificates: usize,
    /// Names in `signer-ocsp/`. One staple for each certificate.
    pub staples: usize,
    /// Records for the offered key that are judged, those that expire last: four pushes a second of one and the same key,
    /// for the 60 seconds that a record lives. Each costs a signature (0.03 ms with RSA 2048).
    pub records: usize,
    /// Records that are read to see which are for the offered key. More do not fit into [`Limits::blob_bytes`], unless they
    /// are shorter than any that the service makes (450 bytes, 345 of them the signature); those are passed over.
    pub records_read: usize,
    /// Bytes of one line of a record. An RSA key of 16384 bits is 2,800 characters, its comment comes on top.
    pub record_line_bytes: usize,
    /// Bytes of the token. Real ones have 56; it goes into a header of every later request.
    pub token_bytes: usize,
    /// Bytes of a one-line answer: instance id, region, zone, domain (RFC 1035 2.3.4: 255).
    pub line_bytes: usize,
    /// Bytes of the instance-identity document. Real ones have about 500.
    pub document_bytes: usize,
    /// Bytes of the key blob: 256 records of 7 KiB each. The longest have a key of 4,096 characters (the API's bound, comment
    /// included), a caller of 2,048 (an ARN's), a signature of 700 (RSA 4096) and 150 of everything else.
    pub blob_bytes: usize,
    /// Bytes of `signer-cert/`: as many certificates as are taken, 4 KiB each as PEM (real ones have 1.5 to 2 KiB).
    pub chain_bytes: usize,
    /// Bytes of the listing `signer-ocsp/`: as many names as are taken, each at its longest.
    pub listing_bytes: usize,
    /// Bytes of one staple's name. A SHA-256 in hex has 64.
    pub staple_name_bytes: usize,
    /// Bytes of one staple as served. Half a KiB when the issuer signed, 4 KiB with a delegated responder's chain.
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
