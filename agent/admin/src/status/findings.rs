//! What `status` finds: which AuthorizedKeysCommand sshd runs, from which line, and whether pushed keys can log in.

use std::fmt;
use std::process::ExitCode;

use serde::Serialize;

use crate::change::markers::Marker;
use crate::files::{Changes, Files, printable_path};
use crate::hook::keys_command::{self, CommandInEffect};
use crate::hook::our_lines::{original_exec_start, unit_drop_in_path};
use crate::host::root_directory::RootDirectory;
use crate::host::sshd_program::SshdUnavailable;
use crate::host::temporary_directory::TemporaryDirectory;
use crate::service::effective_config::{Disagreement, EffectiveConfig, Unconfirmed};
use crate::service::listeners::{self, Configured, Listener};
use crate::service::problems::{self, Kind, Problem};
use crate::service::sshd_service::{SshdService, Unreadable};
use crate::sshd::sshd_config::{Scope, Setting, SshdConfig};
use eic_verify::text::printable;

/// The exit status if sshd does not run this program, as systemctl's for a unit that is not active.
const NOT_HOOKED: u8 = 3;

/// The result in one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Pushed keys can log in.
    Hooked,
    /// Pushed keys can log in, by the lines of AWS's package.
    HookedByAws,
    /// sshd is configured in one way and acts in another: the problems show how.
    Broken,
    /// sshd runs another command, and no pushed key can log in.
    AnotherCommand,
    /// sshd runs no command, and no pushed key can log in.
    NotHooked,
    /// The state is not known.
    #[default]
    Unknown,
}

impl State {
    /// The exit status.
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

/// The whole result. ec2-instance-connect(8) documents each field of its JSON.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Status {
    pub(crate) state: State,
    /// Which command sshd's configuration sets.
    pub(crate) configured: Option<Configured>,
    pub(crate) command: Option<Line>,
    pub(crate) user: Option<Line>,
    /// Each Match block in which another command or user is in effect than globally.
    pub(crate) matches: Vec<MatchStatus>,
    /// Whether sshd was run and confirmed this.
    pub(crate) confirmed_by_sshd: bool,
    pub(crate) problems: Vec<Problem>,
    /// The listening sshds; `None` if they were not examined.
    pub(crate) listeners: Option<Vec<Listener>>,
    /// Other facts.
    pub(crate) notes: Vec<String>,
}

/// A value, and the line that sets it.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) value: String,
    pub(crate) place: String,
}

