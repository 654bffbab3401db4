//! What came of a call, each outcome worded once, as a paragraph for whoever has to act on it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::hook::account::Unfit;
use super::hook::pair::{Contender, PROGRAM, USER};
use super::setup::MARKERS;
use crate::host::safe_path::UnsafePath;
use crate::verify::text::printable;

/// Nothing was changed, for a reason that is printed; as `status` has it where sshd does not use this program.
const LEFT: u8 = 3;

/// What came of it.
#[derive(Debug)]
pub(super) enum Verdict {
    /// There is no sshd_config.
    NoSshd(PathBuf),
    /// The image's builder decides.
    NoEnable,
    /// An admin has disabled it, and this is a package's script.
    Disabled,
    /// An admin has deleted what was laid, and this is a package's script.
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
    /// sshd could not be asked on its own system.
    NotAsked(String),
    /// A file was changed while sshd was asked about it.
    Meanwhile(PathBuf),
    /// What the unit starts is not to be understood.
    ExecStart(String),
    /// sshd and our reader do not agree.
    Disagreement { who: String, read: String, said: String },
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
    /// AWS's package is there again, and is asked in place of this program.
    HandedOver(Vec<PathBuf>),
    /// It would be taken out.
    WouldTakeOut(Vec<PathBuf>),
}

