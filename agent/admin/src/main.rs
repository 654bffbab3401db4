//! Configures sshd to accept keys from EC2 Instance Connect, undoes that, and shows the current state.

use std::env;
use std::process::ExitCode;

use ec2_instance_connect::{Options, administer};

fn main() -> ExitCode {
    match Options::read(env::args_os()) {
        Ok(options) => administer(&options),
        Err(error) => error.exit(),
    }
}
