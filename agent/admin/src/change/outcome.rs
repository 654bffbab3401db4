//! How a call of `enable` or `disable` ends, and its exit status.

use std::io;
use std::path::{Path, PathBuf};

use crate::hook::command_user::Unsuitable;
use crate::hook::keys_command::EffectiveSetting;
use crate::service::effective_config::{Disagreement, Unconfirmed};
use crate::service::sshd_service::Unreadable;
use eic_authorized_keys::host::safe_path::UnsafePath;

/// The exit status if nothing was changed, for a reason that is printed. `status` exits with the same if sshd does not run
/// this program.
const NOTHING_CHANGED: u8 = 3;

/// How a call ends.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// sshd now runs this program; `enable` wrote these files.
    Enabled(Vec<PathBuf>),
    /// These places make sshd run this program, but a listening sshd does not use them yet, or pushed keys cannot log in, for
    /// reasons that are printed.
    EnabledInFiles {
        /// Files, or a file with a line.
        places: String,
        /// Whether that is all that was asked for.
        is_complete: bool,
    },
    /// `enable --dry-run` would write these files.
    WouldEnable(Vec<PathBuf>),
    /// sshd already runs this program, by this line.
    AlreadyEnabled(String),
    /// sshd already runs this program, by this line of AWS's package.
    EnabledByAws(String),

    /// sshd no longer runs this program; `disable` changed these files.
    Removed(Vec<PathBuf>),
    /// No file names this program, but a listening sshd may still run it, for reasons that are printed.
    RemovedFromFiles {
        /// Files; empty if nothing was changed.
        places: String,
        /// Whether that is all that was asked for.
        is_complete: bool,
    },
    /// `disable --dry-run` would change these files.
    WouldRemove(Vec<PathBuf>),
    /// There are no lines of ours.
    NothingToRemove,
    /// Somebody changed lines that name this program, so they were left.
    ChangedLinesLeft {
        /// What was done apart from that.
        done: Option<Box<Outcome>>,
        /// The lines.
        places: Vec<String>,
        /// Whether sshd still runs this program because of one of them.
        in_effect: bool,
    },
    /// AWS's package is installed again, and sshd now runs its program; these files were changed.
    HandedOverToAws(Vec<PathBuf>),

    /// The builder of the image decided that `enable` changes nothing.
    NoEnable,
    /// An administrator disabled EC2 Instance Connect, and a package script called `enable`.
    DisabledByAdministrator,
    /// An administrator deleted this file, and a package script called `enable`.
    DeletedByAdministrator(PathBuf),
    /// Somebody changed our file.
    OurFileChanged(PathBuf),
    /// Somebody changed lines of AWS's package.
    AwsLinesChanged(Vec<String>),
    /// Without the lines of AWS's package, this command would be in effect.
    AwsHidesOther(Box<EffectiveSetting>),
    /// Another AuthorizedKeysCommand is in effect.
    OtherCommand(Box<EffectiveSetting>),
    /// This line would take precedence over ours.
    Overridden(Box<EffectiveSetting>),
    /// The sshd_config does not exist.
    NoSshdConfig(PathBuf),
    /// sshd refuses its present configuration, with this message.
    InvalidConfiguration(String),
    /// sshd reads something that this program does not read.
    UnreadConfiguration(String),
    /// The ExecStart of this unit is not one sshd by its path, or has specifiers.
    UnclearExecStart(String),
    /// sshd and this program read the configuration differently.
    SshdDisagrees(Disagreement),
    /// The unit's sshd reads another file by default.
    SshdReadsOtherFile {
        /// The sshd.
        program: PathBuf,
        /// The file that it reads.
        config: PathBuf,
        /// The file that this program reads.
        read: PathBuf,
    },
    /// sshd would also change another setting.
    ChangesOtherSetting {
        /// The connection, as sshd's `-C` takes it.
        connection: String,
        /// The setting's line before or after.
        line: String,
    },
    /// sshd would refuse the changed configuration, with this message.
    WouldBreakSshd(String),
    /// There is no account for sshd to run the program as.
    NoAccount,
    /// Others can use that account.
    UnsuitableAccount(Unsuitable),
    /// The account could not be looked up.
    AccountLookupFailed(String),
    /// This configuration does not include drop-ins, and there is no unit.
    NoPlaceForLines(PathBuf),
    /// The name of this file cannot be quoted in a copy of the configuration.
    UnquotablePath(PathBuf),
    /// This file is on a read-only file system.
    ReadOnlyFileSystem(PathBuf),

    /// sshd would not run the program.
    UnusableProgram(UnsafePath),
    /// sshd could not be run on the running system.
    SshdDoesNotRun(String),
    /// Somebody else changed this file while sshd checked the change.
    FileChangedMeanwhile(PathBuf),
    /// A file could not be written.
    NotWritten {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The temporary directory could not be created.
    NoTemporaryDirectory(io::Error),
    /// The change was applied and rolled back, for this reason.
    RolledBack(String),
    /// sshd would refuse its configuration without our lines, with this message.
    NeedsOurLines(String),
}

