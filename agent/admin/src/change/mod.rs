//! How a change to sshd's configuration is judged, applied and undone, and what is printed about it.

pub(crate) mod apply;
pub(crate) mod outcome;
pub(crate) mod reload;
pub(crate) mod trial_config;
