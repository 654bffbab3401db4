//! sshd's door to EC2 Instance Connect.
//!
//! An IAM principal pushes an SSH public key to an instance for 60 seconds. When somebody logs in, sshd runs
//! `eic_run_authorized_keys` for the key that is offered, and this is what happens:
//!
//! ```text
//!  sshd ── %u %f ──► options ─► login::UserName, login::Wanted       a name that cannot have a key: done
//!                                     │
//!  /sys ────────────► machine ────────┤                               not an EC2 instance: done
//!                                     ▼
//!  IMDS ── token, keys ─────────► blob::sift ─► record::Record        nobody pushed, or nothing that could hold: done
//!       ── region, domain ──────► identity::ExpectedSigner
//!       ── signer-cert ─────────► signer_chain::SignerChain ──┐
//!       ── staples ─────────────► ocsp::Served ───────────────┤
//!  OS's roots ──────────────────► trust_anchor::TrustAnchors ─┤
//!                                                             ▼
//!                                         signer::TrustedSigner       a path to a local root,
//!                                                             │       each certificate with its revocation::NotRevoked
//!                                                             ▼
//!                                         record::VerifiedKey ─► stdout, and the audit log
//! ```
//!
//! [`authorize`] walks through it. [`eic_verify`] decides, from bytes and a clock reading alone; [`host`] touches the
//! world and decides nothing. Only a [`eic_verify::record::VerifiedKey`] can be printed, only a
//! [`eic_verify::signer::TrustedSigner`] can make one, and neither can be made any other way.
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

mod authorize;
pub mod host;
mod options;
mod report;

pub use authorize::authorize;
pub use host::process::close_to_other_processes;
pub use options::Options;
