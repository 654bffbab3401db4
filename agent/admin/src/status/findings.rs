//! `status`: which command sshd runs for keys, by which line, and whether pushed keys can log in.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use crate::change::apply::Marker;
use crate::change::outcome::Verdict;
use crate::hook::keys_command::{self, InEffect};
use crate::hook::our_lines::made_from;
use crate::host::root_directory::Disk;
use crate::host::sshd_program::{Refused, Silent};
use crate::host::temporary_directory::Scratch;
use crate::service::listeners::{self, Configured, Listener};
use crate::service::problems::{self, Kind, Problem};
use crate::service::sshd_service::{self, Changes, Setup, unit_drop_in_path};
use crate::sshd::sshd_config::{Files, Setting, SshdConfig, Who};
use eic_verify::text::printable;

/// Where sshd does not use this program: systemctl's status for "not active".
const NOT_HOOKED: u8 = 3;

/// What is found, in one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Pushed keys can log in.
    Hooked,
    /// The same, by the lines of AWS's package.
    HookedByAws,
    /// What sshd is configured to do, and what it does, differ: the problems tell how.
    Broken,
    /// sshd runs another command, and no pushed key can log in.
    AnotherCommand,
    /// sshd runs no command, and no pushed key can log in.
    NotHooked,
    /// It cannot be told.
    #[default]
    Unknown,
}

impl State {
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Self::Hooked | Self::HookedByAws => ExitCode::SUCCESS,
            Self::Broken | Self::Unknown => ExitCode::FAILURE,
            Self::AnotherCommand | Self::NotHooked => ExitCode::from(NOT_HOOKED),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl From<Configured> for State {
    fn from(configured: Configured) -> Self {
        match configured {
            Configured::Hooked => Self::Hooked,
            Configured::HookedByAws => Self::HookedByAws,
            Configured::AnotherCommand => Self::AnotherCommand,
            Configured::NotHooked => Self::NotHooked,
        }
    }
}

/// What is printed. ec2-instance-connect(8) documents each field.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Status {
    pub(crate) state: State,
    /// What sshd's configuration has it do.
    pub(crate) configured: Option<Configured>,
    pub(crate) command: Option<Line>,
    pub(crate) user: Option<Line>,
    /// Each Match block in which another pair is in effect than for everybody.
    pub(crate) matches: Vec<Within>,
    /// Whether sshd itself was asked, and said the same.
    pub(crate) confirmed_by_sshd: bool,
    pub(crate) problems: Vec<Problem>,
    /// The listening sshds; `None` where they were not looked at.
    pub(crate) listeners: Option<Vec<Listener>>,
    /// What is worth knowing besides.
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) value: String,
    pub(crate) place: String,
}

/// What is in effect within a Match block.
#[derive(Debug, Serialize)]
pub(crate) struct Within {
    /// The block's criteria, as written.
    pub(crate) criteria: String,
    pub(crate) place: String,
    pub(crate) command: Option<Line>,
    pub(crate) user: Option<Line>,
}

impl Line {
    fn of(setting: &Setting) -> Self {
        Self {
            value: printable(setting.value.as_bytes()),
            place: setting.place.to_string(),
        }
    }
}

/// The blocks in which another pair is in effect than for everybody.
fn matches(config: &SshdConfig) -> Vec<Within> {
    let everybody = config.effective(Who::Everyone).unwrap_or_default();
    let blocks = config.blocks.iter().enumerate();
    let differing = blocks.filter_map(|(number, block)| {
        let pair = config.effective(Who::Block(number)).filter(|pair| *pair != everybody)?;
        Some(Within {
            criteria: block.text.clone(),
            place: block.place.to_string(),
            command: pair.command.map(Line::of),
            user: pair.user.map(Line::of),
        })
    });
    differing.collect()
}

/// Looks at everything.
pub(crate) fn look(disk: &Disk, run_sshd: bool) -> Status {
    let mut status = Status::default();
    status.notes.extend(decisions(disk));
    let setup = match Setup::read(disk, &Changes::new()) {
        Ok(setup) => setup,
        Err(Verdict::NoSshd(path)) => {
            status.state = State::NotHooked;
            status.configured = Some(Configured::NotHooked);
            let path = printable(path.as_os_str().as_encoded_bytes());
            status
                .notes
                .push(format!("there is no {path}, so there is no sshd to hook into"));
            return status;
        }
        Err(Verdict::ExecStart(unit)) => {
            status.notes.push(format!(
                "{unit} starts more than a plain sshd: what that would do cannot be told from its files"
            ));
            return status;
        }
        Err(verdict) => {
            status.notes.push(verdict.to_string());
            return status;
        }
    };
    let in_effect = keys_command::in_effect(&setup.config);
    let configured = Configured::of(&in_effect);
    let everybody = setup.config.effective(Who::Everyone).unwrap_or_default();
    status.command = everybody.command.map(Line::of);
    status.user = everybody.user.map(Line::of);
    status.matches = matches(&setup.config);
    if let InEffect::Others(contender) = &in_effect {
        status.notes.push(format!("sshd runs this instead: {contender}"));
    }
    if !setup.config.files.contains_key(&setup.main) {
        let path = printable(setup.main.as_os_str().as_encoded_bytes());
        status.notes.push(format!("{path} cannot be read"));
        return status;
    }
    status.configured = Some(configured);
    status.state = configured.into();
    status.notes.extend(setup.config.unread.iter().cloned());
    status.notes.extend(stale_units(disk));
    let invalid = setup.config.problems.iter();
    status
        .notes
        .extend(invalid.map(|words| format!("read here as invalid: {words}")));
    ask(&setup, configured, run_sshd, &mut status);
    if !status.problems.is_empty() {
        status.state = State::Broken;
    }
    status
}

