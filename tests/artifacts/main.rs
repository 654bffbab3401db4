//! What is made for the packages and beside them: `cargo test -p ec2-instance-connect-tests --features packages --test artifacts`.

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
