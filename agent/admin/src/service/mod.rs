//! The sshd service of one system: its units, its configuration, its listening processes, and what keeps pushed keys out.

pub(crate) mod listeners;
pub(crate) mod problems;
pub(crate) mod sshd_service;
