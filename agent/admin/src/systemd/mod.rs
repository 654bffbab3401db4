//! How systemd reads the units that start sshd, from bytes alone.
#![deny(clippy::disallowed_methods)]

pub(crate) mod unit;
