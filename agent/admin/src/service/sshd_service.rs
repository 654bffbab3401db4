//! One sshd as it is set up: its units, its configuration, and the sshd to ask about them.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::change::outcome::Verdict;
use crate::change::trial_config::{self, Changed, Copied};
use crate::hook::keys_command::{self, Connections};
use crate::hook::our_lines::{UNIT_DROP_IN, made_from};
use crate::host::root_directory::Disk;
use crate::host::sshd_program::{Refused, Silent, Sshd};
use crate::host::temporary_directory::Scratch;
use crate::sshd::command_line::Arguments;
use crate::sshd::connection::Connection;
use crate::sshd::sshd_config::{Files, Place, Setting, SshdConfig, Who};
use crate::systemd::unit::{self, Unit};
use eic_verify::text::printable;

/// Where an administrator's decisions are kept.
pub(crate) const MARKERS: &str = "/etc/ec2-instance-connect";

/// Where `enable` and the packages remember what they did.
pub(crate) const STATE: &str = "/var/lib/ec2-instance-connect";

pub(crate) const SSHD_CONFIG: &str = "/etc/ssh/sshd_config";
const SSHD: &str = "/usr/sbin/sshd";

/// Where drop-ins of units lie that AWS's packages, or this one, have written.
pub(crate) const UNIT_FOLDERS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// How long sshd may be asked about Match blocks before a change: it is asked as much again of a copy with the change, and once
/// it is written. 5 seconds in all, of those for which a package's script holds dpkg's lock.
const ASKING: Duration = Duration::from_millis(5000 / 3);

/// Changes to files: the new bytes, or that the file goes.
pub(crate) type Changes = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Which family of distributions this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Deb,
    Other,
}

impl Family {
    /// By os-release(5).
    pub(crate) fn of(disk: &Disk) -> Self {
        let text = disk.read(Path::new("/etc/os-release")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let values = text
            .lines()
            .filter_map(|line| line.strip_prefix("ID=").or(line.strip_prefix("ID_LIKE=")));
        let is_deb = values
            .flat_map(|value| value.trim_matches(['"', '\'']).split_whitespace())
            .any(|id| matches!(id, "debian" | "ubuntu"));
        if is_deb { Self::Deb } else { Self::Other }
    }
}

/// How sshd is set up.
pub(crate) struct Setup<'a> {
    pub(crate) disk: &'a Disk,
    /// The units as they are, ours among their drop-ins.
    pub(crate) units: Vec<Unit>,
    /// The listener's arguments.
    pub(crate) arguments: Arguments,
    /// The configuration file.
    pub(crate) main: PathBuf,
    pub(crate) config: SshdConfig,
    /// The same, as the template reads it that a socket starts for each connection.
    pub(crate) templates: Vec<SshdConfig>,
    /// The configuration that the unit's sshd reads in place of that, once it was asked.
    pub(crate) elsewhere: OnceCell<PathBuf>,
}

impl<'a> Setup<'a> {
    /// Reads it all, as it is or would be.
    pub(crate) fn read(disk: &'a Disk, changes: &Changes) -> Result<Self, Verdict> {
        let files = Changed { files: disk, changes };
        let units = unit::read(&files, &|_| false);
        let arguments = match units.first() {
            Some(unit) => unit.arguments().ok_or_else(|| Verdict::ExecStart(unit.name.clone()))?,
            None => Arguments {
                program: PathBuf::from(SSHD),
                ..Arguments::default()
            },
        };
        let main = arguments.config.clone().unwrap_or_else(|| PathBuf::from(SSHD_CONFIG));
        if !disk.exists(&main) {
            return Err(Verdict::NoSshd(main));
        }
        let read = |arguments: &Arguments, unit: Option<&Unit>| {
            let main = arguments.config.as_deref().unwrap_or(Path::new(SSHD_CONFIG));
            SshdConfig::read(&files, main, &options(arguments, unit))
        };
        let config = read(&arguments, units.first());
        let templates = units.iter().skip(1);
        let templates = templates
            .filter_map(|unit| Some(read(&unit.arguments()?, Some(unit))))
            .collect();
        Ok(Self {
            disk,
            units,
            arguments,
            main,
            config,
            templates,
            elsewhere: OnceCell::new(),
        })
    }

    /// The units without what this program laid.
    pub(crate) fn units_without_ours(files: &dyn Files) -> Vec<Unit> {
        unit::read(files, &|path| {
            is_unit_drop_in(path) && files.read(path).is_ok_and(|bytes| made_from(&bytes).is_some())
        })
    }

