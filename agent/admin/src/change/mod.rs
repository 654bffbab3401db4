//! How a change to sshd's configuration is planned, checked, applied and undone, and what is printed about it.

pub(crate) mod apply;
pub(crate) mod check;
pub(crate) mod effect;
pub(crate) mod markers;
mod message;
pub(crate) mod outcome;
pub(crate) mod plan;
pub(crate) mod reload;
mod trial_config;
