//! Verifies the SSH public keys that [EC2 Instance Connect] pushed to an instance.
//!
//! An IAM principal pushes a public key for a user of an instance. The service signs a *record* of it, and IMDS serves that
//! record for 60 seconds. This crate decides whether a record is genuine, meant for this instance and not expired.
//!
//! It reads no file, opens no connection and reads no clock: the caller passes in what IMDS answered, the CA certificates that
//! this system trusts, and the time. IMDS is not trusted. Anybody who can answer in its place can withhold keys, but cannot make
//! this crate accept a key that the service did not sign for this instance.
//!
//! [EC2 Instance Connect]: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/connect-linux-inst-eic.html
//!
//! # Pipeline
//!
//! ```text
//!  instance ID, fingerprint ────────────────┐
//!                                           ▼
//!  IMDS  active-keys/USER ──► KeyBlob ──► Candidates ──► UnverifiedRecord ──────┐
//!                                                                               │
//!        placement/region ──► Region ─┐                                         │
//!        services/domain ─────────────┴► ExpectedSigner ──┐                     │
//!        signer-cert/ ─────────────────► SignerChain ─────┤                     │
//!        signer-ocsp/NAME ─────────────► OcspStaple ──────┼► TrustedSigner ─────┼► VerifiedKey
//!  CA certificates ──► TrustStore ─────► TrustAnchors ────┤                     │
//!  clock ─────────────────────────────────────────────────┴─────────────────────┘
//! ```
//!
//! | type | what it proves, or is | if not |
//! |---|---|---|
//! | [`UserName`] | a name that a key can be pushed for, and that can be part of the path `active-keys/USER` | `None` |
//! | [`FingerprintFilter`] | which keys the login asks for | |
//! | [`KeyBlob`] | the records of all keys that were pushed for the user | [`BlobError`] |
//! | [`Candidates`] | the records of the offered key that are well-formed, for this instance, and not expired | [`RefusedRecord`] |
//! | [`ExpectedSigner`] | the name of the only signer for this instance's region and partition | [`IdentityError`] |
//! | [`SignerChain`], [`OcspStaple`] | certificates and OCSP responses, not verified | [`SignerRejection`] |
//! | [`TrustAnchors`] | the valid root certificates of the trust store that could have issued the chain | |
//! | [`TrustedSigner`] | the signer's certificate has the expected name and a valid path to a trusted root, and no certificate on the path is revoked | [`SignerRejection`], [`RevocationProblem`] |
//! | [`VerifiedKey`] | the trusted signer signed the record for this instance, and it has not expired | [`RefusedRecord`] |
//!
//! Each proof is a type with one constructor. A program that prints only a [`VerifiedKey`] cannot skip a check.
//!
//! # Example
//!
//! Another SSH server could verify the keys for a login like this:
//!
//! ```
//! use eic_verify::{
//!     ExpectedSigner, FingerprintFilter, InstanceId, KeyBlob, Limits, OcspStaple, Region, SignerChain, TrustAnchors,
//!     TrustStore, TrustedSigner,
//! };
//! use std::fs;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The instance, the offered key, the clock, and files in place of the answers of IMDS.
//! let instance = InstanceId::parse(b"i-0123456789abcdef0").ok_or("not an instance ID")?;
//! let offered = FingerprintFilter::parse(Some("SHA256:JkmmiY2w6cB7i8Hs9bSUdnkkgdMNmtALQgkVHPVYB14".as_ref()));
//! let now = 1_750_000_000;
//! let limits = Limits::default();
//!
//! // 1. The records that can be valid. If there are none, nothing else is needed.
//! let blob = fs::read("example/active-keys")?;
//! let candidates = KeyBlob::new(&blob).select_candidates(&offered, &instance, now, &limits)?;
//!
//! // 2. The signer: its name, its certificates, their OCSP responses, and a trusted root.
//! let expected = ExpectedSigner::new(Region::parse(b"us-west-2")?, b"amazonaws.com")?;
//! let chain = SignerChain::from_pem(&fs::read("example/signer-cert.pem")?, &limits)?;
//! let mut staples = Vec::new();
//! for entry in fs::read_dir("example/signer-ocsp")? {
//!     staples.push(OcspStaple::from_base64(&fs::read(entry?.path())?));
//! }
//! let path = "example/trust-store.pem";
//! let store = TrustStore { path: path.to_owned(), files: vec![fs::read(path)?] };
//! let anchors = TrustAnchors::select(store, &chain, now);
//! let signer = TrustedSigner::establish(&chain, &staples, &anchors, &expected, now)?;
//!
//! // 3. The keys that the signer signed.
//! # let mut verified = Vec::new();
//! for record in candidates.records {
//!     let key = record.verify(&signer, &instance, now)?;
//!     println!("{}", key.key().authorized_keys_line());
//! #   verified.push(key.key().fingerprint().to_owned());
//! }
//! # assert_eq!(verified, ["SHA256:JkmmiY2w6cB7i8Hs9bSUdnkkgdMNmtALQgkVHPVYB14"]);
//! # Ok(())
//! # }
//! ```
//!
//! # What the caller must do
//!
//! - Fetch the key blob from the path of exactly the user who is logging in: the signature does not cover the user.
//! - Take the instance ID from a source that IMDS cannot change, such as the DMI data on Nitro, if there is one.
//! - Read the clock for [`TrustedSigner::establish`] and [`UnverifiedRecord::verify`] after everything was fetched, so that
//!   slow answers do not lengthen the validity of a record.
//! - Limit the size of each answer while reading it: [`Limits`] has a limit for each.
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]
#![deny(clippy::disallowed_methods)]

mod identity;
mod limits;
mod login;
mod record;
mod revocation;
mod signer;
pub mod text;
mod x509;

pub use identity::{ExpectedSigner, IdentityError, InstanceId, PARTITIONS, Partition, Region};
pub use limits::Limits;
pub use login::{FingerprintFilter, UserName};
pub use record::{
    BlobError, Candidates, KeyBlob, PublicKey, PublicKeyError, RecordRejection, RefusedRecord, UnverifiedRecord,
    VerifiedKey,
};
pub use revocation::{DelegationProblem, OcspParseError, OcspStaple, RevocationProblem};
pub use signer::{SignerChain, SignerRejection, TrustAnchors, TrustStore, TrustedSigner};
pub use x509::PathError;
