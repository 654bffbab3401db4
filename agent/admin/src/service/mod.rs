//! The sshd service of a system: its units, its configuration, its listening sshds, and what keeps pushed keys from logging in.

pub(crate) mod effective_config;
pub(crate) mod listeners;
pub(crate) mod problems;
pub(crate) mod sshd_service;
