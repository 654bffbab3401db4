//! What people and package scripts run: hooks the program into sshd, takes it out again, and tells how things are.

use std::env;
use std::process::ExitCode;

use ec2_instance_connect::{Options, administer};

fn main() -> ExitCode {
    match Options::read(env::args_os()) {
        Ok(options) => administer(&options),
        Err(error) => error.exit(),
    }
}
