//! The whole login with the parts that people really use: OpenSSH's sshd and ssh, the AWS CLI, mssh, rsyslog, the journal.
//!
//! Each test has a machine of its own: network and mount namespaces in which IMDS answers at `169.254.169.254`, the
//! firmware's tag and the roots lie where they really do, and the program runs without an option. Nothing of the machine
//! that the tests run on is changed. It takes root; `tests/e2e/install` says what else.

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