/// The command and user in effect within a Match block.
#[derive(Debug, Serialize)]
pub(crate) struct MatchStatus {
    /// The criteria, as written.
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

/// The Match blocks in which another command or user is in effect than globally.
fn differing_match_blocks(config: &SshdConfig) -> Vec<MatchStatus> {
    let global = config.effective(Scope::Global).unwrap_or_default();
    let blocks = config.match_blocks.iter().enumerate();
    let differing = blocks.filter_map(|(number, block)| {
        let effective = config
            .effective(Scope::MatchBlock(number))
            .filter(|effective| *effective != global)?;
        Some(MatchStatus {
            criteria: block.text.clone(),
            place: block.place.to_string(),
            command: effective.command.map(Line::of),
            user: effective.user.map(Line::of),
        })
    });
    differing.collect()
}

/// Examines a system.
pub(crate) fn find(root: &RootDirectory, run_sshd: bool) -> Status {
    let mut status = Status::default();
    status.notes.extend(decisions(root));
    let service = match SshdService::read(root, &Changes::new()) {
        Ok(service) => service,
        Err(Unreadable::NoConfig(path)) => {
            status.state = State::NotHooked;
            status.configured = Some(Configured::NotHooked);
            let path = printable_path(&path);
            status
                .notes
                .push(format!("there is no {path}, so there is no sshd to configure"));
            return status;
        }
        Err(Unreadable::ExecStart(unit)) => {
            status.notes.push(format!(
                "{unit} does not start sshd by its path in one ExecStart line without specifiers such as %i, so it is not known which \
                 configuration sshd reads"
            ));
            return status;
        }
    };
    let in_effect = keys_command::in_effect(&service.config);
    let configured = Configured::of(&in_effect);
    let global = service.config.effective(Scope::Global).unwrap_or_default();
    status.command = global.command.map(Line::of);
    status.user = global.user.map(Line::of);
    status.matches = differing_match_blocks(&service.config);
    if let CommandInEffect::Other(setting) = &in_effect {
        status.notes.push(format!("sshd runs this instead: {setting}"));
    }
    if !service.config.files.contains_key(&service.config_file) {
        let path = printable_path(&service.config_file);
        status.notes.push(format!("{path} cannot be read"));
        return status;
    }
    status.configured = Some(configured);
    status.state = configured.into();
    status.notes.extend(service.config.unread.iter().cloned());
    status.notes.extend(outdated_drop_ins(root));
    let invalid = service.config.problems.iter();
    status
        .notes
        .extend(invalid.map(|problem| format!("this program considers the configuration invalid: {problem}")));
    examine_sshd(&service, configured, run_sshd, &mut status);
    if !status.problems.is_empty() {
        status.state = State::Broken;
    }
    status
}

/// An administrator's decisions.
fn decisions(root: &RootDirectory) -> Vec<String> {
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
    let set = decisions.into_iter().filter(|(marker, _)| marker.is_set(root));
    set.map(|(_, words)| words.to_owned()).collect()
}

fn invalid_configuration(message: &str) -> Problem {
    Problem::new(
        Kind::ConfigurationInvalid,
        format!("sshd would not start with its configuration: {message}"),
        "fix that line; `sshd -t` shows whether sshd accepts it",
    )
}

/// Notes on our drop-ins of units: the unit's own ExecStart has changed since, or somebody changed the drop-in.
fn outdated_drop_ins(root: &RootDirectory) -> Vec<String> {
    let units = SshdService::units_without_ours(root).into_iter();
    let notes = units.filter_map(|unit| {
        let path = unit_drop_in_path(&unit.name);
        let bytes = root.read(&path).ok()?;
        match (original_exec_start(&bytes), unit.exec_start) {
            (Some(from), Some((now, _))) if from == now => None,
            (Some(_), _) => Some(format!(
                "the ExecStart of {} has changed since {} was made from it: `ec2-instance-connect enable` updates the drop-in",
                unit.name,
                path.display()
            )),
            (None, _) => Some(format!("somebody changed {}", path.display())),
        }
    });
    notes.collect()
}

/// Has sshd confirm what was read, and examines the listening sshds.
fn examine_sshd(service: &SshdService<'_>, configured: Configured, run_sshd: bool, status: &mut Status) {
    let root = service.root;
    if !(root.is_running_system() || run_sshd) {
        // `status` must not run another system's programs as root unless that is asked for.
        status.notes.push(format!(
            "the sshd under {} was not run to confirm this; --run-sshd runs it, as root",
            printable_path(root.path())
        ));
        let invalid = service.config.problems.iter();
        status
            .problems
            .extend(invalid.map(|problem| invalid_configuration(problem)));
        if configured.runs_our_program() {
            status.problems.extend(problems::find(service, None, &[]));
        }
        return;
    }
    let temporary = match TemporaryDirectory::new(root) {
        Ok(temporary) => temporary,
        Err(error) => {
            status.state = State::Unknown;
            status.notes.push(format!(
                "run this as root: sshd could not be run to confirm this ({error})"
            ));
            return;
        }
    };
    let answers = confirm(service, &temporary, status);
    if configured.runs_our_program() {
        status
            .problems
            .extend(problems::find(service, Some(&temporary), &answers));
    }
    if !root.is_running_system() {
        return;
    }
    match listeners::find(service, &temporary) {
        Ok(listeners) => {
            if listeners::is_unknown(&listeners, configured) {
                status.state = State::Unknown;
            }
            status.problems.extend(listeners::problems(&listeners, configured));
            let outdated = listeners::outdated_units(service, &temporary, &listeners);
            status.problems.extend(outdated);
            status.listeners = Some(listeners);
        }
        Err(error) => {
            status.state = State::Unknown;
            status
                .notes
                .push(format!("the listening sshds could not be examined: {error}"));
        }
    }
}

/// sshd's effective configuration for each connection, if it confirms what was read.
fn confirm(service: &SshdService<'_>, temporary: &TemporaryDirectory, status: &mut Status) -> Vec<EffectiveConfig> {
    let is_own = service.root.is_running_system();
    let mut doubt = |note: String| {
        status.notes.push(note);
        if is_own {
            status.state = State::Unknown;
        }
    };
    let sshd = match service.sshd(temporary) {
        Ok(sshd) => sshd,
        Err(SshdUnavailable::NotInstalled) => {
            status.notes.push("sshd is not installed".to_owned());
            return Vec::new();
        }
        Err(SshdUnavailable::OtherConfiguration(path)) => {
            let [program, path, read] =
                [&service.command_line.program, &path, &service.config_file].map(|path| printable_path(path));
            doubt(format!("{program} reads {path}, not {read}"));
            return Vec::new();
        }
        Err(SshdUnavailable::DoesNotRun(message)) => {
            doubt(format!("sshd could not be run to confirm this: {message}"));
            return Vec::new();
        }
    };
    match service.confirm(&sshd, &service.config_file) {
        Ok(confirmation) => {
            status.confirmed_by_sshd = true;
            if is_own && !(service.config.problems.is_empty() && service.config.unread.is_empty()) {
                status.state = State::Unknown;
            }
            status.notes.extend(confirmation.note());
            return confirmation.answers;
        }
        Err(Unconfirmed::Refused(message)) => status.problems.push(invalid_configuration(&message)),
        Err(Unconfirmed::Disagrees(Disagreement {
            connection,
            read,
            reported,
        })) => doubt(format!(
            "for {connection}, this program reads {read}, but sshd reports {reported}"
        )),
    }
    Vec::new()
}
