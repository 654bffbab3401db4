//! The effect of a change: whether the listening sshds apply it, and whether pushed keys can log in.

use super::outcome::Outcome;
use crate::files::printable_paths;
use crate::hook::keys_command;
use crate::host::temporary_directory::TemporaryDirectory;
use crate::options;
use crate::service::effective_config::EffectiveConfig;
use crate::service::listeners::{self, Configured};
use crate::service::problems::{self, Problem};
use crate::service::sshd_service::SshdService;

/// The outcome of a change, which is `done` if every listening sshd applies it and nothing keeps pushed keys from logging in.
/// Otherwise, adds the reasons to `notes`.
pub(crate) fn outcome(
    service: &SshdService<'_>,
    temporary: &TemporaryDirectory,
    options: &options::Change,
    answers: &[EffectiveConfig],
    done: Outcome,
    notes: &mut Vec<String>,
) -> Outcome {
    if options.dry_run {
        return done;
    }
    let configured = Configured::of(&keys_command::in_effect(&service.config));
    let listeners = listeners::find(service, temporary).unwrap_or_default();
    let not_applied = listeners::problems(&listeners, configured);
    let mut problems = Vec::new();
    if configured.runs_our_program() {
        problems = problems::find(service, Some(temporary), answers);
    }
    let is_only_not_reloaded = options.no_reload && problems.is_empty();
    problems.extend(not_applied);
    problems.extend(listeners::outdated_units(service, temporary, &listeners));
    notes.extend(problems.iter().map(Problem::to_string));
    let unknown = listeners
        .iter()
        .filter_map(|listener| Some((listener.name(), listener.reason.as_ref()?)));
    notes.extend(unknown.map(|(name, reason)| {
        format!("It is not known which configuration {name} uses: {reason}. Check its configuration, and reload it.")
    }));
    let is_unknown = listeners::is_unknown(&listeners, configured);
    let is_applied = problems.is_empty() && !is_unknown;
    // In another root directory, sshd starts later.
    let is_running_system = service.root.is_running_system();
    let is_complete = is_applied || is_only_not_reloaded && !is_unknown || !is_running_system;
    match done {
        Outcome::Enabled(_) | Outcome::AlreadyEnabled(_) if is_applied && !listeners.is_empty() => done,
        Outcome::Removed(_) | Outcome::NothingToRemove if is_applied => done,
        Outcome::Enabled(paths) => {
            if is_applied && is_running_system {
                notes.push("No sshd is listening: the next one to start uses EC2 Instance Connect.".to_owned());
            }
            let places = printable_paths(&paths);
            Outcome::EnabledInFiles { places, is_complete }
        }
        Outcome::AlreadyEnabled(_) if is_applied => done,
        Outcome::AlreadyEnabled(places) => Outcome::EnabledInFiles { places, is_complete },
        Outcome::Removed(paths) => {
            let places = printable_paths(&paths);
            Outcome::RemovedFromFiles { places, is_complete }
        }
        Outcome::NothingToRemove => {
            let places = String::new();
            Outcome::RemovedFromFiles { places, is_complete }
        }
        other => other,
    }
}
