//! sshd's AuthorizedKeysCommand for EC2 Instance Connect.
//!
//! An IAM principal pushes an SSH public key to an instance, where it is valid for 60 seconds. When a user logs in, sshd
//! runs `eic_run_authorized_keys` for each key that the client offers, and the program does this:
//!
//! ```text
//!  sshd ── %u %f ──► options ─► UserName, FingerprintFilter           a name that cannot have a key: done
//!                                     │
//!  /sys ────────────► machine ────────┤                               not an EC2 instance: done
//!                                     ▼
//!  IMDS ── token, keys ─────────► KeyBlob ─► UnverifiedRecord         nobody pushed a key, or no record fits: done
//!       ── region, domain ──────► ExpectedSigner
//!       ── signer-cert ─────────► SignerChain ──┐
//!       ── signer-ocsp ─────────► OcspStaple ───┤
//!  trust store ─────────────────► TrustAnchors ─┤
//!                                               ▼
//!                                         TrustedSigner               a path to a CA of the trust store, on which no
//!                                               │                     certificate is revoked
//!                                               ▼
//!                                         VerifiedKey ─► stdout, and the audit log
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `authorize` | carries out these steps, in this order |
//! | `decision` | holds what they found out |
//! | `report` | words it: log lines, messages, exit status |
//! | `chain` | runs another AuthorizedKeysCommand at the same time, for `--chain` |
//! | `options` | parses the command line |
//! | [`host`] | touches the world (files, sockets, processes, the clock) and decides nothing |
//! | [`eic_verify`] | decides, from bytes and a clock reading alone |
//!
//! Only a [`eic_verify::VerifiedKey`] can be printed, only a [`eic_verify::TrustedSigner`] can make one, and
//! neither can be made in any other way.
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
mod chain;
mod decision;
pub mod host;
mod options;
mod report;

pub use authorize::authorize;
pub use host::process::make_non_dumpable;
pub use options::Options;
