//! The listening sshds: which AuthorizedKeysCommand each is configured to run, and whether it has read its configuration since
//! that changed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::problems::{Kind, Problem};
use super::sshd_service::{SSHD_CONFIG, SshdService};
use crate::files::{Place, printable_path};
use crate::hook::keys_command::{self, CommandInEffect};
use crate::hook::owner::{AWS_PROGRAMS, Owner, PROGRAM};
use crate::host::listening_sshds::{self, ListeningSshd};
use crate::host::systemctl::Systemctl;
use crate::host::temporary_directory::TemporaryDirectory;
use crate::sshd::command_line::{CommandLine, listener_title};
use crate::sshd::sshd_config::SshdConfig;
use crate::systemd::unit::Unit;
use eic_verify::text::printable;

/// How far apart a change and a start must be for their time stamps to show which came first: /proc counts starts in 10 ms
/// (`USER_HZ`), and the clock of file time stamps lags by up to 10 ms (`CONFIG_HZ=100`).
pub(crate) const CLOCK_GRANULARITY: Duration = Duration::from_millis(10);

/// Which AuthorizedKeysCommand a configuration makes sshd run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Configured {
    /// This program.
    Hooked,
    /// This program, by the lines of AWS's package.
    HookedByAws,
    /// Another command.
    AnotherCommand,
    /// None.
    NotHooked,
}

impl fmt::Display for Configured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Configured {
    /// The state for a command in effect.
    pub(crate) fn of(in_effect: &CommandInEffect) -> Self {
        match in_effect {
            CommandInEffect::NoCommand => Self::NotHooked,
            CommandInEffect::Ours(Owner::Aws) | CommandInEffect::OursInMatch(Owner::Aws) => Self::HookedByAws,
            CommandInEffect::Ours(_) | CommandInEffect::OursInMatch(_) => Self::Hooked,
            CommandInEffect::Other(_) => Self::AnotherCommand,
        }
    }

    /// Whether pushed keys can log in with it.
    pub(crate) fn runs_our_program(self) -> bool {
        matches!(self, Self::Hooked | Self::HookedByAws)
    }
}

