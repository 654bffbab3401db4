//! What came of a call, each outcome worded once, as a paragraph for whoever has to act on it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::hook::command_user::Unfit;
use crate::hook::keys_command::{Contender, PROGRAM, USER};
use crate::hook::our_lines::SSHD_DROP_IN;
use crate::service::sshd_service::MARKERS;
use eic_authorized_keys::host::safe_path::UnsafePath;
use eic_verify::text::printable;

/// What is left to do where this program cannot tell what sshd would do.
const BY_HAND: &str = "Add or remove the two AuthorizedKeysCommand lines by hand: ec2-instance-connect(8) lists them.";

/// Nothing was changed, for a reason that is printed; as `status` has it where sshd does not use this program.
const LEFT: u8 = 3;

/// What came of it.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// There is no sshd_config.
    NoSshd(PathBuf),
    /// The image's builder decides.
    NoEnable,
    /// An administrator has disabled it, and this is a package's script.
    Disabled,
    /// An administrator has deleted what was written, and this is a package's script.
    Deleted(PathBuf),
    /// Our file is there, but it is not what was written.
    Changed(PathBuf),
    /// It is hooked in already.
    Already(String),
    /// AWS's package has hooked its path in.
    ByAws(String),
    /// AWS's package has hooked its path in, and somebody has changed that since.
    AwsEdited(Vec<String>),
    /// AWS's package's command keeps somebody else's from being asked.
    AwsHides(Box<Contender>),
    /// Somebody else's command is in effect.
    Others(Box<Contender>),
    /// sshd does not start with the configuration as it is.
    Broken(String),
    /// This program does not read a file that sshd does.
    NotRead(String),
    /// sshd could not be asked on its own system.
    NotAsked(String),
    /// A file was changed while sshd was asked about it.
    Meanwhile(PathBuf),
    /// What the unit starts is not to be understood.
    ExecStart(String),
    /// sshd and our reader do not agree.
    Disagreement { who: String, read: String, said: String },
    /// The unit's sshd has its configuration elsewhere.
    Elsewhere {
        program: PathBuf,
        config: PathBuf,
        read: PathBuf,
    },
    /// Ours would not be the effective pair.
    Winner(Box<Contender>),
    /// Something else would change with it.
    AlsoChanges { who: String, line: String },
    /// sshd would not start with ours.
    WouldBreak(String),
    /// The program is not fit to be run by sshd.
    Program(UnsafePath),
    /// There is no account for sshd to run the program as.
    NoAccount,
    /// Somebody else can use that account.
    Account(Unfit),
    /// It could not be looked up.
    AccountUnknown(String),
    /// There is no place for the hook.
    NoPlace(PathBuf),
    /// A file's name cannot be written into a copy for sshd to judge.
    Unquotable(PathBuf),
    /// The file system is read-only.
    ReadOnly(PathBuf),
    /// A file could not be written.
    Write { path: PathBuf, error: io::Error },
    /// There is no folder to work in.
    Scratch(io::Error),
    /// It was hooked in, was not in effect, and was taken out again.
    Undone(String),
    /// It is hooked in now.
    Enabled(Vec<PathBuf>),
    /// It is hooked in. Whether that is all, or pushed keys still cannot log in for reasons that are printed.
    Configured { places: String, is_complete: bool },
    /// It would be hooked in.
    WouldEnable(Vec<PathBuf>),
    /// There is no hook.
    NotHooked,
    /// Lines that name the program have been changed since, and are left.
    Edited {
        /// What was done besides.
        done: Option<Box<Verdict>>,
        places: Vec<String>,
        /// Whether sshd still uses this program by one of them.
        in_effect: bool,
    },
    /// sshd would not start without our lines.
    LeansOnUs(String),
    /// It is taken out now.
    TakenOut(Vec<PathBuf>),
    /// There is no hook. Whether that is all, or pushed keys may still log in for reasons that are printed.
    Unconfigured { places: String, is_complete: bool },
    /// AWS's package is there again, and is asked in place of this program.
    HandedOver(Vec<PathBuf>),
    /// It would be taken out.
    WouldTakeOut(Vec<PathBuf>),
}

