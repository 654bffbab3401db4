//! The proof that a certificate is not revoked: a stapled OCSP response (RFC 6960) of its issuer.

mod not_revoked;
mod problem;
mod responder;
mod response;

pub(crate) use not_revoked::NotRevoked;
pub use problem::{DelegationProblem, RevocationProblem};
pub(crate) use responder::SignatureBudget;
pub(crate) use response::BasicOcspResponse;
pub use response::{OcspParseError, OcspStaple};
