//! Everything that touches the world. It decides nothing: it brings bytes in, each with a bound, and takes lines out.

pub mod audit_log;
pub mod chained;
pub mod clock;
pub mod deadline;
pub mod endpoint;
pub mod imds;
mod imds_error;
pub mod links;
pub mod machine;
pub mod output;
pub mod process;
pub mod read;
mod retries;
pub mod safe_path;
pub mod trust_store;
pub mod waits;

pub use imds_error::ImdsError;