impl Verdict {
    /// 0 where what was asked for is so, or would be; 1 where something failed; 3 where nothing was changed, or what was
    /// changed does not take effect, for a reason that is printed, or where `disable` leaves lines in effect: 0 for a package's script, whose installation goes on.
    pub(crate) fn exit_code(&self, by_package: bool) -> u8 {
        let left = if by_package { 0 } else { LEFT };
        match self {
            Self::Already(_)
            | Self::ByAws(_)
            | Self::Enabled(_)
            | Self::WouldEnable(_)
            | Self::NotHooked
            | Self::TakenOut(_)
            | Self::HandedOver(_)
            | Self::WouldTakeOut(_) => 0,
            Self::Program(_)
            | Self::Write { .. }
            | Self::Scratch(_)
            | Self::Undone(_)
            | Self::LeansOnUs(_)
            | Self::NotAsked(_)
            | Self::Meanwhile(_) => 1,
            Self::Edited { done, in_effect, .. } => match done {
                _ if *in_effect => left,
                Some(done) => done.exit_code(by_package),
                None => 0,
            },
            Self::Configured { is_complete, .. } | Self::Unconfigured { is_complete, .. } if *is_complete => 0,
            Self::Configured { .. }
            | Self::Unconfigured { .. }
            | Self::NoSshd(_)
            | Self::NoEnable
            | Self::Disabled
            | Self::Deleted(_)
            | Self::Changed(_)
            | Self::AwsEdited(_)
            | Self::AwsHides(_)
            | Self::Others(_)
            | Self::Broken(_)
            | Self::NotRead(_)
            | Self::Unquotable(_)
            | Self::ExecStart(_)
            | Self::Disagreement { .. }
            | Self::Elsewhere { .. }
            | Self::Winner(_)
            | Self::AlsoChanges { .. }
            | Self::WouldBreak(_)
            | Self::NoAccount
            | Self::Account(_)
            | Self::AccountUnknown(_)
            | Self::NoPlace(_)
            | Self::ReadOnly(_) => left,
        }
    }
}

fn name(path: &Path) -> String {
    printable(path.as_os_str().as_encoded_bytes())
}

