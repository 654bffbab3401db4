//! `disable`: removes the lines of this program, or of AWS's package, from sshd's configuration.
//!
//! If AWS's rpm is installed again, its lines replace ours.

use std::path::Path;

use crate::change::apply;
use crate::change::check;
use crate::change::effect;
use crate::change::markers::Marker;
use crate::change::outcome::Outcome;
use crate::change::reload::{self, WhatChanged};
use crate::files::Changes;
use crate::hook::installed::{self, Installed};
use crate::hook::keys_command::{self, CommandInEffect};
use crate::hook::owner::{AWS_PROGRAMS, Owner};
use crate::hook::removal;
use crate::host::root_directory::RootDirectory;
use crate::host::sshd_program::{Refused, SshdProgram, SshdUnavailable};
use crate::host::temporary_directory::TemporaryDirectory;
use crate::options;
use crate::service::sshd_service::{SshdService, Unreadable};
use crate::sshd::sshd_config::Scope;

/// Disables EC2 Instance Connect. `notes` are printed after the outcome.
///
/// # Errors
/// The outcome if nothing was changed, or the change was rolled back.
pub(crate) fn disable(
    root: &RootDirectory,
    temporary: &TemporaryDirectory,
    options: &options::Change,
    notes: &mut Vec<String>,
) -> Result<Outcome, Outcome> {
    let now = read_if_configured(root, &Changes::new())?;
    let owners: &[Owner] = if options.package {
        &[Owner::Ours]
    } else {
        &[Owner::Ours, Owner::Aws]
    };
    let config_and_units = now.as_ref().map(SshdService::config_and_units);
    let Installed { mut changes, edited } = installed::find(root, config_and_units, owners);
    if changes.is_empty() {
        return nothing_to_remove(root, temporary, options, now.as_ref(), edited, notes);
    }
    let mut after = read_if_configured(root, &changes)?;
    let aws_program = match (&now, &after) {
        (Some(now), Some(after)) if options.package => reinstalled_aws_program(now, after),
        _ => None,
    };
    if let (Some(program), Some(now)) = (aws_program, &now) {
        replace_with_aws_lines(&mut changes, now, program);
        after = read_if_configured(root, &changes)?;
    }
    let sshd = match after.as_ref().map(|after| after.sshd(temporary)) {
        Some(Ok(sshd)) => Some(sshd),
        Some(Err(SshdUnavailable::DoesNotRun(message))) => {
            notes.push(check::sshd_not_run_note(&message));
            None
        }
        Some(Err(SshdUnavailable::NotInstalled | SshdUnavailable::OtherConfiguration(_))) | None => None,
    };
    if let Some(after) = &after
        && let Some(fault) = fault_after(after, sshd.as_ref(), &changes, temporary)?
    {
        let fault_now = now.and_then(|now| fault_now(&now, temporary));
        return Err(fault_now.unwrap_or(Outcome::NeedsOurLines(fault)));
    }
    let paths = apply::files(root, &changes);
    apply::check(root, &changes)?;
    if options.dry_run {
        set_markers(root, options, false)?;
        let done = Outcome::WouldRemove(paths);
        return Ok(with_changed_lines(Some(done), edited, after.as_ref()));
    }
    let checked = now.map(|now| now.config.files).unwrap_or_default();
    let (was_disabled, files_written) = (Marker::Disabled.is_set(root), Marker::FilesWritten.paths(root));
    let restore_markers = || {
        if !files_written.is_empty() {
            let _ = Marker::FilesWritten.set_paths(root, &files_written);
        }
        if !was_disabled {
            Marker::Disabled.clear(root);
        }
    };
    // The markers come first: if this is interrupted after the files are removed, a missing marker would look as if an
    // administrator had deleted the files.
    set_markers(root, options, false)?;
    let undo = apply::apply(root, &changes, &checked).inspect_err(|_| restore_markers())?;
    apply::remove_empty_directories(root, &changes);
    if let Some(after) = &after {
        notes.extend(Some(after).filter(|_| options.package).and_then(aws_lines_note));
        match reload::reload(after, sshd.as_ref(), temporary, options, WhatChanged::by(&changes)) {
            Ok(more) => notes.extend(more),
            Err(failed) => {
                undo.undo(root);
                restore_markers();
                return Err(failed.start_again(root, temporary));
            }
        }
    }
    let done = match aws_program {
        Some(_) => Outcome::HandedOverToAws(paths),
        None => Outcome::Removed(paths),
    };
    let done = match &after {
        Some(after) => effect::outcome(after, temporary, options, &[], done, notes),
        None => done,
    };
    Ok(with_changed_lines(Some(done), edited, after.as_ref()))
}

/// The service after `changes`; `None` if there is no sshd_config.
fn read_if_configured<'a>(root: &'a RootDirectory, changes: &Changes) -> Result<Option<SshdService<'a>>, Outcome> {
    match SshdService::read(root, changes) {
        Ok(service) => Ok(Some(service)),
        Err(Unreadable::NoConfig(_)) => Ok(None),
        Err(unreadable) => Err(unreadable.into()),
    }
}

