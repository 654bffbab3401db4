//! The documentation: every command says where it runs, every message is explained, every link leads to an existing target.

#[path = "../support/blocks.rs"]
#[allow(dead_code, reason = "the targets that run the commands use more of it")]
mod blocks;
mod conventions;
mod links;
mod messages;
mod recipes;
