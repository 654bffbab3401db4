//! The documentation: every command works as printed, every message is explained, every link leads to an existing target.

#[path = "../support/blocks.rs"]
mod blocks;
#[path = "../support/built.rs"]
mod built;
mod checkout;
mod conventions;
mod links;
mod messages;
mod recipes;
#[path = "../support/releases.rs"]
#[allow(dead_code, reason = "other targets use more releases")]
mod releases;
#[path = "../support/surroundings.rs"]
#[allow(dead_code, reason = "other targets drive the program")]
mod surroundings;
