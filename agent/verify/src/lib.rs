//! Everything that decides. It takes bytes, a clock reading and local roots, and touches no file, socket, environment
//! or clock.
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

pub mod blob;
mod candidates;
mod certificate;
mod der;
pub mod identity;
pub mod limits;
pub mod login;
pub mod ocsp;
mod pem;
mod purpose;
pub mod record;
pub mod revocation;
pub mod signer;
pub mod signer_chain;
pub mod signer_rejection;
pub mod ssh_key;
pub mod text;
pub mod trust_anchor;
