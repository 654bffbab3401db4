//! The command line of `ec2-instance-connect`.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const EXIT_STATUS: &str = "\
Exit status:
  0  Success, or nothing to do. For status: pushed keys can log in.
  1  Something failed. A change that had been started was rolled back. For status: something is broken, or unknown.
  2  The command line is wrong.
  3  Nothing was changed, for the reason that is printed, such as another AuthorizedKeysCommand.
     Or the change has no effect yet, for the reason that is printed, such as a failed reload of sshd.
     For disable: lines that somebody changed still make sshd use EC2 Instance Connect.
     With --package, the status is 0 instead. For status: sshd does not use EC2 Instance Connect.";

/// Configures sshd to accept keys from EC2 Instance Connect, and shows the current state.
#[derive(Debug, Parser)]
#[command(name = "ec2-instance-connect", version, after_help = EXIT_STATUS, max_term_width = 100)]
pub struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Enable EC2 Instance Connect in sshd, unless another AuthorizedKeysCommand is in use or an administrator disabled it
    Enable(Change),
    /// Remove what `enable` or AWS's package added to sshd's configuration, and nothing else
    Disable(Change),
    /// Show which AuthorizedKeysCommand sshd uses, from which line, and what keeps pushed keys from logging in
    Status(Status),
}

/// The options of `enable` and `disable`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Change {
    /// Work on the system under this directory, as image builders do; no sshd is reloaded
    #[arg(long, value_name = "DIR", default_value = "/", value_parser = directory)]
    pub(crate) root: PathBuf,

    /// Print what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Do not reload the running sshd
    #[arg(long)]
    pub(crate) no_reload: bool,

    /// For package scripts: keep what an administrator disabled, deleted or changed; replace the lines of AWS's package,
    /// or restore them; exit with 0 instead of 3
    #[arg(long)]
    pub(crate) package: bool,
}

/// The options of `status`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Status {
    /// Examine the system under this directory
    #[arg(long, value_name = "DIR", default_value = "/", value_parser = directory)]
    pub(crate) root: PathBuf,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// With --root: also run the sshd under DIR, as root, to confirm what was read
    #[arg(long)]
    pub(crate) run_sshd: bool,
}

/// The absolute path of a directory, which must exist: `enable` would create a mistyped one.
fn directory(path: &str) -> Result<PathBuf, String> {
    let path = fs::canonicalize(path).map_err(|error| error.to_string())?;
    if path.is_dir() {
        Ok(path)
    } else {
        Err("it is not a directory".to_owned())
    }
}

impl Options {
    /// Reads a command line, whose first element is the name of the program.
    ///
    /// # Errors
    /// clap's error or, for `--help` and `--version`, message: to print and exit with.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_of_package_scripts_and_administrators_are_accepted() {
        for line in [
            "enable",
            "enable --package",
            "enable --root /usr --dry-run --no-reload",
            "disable --root=/usr/..",
            "status --json",
            "status --root /usr --run-sshd",
        ] {
            let words = ["ec2-instance-connect"]
                .into_iter()
                .chain(line.split(' '))
                .map(OsString::from);
            assert!(Options::read(words).is_ok(), "{line}");
        }
        for line in [
            "",
            "enable --json",
            "status --dry-run",
            "reload",
            "enable --root=",
            "enable --root /no/such/directory",
            "status --root /dev/null",
        ] {
            let words = ["ec2-instance-connect"]
                .into_iter()
                .chain(line.split_whitespace())
                .map(OsString::from);
            assert!(Options::read(words).is_err(), "{line}");
        }
    }
}
