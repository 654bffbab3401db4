//! What is made for the packages and beside them: `cargo test -p ec2-instance-connect-tests --features packages --test artifacts`.

mod completions;
mod man;
mod repository;
mod sbom;
mod selinux;
mod selinux_package;
mod shell;
mod tools;
