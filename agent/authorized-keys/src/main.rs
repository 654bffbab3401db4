//! sshd's AuthorizedKeysCommand: prints the keys that EC2 Instance Connect pushed for a user, and only those that hold.

use std::env;
use std::process::ExitCode;

use eic_authorized_keys::{Options, authorize, close_to_other_processes};

fn main() -> ExitCode {
    // Before anything else.
    close_to_other_processes();
    match Options::read(env::args_os()) {
        Ok(options) => authorize(&options),
        Err(error) => error.exit(),
    }
}
