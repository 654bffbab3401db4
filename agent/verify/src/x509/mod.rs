//! Certificates: reading them (PEM, DER), and the checks that webpki leaves to its callers.

mod certificate;
mod der;
mod extended_key_usage;
mod name_constraints;
mod path_error;
mod pem;

pub(crate) use certificate::Certificate;
pub(crate) use der::{Der, DerError, bit_string_bytes};
pub(crate) use extended_key_usage::RequiredPurpose;
pub use path_error::PathError;
pub(crate) use pem::certificates_in_pem;
