//! What people and package scripts run: the hook that makes sshd ask this program.
//!
//! [`hook`] decides, from bytes alone; `world` touches files, sshd and systemd and decides nothing; one file for each verb
//! brings them together. sshd is how the owner gets in: in doubt, nothing is changed, and why is said.

mod change;
mod disable;
mod enable;
mod found;
pub mod hook;
mod options;
mod setup;
mod status;
mod verdict;
pub(crate) mod world;

use std::io::{self, Write};
use std::process::ExitCode;

pub use options::Options;
use options::Verb;

/// Does what the command line says, tells it on stdout, and says how it went.
#[must_use]
pub fn administer(options: &Options) -> ExitCode {
    let (verdict, notes) = match &options.verb {
        Verb::Enable(change) => enable::enable(change),
        Verb::Disable(change) => disable::disable(change),
        Verb::Status(how) => return status::status(how),
    };
    let mut stdout = io::stdout().lock();
    // Nobody listening is no error.
    let _ = writeln!(stdout, "{verdict}");
    for note in notes {
        let _ = writeln!(stdout, "{note}");
    }
    ExitCode::from(verdict.exit_code())
}
