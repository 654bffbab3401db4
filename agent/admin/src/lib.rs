//! What people and package scripts run: the hook that makes sshd ask this program.
//!
//! [`hook`] decides, from bytes alone; `world` touches files, sshd and systemd and decides nothing; one file for each verb
//! brings them together. sshd is how the owner gets in: in doubt, nothing is changed, and why is said.
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
#[cfg(test)]
mod files;
mod hook;
mod host;
mod options;
mod service;
mod sshd;
mod status;
mod systemd;

use std::io::{self, Write};
use std::process::ExitCode;

use change::outcome::Verdict;
use host::root_directory::Disk;
use host::temporary_directory::Scratch;
pub use options::Options;
use options::{Change, Verb};

/// Does what the command line says, tells it on stdout, and says how it went.
#[must_use]
pub fn administer(options: &Options) -> ExitCode {
    let mut notes = Vec::new();
    let (options, go): (_, Go) = match &options.verb {
        Verb::Enable(options) => (options, enable::enable),
        Verb::Disable(options) => (options, disable::disable),
        Verb::Status(how) => return status::status(how),
    };
    let verdict = alone(options, &mut notes, go);
    let mut stdout = io::stdout().lock();
    // Nobody listening is no error.
    let _ = writeln!(stdout, "{verdict}");
    for note in notes {
        let _ = writeln!(stdout, "{note}");
    }
    ExitCode::from(verdict.exit_code(options.package))
}

/// What enabling or disabling comes to; a verdict either way, so that `?` ends it where nothing more is to be done.
type Outcome = Result<Verdict, Verdict>;

/// Enabling, or disabling.
type Go = fn(&Disk, &Scratch, &Change, &mut Vec<String>) -> Outcome;

/// Enables or disables while nobody else does, with a folder to work in. What else is to be said goes to `notes`.
fn alone(options: &Change, notes: &mut Vec<String>, go: Go) -> Verdict {
    let disk = Disk::new(&options.root);
    match Scratch::new(&disk) {
        Ok(scratch) => go(&disk, &scratch, options, notes).unwrap_or_else(|verdict| verdict),
        Err(error) => Verdict::Scratch(error),
    }
}
