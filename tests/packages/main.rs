//! The packages in real systems: installed from signed repositories in booted containers, together with AWS's package and
//! in place of it. `make test-packages` runs these tests on what `make packages` made.

mod accounts;
#[path = "../support/blocks.rs"]
#[allow(dead_code, reason = "the documentation's own tests use more of it")]
mod blocks;
mod cell;
mod contents;
mod documents;
#[path = "../support/families.rs"]
mod families;
mod fresh;
mod images;
mod killed;
#[path = "../support/machine.rs"]
#[allow(dead_code, reason = "the hook's tests use more of it")]
mod machine;
mod made;
mod purge;
#[path = "../support/releases.rs"]
mod releases;
#[path = "../support/surroundings.rs"]
#[allow(dead_code, reason = "the hook's tests build the program that they drive")]
mod surroundings;
mod system;
mod table;
mod takeover;
mod words;
