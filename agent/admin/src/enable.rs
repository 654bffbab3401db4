//! `enable`: adds the lines of this program to sshd's configuration, unless another AuthorizedKeysCommand is in effect.

use std::path::{Path, PathBuf};

use crate::change::apply;
use crate::change::check::{self, Before};
use crate::change::effect;
use crate::change::markers::Marker;
use crate::change::outcome::Outcome;
use crate::change::plan;
use crate::change::reload::{self, WhatChanged};
use crate::files::{AfterChanges, Changes, Files, printable_path};
use crate::hook::command_user;
use crate::hook::keys_command::{self, CommandInEffect, EffectiveSetting};
use crate::hook::our_lines::{SSHD_DROP_IN, is_of_unit, original_exec_start, unit_drop_in_path};
use crate::hook::owner::{Owner, PROGRAM, USER};
use crate::hook::removal::{self, Removal};
use crate::host::accounts;
use crate::host::root_directory::RootDirectory;
use crate::host::selinux;
use crate::host::sshd_program::{SshdProgram, SshdUnavailable};
use crate::host::temporary_directory::TemporaryDirectory;
use crate::options;
use crate::service::effective_config::{Confirmation, EffectiveConfig};
use crate::service::sshd_service::SshdService;
use eic_authorized_keys::host::safe_path;

/// Enables EC2 Instance Connect. `notes` are printed after the outcome.
///
/// # Errors
/// The outcome if nothing was changed, or the change was rolled back.
pub(crate) fn enable(
    root: &RootDirectory,
    temporary: &TemporaryDirectory,
    options: &options::Change,
    notes: &mut Vec<String>,
) -> Result<Outcome, Outcome> {
    let outcome = add_lines(root, temporary, options, notes)?;
    let is_enabled = matches!(
        outcome,
        Outcome::Enabled(_) | Outcome::AlreadyEnabled(_) | Outcome::EnabledInFiles { .. }
    );
    if is_enabled && root.is_running_system() && selinux::lacks_module(root.path()) {
        notes.push(
            "SELinux is enabled, but the policy module ec2-instance-connect is not loaded, so it may keep the program from \
             connecting to IMDS. Install the package ec2-instance-connect-selinux."
                .to_owned(),
        );
    }
    Ok(outcome)
}

