//! sshd's AuthorizedKeysCommand: prints the keys that EC2 Instance Connect pushed for a user, and only valid ones.

use std::env;
use std::process::ExitCode;

use eic_authorized_keys::{Options, authorize, make_non_dumpable};

fn main() -> ExitCode {
    // Before anything else.
    make_non_dumpable();
    match Options::read(env::args_os()) {
        Ok(options) => authorize(&options),
        Err(error) => error.exit(),
    }
}