impl Outcome {
    /// The outcome if a file cannot be written.
    pub(crate) fn not_written(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnlyFileSystem(path),
            _ => Self::NotWritten { path, error },
        }
    }

    /// The exit status:
    /// - 0 if the system is, or would be, as asked for;
    /// - 1 if something failed;
    /// - 3 if nothing was changed, the change has no effect yet, or `disable` left lines that are in effect. A package script
    ///   gets 0 instead, so that the installation goes on.
    pub(crate) fn exit_code(&self, by_package: bool) -> u8 {
        let unchanged = if by_package { 0 } else { NOTHING_CHANGED };
        match self {
            Self::AlreadyEnabled(_)
            | Self::EnabledByAws(_)
            | Self::Enabled(_)
            | Self::WouldEnable(_)
            | Self::NothingToRemove
            | Self::Removed(_)
            | Self::HandedOverToAws(_)
            | Self::WouldRemove(_) => 0,
            Self::UnusableProgram(_)
            | Self::NotWritten { .. }
            | Self::NoTemporaryDirectory(_)
            | Self::RolledBack(_)
            | Self::NeedsOurLines(_)
            | Self::SshdDoesNotRun(_)
            | Self::FileChangedMeanwhile(_) => 1,
            Self::ChangedLinesLeft { done, in_effect, .. } => match done {
                _ if *in_effect => unchanged,
                Some(done) => done.exit_code(by_package),
                None => 0,
            },
            Self::EnabledInFiles { is_complete, .. } | Self::RemovedFromFiles { is_complete, .. } if *is_complete => 0,
            Self::EnabledInFiles { .. }
            | Self::RemovedFromFiles { .. }
            | Self::NoSshdConfig(_)
            | Self::NoEnable
            | Self::DisabledByAdministrator
            | Self::DeletedByAdministrator(_)
            | Self::OurFileChanged(_)
            | Self::AwsLinesChanged(_)
            | Self::AwsHidesOther(_)
            | Self::OtherCommand(_)
            | Self::InvalidConfiguration(_)
            | Self::UnreadConfiguration(_)
            | Self::UnquotablePath(_)
            | Self::UnclearExecStart(_)
            | Self::SshdDisagrees(_)
            | Self::SshdReadsOtherFile { .. }
            | Self::Overridden(_)
            | Self::ChangesOtherSetting { .. }
            | Self::WouldBreakSshd(_)
            | Self::NoAccount
            | Self::UnsuitableAccount(_)
            | Self::AccountLookupFailed(_)
            | Self::NoPlaceForLines(_)
            | Self::ReadOnlyFileSystem(_) => unchanged,
        }
    }
}

impl From<Unreadable> for Outcome {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::NoConfig(path) => Self::NoSshdConfig(path),
            Unreadable::ExecStart(unit) => Self::UnclearExecStart(unit),
        }
    }
}

impl From<Unconfirmed> for Outcome {
    fn from(unconfirmed: Unconfirmed) -> Self {
        match unconfirmed {
            Unconfirmed::Refused(message) => Self::InvalidConfiguration(message),
            Unconfirmed::Disagrees(disagreement) => Self::SshdDisagrees(disagreement),
        }
    }
}