fn add_lines(
    root: &RootDirectory,
    temporary: &TemporaryDirectory,
    options: &options::Change,
    notes: &mut Vec<String>,
) -> Result<Outcome, Outcome> {
    if Marker::NoEnable.is_set(root) {
        return Err(Outcome::NoEnable);
    }
    if options.package && Marker::Disabled.is_set(root) {
        return Err(Outcome::DisabledByAdministrator);
    }
    let service = SshdService::read(root, &Changes::new())?;
    if let Some(problem) = service.config.unread.first() {
        return Err(Outcome::UnreadConfiguration(problem.clone()));
    }
    if let Some(problem) = service.config.problems.first() {
        return Err(Outcome::InvalidConfiguration(problem.clone()));
    }
    let sshd = match service.sshd(temporary) {
        Ok(sshd) => Some(sshd),
        Err(SshdUnavailable::NotInstalled) => None,
        Err(SshdUnavailable::OtherConfiguration(config)) => return Err(reads_other_file(&service, config)),
        Err(SshdUnavailable::DoesNotRun(message)) if root.is_running_system() => {
            return Err(Outcome::SshdDoesNotRun(message));
        }
        Err(SshdUnavailable::DoesNotRun(message)) => {
            notes.push(check::sshd_not_run_note(&message));
            None
        }
    };
    let confirmation = match &sshd {
        Some(sshd) => service.confirm(sshd, &service.config_file)?,
        None => Confirmation::default(),
    };
    notes.extend(confirmation.note());
    let no_changes = Changes::new();
    let files = AfterChanges {
        files: root,
        changes: &no_changes,
    };
    let changes = match keys_command::in_effect(&service.config) {
        CommandInEffect::Other(setting) => return Err(other_command(root, setting, notes)),
        CommandInEffect::Ours(Owner::Aws) if options.package => plan::replace_aws_lines(root, &service, options)?,
        CommandInEffect::OursInMatch(_) if !options.package => plan::add_our_lines(&files, &service, options)?,
        CommandInEffect::Ours(owner) | CommandInEffect::OursInMatch(owner) => {
            let updated = plan::update_unit_drop_ins(root)?;
            if updated.is_empty() {
                let answers = &confirmation.answers;
                return already_enabled(&service, (sshd.as_ref(), answers), temporary, owner, options, notes);
            }
            updated
        }
        CommandInEffect::NoCommand => plan::add_our_lines(&files, &service, options)?,
    };
    for config in &service.template_configs {
        if let CommandInEffect::Other(setting) = keys_command::in_effect(config) {
            return Err(other_command(root, setting, notes));
        }
    }
    safe_path::check(root.path(), Path::new(PROGRAM)).map_err(Outcome::UnusableProgram)?;
    check_account(root, temporary, options)?;

    let after = SshdService::read(root, &changes)?;
    if let Some(problem) = after.config.problems.first() {
        return Err(Outcome::WouldBreakSshd(problem.clone()));
    }
    let mut configs = [&after.config].into_iter().chain(&after.template_configs);
    if let Some(setting) = configs.find_map(keys_command::overriding_setting) {
        return Err(Outcome::Overridden(Box::new(setting)));
    }
    let mut removed = changes.iter().filter(|(_, change)| change.is_none());
    let before = Before {
        answers: confirmation.answers,
        ignores_crypto_policy: removed.any(|(path, _)| is_of_unit(path)),
    };
    if sshd.is_some() {
        let trial = check::write_trial_config(&after, &changes, temporary)?;
        // With the arguments that sshd has after the change.
        let sshd = after.sshd(temporary).map_err(|unavailable| match unavailable {
            SshdUnavailable::NotInstalled => Outcome::SshdDoesNotRun("it no longer exists".to_owned()),
            SshdUnavailable::DoesNotRun(message) => Outcome::SshdDoesNotRun(message),
            SshdUnavailable::OtherConfiguration(config) => reads_other_file(&after, config),
        })?;
        let checked = check::check_with_sshd(&after, &sshd, trial.main(), &before);
        let regains_crypto_policy = checked.map_err(|outcome| match outcome {
            Outcome::WouldBreakSshd(message) => Outcome::WouldBreakSshd(trial.with_original_names(&message)),
            other => other,
        })?;
        if regains_crypto_policy {
            notes.push(
                "sshd uses the distribution's crypto policy again, which the drop-in of AWS's package left out."
                    .to_owned(),
            );
        }
    }
    let (written, removed): (Vec<PathBuf>, Vec<PathBuf>) = apply::files(root, &changes)
        .into_iter()
        .partition(|path| changes.get(path).is_some_and(Option::is_some));
    if !removed.is_empty() {
        let removed: Vec<String> = removed.iter().map(|path| path.display().to_string()).collect();
        notes.push(format!("Removed the files of AWS's package: {}.", removed.join(", ")));
    }
    apply::check(root, &changes)?;
    if options.dry_run {
        return Ok(Outcome::WouldEnable(written));
    }

    let undo = apply::apply(root, &changes, &service.config.files)?;
    if let Err(cause) = check::check_written(root, temporary, sshd.is_some(), &before) {
        undo.undo(root);
        return Err(Outcome::RolledBack(cause));
    }
    let had_marker = Marker::FilesWritten.is_set(root);
    if let Err(outcome) = Marker::FilesWritten.set_paths(root, &written) {
        undo.undo(root);
        return Err(outcome);
    }
    apply::remove_empty_directories(root, &changes);
    match reload::reload(&after, sshd.as_ref(), temporary, options, WhatChanged::by(&changes)) {
        Ok(more) => notes.extend(more),
        Err(failed) => {
            undo.undo(root);
            if !had_marker {
                Marker::FilesWritten.clear(root);
            }
            return Err(failed.start_again(root, temporary));
        }
    }
    Marker::Disabled.clear(root);
    let done = Outcome::Enabled(written);
    Ok(effect::outcome(
        &after,
        temporary,
        options,
        &before.answers,
        done,
        notes,
    ))
}

