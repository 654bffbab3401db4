//! How sshd reads its configuration and its command line, from bytes alone.
#![deny(clippy::disallowed_methods)]

mod address_list;
pub(crate) mod command_line;
pub(crate) mod config_line;
pub(crate) mod connection;
mod pattern_list;
pub(crate) mod sample_connections;
pub(crate) mod sshd_config;
