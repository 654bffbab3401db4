//! What the built program does when it is run as sshd runs it, with every fault that IMDS may have.

mod audit_log;
mod blocking;
mod broken;
#[path = "../support/built.rs"]
mod built;
mod chain;
mod control_characters;
mod defaults;
mod demo;
mod emulator_program;
mod environment;
mod exit_status;
mod harness;
mod hostile;
mod hostile_contents;
mod keys;
mod logins;
mod network;
mod other_processes;
mod place;
mod refusals;
mod retries;
mod surroundings;
mod times;
mod user_names;
mod xen;