/// This program is the command in effect, so no line is added. Does what an interrupted call left out: writes the marker, and
/// reloads the running sshd.
fn already_enabled(
    service: &SshdService<'_>,
    (sshd, answers): (Option<&SshdProgram<'_>>, &[EffectiveConfig]),
    temporary: &TemporaryDirectory,
    owner: Owner,
    options: &options::Change,
    notes: &mut Vec<String>,
) -> Result<Outcome, Outcome> {
    let root = service.root;
    let place = plan::place_of_command(service);
    let written = files_written(service);
    if !written.is_empty() && !options.dry_run {
        Marker::FilesWritten.set_paths(root, &written)?;
        Marker::Disabled.clear(root);
    }
    let reloaded = reload::reload(service, sshd, temporary, options, WhatChanged::Nothing);
    notes.extend(reloaded.map_err(|failed| failed.start_again(root, temporary))?);
    let done = match owner {
        Owner::Aws => Outcome::EnabledByAws(place),
        Owner::Ours | Owner::Other => Outcome::AlreadyEnabled(place),
    };
    Ok(effect::outcome(service, temporary, options, answers, done, notes))
}

/// The files that contain our lines as `enable` writes them.
fn files_written(service: &SshdService<'_>) -> Vec<PathBuf> {
    let files = service.config.files.iter();
    let in_config = files.filter(|(_, bytes)| {
        let removal = removal::remove(bytes, &[Owner::Ours]);
        !matches!(removal, Removal::Unchanged | Removal::Edited(_))
    });
    let units = service.units.iter().map(|unit| unit_drop_in_path(&unit.name));
    let is_ours = |bytes: Vec<u8>| original_exec_start(&bytes).is_some();
    let units = units.filter(|path| service.root.read(path).is_ok_and(is_ours));
    in_config.map(|(path, _)| path.clone()).chain(units).collect()
}

/// The outcome if the unit's sshd does not read the configuration that would be changed.
fn reads_other_file(service: &SshdService<'_>, config: PathBuf) -> Outcome {
    Outcome::SshdReadsOtherFile {
        program: service.command_line.program.clone(),
        config,
        read: service.config_file.clone(),
    }
}

/// The outcome if another command is in effect, which is not changed.
fn other_command(root: &RootDirectory, setting: EffectiveSetting, notes: &mut Vec<String>) -> Outcome {
    notes.extend(vendor_file_note(root, &setting));
    Outcome::OtherCommand(Box::new(setting))
}

/// The note if the other command's line is in a vendor's file, as Debian 13's for userdb: its next upgrade undoes a change.
fn vendor_file_note(root: &RootDirectory, setting: &EffectiveSetting) -> Option<String> {
    let file = &setting.line.place.file;
    let is_drop_in = file.parent() == Path::new(SSHD_DROP_IN).parent();
    let target = root
        .resolve(file)
        .filter(|target| is_drop_in && !target.starts_with("/etc"))?;
    Some(format!(
        "{} is a link to {}, a file of another package, which its next upgrade overwrites: put both lines into a file of \
         your own that sorts before it.",
        printable_path(file),
        printable_path(&target)
    ))
}

/// Checks the account that sshd runs the program as. Packages and image builders may create it later: until then it is only
/// missing.
///
/// # Errors
/// Others can use the account, it cannot be looked up, or an administrator enables and there is none.
fn check_account(
    root: &RootDirectory,
    temporary: &TemporaryDirectory,
    options: &options::Change,
) -> Result<(), Outcome> {
    let account = accounts::look_up(root, temporary, USER).map_err(Outcome::AccountLookupFailed)?;
    let Some(account) = account else {
        return if options.package || !root.is_running_system() {
            Ok(())
        } else {
            Err(Outcome::NoAccount)
        };
    };
    let login_defs = root.read(Path::new("/etc/login.defs")).unwrap_or_default();
    // If the home directory is the root directory, the keys in it are root's.
    let keys = format!("{}/.ssh/authorized_keys", account.home.trim_end_matches('/'));
    let keys = Some(keys.as_str()).filter(|file| !file.starts_with("/.ssh") && root.exists(Path::new(file)));
    let checked = command_user::check(&account, &String::from_utf8_lossy(&login_defs), keys);
    checked.map_err(Outcome::UnsuitableAccount)
}
