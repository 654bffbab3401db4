//! The hook in real systems: booted containers of three Debian releases, each set-up in one of its own.

mod corpus;
mod interruption;
mod machine;
mod releases;
mod roots;
mod setups;
mod steps;
mod surroundings;
