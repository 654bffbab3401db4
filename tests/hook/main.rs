//! `enable`, `disable` and `status` in real systems: containers of three Debian releases, one booted for each set-up.

#[macro_use]
mod shapes;

mod account;
mod aws;
#[path = "../support/built.rs"]
mod built;
mod corpus;
mod doubt;
mod extras;
#[path = "../support/families.rs"]
mod families;
mod interruption;
mod listening;
#[path = "../support/machine.rs"]
#[allow(dead_code, reason = "the packages' tests use more of it")]
mod machine;
mod matches;
#[path = "../support/releases.rs"]
#[allow(dead_code, reason = "the packages' tests use more of it")]
mod releases;
mod roots;
mod setups;
mod status;
mod steps;
#[path = "../support/surroundings.rs"]
mod surroundings;
