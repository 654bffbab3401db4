//! Changes made to files, and undone; and what is remembered of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::outcome::Verdict;
use crate::host::root_directory::Disk;
use crate::service::sshd_service::{self, Changes, MARKERS, STATE};
use crate::sshd::sshd_config::Files;

/// What was there before, to be put back.
pub(crate) struct Undo(Vec<(PathBuf, Option<Vec<u8>>)>);

/// What is known beforehand to fail, so that `--dry-run` says the same.
pub(crate) fn check(disk: &Disk, changes: &Changes) -> Result<(), Verdict> {
    changes.keys().try_for_each(|path| check_one(disk, path))
}

fn check_one(disk: &Disk, path: &Path) -> Result<(), Verdict> {
    if disk.is_read_only(path) {
        return Err(Verdict::ReadOnly(path.to_owned()));
    }
    Ok(())
}

/// Makes the changes; at the first that fails, all of them are undone. `read` is what was judged: a file that is another
/// by now is not written over.
///
/// Each file has a command together with its user or neither, so sshd can start wherever this is interrupted.
pub(crate) fn make(disk: &Disk, changes: &Changes, read: &BTreeMap<PathBuf, Vec<u8>>) -> Result<Undo, Verdict> {
    let mut undo = Undo(Vec::new());
    for (path, change) in changes {
        let before = disk.read(path).ok();
        if read.get(path).is_some_and(|judged| before.as_ref() != Some(judged)) {
            undo.now(disk);
            return Err(Verdict::Meanwhile(path.clone()));
        }
        let made = match change {
            Some(bytes) => write(disk, path, bytes),
            None => disk.remove(path),
        };
        match made {
            Ok(()) => undo.0.push((path.clone(), before)),
            Err(error) => {
                undo.now(disk);
                return Err(cannot(path, error));
            }
        }
    }
    Ok(undo)
}

/// The files of these changes, each once: `/lib` is `/usr/lib` on most systems.
pub(crate) fn files(disk: &Disk, changes: &Changes) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let paths = changes.keys().filter(|path| seen.insert(disk.on_host(path)));
    paths.cloned().collect()
}

/// Takes the folders of units away that held nothing else.
pub(crate) fn tidy(disk: &Disk, changes: &Changes) {
    let gone = changes
        .iter()
        .filter(|(path, change)| change.is_none() && sshd_service::is_of_a_unit(path));
    for folder in gone.filter_map(|(path, _)| path.parent()) {
        disk.remove_empty_folder(folder);
    }
}

impl Undo {
    /// Puts everything back.
    pub(crate) fn now(self, disk: &Disk) {
        for (path, before) in self.0.into_iter().rev() {
            let _ = match before {
                Some(bytes) => write(disk, &path, &bytes),
                None => disk.remove(&path),
            };
            if let Some(folder) = path.parent().filter(|folder| sshd_service::is_of_a_unit(folder)) {
                disk.remove_empty_folder(folder);
            }
        }
    }
}

fn write(disk: &Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mode = match path.parent() {
        Some(folder) if folder.starts_with("/etc/ssh") => disk.mode_in(folder, Path::new("/etc/ssh/sshd_config")),
        _ => 0o644,
    };
    disk.write(path, bytes, mode)
}

fn cannot(path: &Path, error: io::Error) -> Verdict {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => Verdict::ReadOnly(path),
        _ => Verdict::Write { path, error },
    }
}

/// What is remembered from one call to the next: an administrator's decisions in [`MARKERS`], state in [`STATE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    /// The builder of an image: never enable here.
    NoEnable,
    /// An administrator disabled it.
    Disabled,
    /// The files that `enable` wrote, one path a line.
    Hooked,
}

impl Marker {
    fn path(self) -> PathBuf {
        match self {
            Self::NoEnable => Path::new(MARKERS).join("no-enable"),
            Self::Disabled => Path::new(MARKERS).join("disabled"),
            Self::Hooked => Path::new(STATE).join("hooked"),
        }
    }

    /// Where version 2.1.0 kept it: read until the next change moves it.
    fn former_path(self) -> Option<PathBuf> {
        (self == Self::Hooked).then(|| Path::new(MARKERS).join("hooked"))
    }

    /// The path that is there, of the two.
    fn found(self, disk: &Disk) -> Option<PathBuf> {
        let paths = [Some(self.path()), self.former_path()];
        paths.into_iter().flatten().find(|path| disk.exists(path))
    }

    pub(crate) fn is_set(self, disk: &Disk) -> bool {
        self.found(disk).is_some()
    }

    /// The paths that it lists.
    pub(crate) fn paths(self, disk: &Disk) -> Vec<PathBuf> {
        let text = self.found(disk).and_then(|path| disk.read(&path).ok());
        let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
        text.lines()
            .filter(|line| line.starts_with('/'))
            .map(PathBuf::from)
            .collect()
    }

    /// Sets it with a list of paths.
    pub(crate) fn list(self, disk: &Disk, paths: &[PathBuf]) -> Result<(), Verdict> {
        let lines: Vec<String> = paths.iter().map(|path| format!("{}\n", path.display())).collect();
        self.set(disk, &lines.concat())
    }

    pub(crate) fn set(self, disk: &Disk, text: &str) -> Result<(), Verdict> {
        let path = self.path();
        if !disk.read(&path).is_ok_and(|old| old == text.as_bytes()) {
            disk.write(&path, text.as_bytes(), 0o644)
                .map_err(|error| cannot(&path, error))?;
        }
        self.former_path().inspect(|former| forget(disk, former));
        Ok(())
    }

    /// What is known beforehand to keep it from being set.
    pub(crate) fn check(self, disk: &Disk) -> Result<(), Verdict> {
        check_one(disk, &self.path())
    }

    pub(crate) fn clear(self, disk: &Disk) {
        forget(disk, &self.path());
        self.former_path().inspect(|former| forget(disk, former));
    }
}

/// Removes a marker, and its directory if that holds nothing else.
fn forget(disk: &Disk, path: &Path) {
    let _ = disk.remove(path);
    if let Some(directory) = path.parent() {
        disk.remove_empty_folder(directory);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_version_2_1_0_wrote_is_read_and_moves_with_the_next_change() {
        let root = std::env::temp_dir().join(format!("eic-marker-{}", std::process::id()));
        let disk = Disk::new(&root);
        let (former, now) = (
            root.join("etc/ec2-instance-connect/hooked"),
            root.join("var/lib/ec2-instance-connect/hooked"),
        );
        let write_former = || {
            fs::create_dir_all(root.join("etc/ec2-instance-connect")).unwrap();
            fs::write(&former, "/etc/ssh/x\n").unwrap();
        };
        write_former();
        assert!(Marker::Hooked.is_set(&disk));
        assert_eq!(Marker::Hooked.paths(&disk), [PathBuf::from("/etc/ssh/x")]);

        Marker::Hooked.list(&disk, &[PathBuf::from("/etc/ssh/y")]).unwrap();
        assert_eq!(fs::read_to_string(&now).unwrap(), "/etc/ssh/y\n");
        assert!(!root.join("etc/ec2-instance-connect").exists());

        write_former();
        Marker::Disabled.set(&disk, "").unwrap();
        Marker::Hooked.clear(&disk);
        assert!(!Marker::Hooked.is_set(&disk) && !root.join("var/lib/ec2-instance-connect").exists());
        assert!(Marker::Disabled.is_set(&disk), "a decision stays in /etc");
        fs::remove_dir_all(&root).unwrap();
    }
}
