//! `disable`: takes our bytes out of sshd's configuration, and by hand AWS's pair, if sshd still starts without them; or
//! hands over to AWS's package where that has come back.

use std::path::Path;

use crate::change::apply::{self, Marker};
use crate::change::outcome::Verdict;
use crate::change::reload::{self, Cause};
use crate::hook::installed::{self, Found};
use crate::hook::keys_command::{self, HISTORICAL, InEffect, Owner};
use crate::hook::our_lines;
use crate::host::root_directory::Disk;
use crate::host::sshd_program::{Refused, Silent};
use crate::host::temporary_directory::Scratch;
use crate::options;
use crate::service::sshd_service::{Changes, Setup};
use crate::sshd::sshd_config::Who;

/// Disables; what came of it, and in `notes` what else is to be said.
pub(crate) fn disable(
    disk: &Disk,
    scratch: &Scratch,
    options: &options::Change,
    notes: &mut Vec<String>,
) -> Result<Verdict, Verdict> {
    let now = match Setup::read(disk, &Changes::new()) {
        Err(Verdict::NoSshd(_)) => None,
        other => Some(other?),
    };
    let owners: &[Owner] = if options.package {
        &[Owner::Ours]
    } else {
        &[Owner::Ours, Owner::Aws]
    };
    let Found { mut changes, edited } = installed::find(disk, now.as_ref(), owners);
    if changes.is_empty() {
        let by_aws = now.as_ref().is_some_and(|now| asks(now, Owner::Aws));
        let unread = now.as_ref().and_then(|now| now.config.unread.first());
        let had_gone = edited.is_empty() && !by_aws && unread.is_none();
        let verdict = match unread {
            // There may be lines of ours in what was not read.
            Some(words) => Verdict::NotRead(words.clone()),
            None => with_edited(None, edited, now.as_ref()),
        };
        remembered(disk, options, had_gone)?;
        let Some(now) = &now else {
            return Ok(verdict);
        };
        notes.extend(Some(now).filter(|_| options.package && by_aws).and_then(left_to_aws));
        // An interrupted call may have taken it out; or AWS's package has written over it.
        let sshd = now.sshd(scratch).ok();
        let effect = reload::bring(now, sshd.as_ref(), scratch, options, Cause::Nothing);
        notes.extend(effect.map_err(|down| down.start_again(disk, scratch))?);
        return Ok(reload::outcome(now, scratch, options, &[], verdict, notes));
    }
    let read = |changes: &Changes| match Setup::read(disk, changes) {
        Err(Verdict::NoSshd(_)) => Ok(None),
        other => other.map(Some),
    };
    let mut after = read(&changes)?;
    let heir = match (&now, &after) {
        (Some(now), Some(after)) if options.package => heir(now, after),
        _ => None,
    };
    if let (Some(program), Some(now)) = (heir, &now) {
        hand_over(&mut changes, now, program);
        after = read(&changes)?;
    }
    let sshd = match after.as_ref().map(|after| after.sshd(scratch)) {
        Some(Ok(sshd)) => Some(sshd),
        Some(Err(Silent::DoesNotRun(words))) => {
            notes.push(format!(
                "The sshd of this system does not run here ({words}); only this program has read its configuration."
            ));
            None
        }
        Some(Err(Silent::Missing | Silent::Elsewhere(_))) | None => None,
    };
    if let Some(after) = &after {
        if let Some(words) = after.config.unread.first() {
            return Err(Verdict::NotRead(words.clone()));
        }
        let problem = after.config.problems.first().cloned();
        let refused = match (&sshd, problem) {
            (_, Some(problem)) => Some(problem),
            (Some(sshd), None) => {
                let copy = after.copy(&changes, scratch)?;
                let tested = sshd.test(copy.main(), &[]);
                tested.err().map(|Refused(words)| copy.originals(&words))
            }
            (None, None) => None,
        };
        if let Some(words) = refused {
            return Err(now
                .and_then(|now| broken_as_it_is(&now, scratch))
                .unwrap_or(Verdict::LeansOnUs(words)));
        }
    }
    let paths = apply::files(disk, &changes);
    apply::check(disk, &changes)?;
    if options.dry_run {
        remembered(disk, options, false)?;
        return Ok(with_edited(Some(Verdict::WouldTakeOut(paths)), edited, after.as_ref()));
    }
    let read = now.map(|now| now.config.files).unwrap_or_default();
    let (was_disabled, hooked) = (Marker::Disabled.is_set(disk), Marker::Hooked.paths(disk));
    let remember_as_before = || {
        if !hooked.is_empty() {
            let _ = Marker::Hooked.list(disk, &hooked);
        }
        if !was_disabled {
            Marker::Disabled.clear(disk);
        }
    };
    // First: interrupted after the files are gone, it would look as if an administrator had deleted them.
    remembered(disk, options, false)?;
    let undo = apply::make(disk, &changes, &read).inspect_err(|_| remember_as_before())?;
    apply::tidy(disk, &changes);
    if let Some(after) = &after {
        notes.extend(Some(after).filter(|_| options.package).and_then(left_to_aws));
        match reload::bring(after, sshd.as_ref(), scratch, options, Cause::of(&changes)) {
            Ok(more) => notes.extend(more),
            Err(down) => {
                undo.now(disk);
                remember_as_before();
                return Err(down.start_again(disk, scratch));
            }
        }
    }
    let done = match heir {
        Some(_) => Verdict::HandedOver(paths),
        None => Verdict::TakenOut(paths),
    };
    let done = match &after {
        Some(after) => reload::outcome(after, scratch, options, &[], done, notes),
        None => done,
    };
    Ok(with_edited(Some(done), edited, after.as_ref()))
}

