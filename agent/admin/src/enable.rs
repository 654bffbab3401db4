//! `enable`: hooks the program into sshd where nobody else's command is in effect, and only if it is then ours that is.

use std::path::{Path, PathBuf};

use crate::change::apply::{self, Marker};
use crate::change::outcome::Verdict;
use crate::change::reload::{self, Cause};
use crate::change::trial_config::Changed;
use crate::hook::installed::{self, Found};
use crate::hook::keys_command::{self, Contender, InEffect, Owner, PROGRAM};
use crate::hook::our_lines::{self, SSHD_DROP_IN, Without, made_from, sshd_drop_in, unit_drop_in, with_block};
use crate::host::accounts;
use crate::host::root_directory::Disk;
use crate::host::selinux;
use crate::host::sshd_program::{Silent, Sshd};
use crate::host::temporary_directory::Scratch;
use crate::options;
use crate::service::sshd_service::{self, Changes, Confirmed, Family, Setup, unit_drop_in_path};
use crate::sshd::sshd_config::{Files, SshdConfig, Who};
use eic_authorized_keys::host::safe_path;
use eic_verify::text::printable;

/// Enables; what came of it, and in `notes` what else is to be said.
pub(crate) fn enable(
    disk: &Disk,
    scratch: &Scratch,
    options: &options::Change,
    notes: &mut Vec<String>,
) -> Result<Verdict, Verdict> {
    let verdict = hooked(disk, scratch, options, notes)?;
    let is_asked = matches!(
        verdict,
        Verdict::Enabled(_) | Verdict::Already(_) | Verdict::Configured { .. }
    );
    if is_asked && disk.is_own_root() && selinux::lacks_module(disk.root()) {
        notes.push(
            "SELinux is on without the policy module ec2-instance-connect, and may keep the program from connecting to IMDS. \
             Install the package ec2-instance-connect-selinux."
                .to_owned(),
        );
    }
    Ok(verdict)
}

