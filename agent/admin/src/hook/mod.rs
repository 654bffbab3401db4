//! What decides about the hook, from bytes alone: what sshd is configured to do, and what to change.
#![deny(clippy::disallowed_methods)]

pub(crate) mod account;
pub(crate) mod arguments;
pub(crate) mod aws;
pub(crate) mod connection;
pub(crate) mod lines;
pub mod pair;
mod pattern;
pub(crate) mod shadow;
pub(crate) mod sshd_config;
#[cfg(test)]
mod tree;
pub(crate) mod unit;
mod words;
