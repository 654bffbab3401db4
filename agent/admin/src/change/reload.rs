//! Makes the running sshd apply a change: reloads its unit, or restarts it if no open connection ends with that.

use std::thread;
use std::time::{Duration, Instant};

use super::outcome::Outcome;
use crate::files::Changes;
use crate::hook::our_lines::is_of_unit;
use crate::host::root_directory::RootDirectory;
use crate::host::sshd_program::{Refused, SshdProgram};
use crate::host::systemctl::Systemctl;
use crate::host::temporary_directory::TemporaryDirectory;
use crate::options;
use crate::service::listeners::{self, Listener, State};
use crate::service::sshd_service::SshdService;

/// How long to wait for sshd to read its configuration before it is reloaded once more. The journal lags less than that, and
/// [`crate::host::listening_sshds`] allows less for an sshd of which only the PID file is known.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(3);

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// What was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhatChanged {
    /// Nothing in this call. sshd may have missed an earlier change.
    Nothing,
    /// sshd's configuration.
    Configuration,
    /// sshd's unit.
    Unit,
}

impl WhatChanged {
    /// By the files that were changed.
    pub(crate) fn by(changes: &Changes) -> Self {
        if changes.keys().any(|path| is_of_unit(path)) {
            Self::Unit
        } else {
            Self::Configuration
        }
    }
}

/// A unit that did not start again after a change.
pub(crate) struct FailedRestart {
    unit: String,
    error: String,
}

impl FailedRestart {
    /// Starts the unit once the change is undone, and returns the outcome.
    pub(crate) fn start_again(self, root: &RootDirectory, temporary: &TemporaryDirectory) -> Outcome {
        let Self { unit, error } = self;
        if let Some(systemctl) = Systemctl::find(root, temporary.on_host()) {
            // If one of these fails, the next may still succeed.
            for arguments in [&["daemon-reload"][..], &["reset-failed", &unit], &["start", &unit]] {
                let _ = systemctl.run(arguments);
            }
        }
        Outcome::RolledBack(format!("{unit} did not start again: {error}"))
    }
}

/// Makes the running sshd of the unit apply the change, with as little disturbance as possible. Returns notes for the user.
///
/// # Errors
/// [`FailedRestart`] if sshd was restarted and is not running any more.
pub(crate) fn reload(
    service: &SshdService<'_>,
    sshd: Option<&SshdProgram<'_>>,
    temporary: &TemporaryDirectory,
    options: &options::Change,
    changed: WhatChanged,
) -> Result<Vec<String>, FailedRestart> {
    let Some(systemctl) = Systemctl::find(service.root, temporary.on_host()).filter(|_| !options.dry_run) else {
        return Ok(Vec::new());
    };
    if options.no_reload {
        return Ok(no_reload_note(changed));
    }
    let unit = service.units.iter().find(|unit| systemctl.is_active(&unit.name));
    let state = || {
        let listener = listener_of(service, temporary, &unit?.name)?;
        Some(listener.state)
    };
    let before = state();
    let must_restart = changed == WhatChanged::Unit || before == Some(State::OtherOptions);
    // systemd must start what was checked, so it reads the unit files again even if a package removed its drop-in.
    let is_outdated = service
        .units
        .iter()
        .any(|unit| systemctl.needs_daemon_reload(&unit.name));
    if (must_restart || is_outdated)
        && let Err(error) = systemctl.run(&["daemon-reload"])
    {
        return Ok(vec![format!(
            "systemctl daemon-reload failed ({error}): the change takes effect when ssh is next started."
        )]);
    }
    let is_needed = changed != WhatChanged::Nothing || must_restart || before == Some(State::Stale);
    // If the unit is not running, the next sshd reads the files anyway.
    let Some(unit) = unit.filter(|_| is_needed) else {
        return Ok(Vec::new());
    };
    // SIGHUP with an invalid configuration ends sshd.
    if let Some(Err(Refused(message))) = sshd.map(|sshd| sshd.check_validity(&service.config_file)) {
        return Ok(vec![format!(
            "sshd was not reloaded, because it would not start again: {message}."
        )]);
    }
    let name = unit.name.as_str();
    // On SIGHUP, an sshd that was started by a socket unit binds the port again, which systemd keeps: sshd ends.
    let socket = name.replace(".service", ".socket");
    let verb = if !must_restart && !systemctl.is_active(&socket) {
        "reload"
    } else if unit.keeps_connections {
        "try-restart"
    } else {
        return Ok(vec![
            "The change takes effect when ssh is next restarted. It was not restarted now, as that would end open connections."
                .to_owned(),
        ]);
    };
    // Otherwise the time stamps of the change and of the reload may be equal.
    thread::sleep(listeners::CLOCK_GRANULARITY * 2);
    let run = || {
        if options.package {
            systemctl.run_for_package(&[verb, name])
        } else {
            systemctl.run(&[verb, name])
        }
    };
    let wait_until_read = || {
        let end = Instant::now() + RELOAD_TIMEOUT;
        loop {
            match state() {
                Some(State::Stale | State::OtherOptions) if Instant::now() < end => thread::sleep(POLL_INTERVAL),
                state => return !matches!(state, Some(State::Stale | State::OtherOptions)),
            }
        }
    };
    // If the journal does not show that sshd has read its files, it does after the second time.
    let done = run().and_then(|()| {
        let once_more = !wait_until_read() && verb == "reload";
        if once_more {
            run()?;
            wait_until_read();
        }
        Ok(())
    });
    match done {
        Ok(()) if changed == WhatChanged::Nothing => Ok(vec![format!(
            "The running sshd had not read its configuration since it changed, so {name} was {}.",
            if verb == "reload" { "reloaded" } else { "restarted" }
        )]),
        Ok(()) => Ok(Vec::new()),
        Err(error) if !systemctl.is_active(name) => Err(FailedRestart {
            unit: name.to_owned(),
            error,
        }),
        Err(error) => Ok(vec![format!(
            "{name} was not reloaded: {error}. The change takes effect when it is next started."
        )]),
    }
}

fn no_reload_note(changed: WhatChanged) -> Vec<String> {
    let what_to_do = match changed {
        WhatChanged::Nothing => return Vec::new(),
        WhatChanged::Configuration => "reload it",
        WhatChanged::Unit => "run `systemctl daemon-reload` and restart it",
    };
    vec![format!(
        "sshd was not reloaded (--no-reload); {what_to_do} to apply the change."
    )]
}

/// The listening sshd that is the main process of a unit.
fn listener_of(service: &SshdService<'_>, temporary: &TemporaryDirectory, unit: &str) -> Option<Listener> {
    let mut listeners = listeners::find(service, temporary).ok()?.into_iter();
    listeners.find(|listener| listener.unit.as_deref() == Some(unit))
}