impl Verdict {
    /// 0 where what was asked for is so, or would be; 1 where something failed; 3 where nothing was changed for a reason
    /// that is printed, or where `disable` leaves lines in effect: 0 for a package's script, whose installation goes on.
    pub(super) fn exit_code(&self, by_package: bool) -> u8 {
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
            Self::NoSshd(_)
            | Self::NoEnable
            | Self::Disabled
            | Self::Deleted(_)
            | Self::Changed(_)
            | Self::AwsEdited(_)
            | Self::AwsHides(_)
            | Self::Others(_)
            | Self::Broken(_)
            | Self::ExecStart(_)
            | Self::Disagreement { .. }
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

fn names(paths: &[PathBuf]) -> String {
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
            Self::NoSshd(file) => write!(
                f,
                "There is no {}: no sshd to hook into. Nothing was changed.",
                name(file)
            ),
            Self::NoEnable => write!(
                f,
                "{MARKERS}/no-enable is there: nothing was changed. Delete it to enable."
            ),
            Self::Disabled => write!(
                f,
                "An admin has disabled EC2 Instance Connect here ({MARKERS}/disabled): nothing was changed. \
                 `ec2-instance-connect enable` enables it again."
            ),
            Self::Deleted(path) => write!(
                f,
                "{} was written here before and has been deleted since: that stays so, and nothing was changed. \
                 `ec2-instance-connect enable` writes it again.",
                name(path)
            ),
            Self::Changed(path) => write!(
                f,
                "{} is not as this program writes it: somebody has changed it, it is theirs, and nothing was changed. \
                 Delete it and enable again to have it as it was.",
                name(path)
            ),
            Self::Already(place) => write!(
                f,
                "sshd asks EC2 Instance Connect already ({place}): nothing was changed."
            ),
            Self::ByAws(place) => write!(
                f,
                "Hooked by AWS's package ({place}): left as it is, nothing was changed."
            ),
            Self::AwsEdited(places) => write!(
                f,
                "Hooked by AWS's package in lines that somebody has changed ({}): they are theirs, and nothing was \
                 changed. They go on working: the path that they name leads to this program.",
                places.join(", ")
            ),
            Self::AwsHides(contender) => write!(
                f,
                "Hooked by AWS's package. Without its lines, sshd would ask another key command: {contender}. So they \
                 stay, and nothing was changed. They go on working: the path that they name leads to this program."
            ),
            Self::Others(contender) => {
                let own = contender.line.value.trim();
                if own.eq_ignore_ascii_case("none") {
                    return write!(
                        f,
                        "sshd is told to ask no key command: {contender}. Somebody has decided so, and nothing was changed. \
                         Take that line out and enable again to have EC2 Instance Connect."
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
                    "sshd asks another key command: {contender}. It keeps its place, and nothing was changed. To have \
                     both, have line {} read\n  AuthorizedKeysCommand {PROGRAM} %u %f --chain {}{user}\n\
                     and keep its AuthorizedKeysCommandUser (EC2 Instance Connect works as any user); then `sshd -t` and \
                     reload sshd.{others} ec2-instance-connect(8) has examples.",
                    contender.line.place,
                    printable(own.as_bytes())
                )
            }
            Self::Broken(words) => write!(
                f,
                "sshd would not start with its configuration as it is: {words}. Nothing was changed. Mend that and try again."
            ),
            Self::NotAsked(words) => write!(
                f,
                "sshd could not be asked what it would do ({words}): in doubt, nothing was changed."
            ),
            Self::Meanwhile(path) => write!(
                f,
                "{} was changed by somebody just now: nothing was changed. Try again.",
                name(path)
            ),
            Self::ExecStart(unit) => write!(
                f,
                "What {unit} starts is not a plain sshd, so what sshd would do cannot be told: nothing was changed. \
                 Add the two AuthorizedKeysCommand lines by hand; ec2-instance-connect(8) has them."
            ),
            Self::Disagreement { who, read, said } => write!(
                f,
                "For {who}, sshd's configuration reads as {read}, but sshd itself says {said}: in doubt, nothing was changed."
            ),
            Self::Winner(contender) => write!(
                f,
                "With EC2 Instance Connect hooked in, it would still not be asked as user {USER}: {contender} wins. \
                 Nothing was changed."
            ),
            Self::AlsoChanges { who, line } => write!(
                f,
                "Hooked in, sshd would also change its mind on \"{line}\" for {who} (some releases of OpenSSH mix up \
                 neighbouring options): nothing was changed."
            ),
            Self::WouldBreak(words) => write!(
                f,
                "sshd would not start with EC2 Instance Connect hooked in: {words}. Nothing was changed."
            ),
            Self::Program(error) => write!(
                f,
                "sshd would not run the program, or should not: {error}. Nothing was changed."
            ),
            Self::NoAccount => write!(
                f,
                "There is no account {USER}, as which sshd is to run the program. Nothing was changed. Make it and enable \
                 again:\n  useradd --system --no-create-home --home-dir / --shell /usr/sbin/nologin {USER}"
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
                 changed. `getent passwd {USER}` shows whether that works again; then enable again."
            ),
            Self::NoPlace(config) => write!(
                f,
                "{} includes no folder for everyone, and there is no unit of sshd to put options into: nothing was \
                 changed. Add the two AuthorizedKeysCommand lines by hand; ec2-instance-connect(8) has them.",
                name(config)
            ),
            Self::ReadOnly(path) => write!(
                f,
                "{} is on a read-only file system: nothing was changed. Enable or disable where the image is made.",
                name(path)
            ),
            Self::Write { path, error } => {
                write!(f, "{} could not be written: {error}. Nothing was changed.", name(path))
            }
            Self::Scratch(error) => write!(
                f,
                "There is no place to work in under /run: {error}. Nothing was changed."
            ),
            Self::Undone(words) => write!(f, "Written, it was not as it should be: {words}. All of it was undone."),
            Self::Enabled(paths) => write!(f, "sshd asks EC2 Instance Connect now: {}.", names(paths)),
            Self::WouldEnable(paths) => write!(f, "Would write {}. Nothing was changed.", names(paths)),
            Self::NotHooked => f.write_str("sshd has no hook of EC2 Instance Connect: nothing was changed."),
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
                "sshd would not start without the hook: {words}. Another command may lean on its \
                 AuthorizedKeysCommandUser line. Nothing was changed. Mend that and disable again."
            ),
            Self::TakenOut(paths) => write!(f, "sshd asks EC2 Instance Connect no longer: {}.", names(paths)),
            Self::HandedOver(paths) => write!(
                f,
                "AWS's package is there again, and sshd asks its program in place of this one: {}.",
                names(paths)
            ),
            Self::WouldTakeOut(paths) => write!(f, "Would take the hook out of {}. Nothing was changed.", names(paths)),
        }
    }
}