/// What keeps sshd from starting with the hook as well.
fn broken_as_it_is(now: &Setup<'_>, scratch: &Scratch) -> Option<Verdict> {
    let refused = || {
        let tested = now.sshd(scratch).ok()?.test(&now.main, &[]);
        tested.err().map(|Refused(words)| words)
    };
    now.config
        .problems
        .first()
        .cloned()
        .or_else(refused)
        .map(Verdict::Broken)
}

/// What was done, and the lines that were left as somebody has changed them, in sshd's configuration as it is then.
fn with_edited(done: Option<Verdict>, places: Vec<String>, then: Option<&Setup<'_>>) -> Verdict {
    if places.is_empty() {
        return done.unwrap_or(Verdict::NotHooked);
    }
    let uses_us = |setup: &Setup<'_>| {
        [&setup.config]
            .into_iter()
            .chain(&setup.templates)
            .any(keys_command::uses_us)
    };
    Verdict::Edited {
        done: done.map(Box::new),
        places,
        in_effect: then.is_some_and(uses_us),
    }
}

/// AWS's rpm, where it has come back and nobody would be asked without us: its scripts add no lines where they saw ours.
/// The scripts of its deb run after ours have gone, and see to theirs themselves.
fn heir(now: &Setup<'_>, after: &Setup<'_>) -> Option<&'static str> {
    let [rpm, _] = HISTORICAL;
    let is_there = now.disk.is_file_itself(Path::new(rpm));
    let nobody = after
        .config
        .effective(Who::Everyone)
        .is_some_and(|pair| pair.command.is_none());
    (is_there && nobody && asks(now, Owner::Ours)).then_some(rpm)
}

/// Whether everybody's key command is this owner's.
fn asks(setup: &Setup<'_>, owner: Owner) -> bool {
    let pair = setup.config.effective(Who::Everyone).unwrap_or_default();
    pair.command.is_some_and(|line| Owner::of(&line.value) == owner)
}

/// Has AWS's pair, which names `program`, stand where ours would be taken out of sshd's configuration.
fn hand_over(changes: &mut Changes, now: &Setup<'_>, program: &str) {
    for (path, change) in changes.iter_mut() {
        if let Some(bytes) = now.config.files.get(path) {
            *change = Some(our_lines::handed_over(bytes, program));
        }
    }
}

/// AWS's lines are not a package's to take, but whoever takes the program away must know of them.
fn left_to_aws(setup: &Setup<'_>) -> Option<String> {
    let is_aws_s = HISTORICAL
        .iter()
        .any(|program| setup.disk.is_file_itself(Path::new(program)));
    let InEffect::Ours(Owner::Aws) = keys_command::in_effect(&setup.config) else {
        return None;
    };
    let pair = setup.config.effective(Who::Everyone)?;
    let place = &pair.command?.place;
    (!is_aws_s).then(|| {
        format!(
            "sshd still uses a line of AWS's package ({place}), which was left. Without this program it has nothing to run, \
             and logs that at each login."
        )
    })
}

/// What an administrator decided lasts: that it was disabled by hand, or deleted, before the package goes.
fn remembered(disk: &Disk, options: &options::Change, had_gone: bool) -> Result<(), Verdict> {
    let deleted = had_gone && Marker::Hooked.is_set(disk);
    let is_word = !options.package || deleted;
    if options.dry_run {
        return if is_word { Marker::Disabled.check(disk) } else { Ok(()) };
    }
    if is_word {
        Marker::Disabled.set(
            disk,
            "An administrator has disabled or deleted the hook; packages leave it so.\n",
        )?;
    }
    Marker::Hooked.clear(disk);
    Ok(())
}
