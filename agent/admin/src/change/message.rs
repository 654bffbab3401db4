//! What `enable` and `disable` print for each outcome: what happened and why, then what to do.

use std::fmt;
use std::io;

use super::markers::DECISIONS;
use super::outcome::Outcome;
use crate::files::{printable_path, printable_paths};
use crate::hook::keys_command::EffectiveSetting;
use crate::hook::our_lines::SSHD_DROP_IN;
use crate::hook::owner::{PROGRAM, USER};
use crate::service::effective_config::Disagreement;
use eic_verify::text::printable;

/// What to do if this program cannot tell what sshd would do.
const BY_HAND: &str = "Add or remove the two AuthorizedKeysCommand lines by hand: ec2-instance-connect(8) lists them.";

impl Outcome {
    /// The cause alone, without what follows it.
    pub(crate) fn cause(&self) -> String {
        let message = self.to_string();
        let cause = message
            .split_once(" Nothing was changed.")
            .map_or(message.as_str(), |(cause, _)| cause);
        cause.trim_end_matches('.').to_owned()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSshdConfig(config) => write!(
                f,
                "There is no {}, which is sshd's configuration. Nothing was changed. Install sshd first.",
                printable_path(config)
            ),
            Self::NoEnable => write!(
                f,
                "{DECISIONS}/no-enable exists, so nothing was changed. Delete that file and enable again."
            ),
            Self::DisabledByAdministrator => write!(
                f,
                "An administrator disabled EC2 Instance Connect ({DECISIONS}/disabled). Nothing was changed. \
                 `ec2-instance-connect enable` enables it again."
            ),
            Self::DeletedByAdministrator(path) => write!(
                f,
                "An administrator deleted {}, which this program wrote. Nothing was changed. \
                 `ec2-instance-connect enable` writes it again.",
                printable_path(path)
            ),
            Self::OurFileChanged(path) => write!(
                f,
                "{} differs from what this program writes: somebody changed it. Nothing was changed. To have it written \
                 again, delete it and enable again.",
                printable_path(path)
            ),
            Self::AlreadyEnabled(place) => write!(
                f,
                "sshd already uses EC2 Instance Connect ({place}). Nothing was changed."
            ),
            Self::EnabledByAws(place) => write!(
                f,
                "sshd already uses EC2 Instance Connect, because of a line of AWS's package ({place}). Nothing was changed."
            ),
            Self::AwsLinesChanged(places) => write!(
                f,
                "sshd uses EC2 Instance Connect because of lines of AWS's package that somebody changed ({}). Nothing was \
                 changed. They keep working: the path in them is a link to this program.",
                places.join(", ")
            ),
            Self::AwsHidesOther(setting) => write!(
                f,
                "sshd uses EC2 Instance Connect because of lines of AWS's package; without them it would use another \
                 AuthorizedKeysCommand: {setting}. Nothing was changed. They keep working: the path in them is a link \
                 to this program."
            ),
            Self::OtherCommand(setting) => other_command(setting, f),
            Self::InvalidConfiguration(message) => write!(
                f,
                "sshd does not start with its present configuration: {message}. Nothing was changed. Fix that and try again."
            ),
            Self::UnreadConfiguration(problem) => write!(
                f,
                "{problem}, so this program cannot tell which AuthorizedKeysCommand sshd uses. Nothing was changed. \
                 {BY_HAND}"
            ),
            Self::SshdDoesNotRun(reason) => write!(
                f,
                "sshd could not be run to check its configuration: {reason}. Nothing was changed. Try again once \
                 `sshd -t` works."
            ),
            Self::FileChangedMeanwhile(path) => write!(
                f,
                "Somebody else changed {} in the meantime, so it was not overwritten. Try again.",
                printable_path(path)
            ),
            Self::UnclearExecStart(unit) => write!(
                f,
                "{unit} does not start sshd by its path in one ExecStart line without specifiers such as %i, so it is not \
                 known which configuration sshd reads. Nothing was changed. {BY_HAND}"
            ),
            Self::SshdDisagrees(Disagreement {
                connection,
                read,
                reported,
            }) => write!(
                f,
                "For a connection with {connection}, this program reads {read} from sshd's configuration, but sshd reports \
                 {reported}. Nothing was changed. {BY_HAND}"
            ),
            Self::SshdReadsOtherFile { program, config, read } => write!(
                f,
                "{program} reads {config}, not {read}. Nothing was changed. Add the two AuthorizedKeysCommand lines to \
                 {config} by hand: ec2-instance-connect(8) lists them.",
                program = printable_path(program),
                config = printable_path(config),
                read = printable_path(read)
            ),
            Self::Overridden(setting) => write!(
                f,
                "{} {setting} would take precedence over the lines of EC2 Instance Connect. Nothing was changed. Remove \
                 that line and enable again.",
                setting.line.keyword
            ),
            Self::ChangesOtherSetting { connection, line } => write!(
                f,
                "With EC2 Instance Connect enabled, sshd would also change its setting \"{line}\" for a connection with \
                 {connection}: some releases of OpenSSH mix up neighbouring options. Nothing was changed. {BY_HAND}"
            ),
            Self::WouldBreakSshd(message) => write!(
                f,
                "sshd would not start with EC2 Instance Connect enabled: {message}. Nothing was changed."
            ),
            Self::UnusableProgram(error) => write!(
                f,
                "The program that sshd is to run cannot be used: {error}. Nothing was changed. Fix that, or install the \
                 program again, and enable again."
            ),
            Self::NoAccount => write!(
                f,
                "The account {USER}, which sshd runs the program as, does not exist. Nothing was changed. Create it and \
                 enable again:\n  useradd --system --no-create-home --home-dir / --shell /usr/sbin/nologin {USER}"
            ),
            Self::UnsuitableAccount(unsuitable) => write!(
                f,
                "The account {USER} {unsuitable}. sshd must run the program as an account that nobody else uses: whoever can run \
                 a process as it can make sshd accept a key of their own. Nothing was changed. Rename that account, or make \
                 it a system account without a login shell, and enable again."
            ),
            Self::AccountLookupFailed(error) => write!(
                f,
                "The account {USER}, which sshd runs the program as, could not be looked up: {error}. Nothing was \
                 changed. Enable again once `getent passwd {USER}` works."
            ),
            Self::NoPlaceForLines(config) => write!(
                f,
                "{} has no Include for {SSHD_DROP_IN} outside a Match block, and there is no systemd unit of sshd to add \
                 options to. Nothing was changed. {BY_HAND}",
                printable_path(config)
            ),
            Self::UnquotablePath(path) => write!(
                f,
                "The name of {}, which sshd includes, contains a character that cannot be quoted in the copy of the \
                 configuration that sshd checks. Nothing was changed. Rename that file and try again.",
                printable_path(path)
            ),
            Self::ReadOnlyFileSystem(path) => write!(
                f,
                "{} is on a read-only file system. Nothing was changed. Make the change where the image is built.",
                printable_path(path)
            ),
            Self::NotWritten { path, error } => {
                write!(
                    f,
                    "{} could not be written: {error}. Nothing was changed.",
                    printable_path(path)
                )
            }
            Self::NoTemporaryDirectory(error) if error.kind() == io::ErrorKind::PermissionDenied => write!(
                f,
                "This must be run as root: no file could be created under /run ({error}). Nothing was changed."
            ),
            Self::NoTemporaryDirectory(error) => write!(
                f,
                "The files that are needed to check the change could not be written under /run: {error}. Nothing was \
                 changed. Make room there and try again."
            ),
            Self::RolledBack(cause) => write!(
                f,
                "The change did not take effect as expected ({cause}) and was rolled back."
            ),
            Self::Enabled(paths) => write!(f, "sshd now uses EC2 Instance Connect: {}.", printable_paths(paths)),
            Self::EnabledInFiles { places, .. } => write!(f, "EC2 Instance Connect is enabled in {places}."),
            Self::RemovedFromFiles { places, .. } if places.is_empty() => {
                f.write_str("sshd's configuration does not use EC2 Instance Connect: nothing was changed there.")
            }
            Self::RemovedFromFiles { places, .. } => write!(f, "EC2 Instance Connect was removed from {places}."),
            Self::WouldEnable(paths) => write!(f, "Would write {}. Nothing was changed.", printable_paths(paths)),
            Self::NothingToRemove => f.write_str(
                "sshd's configuration has no lines that this program wrote, so there are none to remove. Nothing was \
                 changed.",
            ),
            Self::ChangedLinesLeft {
                done,
                places,
                in_effect,
            } => {
                match done {
                    Some(done) => write!(f, "{done} ")?,
                    None => f.write_str("Nothing was changed. ")?,
                }
                write!(
                    f,
                    "These lines run this program, but `enable` did not write them like that, so they were not removed: {}.",
                    places.join(", ")
                )?;
                if *in_effect {
                    f.write_str(" sshd still uses EC2 Instance Connect: delete them and reload sshd to stop that.")?;
                }
                Ok(())
            }
            Self::NeedsOurLines(message) => write!(
                f,
                "sshd would not start without the lines of EC2 Instance Connect: {message}. Nothing was changed. Another \
                 AuthorizedKeysCommand may need the AuthorizedKeysCommandUser among them. Fix that and disable again."
            ),
            Self::Removed(paths) => write!(
                f,
                "sshd no longer uses EC2 Instance Connect: {}.",
                printable_paths(paths)
            ),
            Self::HandedOverToAws(paths) => write!(
                f,
                "AWS's package is installed again, and sshd now uses its program: {}.",
                printable_paths(paths)
            ),
            Self::WouldRemove(paths) => write!(
                f,
                "Would remove the lines of EC2 Instance Connect from {}. Nothing was changed.",
                printable_paths(paths)
            ),
        }
    }
}

/// Another command is in effect, and is not changed.
fn other_command(setting: &EffectiveSetting, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let own = setting.line.value.trim();
    if own.eq_ignore_ascii_case("none") {
        return write!(
            f,
            "sshd is configured to use no AuthorizedKeysCommand: {setting}. Nothing was changed. To use EC2 Instance \
             Connect, delete that line and enable again."
        );
    }
    // sshd passes the user name to a command without arguments; a chained command gets only the arguments given.
    let user = if own.contains([' ', '\t']) { "" } else { " %u" };
    let rest = match setting.match_line {
        Some(_) => " Then enable again, for everybody else.",
        None => "",
    };
    write!(
        f,
        "sshd already uses another AuthorizedKeysCommand: {setting}. Nothing was changed. To use both, replace line {} \
         and its AuthorizedKeysCommandUser with\n  AuthorizedKeysCommand {PROGRAM} %u %f --chain {}{user}\n  \
         AuthorizedKeysCommandUser {USER}\nthen run `sshd -t` and reload sshd.{rest} Keep the other user only if the \
         other command needs it: whoever can run a process as that user can make sshd accept a key of their own. \
         ec2-instance-connect(8) has examples.",
        setting.line.place,
        printable(own.as_bytes())
    )
}
