//! Brings what was changed to the running sshd, and sees what came of it.

use std::thread;
use std::time::{Duration, Instant};

use super::outcome::{self, Verdict};
use crate::hook::keys_command;
use crate::host::root_directory::Disk;
use crate::host::sshd_program::{Refused, Sshd};
use crate::host::systemctl::Systemd;
use crate::host::temporary_directory::Scratch;
use crate::options;
use crate::service::listeners::{self, Configured, Listener, State};
use crate::service::problems::{self, Problem};
use crate::service::sshd_service::{self, Changes, InEffect, Setup};

/// How long an sshd may take to read its configuration anew before it is asked once more. Longer than the journal is
/// behind, and than [`crate::host::listening_sshds`] allows for where only the file with sshd's number tells of it.
const SETTLED: Duration = Duration::from_secs(3);

const PAUSE: Duration = Duration::from_millis(50);

/// What the running sshd has to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nothing was changed now. It may have missed an earlier change.
    Nothing,
    /// Its configuration was changed.
    Files,
    /// Its unit was changed.
    Unit,
}

impl Cause {
    pub(crate) fn of(changes: &Changes) -> Self {
        if changes.keys().any(|path| sshd_service::is_of_a_unit(path)) {
            Self::Unit
        } else {
            Self::Files
        }
    }
}

/// A unit that did not start again with what was changed.
pub(crate) struct Down {
    unit: String,
    error: String,
}

impl Down {
    /// Starts it as it was, once the changes are undone.
    pub(crate) fn start_again(self, disk: &Disk, scratch: &Scratch) -> Verdict {
        let Self { unit, error } = self;
        if let Some(systemd) = Systemd::find(disk, scratch.on_host()) {
            // Where one of these fails, the next may still do.
            for verb in [&["daemon-reload"][..], &["reset-failed", &unit], &["start", &unit]] {
                let _ = systemd.ask(verb);
            }
        }
        Verdict::Undone(format!("{unit} did not start again: {error}"))
    }
}

/// Brings what was changed to the running sshd of the unit, as gently as that goes; what is to be said of it.
///
/// # Errors
/// [`Down`] where sshd was restarted and is not there any more.
pub(crate) fn bring(
    setup: &Setup<'_>,
    sshd: Option<&Sshd<'_>>,
    scratch: &Scratch,
    options: &options::Change,
    cause: Cause,
) -> Result<Vec<String>, Down> {
    let Some(systemd) = Systemd::find(setup.disk, scratch.on_host()).filter(|_| !options.dry_run) else {
        return Ok(Vec::new());
    };
    if options.no_reload {
        return Ok(not_asked_for(cause));
    }
    let unit = setup.units.iter().find(|unit| systemd.is_active(&unit.name));
    let state = || {
        unit.and_then(|unit| own(setup, scratch, &unit.name))
            .map(|its| its.state)
    };
    let before = state();
    let must_restart = cause == Cause::Unit || before == Some(State::OtherOptions);
    // What is started must be what was judged: the files, also where a package has taken its drop-in with it.
    let is_outdated = setup.units.iter().any(|unit| systemd.is_outdated(&unit.name));
    if (must_restart || is_outdated)
        && let Err(error) = systemd.ask(&["daemon-reload"])
    {
        return Ok(vec![format!(
            "systemctl daemon-reload failed ({error}): it takes effect at the next start of ssh."
        )]);
    }
    let is_needed = cause != Cause::Nothing || must_restart || before == Some(State::Stale);
    // Stopped, or idle behind a socket: the next sshd reads the files anyway.
    let Some(unit) = unit.filter(|_| is_needed) else {
        return Ok(Vec::new());
    };
    // A HUP with a bad file ends sshd.
    if let Some(Err(Refused(words))) = sshd.map(|sshd| sshd.test(&setup.main, &[])) {
        return Ok(vec![format!(
            "sshd was not reloaded, as it would not start again: {words}."
        )]);
    }
    let name = unit.name.as_str();
    // A HUP makes an sshd that a socket started bind the port anew, which systemd holds: it ends.
    let socket = name.replace(".service", ".socket");
    let verb = if !must_restart && !systemd.is_active(&socket) {
        "reload"
    } else if unit.spares_connections {
        "try-restart"
    } else {
        return Ok(vec![
            "It takes effect at the next restart of ssh, which would end open connections here.".to_owned(),
        ]);
    };
    // So that the change and what follows can be told apart.
    thread::sleep(listeners::GRAIN * 2);
    let ask = || {
        if options.package {
            systemd.ask_as_package(&[verb, name])
        } else {
            systemd.ask(&[verb, name])
        }
    };
    let settled = || {
        let end = Instant::now() + SETTLED;
        loop {
            match state() {
                Some(State::Stale | State::OtherOptions) if Instant::now() < end => thread::sleep(PAUSE),
                state => return !matches!(state, Some(State::Stale | State::OtherOptions)),
            }
        }
    };
    // Where the journal does not show that it has read its files, the second time shows it.
    let done = ask().and_then(|()| {
        let once_more = !settled() && verb == "reload";
        if once_more {
            ask()?;
            settled();
        }
        Ok(())
    });
    match done {
        Ok(()) if cause == Cause::Nothing => Ok(vec![format!(
            "The running sshd had not read its configuration since that changed: {name} was {} now.",
            if verb == "reload" { "reloaded" } else { "restarted" }
        )]),
        Ok(()) => Ok(Vec::new()),
        Err(error) if !systemd.is_active(name) => Err(Down {
            unit: name.to_owned(),
            error,
        }),
        Err(error) => Ok(vec![format!(
            "{name} was not reloaded: {error}. It takes effect at its next start."
        )]),
    }
}

