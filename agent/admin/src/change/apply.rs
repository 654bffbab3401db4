//! Applies changes to files, and undoes them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::outcome::Outcome;
use crate::files::{Changes, Files};
use crate::hook::our_lines::is_of_unit;
use crate::host::root_directory::RootDirectory;

/// The former bytes of the files that were changed; `None` for a file that did not exist.
pub(crate) struct Undo(Vec<(PathBuf, Option<Vec<u8>>)>);

/// Checks in advance what would fail, so that `--dry-run` reports it as well.
///
/// # Errors
/// A file on a read-only file system.
pub(crate) fn check(root: &RootDirectory, changes: &Changes) -> Result<(), Outcome> {
    changes.keys().try_for_each(|path| check_writable(root, path))
}

/// The same for one file.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_writable(root: &RootDirectory, path: &Path) -> Result<(), Outcome> {
    if root.is_read_only(path) {
        return Err(Outcome::ReadOnlyFileSystem(path.to_owned()));
    }
    Ok(())
}

/// Applies the changes; if one fails, undoes all of them. `checked` is what was checked: a file that differs from it now is
/// not overwritten.
///
/// Each file has both AuthorizedKeysCommand and its user, or neither, so sshd can start wherever this is interrupted.
///
/// # Errors
/// A file that somebody else changed, or that cannot be written.
pub(crate) fn apply(
    root: &RootDirectory,
    changes: &Changes,
    checked: &BTreeMap<PathBuf, Vec<u8>>,
) -> Result<Undo, Outcome> {
    let mut undo = Undo(Vec::new());
    for (path, change) in changes {
        let before = root.read(path).ok();
        let expected = checked.get(path);
        if expected.is_some() && expected != before.as_ref() {
            undo.undo(root);
            return Err(Outcome::FileChangedMeanwhile(path.clone()));
        }
        let applied = match change {
            Some(bytes) => write(root, path, bytes),
            None => root.remove(path),
        };
        match applied {
            Ok(()) => undo.0.push((path.clone(), before)),
            Err(error) => {
                undo.undo(root);
                return Err(Outcome::not_written(path, error));
            }
        }
    }
    Ok(undo)
}

/// The files of these changes, each once: `/lib` is a link to `/usr/lib` on most systems.
pub(crate) fn files(root: &RootDirectory, changes: &Changes) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let paths = changes.keys().filter(|path| seen.insert(root.on_host(path)));
    paths.cloned().collect()
}

/// Removes the drop-in directories of units that are empty after these changes.
pub(crate) fn remove_empty_directories(root: &RootDirectory, changes: &Changes) {
    let removed = changes
        .iter()
        .filter(|(path, change)| change.is_none() && is_of_unit(path));
    for directory in removed.filter_map(|(path, _)| path.parent()) {
        root.remove_empty_directory(directory);
    }
}

impl Undo {
    /// Restores every file.
    pub(crate) fn undo(self, root: &RootDirectory) {
        for (path, before) in self.0.into_iter().rev() {
            let _ = match before {
                Some(bytes) => write(root, &path, &bytes),
                None => root.remove(&path),
            };
            if let Some(directory) = path.parent().filter(|directory| is_of_unit(directory)) {
                root.remove_empty_directory(directory);
            }
        }
    }
}

fn write(root: &RootDirectory, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mode = match path.parent() {
        Some(directory) if directory.starts_with("/etc/ssh") => {
            root.mode_for_new_file(directory, Path::new("/etc/ssh/sshd_config"))
        }
        _ => 0o644,
    };
    root.write(path, bytes, mode)
}
