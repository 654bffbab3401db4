//! The client of the instance metadata service, version 2 (IMDSv2): one token, then answers, each with a time limit and a
//! size limit.

mod client;
mod endpoint;
mod error;
mod http;
mod pending_answers;
mod retries;
mod token;

pub use client::{Imds, StapleName};
pub use endpoint::Endpoint;
pub use error::ImdsError;
pub use pending_answers::PendingAnswers;
