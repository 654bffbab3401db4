//! `enable`: hooks the program into sshd where nobody else's command is in effect, and only if it is then ours that is.

use std::path::{Path, PathBuf};

use super::change::{self, Marker};
use super::hook::lines::{self, SSHD_DROP_IN, Without, made_from, sshd_drop_in, unit_drop_in, with_block};
use super::hook::pair::{self, InEffect, Owner, PROGRAM};
use super::hook::sshd_config::{Files, SshdConfig, Who};
use super::options;
use super::setup::{self, Changes, Family, Setup, unit_drop_in_path};
use super::verdict::Verdict;
use super::world::disk::Disk;
use super::world::safe_path;
use super::world::scratch::Scratch;
use super::world::sshd::{Silent, Sshd};

/// Enables; what came of it, and what else is to be said.
pub(super) fn enable(options: &options::Change) -> (Verdict, Vec<String>) {
    let disk = Disk::new(&options.root);
    let mut notes = Vec::new();
    let verdict = match Scratch::new(&disk) {
        Ok(scratch) => go(&disk, &scratch, options, &mut notes).unwrap_or_else(|verdict| verdict),
        Err(error) => Verdict::Scratch(error),
    };
    (verdict, notes)
}

fn go(disk: &Disk, scratch: &Scratch, options: &options::Change, notes: &mut Vec<String>) -> Result<Verdict, Verdict> {
    if Marker::NoEnable.is_set(disk) {
        return Err(Verdict::NoEnable);
    }
    if options.package && Marker::Disabled.is_set(disk) {
        return Err(Verdict::Disabled);
    }
    let setup = Setup::read(disk, &Changes::new())?;
    if let Some(problem) = setup.config.problems.first() {
        return Err(Verdict::Broken(problem.clone()));
    }
    let sshd = match setup.sshd(scratch) {
        Ok(sshd) => Some(sshd),
        Err(Silent::Missing) => None,
        Err(Silent::DoesNotRun(words)) => {
            notes.push(format!(
                "sshd could not be asked here ({words}); its configuration was read without it."
            ));
            None
        }
    };
    let before = match &sshd {
        Some(sshd) => setup.confirmed(sshd, &setup.main)?,
        None => Vec::new(),
    };
    let changes = match pair::in_effect(&setup.config) {
        InEffect::Others(contender) => return Err(Verdict::Others(Box::new(contender))),
        InEffect::Ours(owner) => {
            let renewed = renewed(disk)?;
            if renewed.is_empty() {
                return already(disk, &setup, owner, options);
            }
            renewed
        }
        InEffect::Nothing => planned(disk, &setup, options)?,
    };
    for config in &setup.templates {
        if let InEffect::Others(contender) = pair::in_effect(config) {
            return Err(Verdict::Others(Box::new(contender)));
        }
    }
    safe_path::check(disk, Path::new(PROGRAM)).map_err(Verdict::Program)?;

    let after = Setup::read(disk, &changes)?;
    if let Some(problem) = after.config.problems.first() {
        return Err(Verdict::WouldBreak(problem.clone()));
    }
    let all = [&after.config].into_iter().chain(&after.templates);
    if let Some(winner) = all.into_iter().find_map(pair::winner_over_us) {
        return Err(Verdict::Winner(Box::new(winner)));
    }
    if let Some(sshd) = &sshd {
        let copy = after
            .copy(&changes, scratch)
            .ok_or_else(|| Verdict::NoPlace(setup.main.clone()))?;
        let asked = after.sshd(scratch).ok();
        judge(&after, asked.as_ref().unwrap_or(sshd), &copy, &before)?;
    }
    let paths: Vec<PathBuf> = changes.keys().cloned().collect();
    if options.dry_run {
        return Ok(Verdict::WouldEnable(paths));
    }

    let undo = change::make(disk, &changes)?;
    if let Err(verdict) = verified(disk, scratch, sshd.is_some(), &before) {
        undo.now(disk);
        let words = verdict.to_string();
        let why = words
            .split_once(" Nothing was changed.")
            .map_or(words.as_str(), |(why, _)| why);
        return Err(Verdict::Undone(why.trim_end_matches('.').to_owned()));
    }
    let laid: Vec<String> = paths.iter().map(|path| format!("{}\n", path.display())).collect();
    if let Err(verdict) = Marker::Hooked.set(disk, &laid.concat()) {
        undo.now(disk);
        return Err(verdict);
    }
    Marker::Disabled.clear(disk);
    let unit_changed = paths.iter().any(|path| setup::is_unit_drop_in(path));
    notes.extend(user_is_missing(disk));
    notes.extend(change::take_effect(
        &after,
        sshd.as_ref(),
        scratch,
        options,
        unit_changed,
    ));
    Ok(Verdict::Enabled(paths))
}