/// No lines are removed. Does what an interrupted call left out: writes the markers, and reloads the running sshd.
fn nothing_to_remove(
    root: &RootDirectory,
    temporary: &TemporaryDirectory,
    options: &options::Change,
    now: Option<&SshdService<'_>>,
    edited: Vec<String>,
    notes: &mut Vec<String>,
) -> Result<Outcome, Outcome> {
    let is_aws_s = now.is_some_and(|now| is_command_of(now, Owner::Aws));
    let unread = now.and_then(|now| now.config.unread.first());
    let may_be_deleted = edited.is_empty() && !is_aws_s && unread.is_none();
    let outcome = match unread {
        // Our lines may be in the file that was not read.
        Some(problem) => Outcome::UnreadConfiguration(problem.clone()),
        None => with_changed_lines(None, edited, now),
    };
    set_markers(root, options, may_be_deleted)?;
    let Some(now) = now else {
        return Ok(outcome);
    };
    notes.extend(
        Some(now)
            .filter(|_| options.package && is_aws_s)
            .and_then(aws_lines_note),
    );
    // An interrupted call may have removed the lines, or AWS's package overwritten them.
    let sshd = now.sshd(temporary).ok();
    let reloaded = reload::reload(now, sshd.as_ref(), temporary, options, WhatChanged::Nothing);
    notes.extend(reloaded.map_err(|failed| failed.start_again(root, temporary))?);
    Ok(effect::outcome(now, temporary, options, &[], outcome, notes))
}

/// Why sshd would refuse its configuration after the change, if it would.
///
/// # Errors
/// The configuration cannot be read, or not be copied for sshd.
fn fault_after(
    after: &SshdService<'_>,
    sshd: Option<&SshdProgram<'_>>,
    changes: &Changes,
    temporary: &TemporaryDirectory,
) -> Result<Option<String>, Outcome> {
    if let Some(problem) = after.config.unread.first() {
        return Err(Outcome::UnreadConfiguration(problem.clone()));
    }
    if let Some(problem) = after.config.problems.first() {
        return Ok(Some(problem.clone()));
    }
    let Some(sshd) = sshd else {
        return Ok(None);
    };
    let trial = check::write_trial_config(after, changes, temporary)?;
    let checked = sshd.check_validity(trial.main());
    Ok(checked
        .err()
        .map(|Refused(message)| trial.with_original_names(&message)))
}

/// The outcome if sshd refuses its present configuration.
fn fault_now(now: &SshdService<'_>, temporary: &TemporaryDirectory) -> Option<Outcome> {
    let refused = || {
        let checked = now.sshd(temporary).ok()?.check_validity(&now.config_file);
        checked.err().map(|Refused(message)| message)
    };
    let fault = now.config.problems.first().cloned().or_else(refused);
    fault.map(Outcome::InvalidConfiguration)
}

/// The outcome together with the lines that were left because somebody changed them. `after` is the service after the change.
fn with_changed_lines(done: Option<Outcome>, places: Vec<String>, after: Option<&SshdService<'_>>) -> Outcome {
    if places.is_empty() {
        return done.unwrap_or(Outcome::NothingToRemove);
    }
    let runs_our_program = |service: &SshdService<'_>| {
        let mut configs = [&service.config].into_iter().chain(&service.template_configs);
        configs.any(keys_command::runs_our_program)
    };
    Outcome::ChangedLinesLeft {
        done: done.map(Box::new),
        places,
        in_effect: after.is_some_and(runs_our_program),
    }
}

/// AWS's program, if AWS's rpm is installed again and sshd would run no command without our lines: the rpm's scripts added
/// none, as they saw ours. The scripts of AWS's deb run later than ours and add their lines themselves.
fn reinstalled_aws_program(now: &SshdService<'_>, after: &SshdService<'_>) -> Option<&'static str> {
    let [rpm, _] = AWS_PROGRAMS;
    let is_installed = now.root.is_regular_file(Path::new(rpm));
    let effective = after.config.effective(Scope::Global);
    let no_command = effective.is_some_and(|effective| effective.command.is_none());
    (is_installed && no_command && is_command_of(now, Owner::Ours)).then_some(rpm)
}

/// Whether the global AuthorizedKeysCommand is this owner's.
fn is_command_of(service: &SshdService<'_>, owner: Owner) -> bool {
    let effective = service.config.effective(Scope::Global).unwrap_or_default();
    effective.command.is_some_and(|line| Owner::of(&line.value) == owner)
}

/// Changes the removal of our lines from sshd's configuration into their replacement with AWS's, which name `program`.
fn replace_with_aws_lines(changes: &mut Changes, now: &SshdService<'_>, program: &str) {
    for (path, change) in changes.iter_mut() {
        if let Some(bytes) = now.config.files.get(path) {
            *change = Some(removal::with_aws_lines(bytes, program));
        }
    }
}

/// The note if lines of AWS's package are in effect whose program goes away with this package. The package does not remove
/// them.
fn aws_lines_note(service: &SshdService<'_>) -> Option<String> {
    let mut programs = AWS_PROGRAMS.iter();
    let is_installed = programs.any(|program| service.root.is_regular_file(Path::new(program)));
    let CommandInEffect::Ours(Owner::Aws) = keys_command::in_effect(&service.config) else {
        return None;
    };
    let place = &service.config.effective(Scope::Global)?.command?.place;
    (!is_installed).then(|| {
        format!(
            "sshd still uses a line of AWS's package ({place}), which was left. Once this program is removed, sshd cannot run \
             it and logs an error at each login."
        )
    })
}

/// Records an administrator's decision, which lasts longer than the package: that EC2 Instance Connect was disabled, or that
/// our lines were deleted.
fn set_markers(root: &RootDirectory, options: &options::Change, may_be_deleted: bool) -> Result<(), Outcome> {
    let is_deleted = may_be_deleted && Marker::FilesWritten.is_set(root);
    let is_decision = !options.package || is_deleted;
    if options.dry_run {
        return if is_decision {
            Marker::Disabled.check(root)
        } else {
            Ok(())
        };
    }
    if is_decision {
        Marker::Disabled.set(
            root,
            "An administrator disabled EC2 Instance Connect or deleted its lines; packages do not enable it again.\n",
        )?;
    }
    Marker::FilesWritten.clear(root);
    Ok(())
}
