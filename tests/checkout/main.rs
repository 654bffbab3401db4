//! The README's commands, and those that install without a package, run as printed in a container that has a clone and Rust.

#[path = "../support/blocks.rs"]
#[allow(dead_code, reason = "the documentation's own tests use more of it")]
mod blocks;
#[path = "../support/built.rs"]
mod built;
mod documents;
#[path = "../support/releases.rs"]
#[allow(dead_code, reason = "other targets use more releases")]
mod releases;
#[path = "../support/surroundings.rs"]
#[allow(dead_code, reason = "other targets drive the program")]
mod surroundings;