fn hooked(
    disk: &Disk,
    scratch: &Scratch,
    options: &options::Change,
    notes: &mut Vec<String>,
) -> Result<Verdict, Verdict> {
    if Marker::NoEnable.is_set(disk) {
        return Err(Verdict::NoEnable);
    }
    if options.package && Marker::Disabled.is_set(disk) {
        return Err(Verdict::Disabled);
    }
    let setup = Setup::read(disk, &Changes::new())?;
    if let Some(words) = setup.config.unread.first() {
        return Err(Verdict::NotRead(words.clone()));
    }
    if let Some(problem) = setup.config.problems.first() {
        return Err(Verdict::Broken(problem.clone()));
    }
    let sshd = match setup.sshd(scratch) {
        Ok(sshd) => Some(sshd),
        Err(Silent::Missing) => None,
        Err(Silent::Elsewhere(config)) => return Err(elsewhere(&setup, config)),
        // On its own system it should: in doubt.
        Err(Silent::DoesNotRun(words)) if disk.is_own_root() => return Err(Verdict::NotAsked(words)),
        Err(Silent::DoesNotRun(words)) => {
            notes.push(format!(
                "The sshd of this system does not run here ({words}); only this program has read its configuration."
            ));
            None
        }
    };
    let confirmed = match &sshd {
        Some(sshd) => setup.confirmed(sshd, &setup.main)?,
        None => Confirmed::default(),
    };
    notes.extend(confirmed.note());
    let nothing = Changes::new();
    let as_it_is = Changed {
        files: disk,
        changes: &nothing,
    };
    let changes = match keys_command::in_effect(&setup.config) {
        InEffect::Others(contender) => return Err(others(disk, contender, notes)),
        InEffect::Ours(Owner::Aws) if options.package => taken_over(disk, &setup, options)?,
        InEffect::OursForSome(_) if !options.package => planned(&as_it_is, &setup, options)?,
        InEffect::Ours(owner) | InEffect::OursForSome(owner) => {
            let renewed = renewed(disk)?;
            if renewed.is_empty() {
                return already(
                    &setup,
                    (sshd.as_ref(), &confirmed.answers),
                    scratch,
                    owner,
                    options,
                    notes,
                );
            }
            renewed
        }
        InEffect::Nothing => planned(&as_it_is, &setup, options)?,
    };
    for config in &setup.templates {
        if let InEffect::Others(contender) = keys_command::in_effect(config) {
            return Err(others(disk, contender, notes));
        }
    }
    safe_path::check(disk.root(), Path::new(PROGRAM)).map_err(Verdict::Program)?;
    account_is_fit(disk, scratch, options)?;

    let after = Setup::read(disk, &changes)?;
    if let Some(problem) = after.config.problems.first() {
        return Err(Verdict::WouldBreak(problem.clone()));
    }
    let all = [&after.config].into_iter().chain(&after.templates);
    if let Some(winner) = all.into_iter().find_map(keys_command::winner_over_us) {
        return Err(Verdict::Winner(Box::new(winner)));
    }
    let overrides = changes
        .iter()
        .filter(|(path, change)| change.is_none() && sshd_service::is_of_a_unit(path));
    let before = Before {
        answers: confirmed.answers,
        policy_aside: overrides.count() > 0,
    };
    if sshd.is_some() {
        let copy = after.copy(&changes, scratch)?;
        // With the arguments that it would get then.
        let sshd = after.sshd(scratch).map_err(|silent| match silent {
            Silent::Missing => Verdict::NotAsked("it does not exist any more".to_owned()),
            Silent::DoesNotRun(words) => Verdict::NotAsked(words),
            Silent::Elsewhere(config) => elsewhere(&after, config),
        })?;
        let judged = judge(&after, &sshd, copy.main(), &before).map_err(|verdict| match verdict {
            Verdict::WouldBreak(words) => Verdict::WouldBreak(copy.originals(&words)),
            other => other,
        });
        if judged? {
            notes.push(
                "Without AWS's override of its unit, sshd uses the distribution's crypto policy again, which the override \
                 left out."
                    .to_owned(),
            );
        }
    }
    let (laid, taken): (Vec<PathBuf>, Vec<PathBuf>) = apply::files(disk, &changes)
        .into_iter()
        .partition(|path| changes.get(path).is_some_and(Option::is_some));
    if !taken.is_empty() {
        let taken: Vec<String> = taken.iter().map(|path| path.display().to_string()).collect();
        notes.push(format!("Removed what AWS's package had written: {}.", taken.join(", ")));
    }
    apply::check(disk, &changes)?;
    if options.dry_run {
        return Ok(Verdict::WouldEnable(laid));
    }

    let undo = apply::make(disk, &changes, &setup.config.files)?;
    if let Err(verdict) = verified(disk, scratch, sshd.is_some(), &before) {
        undo.now(disk);
        let words = verdict.to_string();
        let why = words
            .split_once(" Nothing was changed.")
            .map_or(words.as_str(), |(why, _)| why);
        return Err(Verdict::Undone(why.trim_end_matches('.').to_owned()));
    }
    let was_hooked = Marker::Hooked.is_set(disk);
    if let Err(verdict) = Marker::Hooked.list(disk, &laid) {
        undo.now(disk);
        return Err(verdict);
    }
    apply::tidy(disk, &changes);
    match reload::bring(&after, sshd.as_ref(), scratch, options, Cause::of(&changes)) {
        Ok(more) => notes.extend(more),
        Err(down) => {
            undo.now(disk);
            if !was_hooked {
                Marker::Hooked.clear(disk);
            }
            return Err(down.start_again(disk, scratch));
        }
    }
    Marker::Disabled.clear(disk);
    let done = Verdict::Enabled(laid);
    Ok(reload::outcome(&after, scratch, options, &before.answers, done, notes))
}

