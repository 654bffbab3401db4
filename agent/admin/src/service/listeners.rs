//! The sshds that listen here: what each is configured to run for keys, and whether it has read that as it is now.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::problems::{Kind, Problem};
use super::sshd_service::{SSHD_CONFIG, Setup};
use crate::hook::keys_command::{self, HISTORICAL, InEffect, Owner, PROGRAM};
use crate::host::listening_sshds::{self, Listening};
use crate::host::systemctl::Systemd;
use crate::host::temporary_directory::Scratch;
use crate::sshd::command_line::{Arguments, listener_title};
use crate::sshd::sshd_config::{Place, SshdConfig};
use crate::systemd::unit::Unit;
use eic_verify::text::printable;

/// How far apart a change and a start must be to be told apart: /proc counts starts in 10 ms (`USER_HZ`), and a kernel
/// stamps files with a clock that is up to 10 ms behind (`CONFIG_HZ=100`).
pub(crate) const GRAIN: Duration = Duration::from_millis(10);

/// What a configuration has sshd run for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Configured {
    Hooked,
    HookedByAws,
    AnotherCommand,
    NotHooked,
}

impl fmt::Display for Configured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Configured {
    pub(crate) fn of(in_effect: &InEffect) -> Self {
        match in_effect {
            InEffect::Nothing => Self::NotHooked,
            InEffect::Ours(Owner::Aws) | InEffect::OursForSome(Owner::Aws) => Self::HookedByAws,
            InEffect::Ours(_) | InEffect::OursForSome(_) => Self::Hooked,
            InEffect::Others(_) => Self::AnotherCommand,
        }
    }

    /// Whether pushed keys can log in by it.
    pub(crate) fn uses_us(self) -> bool {
        matches!(self, Self::Hooked | Self::HookedByAws)
    }
}

/// Whether an sshd acts on its configuration as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// It does.
    UpToDate,
    /// A file, or a folder that an Include looks into, has changed since it read them.
    Stale,
    /// Its unit would start it with other options that decide on keys.
    OtherOptions,
    /// Which configuration it reads is not known.
    NotJudged,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A listening sshd.
#[derive(Debug, Serialize)]
pub(crate) struct Listener {
    pub(crate) pid: u32,
    pub(crate) command_line: String,
    /// The unit whose main process it is, where that is one of sshd's own.
    pub(crate) unit: Option<String>,
    pub(crate) configuration: Option<String>,
    /// What that configuration has it run, as it is now.
    pub(crate) configured: Option<Configured>,
    pub(crate) state: State,
    /// Why it was not judged.
    pub(crate) reason: Option<String>,
}

/// The listening sshds of this system; none of another root.
///
/// # Errors
/// Where this is not root, who alone can see them.
pub(crate) fn look(setup: &Setup<'_>, scratch: &Scratch) -> io::Result<Vec<Listener>> {
    if !setup.disk.is_own_root() {
        return Ok(Vec::new());
    }
    let sshds = listening_sshds::sshds()?;
    let systemd = Systemd::find(setup.disk, scratch.on_host()).filter(|_| !sshds.is_empty());
    let main = |unit: &'_ Unit| Some((systemd.as_ref()?.main_pid(&unit.name)?, unit.name.clone()));
    let units: Vec<(u32, String)> = setup.units.iter().filter_map(main).collect();
    let judged = sshds.into_iter().map(|sshd| {
        let unit = units.iter().find(|(pid, _)| *pid == sshd.pid);
        judge(setup, scratch, &sshd, unit.map(|(_, name)| name.clone()))
    });
    Ok(judged.collect())
}

fn judge(setup: &Setup<'_>, scratch: &Scratch, sshd: &Listening, unit: Option<String>) -> Listener {
    let mut listener = Listener {
        pid: sshd.pid,
        command_line: shown(&sshd.command_line),
        unit,
        configuration: None,
        configured: None,
        state: State::NotJudged,
        reason: None,
    };
    match configuration(setup, sshd, listener.unit.is_some()) {
        Ok((arguments, path)) => {
            let has_other_options = listener.unit.is_some() && !arguments.is_same_for_keys(&setup.arguments);
            let config = read(setup, &arguments, &path, sshd.pid);
            listener.configuration = Some(printable(path.as_os_str().as_encoded_bytes()));
            listener.configured = Some(Configured::of(&keys_command::in_effect(&config)));
            listener.state = if has_other_options {
                State::OtherOptions
            } else if has_read(setup, &config, sshd, scratch) {
                State::UpToDate
            } else {
                State::Stale
            };
        }
        Err(reason) => listener.reason = Some(reason),
    }
    listener
}

/// Its arguments and the configuration that it reads, or why that is not known.
fn configuration(setup: &Setup<'_>, sshd: &Listening, is_of_unit: bool) -> Result<(Arguments, PathBuf), String> {
    let arguments =
        Arguments::of_process(&sshd.command_line).ok_or_else(|| "its command line cannot be understood".to_owned())?;
    // What the unit starts was asked itself.
    let is_known = is_of_unit || sshd.program == setup.disk.on_host(&setup.arguments.program);
    let path = match &arguments.config {
        Some(path) => path.clone(),
        None if is_known => setup
            .elsewhere
            .get()
            .cloned()
            .unwrap_or_else(|| PathBuf::from(SSHD_CONFIG)),
        None => {
            let program = printable(sshd.program.as_os_str().as_encoded_bytes());
            return Err(format!("where {program} has its configuration is not known"));
        }
    };
    if path.is_absolute() && sshd.shares(&path) {
        Ok((arguments, path))
    } else {
        let path = printable(path.as_os_str().as_encoded_bytes());
        Err(format!("{path} is not the same file for it as here"))
    }
}