/// The pair is ours: it is left, and what this program laid is remembered where an interrupted call did not.
fn already(disk: &Disk, setup: &Setup<'_>, owner: Owner, options: &options::Change) -> Result<Verdict, Verdict> {
    let ours = pair::contexts(&setup.config).find_map(|who| setup.config.effective(who)?.command);
    let place = ours.map(|line| line.place.to_string()).unwrap_or_default();
    if owner == Owner::Aws {
        return Ok(Verdict::ByAws(place));
    }
    let laid = laid(disk, setup);
    if !laid.is_empty() && !options.dry_run {
        let laid: Vec<String> = laid.iter().map(|path| format!("{}\n", path.display())).collect();
        Marker::Hooked.set(disk, &laid.concat())?;
        Marker::Disabled.clear(disk);
    }
    Ok(Verdict::Already(place))
}

/// The files in which our bytes are as they were written.
fn laid(disk: &Disk, setup: &Setup<'_>) -> Vec<PathBuf> {
    let files = setup.config.files.iter();
    let in_config = files.filter(|(_, bytes)| !matches!(lines::without(bytes), Without::Same | Without::Edited(_)));
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

/// What to lay, and where.
fn planned(disk: &Disk, setup: &Setup<'_>, options: &options::Change) -> Result<Changes, Verdict> {
    let gone = Marker::Hooked.paths(disk).into_iter().next();
    if let Some(path) = gone.filter(|_| options.package) {
        return Err(Verdict::Deleted(path));
    }
    let drop_in = PathBuf::from(SSHD_DROP_IN);
    if setup.config.includes_for_everyone(&drop_in) {
        return match disk.read(&drop_in) {
            Ok(_) => Err(Verdict::Changed(drop_in)),
            Err(_) => Ok(Changes::from([(drop_in, Some(sshd_drop_in().into_bytes()))])),
        };
    }
    match Family::of(disk) {
        Family::Deb => {
            let mut changes = Changes::new();
            for unit in Setup::units_without_ours(disk) {
                let path = unit_drop_in_path(&unit.name);
                if disk.exists(&path) {
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
            let main = disk.resolve(&setup.main).unwrap_or_else(|| setup.main.clone());
            let bytes = disk.read(&main).map_err(|error| Verdict::Write {
                path: main.clone(),
                error,
            })?;
            Ok(Changes::from([(setup.main.clone(), Some(with_block(&bytes)))]))
        }
    }
}

/// Whether, by sshd's own word, ours is the effective pair for everybody and nothing else has changed.
fn judge(after: &Setup<'_>, sshd: &Sshd<'_>, file: &Path, before: &[setup::InEffect]) -> Result<(), Verdict> {
    let answers = after.confirmed(sshd, file).map_err(|verdict| match verdict {
        Verdict::Broken(words) => Verdict::WouldBreak(words),
        other => other,
    })?;
    for answer in &answers {
        let who = answer.connection.specification();
        if !answer.is_ours() {
            return Err(Verdict::Disagreement {
                who,
                read: "ours".to_owned(),
                said: "otherwise".to_owned(),
            });
        }
        let earlier = before.iter().find(|earlier| earlier.connection == answer.connection);
        if let Some(line) = earlier.and_then(|earlier| answer.other_change(earlier)) {
            return Err(Verdict::AlsoChanges {
                who,
                line: line.to_owned(),
            });
        }
    }
    Ok(())
}

/// Looks again at what is on the disk now.
fn verified(disk: &Disk, scratch: &Scratch, ask: bool, before: &[setup::InEffect]) -> Result<(), Verdict> {
    let now = Setup::read(disk, &Changes::new())?;
    if let Some(winner) = pair::winner_over_us(&now.config) {
        return Err(Verdict::Winner(Box::new(winner)));
    }
    if !is_ours_for_all(&now.config) {
        return Err(Verdict::NotHooked);
    }
    match now.sshd(scratch) {
        Ok(sshd) => judge(&now, &sshd, &now.main, before),
        Err(Silent::DoesNotRun(words)) if ask => Err(Verdict::Broken(words)),
        Err(_) => Ok(()),
    }
}

fn is_ours_for_all(config: &SshdConfig) -> bool {
    pair::contexts(config).all(|who: Who<'_>| config.effective(who).is_none_or(pair::is_ours))
}

/// A user that is missing breaks nothing, but no key is found before it is there.
fn user_is_missing(disk: &Disk) -> Option<String> {
    let passwd = disk.read(Path::new("/etc/passwd")).unwrap_or_default();
    let start = format!("{}:", pair::USER);
    let known = String::from_utf8_lossy(&passwd)
        .lines()
        .any(|line| line.starts_with(&start));
    (!known).then(|| {
        format!(
            "/etc/passwd has no user {} yet: sshd asks nobody until there is one.",
            pair::USER
        )
    })
}
