//! sshd's AuthorizedKeysCommand: prints the keys that EC2 Instance Connect pushed for a user, and only those that hold.

use std::env;
use std::process::ExitCode;

use ec2_instance_connect::{Options, authorize};

fn main() -> ExitCode {
    match Options::read(env::args_os()) {
        Ok(options) => authorize(&options),
        Err(error) => error.exit(),
    }
}