/// Whether an sshd uses its present configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// It has read the present configuration.
    UpToDate,
    /// A configuration file, or a directory named by an Include, has changed since it read them.
    Stale,
    /// Its unit now has other options that decide whether a pushed key can log in.
    OtherOptions,
    /// It is not known which configuration it reads.
    NotJudged,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A listening sshd, as `status --json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct Listener {
    pub(crate) pid: u32,
    pub(crate) command_line: String,
    /// The unit of sshd whose main process it is, if any.
    pub(crate) unit: Option<String>,
    pub(crate) configuration: Option<String>,
    /// What its present configuration makes it run.
    pub(crate) configured: Option<Configured>,
    pub(crate) state: State,
    /// Why its state is [`State::NotJudged`].
    pub(crate) reason: Option<String>,
}

/// Finds the listening sshds of the running system; none for another root directory.
///
/// # Errors
/// The caller is not root, and cannot see them.
pub(crate) fn find(service: &SshdService<'_>, temporary: &TemporaryDirectory) -> io::Result<Vec<Listener>> {
    if !service.root.is_running_system() {
        return Ok(Vec::new());
    }
    let sshds = listening_sshds::find()?;
    let systemctl = Systemctl::find(service.root, temporary.on_host()).filter(|_| !sshds.is_empty());
    let main_process = |unit: &'_ Unit| Some((systemctl.as_ref()?.main_pid(&unit.name)?, unit.name.clone()));
    let units: Vec<(u32, String)> = service.units.iter().filter_map(main_process).collect();
    let listeners = sshds.into_iter().map(|sshd| {
        let unit = units.iter().find(|(pid, _)| *pid == sshd.pid);
        examine(service, temporary, &sshd, unit.map(|(_, name)| name.clone()))
    });
    Ok(listeners.collect())
}

fn examine(
    service: &SshdService<'_>,
    temporary: &TemporaryDirectory,
    sshd: &ListeningSshd,
    unit: Option<String>,
) -> Listener {
    let mut listener = Listener {
        pid: sshd.pid,
        command_line: printable_command_line(&sshd.command_line),
        unit,
        configuration: None,
        configured: None,
        state: State::NotJudged,
        reason: None,
    };
    match configuration(service, sshd, listener.unit.is_some()) {
        Ok((command_line, path)) => {
            let has_same_options = command_line.has_same_key_settings(&service.command_line);
            let has_other_options = listener.unit.is_some() && !has_same_options;
            let config = read(service, &command_line, &path, sshd.pid);
            listener.configuration = Some(printable_path(&path));
            listener.configured = Some(Configured::of(&keys_command::in_effect(&config)));
            listener.state = if has_other_options {
                State::OtherOptions
            } else if has_read(service, &config, sshd, temporary) {
                State::UpToDate
            } else {
                State::Stale
            };
        }
        Err(reason) => listener.reason = Some(reason),
    }
    listener
}

/// The command line of an sshd and the configuration file that it reads, or why they are not known.
fn configuration(
    service: &SshdService<'_>,
    sshd: &ListeningSshd,
    is_of_unit: bool,
) -> Result<(CommandLine, PathBuf), String> {
    let command_line = CommandLine::of_process(&sshd.command_line)
        .ok_or_else(|| "its command line cannot be understood".to_owned())?;
    // The unit's sshd was run, and named the file that it reads by default.
    let is_known = is_of_unit || sshd.program == service.root.on_host(&service.command_line.program);
    let path = match &command_line.config {
        Some(path) => path.clone(),
        None if is_known => service
            .other_default
            .get()
            .cloned()
            .unwrap_or_else(|| PathBuf::from(SSHD_CONFIG)),
        None => {
            let program = printable_path(&sshd.program);
            return Err(format!(
                "{program} is not the program of sshd's unit, so its default configuration file is not known"
            ));
        }
    };
    if path.is_absolute() && sshd.sees_same_file(&path) {
        Ok((command_line, path))
    } else {
        let path = printable_path(&path);
        Err(format!(
            "{path} may be a different file for that sshd than for this program"
        ))
    }
}

/// The configuration of an sshd that was started with this command line.
fn read(service: &SshdService<'_>, command_line: &CommandLine, path: &Path, pid: u32) -> SshdConfig {
    let place = Place {
        file: PathBuf::from(format!("/proc/{pid}/cmdline")),
        line: 1,
    };
    let options = command_line.options.iter();
    let options: Vec<_> = options.map(|option| (option.clone(), place.clone())).collect();
    SshdConfig::read(service.root, path, &options)
}

/// Whether an sshd read its configuration after the last change to it.
fn has_read(
    service: &SshdService<'_>,
    config: &SshdConfig,
    sshd: &ListeningSshd,
    temporary: &TemporaryDirectory,
) -> bool {
    let changes = config.depends_on().map(|path| service.root.changed_at(path));
    let newest = changes.max().unwrap_or_default().plus(CLOCK_GRANULARITY);
    sshd.times_before_reading(temporary.on_host())
        .any(|time| newest <= time)
}

/// A command line for messages: the program and its arguments, without what sshd adds in its title.
fn printable_command_line(command_line: &[u8]) -> String {
    let text = String::from_utf8_lossy(command_line).replace('\0', " ");
    let text = text.trim();
    printable(listener_title(text).unwrap_or(text).as_bytes())
}

/// The units that run no sshd now, but would start one, as a socket's template does, with options that are no longer in their
/// files.
pub(crate) fn outdated_units(
    service: &SshdService<'_>,
    temporary: &TemporaryDirectory,
    listeners: &[Listener],
) -> Vec<Problem> {
    let Some(systemctl) = Systemctl::find(service.root, temporary.on_host()) else {
        return Vec::new();
    };
    let is_idle = |unit: &&Unit| listeners.iter().all(|its| its.unit.as_ref() != Some(&unit.name));
    let is_other = |unit: &&Unit| {
        let known = systemctl.exec_start(&unit.name).unwrap_or_default();
        let written = unit.exec_start.as_ref().map_or("", |(line, _)| line);
        let mut programs = [PROGRAM].into_iter().chain(AWS_PROGRAMS);
        systemctl.needs_daemon_reload(&unit.name)
            && programs.any(|program| known.contains(program) != written.contains(program))
    };
    let units = service.units.iter().filter(is_idle).filter(is_other);
    let problems = units.map(|unit| {
        let what = format!("systemd has not read the files of {} since they changed", unit.name);
        Problem::new(Kind::SshdNotUpToDate, what, "systemctl daemon-reload")
    });
    problems.collect()
}

/// The listening sshds that do not run what `configured` says.
pub(crate) fn problems(listeners: &[Listener], configured: Configured) -> Vec<Problem> {
    let mut problems: Vec<Problem> = listeners.iter().filter_map(Listener::not_up_to_date).collect();
    let current = || listeners.iter().filter(|its| its.state == State::UpToDate);
    let using = || current().filter(|its| its.configured.is_some_and(Configured::runs_our_program));
    let is_known = listeners.iter().all(|its| its.state != State::NotJudged);
    if configured.runs_our_program() {
        if problems.is_empty() && is_known && using().next().is_none() {
            problems.extend(listeners.iter().map(Listener::reads_another_configuration));
        }
    } else {
        problems.extend(using().map(Listener::runs_our_program_too));
    }
    problems
}

/// Whether it is unknown what the listening sshds run: none of those that are known settles it.
pub(crate) fn is_unknown(listeners: &[Listener], configured: Configured) -> bool {
    let using =
        |its: &Listener| its.state == State::UpToDate && its.configured.is_some_and(Configured::runs_our_program);
    let some_not_judged = listeners.iter().any(|its| its.state == State::NotJudged);
    some_not_judged && !(configured.runs_our_program() && listeners.iter().any(using))
}

impl Listener {
    /// How messages name it.
    pub(crate) fn name(&self) -> String {
        format!("sshd (pid {}: {})", self.pid, self.command_line)
    }

    fn not_up_to_date(&self) -> Option<Problem> {
        let (what, remedy) = match (self.state, &self.unit) {
            (State::OtherOptions, Some(unit)) => (
                format!("{} was started with other options than {unit} has now", self.name()),
                format!("systemctl daemon-reload; systemctl restart {unit}"),
            ),
            (State::Stale, unit) => (
                format!(
                    "{} has not read its configuration since it changed, and still uses the old one",
                    self.name()
                ),
                match unit {
                    Some(unit) => format!("systemctl reload-or-restart {unit}"),
                    None => format!("kill -HUP {}", self.pid),
                },
            ),
            _ => return None,
        };
        Some(Problem::new(Kind::SshdNotUpToDate, what, remedy))
    }

    fn reads_another_configuration(&self) -> Problem {
        let config = self.configuration.as_deref().unwrap_or_default();
        Problem::new(
            Kind::SshdReadsAnotherConfiguration,
            format!("{} reads {config}, which does not name the program", self.name()),
            format!("add the two lines of ec2-instance-connect(8), \"Configuration by hand\", to {config}"),
        )
    }

    fn runs_our_program_too(&self) -> Problem {
        let config = self.configuration.as_deref().unwrap_or_default();
        Problem::new(
            Kind::AnotherSshdUsesIt,
            format!("{} still uses the program, because of {config}", self.name()),
            format!("remove the two lines from {config}, or from its command line"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(state: State, configured: Option<Configured>) -> Listener {
        Listener {
            pid: 7,
            command_line: "/usr/sbin/sshd -D".to_owned(),
            unit: Some("ssh.service".to_owned()),
            configuration: Some("/etc/ssh/sshd_config".to_owned()),
            configured,
            state,
            reason: None,
        }
    }

    fn kinds(listeners: &[Listener], configured: Configured) -> Vec<Kind> {
        problems(listeners, configured)
            .into_iter()
            .map(|its| its.kind)
            .collect()
    }

    #[test]
    fn an_sshd_that_is_not_up_to_date_is_a_problem_whatever_is_configured() {
        for state in [State::Stale, State::OtherOptions] {
            for configured in [Configured::Hooked, Configured::NotHooked, Configured::AnotherCommand] {
                let lagging = [listener(state, Some(configured))];
                assert_eq!(kinds(&lagging, configured), [Kind::SshdNotUpToDate]);
            }
        }
    }

    #[test]
    fn another_sshd_is_a_problem_if_it_runs_something_else_than_configured() {
        use Configured::{Hooked, HookedByAws, NotHooked};
        let up = |configured| listener(State::UpToDate, Some(configured));
        assert_eq!(kinds(&[up(Hooked)], Hooked), []);
        assert_eq!(kinds(&[up(NotHooked), up(HookedByAws)], Hooked), []);
        assert_eq!(kinds(&[up(NotHooked)], Hooked), [Kind::SshdReadsAnotherConfiguration]);
        assert_eq!(
            kinds(&[up(NotHooked), up(Hooked)], NotHooked),
            [Kind::AnotherSshdUsesIt]
        );
        assert_eq!(kinds(&[], Hooked), []);
    }

    #[test]
    fn an_sshd_that_is_not_judged_leaves_the_state_unknown_unless_another_runs_the_program() {
        use Configured::{Hooked, NotHooked};
        let unjudged = || listener(State::NotJudged, None);
        let up = |configured| listener(State::UpToDate, Some(configured));
        assert!(is_unknown(&[unjudged()], Hooked));
        assert!(!is_unknown(&[unjudged(), up(Hooked)], Hooked));
        assert!(is_unknown(&[unjudged(), up(NotHooked)], NotHooked));
        assert!(is_unknown(&[unjudged(), up(Hooked)], NotHooked));
        assert!(!is_unknown(&[up(NotHooked)], NotHooked));
    }

    #[test]
    fn a_command_line_is_shown_without_what_sshd_adds_and_without_control_characters() {
        let title = b"sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups\0\0";
        assert_eq!(printable_command_line(title), "/usr/sbin/sshd -D");
        assert_eq!(
            printable_command_line(b"/usr/sbin/sshd\0-D\x1b[2J\0"),
            "/usr/sbin/sshd -D\\x1b[2J"
        );
    }
}