/// What was done, or, where the listening sshds do otherwise or no key can log in, that; the reasons go to `notes`.
pub(crate) fn outcome(
    setup: &Setup<'_>,
    scratch: &Scratch,
    options: &options::Change,
    answers: &[InEffect],
    done: Verdict,
    notes: &mut Vec<String>,
) -> Verdict {
    if options.dry_run {
        return done;
    }
    let configured = Configured::of(&keys_command::in_effect(&setup.config));
    let listeners = listeners::look(setup, scratch).unwrap_or_default();
    let lagging = listeners::problems(&listeners, configured);
    let mut problems = Vec::new();
    if configured.uses_us() {
        problems = problems::of_setup(setup, Some(scratch), answers);
    }
    let is_asked_for = options.no_reload && problems.is_empty();
    problems.extend(lagging);
    problems.extend(listeners::outdated_units(setup, scratch, &listeners));
    notes.extend(problems.iter().map(Problem::to_string));
    let not_judged = listeners
        .iter()
        .filter_map(|its| its.reason.as_ref().map(|reason| (its.name(), reason)));
    notes.extend(not_judged.map(|(name, reason)| {
        format!("It is not known what {name} does: {reason}. Check its configuration, and reload it.")
    }));
    let is_unknown = listeners::is_unknown(&listeners, configured);
    let is_so = problems.is_empty() && !is_unknown;
    // Another root's first start comes later.
    let is_complete = is_so || is_asked_for && !is_unknown || !setup.disk.is_own_root();
    match done {
        Verdict::Enabled(_) | Verdict::Already(_) if is_so && !listeners.is_empty() => done,
        Verdict::TakenOut(_) | Verdict::NotHooked if is_so => done,
        Verdict::Enabled(paths) => {
            if is_so && setup.disk.is_own_root() {
                notes.push("No sshd is listening: the next one to start uses it.".to_owned());
            }
            let places = outcome::names(&paths);
            Verdict::Configured { places, is_complete }
        }
        Verdict::Already(_) if is_so => done,
        Verdict::Already(places) => Verdict::Configured { places, is_complete },
        Verdict::TakenOut(paths) => {
            let places = outcome::names(&paths);
            Verdict::Unconfigured { places, is_complete }
        }
        Verdict::NotHooked => {
            let places = String::new();
            Verdict::Unconfigured { places, is_complete }
        }
        other => other,
    }
}

fn not_asked_for(cause: Cause) -> Vec<String> {
    let more = match cause {
        Cause::Nothing => return Vec::new(),
        Cause::Files => "reload it",
        Cause::Unit => "run `systemctl daemon-reload` and restart it",
    };
    vec![format!(
        "sshd was not reloaded (--no-reload); {more} to apply the change."
    )]
}

/// The listening sshd that is the main process of a unit.
fn own(setup: &Setup<'_>, scratch: &Scratch, unit: &str) -> Option<Listener> {
    let mut listeners = listeners::look(setup, scratch).ok()?.into_iter();
    listeners.find(|its| its.unit.as_deref() == Some(unit))
}
