//! What the packages contain besides the programs: `cargo test -p ec2-instance-connect-tests --features root --test artifacts`.

mod clients;
mod completions;
mod install;
mod man;
mod publication;
mod repository;
mod sbom;
mod selinux;
mod selinux_package;
mod served;
mod shell;
mod tools;