/// The pair is ours: it is left. What an interrupted call did not get to is done: what this program wrote is remembered,
/// and the running sshd reads it.
fn already(
    setup: &Setup<'_>,
    (sshd, answers): (Option<&Sshd<'_>>, &[sshd_service::InEffect]),
    scratch: &Scratch,
    owner: Owner,
    options: &options::Change,
    notes: &mut Vec<String>,
) -> Result<Verdict, Verdict> {
    let disk = setup.disk;
    let place = place_of_command(setup);
    let laid = laid(disk, setup);
    if !laid.is_empty() && !options.dry_run {
        Marker::Hooked.list(disk, &laid)?;
        Marker::Disabled.clear(disk);
    }
    let effect = reload::bring(setup, sshd, scratch, options, Cause::Nothing);
    notes.extend(effect.map_err(|down| down.start_again(disk, scratch))?);
    let done = match owner {
        Owner::Aws => Verdict::ByAws(place),
        Owner::Ours | Owner::Other => Verdict::Already(place),
    };
    Ok(reload::outcome(setup, scratch, options, answers, done, notes))
}

/// The files in which our bytes are as they were written.
fn laid(disk: &Disk, setup: &Setup<'_>) -> Vec<PathBuf> {
    let files = setup.config.files.iter();
    let in_config = files.filter(|(_, bytes)| {
        !matches!(
            our_lines::without(bytes, &[Owner::Ours]),
            Without::Same | Without::Edited(_)
        )
    });
    let units = setup.units.iter().map(|unit| unit_drop_in_path(&unit.name));
    let units = units.filter(|path| disk.read(path).is_ok_and(|bytes| made_from(&bytes).is_some()));
    in_config.map(|(path, _)| path.clone()).chain(units).collect()
}

/// Drop-ins of units that are ours and unchanged, but made from another ExecStart than there is now.
fn renewed(disk: &Disk) -> Result<Changes, Verdict> {
    let mut changes = Changes::new();
    for unit in Setup::units_without_ours(disk) {
        let path = unit_drop_in_path(&unit.name);
        let Some(from) = disk.read(&path).ok().and_then(|bytes| made_from(&bytes)) else {
            continue;
        };
        let (now, _) = unit
            .exec_start
            .as_ref()
            .ok_or_else(|| Verdict::ExecStart(unit.name.clone()))?;
        if *now != from {
            changes.insert(path, Some(unit_drop_in(now).into_bytes()));
        }
    }
    Ok(changes)
}

/// AWS's hook taken out and ours laid, where its bytes are as AWS's package wrote them.
fn taken_over(disk: &Disk, setup: &Setup<'_>, options: &options::Change) -> Result<Changes, Verdict> {
    let Found { mut changes, edited } = installed::find(disk, Some(setup), &[Owner::Aws]);
    if !edited.is_empty() {
        return Err(Verdict::AwsEdited(edited));
    }
    // A file of AWS's own in which something stays is one that somebody has added to.
    let is_its_own = |path: &Path| path == Path::new(SSHD_DROP_IN) || sshd_service::is_of_a_unit(path);
    let added = changes.iter().filter(|(path, rest)| rest.is_some() && is_its_own(path));
    let added: Vec<String> = added.map(|(path, _)| path.display().to_string()).collect();
    if !added.is_empty() {
        return Err(Verdict::AwsEdited(added));
    }
    let without = Setup::read(disk, &changes)?;
    match keys_command::in_effect(&without.config) {
        InEffect::Others(contender) => Err(Verdict::AwsHides(Box::new(contender))),
        InEffect::Ours(Owner::Ours) => Ok(changes),
        InEffect::Ours(_) => Err(Verdict::ByAws(place_of_command(setup))),
        InEffect::OursForSome(_) | InEffect::Nothing => {
            let ours = planned(
                &Changed {
                    files: disk,
                    changes: &changes,
                },
                &without,
                options,
            )?;
            changes.extend(ours);
            Ok(changes)
        }
    }
}

fn place_of_command(setup: &Setup<'_>) -> String {
    let command = keys_command::contexts(&setup.config).find_map(|who| setup.config.effective(who)?.command);
    command.map(|line| line.place.to_string()).unwrap_or_default()
}

/// What to lay, and where, on top of what `files` is already.
fn planned(files: &Changed<'_>, setup: &Setup<'_>, options: &options::Change) -> Result<Changes, Verdict> {
    let gone = Marker::Hooked.paths(setup.disk).into_iter().next();
    if let Some(path) = gone.filter(|_| options.package) {
        return Err(Verdict::Deleted(path));
    }
    let drop_in = PathBuf::from(SSHD_DROP_IN);
    if setup.config.includes_for_everyone(&drop_in) {
        return match files.read(&drop_in) {
            Ok(_) => Err(Verdict::Changed(drop_in)),
            Err(_) => Ok(Changes::from([(drop_in, Some(sshd_drop_in().into_bytes()))])),
        };
    }
    match Family::of(setup.disk) {
        Family::Deb => {
            let mut changes = Changes::new();
            for unit in Setup::units_without_ours(files) {
                let path = unit_drop_in_path(&unit.name);
                if files.exists(&path) {
                    return Err(Verdict::Changed(path));
                }
                // Both the listener and what a socket starts have to be understood, or neither is touched.
                let start = unit.exec_start.as_ref().filter(|_| unit.arguments().is_some());
                let (line, _) = start.ok_or_else(|| Verdict::ExecStart(unit.name.clone()))?;
                changes.insert(path, Some(unit_drop_in(line).into_bytes()));
            }
            if changes.is_empty() {
                return Err(Verdict::NoPlace(setup.main.clone()));
            }
            Ok(changes)
        }
        Family::Other => {
            let bytes = files.read(&setup.main).map_err(|error| Verdict::Write {
                path: setup.main.clone(),
                error,
            })?;
            Ok(Changes::from([(setup.main.clone(), Some(with_block(&bytes)))]))
        }
    }
}

/// What was in effect before.
struct Before {
    answers: Vec<sshd_service::InEffect>,
    /// Whether the override goes that kept the distribution's crypto policy from sshd.
    policy_aside: bool,
}

/// Whether, by sshd's own word, ours is the effective pair for everybody and nothing else has changed.
///
/// Answers whether a crypto policy has come back.
fn judge(after: &Setup<'_>, sshd: &Sshd<'_>, file: &Path, before: &Before) -> Result<bool, Verdict> {
    let connections = before.answers.iter().map(|earlier| earlier.connection.clone());
    let answers = after.confirmed_for(sshd, file, connections);
    let answers = answers.map_err(|verdict| match verdict {
        Verdict::Broken(words) => Verdict::WouldBreak(words),
        other => other,
    })?;
    let mut regained = false;
    for (answer, earlier) in answers.iter().zip(&before.answers) {
        let who = answer.connection.specification();
        if !answer.is_ours(&after.config) {
            return Err(Verdict::Disagreement {
                who,
                read: format!("\"{PROGRAM}\" as the AuthorizedKeysCommand"),
                said: format!("\"{}\"", answer.command()),
            });
        }
        if let Some(line) = answer.other_change(earlier, before.policy_aside) {
            return Err(Verdict::AlsoChanges {
                who,
                line: line.to_owned(),
            });
        }
        regained |= answer.other_change(earlier, false).is_some();
    }
    Ok(regained)
}

/// Looks again at what is on the disk now.
fn verified(disk: &Disk, scratch: &Scratch, ask: bool, before: &Before) -> Result<(), Verdict> {
    let now = Setup::read(disk, &Changes::new())?;
    if let Some(winner) = keys_command::winner_over_us(&now.config) {
        return Err(Verdict::Winner(Box::new(winner)));
    }
    if !is_ours_for_all(&now.config) {
        return Err(Verdict::NotRead(
            "The new lines are not among those that hold".to_owned(),
        ));
    }
    match now.sshd(scratch) {
        Ok(sshd) => judge(&now, &sshd, &now.main, before).map(|_| ()),
        Err(Silent::DoesNotRun(words)) if ask => Err(Verdict::Broken(words)),
        Err(_) => Ok(()),
    }
}

fn is_ours_for_all(config: &SshdConfig) -> bool {
    keys_command::contexts(config).all(|who: Who<'_>| config.effective(who).is_none_or(keys_command::is_ours))
}

/// What would be written would not reach the sshd that runs.
fn elsewhere(setup: &Setup<'_>, config: PathBuf) -> Verdict {
    Verdict::Elsewhere {
        program: setup.arguments.program.clone(),
        config,
        read: setup.main.clone(),
    }
}

/// Somebody else's command keeps its place.
fn others(disk: &Disk, contender: Contender, notes: &mut Vec<String>) -> Verdict {
    notes.extend(comes_back(disk, &contender));
    Verdict::Others(Box::new(contender))
}

/// Where the other command's line is a vendor's, as Debian 13's for userdb: the next upgrade undoes a change to it.
fn comes_back(disk: &Disk, contender: &Contender) -> Option<String> {
    let file = &contender.line.place.file;
    let is_drop_in = file.parent() == Path::new(SSHD_DROP_IN).parent();
    let target = disk
        .resolve(file)
        .filter(|target| is_drop_in && !target.starts_with("/etc"))?;
    Some(format!(
        "{} is a link to {}, a file of another package, which its next upgrade overwrites: write both lines into a file of \
         your own that sorts before it.",
        printable(file.as_os_str().as_encoded_bytes()),
        printable(target.as_os_str().as_encoded_bytes())
    ))
}

/// The account for sshd to run the program as. Packages and image builders may make it later: it breaks nothing until then.
///
/// # Errors
/// Where somebody else can use the account, where nobody knows, and, by hand, where there is none.
fn account_is_fit(disk: &Disk, scratch: &Scratch, options: &options::Change) -> Result<(), Verdict> {
    let Some(account) = accounts::account(disk, scratch, keys_command::USER).map_err(Verdict::AccountUnknown)? else {
        return if options.package || !disk.is_own_root() {
            Ok(())
        } else {
            Err(Verdict::NoAccount)
        };
    };
    let login_defs = disk.read(Path::new("/etc/login.defs")).unwrap_or_default();
    // Keys in the root folder are root's, whatever other account has that for its home.
    let keys = format!("{}/.ssh/authorized_keys", account.home.trim_end_matches('/'));
    let keys = Some(keys.as_str()).filter(|file| !file.starts_with("/.ssh") && disk.exists(Path::new(file)));
    let judged = account.judge(&String::from_utf8_lossy(&login_defs), keys);
    judged.map_err(Verdict::Account)
}
