//! The whole login with the real programs: OpenSSH's sshd and ssh, the AWS CLI, mssh, rsyslog, the journal.
//!
//! Each test has a machine of its own: network and mount namespaces in which IMDS answers at `169.254.169.254`, the DMI tag
//! and the CA certificates are at their real paths, and the program runs without options. The tests change nothing on the
//! machine that runs them. They need root, and what `tests/e2e/install` installs.

mod audit;
mod aws;
#[path = "../support/blocks.rs"]
#[allow(dead_code, reason = "the documentation's own tests use more of it")]
mod blocks;
#[path = "../support/built.rs"]
mod built;
mod child;
mod container;
mod cost;
mod crowds;
mod dev_log;
mod documents;
mod journal;
mod key;
mod logins;
mod machine;
mod mssh;
mod namespaces;
mod push;
mod refusals;
mod report;
mod rsyslog;
mod ssh;
mod ssh_once;
mod sshd;
mod tools;
mod world;
