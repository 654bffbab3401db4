//! `disable`: takes our bytes out of sshd's configuration, and AWS's pair, if sshd still starts without them.

use std::path::{Path, PathBuf};

use super::change::{self, Marker};
use super::hook::lines::{self, SSHD_DROP_IN, Without, made_from};
use super::hook::sshd_config::Files;
use super::options;
use super::setup::{Changes, Setup, unit_drop_in_path};
use super::verdict::Verdict;
use super::world::disk::Disk;
use super::world::scratch::Scratch;
use super::world::sshd::{Refused, Silent};

/// Where drop-ins of units lie that AWS's packages, or this one, have written.
const UNIT_FOLDERS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// Disables; what came of it, and what else is to be said.
pub(super) fn disable(options: &options::Change) -> (Verdict, Vec<String>) {
    let disk = Disk::new(&options.root);
    let mut notes = Vec::new();
    let verdict = match Scratch::new(&disk) {
        Ok(scratch) => go(&disk, &scratch, options, &mut notes).unwrap_or_else(|verdict| verdict),
        Err(error) => Verdict::Scratch(error),
    };
    (verdict, notes)
}

fn go(disk: &Disk, scratch: &Scratch, options: &options::Change, notes: &mut Vec<String>) -> Result<Verdict, Verdict> {
    let now = match Setup::read(disk, &Changes::new()) {
        Err(Verdict::NoSshd(_)) => None,
        other => Some(other?),
    };
    let (changes, edited) = found(disk, now.as_ref());
    if changes.is_empty() {
        let verdict = if edited.is_empty() {
            Verdict::NotHooked
        } else {
            Verdict::Edited(edited)
        };
        return remembered(disk, options, true).map(|()| verdict);
    }
    let after = match Setup::read(disk, &changes) {
        Err(Verdict::NoSshd(_)) => None,
        other => Some(other?),
    };
    let sshd = match after.as_ref().map(|after| after.sshd(scratch)) {
        Some(Ok(sshd)) => Some(sshd),
        Some(Err(Silent::DoesNotRun(words))) => {
            notes.push(format!(
                "sshd could not be asked here ({words}); its configuration was read without it."
            ));
            None
        }
        Some(Err(Silent::Missing)) | None => None,
    };
    if let Some(after) = &after {
        let problem = after.config.problems.first().cloned();
        let refused = match (&sshd, problem) {
            (_, Some(problem)) => Some(problem),
            (Some(sshd), None) => {
                let copy = after
                    .copy(&changes, scratch)
                    .ok_or_else(|| Verdict::NoPlace(after.main.clone()))?;
                sshd.test(&copy, &[]).err().map(|Refused(words)| words)
            }
            (None, None) => None,
        };
        if let Some(words) = refused {
            return Err(Verdict::LeansOnUs(words));
        }
    }
    let paths: Vec<PathBuf> = changes.keys().cloned().collect();
    if options.dry_run {
        return Ok(Verdict::WouldTakeOut(paths));
    }
    change::make(disk, &changes)?;
    for folder in paths
        .iter()
        .filter_map(|path| path.parent())
        .filter(|folder| is_unit_folder(folder))
    {
        disk.remove_empty_folder(folder);
    }
    remembered(disk, options, false)?;
    if !edited.is_empty() {
        notes.push(Verdict::Edited(edited).to_string());
    }
    if let Some(after) = &after {
        let unit_changed = paths.iter().any(|path| path.parent().is_some_and(is_unit_folder));
        notes.extend(change::take_effect(
            after,
            sshd.as_ref(),
            scratch,
            options,
            unit_changed,
        ));
    }
    Ok(Verdict::TakenOut(paths))
}

/// An admin's word lasts: that it was disabled by hand, or deleted, before the package goes.
fn remembered(disk: &Disk, options: &options::Change, had_gone: bool) -> Result<(), Verdict> {
    if options.dry_run {
        return Ok(());
    }
    let deleted = had_gone && Marker::Hooked.is_set(disk);
    if !options.package || deleted {
        Marker::Disabled.set(
            disk,
            "An admin has disabled or deleted the hook; packages leave it so.\n",
        )?;
    }
    Marker::Hooked.clear(disk);
    Ok(())
}

/// Every file with our bytes, or AWS's pair, and what stays of it; and the lines that somebody has changed.
fn found(disk: &Disk, now: Option<&Setup<'_>>) -> (Changes, Vec<String>) {
    let mut changes = Changes::new();
    let mut edited = Vec::new();
    let mut take = |path: &Path, without: Without| match without {
        Without::Same => {}
        Without::Rest(bytes) => {
            changes.insert(path.to_owned(), Some(bytes));
        }
        Without::Nothing => {
            changes.insert(path.to_owned(), None);
        }
        Without::Edited(line) => edited.push(format!("{}:{line}", path.display())),
    };
    // Also where nothing includes it any more.
    let drop_in = PathBuf::from(SSHD_DROP_IN);
    if let Ok(bytes) = disk.read(&drop_in) {
        take(&drop_in, lines::without(&bytes));
    }
    if let Some(now) = now {
        for (path, bytes) in now.config.files.iter().filter(|(path, _)| **path != drop_in) {
            take(path, lines::without(bytes));
        }
        for unit in &now.units {
            let ours = unit_drop_in_path(&unit.name);
            for folder in UNIT_FOLDERS.map(|folder| Path::new(folder).join(format!("{}.d", unit.name))) {
                for name in disk.names(&folder).into_iter().filter(|name| name.ends_with(".conf")) {
                    let path = folder.join(name);
                    let Ok(bytes) = disk.read(&path) else { continue };
                    match lines::unit_without_aws(&bytes) {
                        Without::Same if path == ours && made_from(&bytes).is_none() => {
                            take(&path, Without::Edited(1));
                        }
                        without => take(&path, without),
                    }
                }
            }
        }
    }
    (changes, edited)
}

fn is_unit_folder(folder: &Path) -> bool {
    UNIT_FOLDERS.iter().any(|units| folder.starts_with(units))
}