/// The configuration with the options that this sshd was started with.
fn read(setup: &Setup<'_>, arguments: &Arguments, path: &Path, pid: u32) -> SshdConfig {
    let place = Place {
        file: PathBuf::from(format!("/proc/{pid}/cmdline")),
        line: 1,
    };
    let options = arguments.options.iter();
    let options: Vec<_> = options.map(|option| (option.clone(), place.clone())).collect();
    SshdConfig::read(setup.disk, path, &options)
}

/// Whether it read its configuration after the last change to any of it.
fn has_read(setup: &Setup<'_>, config: &SshdConfig, sshd: &Listening, scratch: &Scratch) -> bool {
    let changes = config.read_from().map(|path| setup.disk.changed(path));
    let newest = changes.max().unwrap_or_default().after(GRAIN);
    sshd.before_reading(scratch.on_host()).any(|moment| newest <= moment)
}

/// A command line as an admin would write it: the words, without what sshd adds to them.
fn shown(command_line: &[u8]) -> String {
    let text = String::from_utf8_lossy(command_line).replace('\0', " ");
    let text = text.trim();
    printable(listener_title(text).unwrap_or(text).as_bytes())
}

/// The units that start no sshd now, but will, as a socket's does, with options that their files no longer have.
pub(crate) fn outdated_units(setup: &Setup<'_>, scratch: &Scratch, listeners: &[Listener]) -> Vec<Problem> {
    let Some(systemd) = Systemd::find(setup.disk, scratch.on_host()) else {
        return Vec::new();
    };
    let is_idle = |unit: &&Unit| listeners.iter().all(|its| its.unit.as_ref() != Some(&unit.name));
    let is_other = |unit: &&Unit| {
        let known = systemd.exec_start(&unit.name).unwrap_or_default();
        let written = unit.exec_start.as_ref().map_or("", |(line, _)| line);
        let mut programs = [PROGRAM].into_iter().chain(HISTORICAL);
        systemd.is_outdated(&unit.name) && programs.any(|program| known.contains(program) != written.contains(program))
    };
    let units = setup.units.iter().filter(is_idle).filter(is_other);
    let problems = units.map(|unit| {
        let what = format!("systemd has not read the files of {} since they changed", unit.name);
        Problem::new(Kind::SshdNotUpToDate, what, "systemctl daemon-reload")
    });
    problems.collect()
}

/// What keeps the listening sshds from doing what `configured` says.
pub(crate) fn problems(listeners: &[Listener], configured: Configured) -> Vec<Problem> {
    let mut problems: Vec<Problem> = listeners.iter().filter_map(Listener::lag).collect();
    let current = || listeners.iter().filter(|its| its.state == State::UpToDate);
    let using = || current().filter(|its| its.configured.is_some_and(Configured::uses_us));
    let is_known = listeners.iter().all(|its| its.state != State::NotJudged);
    if configured.uses_us() {
        if problems.is_empty() && is_known && using().next().is_none() {
            problems.extend(listeners.iter().map(Listener::reads_another));
        }
    } else {
        problems.extend(using().map(Listener::uses_us_too));
    }
    problems
}

/// Whether it cannot be told what the listening sshds do: those that could be judged leave it open.
pub(crate) fn is_unknown(listeners: &[Listener], configured: Configured) -> bool {
    let using = |its: &Listener| its.state == State::UpToDate && its.configured.is_some_and(Configured::uses_us);
    let some_not_judged = listeners.iter().any(|its| its.state == State::NotJudged);
    some_not_judged && !(configured.uses_us() && listeners.iter().any(using))
}

impl Listener {
    /// How it is called in a sentence.
    pub(crate) fn name(&self) -> String {
        format!("sshd (pid {}: {})", self.pid, self.command_line)
    }

    fn lag(&self) -> Option<Problem> {
        let (what, remedy) = match (self.state, &self.unit) {
            (State::OtherOptions, Some(unit)) => (
                format!("{} was started with other options than {unit} has now", self.name()),
                format!("systemctl daemon-reload; systemctl restart {unit}"),
            ),
            (State::Stale, unit) => (
                format!(
                    "{} has not read its configuration since that changed, and acts on the former one",
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

    fn reads_another(&self) -> Problem {
        let config = self.configuration.as_deref().unwrap_or_default();
        Problem::new(
            Kind::SshdReadsAnotherConfiguration,
            format!("{} reads {config}, which does not name the program", self.name()),
            format!("add the two lines of ec2-instance-connect(8), \"By hand\", to {config}"),
        )
    }

    fn uses_us_too(&self) -> Problem {
        let config = self.configuration.as_deref().unwrap_or_default();
        Problem::new(
            Kind::AnotherSshdUsesIt,
            format!("{} uses the program all the same, by {config}", self.name()),
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
    fn an_sshd_that_lags_behind_is_a_problem_whatever_is_configured() {
        for state in [State::Stale, State::OtherOptions] {
            for configured in [Configured::Hooked, Configured::NotHooked, Configured::AnotherCommand] {
                let lagging = [listener(state, Some(configured))];
                assert_eq!(kinds(&lagging, configured), [Kind::SshdNotUpToDate]);
            }
        }
    }

    #[test]
    fn what_another_sshd_does_counts_where_it_is_not_what_was_asked_for() {
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
    fn one_that_was_not_judged_leaves_it_open_unless_another_is_known_to_use_the_program() {
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
        assert_eq!(shown(title), "/usr/sbin/sshd -D");
        assert_eq!(shown(b"/usr/sbin/sshd\0-D\x1b[2J\0"), "/usr/sbin/sshd -D\\x1b[2J");
    }
}
