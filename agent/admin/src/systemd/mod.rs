//! How systemd reads the units that start sshd, from bytes alone.
#![deny(clippy::disallowed_methods)]

mod environment_file;
mod exec_start;
pub(crate) mod unit;
mod unit_file;
