//! `ec2-instance-connect`: what administrators and package scripts run to configure sshd for EC2 Instance Connect.
//!
//! One file or directory for each subcommand (`enable`, `disable`, `status`) builds on, from top to bottom:
//!
//! - `change`: how a change to sshd's configuration is planned, checked, applied and undone;
//! - `service`: the sshd service of a system: its units, its configuration, its listening sshds;
//! - `hook`: the lines that make sshd run our program;
//! - `systemd` and `sshd`: how these two read their files;
//! - `host`: files, processes and accounts of the system, sshd's program and systemctl.
//!
//! `hook`, `systemd` and `sshd` decide from bytes alone; `host` decides nothing. sshd is how the owner gets in: in doubt,
//! nothing is changed, and the reason is printed.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

mod change;
mod disable;
mod enable;
mod files;
mod glob;
mod hook;
mod host;
mod options;
mod passwd;
mod service;
mod sshd;
mod status;
mod systemd;

use std::io::{self, Write};
use std::process::ExitCode;

use change::outcome::Outcome;
use host::root_directory::RootDirectory;
use host::temporary_directory::TemporaryDirectory;
pub use options::Options;
use options::{Change, Command};

/// Runs the subcommand, prints its result on stdout, and returns the exit status.
#[must_use]
pub fn administer(options: &Options) -> ExitCode {
    let mut notes = Vec::new();
    let (options, subcommand): (_, ChangingCommand) = match &options.command {
        Command::Enable(options) => (options, enable::enable),
        Command::Disable(options) => (options, disable::disable),
        Command::Status(options) => return status::status(options),
    };
    let outcome = run_alone(options, &mut notes, subcommand);
    let mut stdout = io::stdout().lock();
    // A closed stdout is no error.
    let _ = writeln!(stdout, "{outcome}");
    for note in notes {
        let _ = writeln!(stdout, "{note}");
    }
    ExitCode::from(outcome.exit_code(options.package))
}

/// `enable` or `disable`. The outcome is an error if nothing remains to be done, so that `?` ends the call.
type ChangingCommand = fn(&RootDirectory, &TemporaryDirectory, &Change, &mut Vec<String>) -> Result<Outcome, Outcome>;

/// Runs `enable` or `disable` once no other call changes the same system. `notes` are printed after the outcome.
fn run_alone(options: &Change, notes: &mut Vec<String>, command: ChangingCommand) -> Outcome {
    let root = RootDirectory::new(&options.root);
    match TemporaryDirectory::new(&root) {
        Ok(temporary) => command(&root, &temporary, options, notes).unwrap_or_else(|outcome| outcome),
        Err(error) => Outcome::NoTemporaryDirectory(error),
    }
}