pub(crate) fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| name(path)).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" ({}", printable(self.line.value.as_bytes()), self.line.place)?;
        match &self.block {
            Some((block, file, line)) => write!(f, ", within \"Match {block}\" at {}:{line})", name(file)),
            None => f.write_str(")"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSshd(config) => write!(
                f,
                "There is no {}, which is sshd's configuration. Nothing was changed. Install sshd first.",
                name(config)
            ),
            Self::NoEnable => write!(
                f,
                "{MARKERS}/no-enable exists, so nothing was changed. Delete that file and enable again."
            ),
            Self::Disabled => write!(
                f,
                "An administrator disabled EC2 Instance Connect ({MARKERS}/disabled). Nothing was changed. \
                 `ec2-instance-connect enable` enables it again."
            ),
            Self::Deleted(path) => write!(
                f,
                "An administrator deleted {}, which this program had written. Nothing was changed. \
                 `ec2-instance-connect enable` writes it again.",
                name(path)
            ),
            Self::Changed(path) => write!(
                f,
                "{} is not as this program writes it: somebody changed it. Nothing was changed. To have it written \
                 anew, delete it and enable again.",
                name(path)
            ),
            Self::Already(place) => write!(
                f,
                "sshd already uses EC2 Instance Connect ({place}). Nothing was changed."
            ),
            Self::ByAws(place) => write!(
                f,
                "sshd already uses EC2 Instance Connect, by a line of AWS's package ({place}). Nothing was changed."
            ),
            Self::AwsEdited(places) => write!(
                f,
                "sshd uses EC2 Instance Connect by lines of AWS's package that somebody has changed ({}). Nothing was \
                 changed. They keep working: the path in them is a link to this program.",
                places.join(", ")
            ),
            Self::AwsHides(contender) => write!(
                f,
                "sshd uses EC2 Instance Connect by lines of AWS's package; without them it would use another \
                 AuthorizedKeysCommand: {contender}. Nothing was changed. They keep working: the path in them is a link \
                 to this program."
            ),
            Self::Others(contender) => others(contender, f),
            Self::Broken(words) => write!(
                f,
                "sshd does not start with its present configuration: {words}. Nothing was changed. Fix that and try again."
            ),
            Self::NotRead(words) => write!(
                f,
                "{words}, so this program does not know what sshd makes of its configuration. Nothing was changed. \
                 {BY_HAND}"
            ),
            Self::NotAsked(words) => write!(
                f,
                "sshd could not be run to check its configuration: {words}. Nothing was changed. Try again once \
                 `sshd -t` works."
            ),
            Self::Meanwhile(path) => write!(
                f,
                "Somebody else changed {} in the meantime. It was left as it is. Try again.",
                name(path)
            ),
            Self::ExecStart(unit) => write!(
                f,
                "{unit} does not start sshd by its path in one ExecStart line, so this program does not know which \
                 configuration sshd reads. Nothing was changed. {BY_HAND}"
            ),
            Self::Disagreement { who, read, said } => write!(
                f,
                "For a connection with {who}, this program reads {read} from sshd's configuration, but sshd reports \
                 {said}. Nothing was changed. {BY_HAND}"
            ),
            Self::Elsewhere { program, config, read } => write!(
                f,
                "{program} reads {config}, and not {read}. Nothing was changed. Add the two AuthorizedKeysCommand lines \
                 to {config} by hand; ec2-instance-connect(8) has them.",
                program = name(program),
                config = name(config),
                read = name(read)
            ),
            Self::Winner(contender) => write!(
                f,
                "{} {contender} would take precedence over the lines of EC2 Instance Connect. Nothing was changed. Remove \
                 that line and enable again.",
                contender.line.keyword
            ),
            Self::AlsoChanges { who, line } => write!(
                f,
                "With EC2 Instance Connect enabled, sshd would also change its setting \"{line}\" for a connection with \
                 {who}: some releases of OpenSSH mix up neighbouring options. Nothing was changed. {BY_HAND}"
            ),
            Self::WouldBreak(words) => write!(
                f,
                "sshd would not start with EC2 Instance Connect enabled: {words}. Nothing was changed."
            ),
            Self::Program(error) => write!(
                f,
                "The program that sshd is to run cannot be used: {error}. Nothing was changed. Fix that, or install the \
                 program again, and enable again."
            ),
            Self::NoAccount => write!(
                f,
                "There is no account {USER}, as which sshd is to run the program. Nothing was changed. Create it and \
                 enable again:\n  useradd --system --no-create-home --home-dir / --shell /usr/sbin/nologin {USER}"
            ),
            Self::Account(unfit) => write!(
                f,
                "The account {USER} {unfit}. sshd must run the program as an account that nobody else uses: whoever can run \
                 a process as it can make sshd accept a key of their own. Nothing was changed. Rename that account, or make \
                 it a system account without a login shell, and enable again."
            ),
            Self::AccountUnknown(words) => write!(
                f,
                "The account {USER}, as which sshd is to run the program, could not be looked up: {words}. Nothing was \
                 changed. Enable again once `getent passwd {USER}` works."
            ),
            Self::NoPlace(config) => write!(
                f,
                "{} has no Include for {SSHD_DROP_IN} outside a Match block, and there is no systemd unit of sshd to add \
                 options to. Nothing was changed. {BY_HAND}",
                name(config)
            ),
            Self::Unquotable(path) => write!(
                f,
                "The name of {}, which sshd includes, has a character that cannot be quoted in a copy of the \
                 configuration for sshd to check. Nothing was changed. Rename that file and try again.",
                name(path)
            ),
            Self::ReadOnly(path) => write!(
                f,
                "{} is on a read-only file system. Nothing was changed. Make the change where the image is built.",
                name(path)
            ),
            Self::Write { path, error } => {
                write!(f, "{} could not be written: {error}. Nothing was changed.", name(path))
            }
            Self::Scratch(error) if error.kind() == io::ErrorKind::PermissionDenied => write!(
                f,
                "This must be run as root: no file could be created under /run ({error}). Nothing was changed."
            ),
            Self::Scratch(error) => write!(
                f,
                "The files that are needed to check the change could not be written under /run: {error}. Nothing was \
                 changed. Make room there and try again."
            ),
            Self::Undone(words) => write!(
                f,
                "The change did not take effect as expected ({words}) and was rolled back."
            ),
            Self::Enabled(paths) => write!(f, "sshd now uses EC2 Instance Connect: {}.", names(paths)),
            Self::Configured { places, .. } => write!(f, "EC2 Instance Connect is enabled in {places}."),
            Self::Unconfigured { places, .. } if places.is_empty() => {
                f.write_str("sshd's configuration does not name EC2 Instance Connect: nothing was changed there.")
            }
            Self::Unconfigured { places, .. } => write!(f, "EC2 Instance Connect was removed from {places}."),
            Self::WouldEnable(paths) => write!(f, "Would write {}. Nothing was changed.", names(paths)),
            Self::NotHooked => f.write_str(
                "sshd's configuration has no lines that this program wrote, so there are none to remove. Nothing was \
                 changed.",
            ),
            Self::Edited {
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
                    "These lines name this program, but `enable` did not write them like that, so they were left: {}.",
                    places.join(", ")
                )?;
                if *in_effect {
                    f.write_str(" sshd still uses EC2 Instance Connect: delete them and reload sshd to stop that.")?;
                }
                Ok(())
            }
            Self::LeansOnUs(words) => write!(
                f,
                "sshd would not start without the lines of EC2 Instance Connect: {words}. Nothing was changed. Another \
                 AuthorizedKeysCommand may need the AuthorizedKeysCommandUser among them. Fix that and disable again."
            ),
            Self::TakenOut(paths) => write!(f, "sshd no longer uses EC2 Instance Connect: {}.", names(paths)),
            Self::HandedOver(paths) => write!(
                f,
                "AWS's package is installed again, and sshd now uses its program: {}.",
                names(paths)
            ),
            Self::WouldTakeOut(paths) => write!(
                f,
                "Would remove the lines of EC2 Instance Connect from {}. Nothing was changed.",
                names(paths)
            ),
        }
    }
}

/// Somebody else's command keeps its place.
fn others(contender: &Contender, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let own = contender.line.value.trim();
    if own.eq_ignore_ascii_case("none") {
        return write!(
            f,
            "sshd is configured to use no AuthorizedKeysCommand: {contender}. Nothing was changed. To use EC2 Instance \
             Connect, delete that line and enable again."
        );
    }
    // sshd gives a command without arguments the user's name; a chained one gets what is written.
    let user = if own.contains([' ', '\t']) { "" } else { " %u" };
    let others = match contender.block {
        Some(_) => " Then enable again, for everybody else.",
        None => "",
    };
    write!(
        f,
        "sshd already uses another AuthorizedKeysCommand: {contender}. Nothing was changed. To use both, replace line {} \
         and its AuthorizedKeysCommandUser with\n  AuthorizedKeysCommand {PROGRAM} %u %f --chain {}{user}\n  \
         AuthorizedKeysCommandUser {USER}\nthen run `sshd -t` and reload sshd.{others} Keep the other user only if the \
         other command needs it: whoever can run a process as that user can make sshd accept a key of their own. \
         ec2-instance-connect(8) has examples.",
        contender.line.place,
        printable(own.as_bytes())
    )
}