/// What an administrator decided.
fn decisions(disk: &Disk) -> Vec<String> {
    let decisions = [
        (
            Marker::NoEnable,
            "/etc/ec2-instance-connect/no-enable keeps it from being enabled",
        ),
        (
            Marker::Disabled,
            "disabled by an administrator; package upgrades will not re-enable it",
        ),
    ];
    let set = decisions.into_iter().filter(|(marker, _)| marker.is_set(disk));
    set.map(|(_, words)| words.to_owned()).collect()
}

fn invalid_configuration(words: &str) -> Problem {
    Problem::new(
        Kind::ConfigurationInvalid,
        format!("sshd would not start with its configuration: {words}"),
        "fix that line; `sshd -t` shows whether sshd accepts it",
    )
}

/// Drop-ins of ours that were made from another ExecStart than there is now, or that somebody has changed.
fn stale_units(disk: &Disk) -> Vec<String> {
    let units = Setup::units_without_ours(disk).into_iter();
    let notes = units.filter_map(|unit| {
        let path = unit_drop_in_path(&unit.name);
        let bytes = disk.read(&path).ok()?;
        match (made_from(&bytes), unit.exec_start) {
            (Some(from), Some((now, _))) if from == now => None,
            (Some(_), _) => Some(format!(
                "{} starts sshd otherwise than when {} was made: `ec2-instance-connect enable` makes it anew",
                unit.name,
                path.display()
            )),
            (None, _) => Some(format!("{} was changed by somebody", path.display())),
        }
    });
    notes.collect()
}

/// Asks sshd, and looks at what listens.
fn ask(setup: &Setup<'_>, configured: Configured, run_sshd: bool, status: &mut Status) {
    let disk = setup.disk;
    if !(disk.is_own_root() || run_sshd) {
        // Looking at a system must not run its programs as root.
        status.notes.push(format!(
            "the sshd under {} was not run to confirm this; --run-sshd runs it, as root",
            printable(disk.root().as_os_str().as_encoded_bytes())
        ));
        let invalid = setup.config.problems.iter();
        status
            .problems
            .extend(invalid.map(|words| invalid_configuration(words)));
        if configured.uses_us() {
            status.problems.extend(problems::of_setup(setup, None, &[]));
        }
        return;
    }
    let scratch = match Scratch::new(disk) {
        Ok(scratch) => scratch,
        Err(error) => {
            status.state = State::Unknown;
            status
                .notes
                .push(format!("run this as root: sshd could not be asked ({error})"));
            return;
        }
    };
    let answers = confirm(setup, &scratch, status);
    if configured.uses_us() {
        status
            .problems
            .extend(problems::of_setup(setup, Some(&scratch), &answers));
    }
    if !disk.is_own_root() {
        return;
    }
    match listeners::look(setup, &scratch) {
        Ok(listeners) => {
            if listeners::is_unknown(&listeners, configured) {
                status.state = State::Unknown;
            }
            status.problems.extend(listeners::problems(&listeners, configured));
            let outdated = listeners::outdated_units(setup, &scratch, &listeners);
            status.problems.extend(outdated);
            status.listeners = Some(listeners);
        }
        Err(error) => {
            status.state = State::Unknown;
            status
                .notes
                .push(format!("the running sshds could not be looked at: {error}"));
        }
    }
}

/// sshd's own answers, where they confirm what was read.
fn confirm(setup: &Setup<'_>, scratch: &Scratch, status: &mut Status) -> Vec<sshd_service::InEffect> {
    let is_own = setup.disk.is_own_root();
    let mut doubt = |words: String| {
        status.notes.push(words);
        if is_own {
            status.state = State::Unknown;
        }
    };
    let sshd = match setup.sshd(scratch) {
        Ok(sshd) => sshd,
        Err(Silent::Missing) => {
            status.notes.push("sshd is not installed".to_owned());
            return Vec::new();
        }
        Err(Silent::Elsewhere(path)) => {
            let name = |path: &Path| printable(path.as_os_str().as_encoded_bytes());
            let program = name(&setup.arguments.program);
            doubt(format!(
                "{program} reads {}, and not {}",
                name(&path),
                name(&setup.main)
            ));
            return Vec::new();
        }
        Err(Silent::DoesNotRun(words)) => {
            doubt(format!("sshd could not be asked: {}", Refused(words)));
            return Vec::new();
        }
    };
    match setup.confirmed(&sshd, &setup.main) {
        Ok(confirmed) => {
            status.confirmed_by_sshd = true;
            if is_own && !(setup.config.problems.is_empty() && setup.config.unread.is_empty()) {
                status.state = State::Unknown;
            }
            status.notes.extend(confirmed.note());
            return confirmed.answers;
        }
        Err(Verdict::Broken(words)) => status.problems.push(invalid_configuration(&words)),
        Err(Verdict::Disagreement { who, read, said }) => doubt(format!(
            "for {who}, its configuration reads as {read}, but sshd itself says {said}"
        )),
        Err(verdict) => doubt(verdict.to_string()),
    }
    Vec::new()
}