    /// The sshd that the unit starts, and that reads the configuration that was read here.
    pub(crate) fn sshd(&self, scratch: &'a Scratch) -> Result<Sshd<'a>, Silent> {
        let arguments = &self.arguments;
        let sshd = Sshd::find(self.disk, scratch, &arguments.program, arguments.when_asking.clone())?;
        if arguments.config.is_none()
            && let Some(elsewhere) = sshd.default_config().filter(|path| *path != self.main)
        {
            return Err(Silent::Elsewhere(self.elsewhere.get_or_init(|| elsewhere).clone()));
        }
        Ok(sshd)
    }

    /// Has sshd judge the configuration, and compares what it says with what was read: for everybody, and for one of each
    /// kind of Match blocks, as far as the time goes.
    ///
    /// `file` is the configuration or a copy of it.
    pub(crate) fn confirmed(&self, sshd: &Sshd<'_>, file: &Path) -> Result<Confirmed, Verdict> {
        let text = |path: &str| {
            let bytes = self.disk.read(Path::new(path)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let members = keys_command::members(&text("/etc/passwd"), &text("/etc/group"));
        let end = Instant::now() + ASKING;
        self.starts(sshd, file)?;
        let ordinary = self.answer(sshd, file, Connection::ordinary())?;
        let mut confirmed = Confirmed {
            answers: vec![ordinary],
            not_asked: Vec::new(),
        };
        let mut connections = Connections::new(&self.config, &members);
        for (number, block) in self.config.blocks.iter().enumerate() {
            if Instant::now() >= end {
                confirmed.not_asked.push(block.place.clone());
            } else if let Some(connection) = connections.of_block(number) {
                confirmed.answers.push(self.answer(sshd, file, connection)?);
            }
        }
        Ok(confirmed)
    }

    /// As [`Setup::confirmed`], for these connections alone.
    pub(crate) fn confirmed_for(
        &self,
        sshd: &Sshd<'_>,
        file: &Path,
        connections: impl Iterator<Item = Connection>,
    ) -> Result<Vec<InEffect>, Verdict> {
        self.starts(sshd, file)?;
        connections
            .map(|connection| self.answer(sshd, file, connection))
            .collect()
    }

    fn starts(&self, sshd: &Sshd<'_>, file: &Path) -> Result<(), Verdict> {
        sshd.test(file, &[]).map_err(|Refused(words)| Verdict::Broken(words))
    }

    fn answer(&self, sshd: &Sshd<'_>, file: &Path, connection: Connection) -> Result<InEffect, Verdict> {
        let lines = sshd.in_effect(file, &[], &connection);
        let lines = lines.map_err(|Refused(words)| Verdict::Broken(words))?;
        let answer = InEffect { connection, lines };
        self.agrees(&answer)?;
        Ok(answer)
    }

    fn agrees(&self, answer: &InEffect) -> Result<(), Verdict> {
        let Some(pair) = self.config.effective(Who::One(&answer.connection)) else {
            // A Match by what only sshd can tell: its own word is the only one.
            return Ok(());
        };
        for (keyword, read) in [(COMMAND, pair.command), (USER, pair.user)] {
            let said = answer.value(keyword);
            if !is_same(read, said) {
                return Err(Verdict::Disagreement {
                    who: answer.connection.specification(),
                    read: match read {
                        Some(read) => format!("\"{keyword} {}\" ({})", read.value, read.place),
                        None => format!("no {keyword}"),
                    },
                    said: format!("\"{keyword} {said}\""),
                });
            }
        }
        Ok(())
    }

    /// Copies of what was read through `changes`, for sshd to be asked about.
    pub(crate) fn copy(&self, changes: &Changes, scratch: &Scratch) -> Result<Copy, Verdict> {
        let copies =
            trial_config::copies(&self.config, changes, &self.main, scratch.inside()).map_err(Verdict::Unquotable)?;
        for Copied { path, bytes, .. } in &copies {
            let name = path.file_name().unwrap_or_default();
            fs::write(scratch.on_host().join(name), bytes).map_err(Verdict::Scratch)?;
        }
        Ok(Copy(copies.into_iter().map(|copy| (copy.path, copy.of)).collect()))
    }
}

/// A copy of sshd's configuration: each file's path as sshd sees it, and of which it is a copy; the main file first.
pub(crate) struct Copy(Vec<(PathBuf, PathBuf)>);

impl Copy {
    /// The main file.
    pub(crate) fn main(&self) -> &Path {
        self.0.first().map_or(Path::new(""), |(path, _)| path)
    }

    /// What sshd said, of the files themselves: the copies are gone when it is read.
    pub(crate) fn originals(&self, said: &str) -> String {
        let mut words = said.to_owned();
        // They are numbered: 1 is also where 10 begins.
        let mut names: Vec<_> = self.0.iter().map(|(path, of)| (path.to_string_lossy(), of)).collect();
        names.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        for (path, of) in names {
            words = words.replace(path.as_ref(), &printable(of.as_os_str().as_encoded_bytes()));
        }
        words
    }
}

/// The `-o` that a unit gives sshd, with where they stand.
fn options(arguments: &Arguments, unit: Option<&Unit>) -> Vec<(String, Place)> {
    let Some((_, place)) = unit.and_then(|unit| unit.exec_start.as_ref()) else {
        return Vec::new();
    };
    let options = arguments.options.iter();
    options.map(|option| (option.clone(), place.clone())).collect()
}

const COMMAND: &str = "authorizedkeyscommand";
const USER: &str = "authorizedkeyscommanduser";

/// What the crypto policies of Fedora and RHEL set on sshd's command line (crypto-policies' `opensshserver.config`), as
/// `sshd -T` of old and new releases names it. AWS's override of the unit leaves them out.
const CRYPTO_POLICY: [&str; 11] = [
    "casignaturealgorithms",
    "ciphers",
    "gssapikexalgorithms",
    "hostbasedacceptedalgorithms",
    "hostbasedacceptedkeytypes",
    "hostkeyalgorithms",
    "kexalgorithms",
    "macs",
    "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes",
    "requiredrsasize",
];

/// What sshd said, of one mind with what was read.
#[derive(Default)]
pub(crate) struct Confirmed {
    pub(crate) answers: Vec<InEffect>,
    /// The Match lines for which there was no time.
    not_asked: Vec<Place>,
}

impl Confirmed {
    /// What is to be said where not all of it was asked.
    pub(crate) fn note(&self) -> Option<String> {
        let first = self.not_asked.first()?;
        Some(format!(
            "sshd was not asked about {} of the Match blocks (the first: {first}), as that would have taken more than 5 \
             seconds: only this program has read those.",
            self.not_asked.len()
        ))
    }
}

/// What sshd says is in effect for a connection.
pub(crate) struct InEffect {
    pub(crate) connection: Connection,
    /// `sshd -T`'s lines, sorted, without host keys.
    pub(crate) lines: Vec<String>,
}

impl InEffect {
    pub(crate) fn value(&self, keyword: &str) -> &str {
        let values = self.lines.iter().filter_map(|line| line.split_once(' '));
        let mut values = values.filter(|(name, _)| *name == keyword);
        values.next().map_or("none", |(_, value)| value)
    }

    /// The command that sshd reports.
    pub(crate) fn command(&self) -> &str {
        self.value(COMMAND)
    }

    /// Whether the pair in effect is this program, with its own user or, in a Match of an admin's, with any.
    pub(crate) fn is_ours(&self, config: &SshdConfig) -> bool {
        let read = config.effective(Who::One(&self.connection));
        let by_an_admin = read.is_some_and(keys_command::is_ours);
        let own = self.value(USER) == keys_command::USER || by_an_admin;
        keys_command::Owner::of(self.value(COMMAND)) != keys_command::Owner::Other && own
    }

    /// A line, other than the pair's two, that differs from what was in effect before. What a crypto policy sets is
    /// passed over where `policy_aside`.
    pub(crate) fn other_change<'b>(&'b self, before: &'b Self, policy_aside: bool) -> Option<&'b str> {
        let is_other = move |line: &&String| {
            let keyword = line.split(' ').next().unwrap_or_default();
            !(line.starts_with(COMMAND) || policy_aside && CRYPTO_POLICY.contains(&keyword))
        };
        let others = |its: &'b Self| its.lines.iter().filter(is_other);
        let (ours, theirs): (Vec<_>, Vec<_>) = (others(self).collect(), others(before).collect());
        let new = ours.iter().find(|line| !theirs.contains(line));
        let gone = theirs.iter().find(|line| !ours.contains(line));
        gone.or(new).map(|line| line.as_str())
    }
}

/// Whether sshd's word is what was read. sshds before 8.5 take a comment off a command, later ones keep it.
fn is_same(read: Option<&Setting>, said: &str) -> bool {
    let read = read.map_or("none", |read| read.value.trim());
    let same_none = read.eq_ignore_ascii_case("none") && said.eq_ignore_ascii_case("none");
    let comment = read.strip_prefix(said).map(str::trim_start);
    same_none || comment.is_some_and(|comment| comment.is_empty() || comment.starts_with('#'))
}

/// Whether this is where this program lays a unit's drop-in.
fn is_unit_drop_in(path: &Path) -> bool {
    path.starts_with("/etc/systemd/system") && path.file_name().is_some_and(|name| name == UNIT_DROP_IN)
}

/// Whether drop-ins of units lie in this folder, or in those above it.
pub(crate) fn is_of_a_unit(path: &Path) -> bool {
    UNIT_FOLDERS.iter().any(|units| path.starts_with(units))
}

/// Where a unit's drop-in is laid.
pub(crate) fn unit_drop_in_path(unit: &str) -> PathBuf {
    Path::new("/etc/systemd/system")
        .join(format!("{unit}.d"))
        .join(UNIT_DROP_IN)
}
