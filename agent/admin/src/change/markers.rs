//! Files that keep decisions and state between calls.

use std::path::{Path, PathBuf};

use super::apply::check_writable;
use super::outcome::Outcome;
use crate::files::Files;
use crate::host::root_directory::RootDirectory;

/// The directory for an administrator's decisions.
pub(crate) const DECISIONS: &str = "/etc/ec2-instance-connect";

/// The directory for what `enable` and the packages remember.
const STATE: &str = "/var/lib/ec2-instance-connect";

/// A file whose existence records an administrator's decision (in [`DECISIONS`]) or a state (in [`STATE`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    /// The builder of an image decided that `enable` never changes anything here.
    NoEnable,
    /// An administrator disabled EC2 Instance Connect.
    Disabled,
    /// `enable` wrote the files that it lists, one path a line.
    FilesWritten,
}

impl Marker {
    fn path(self) -> PathBuf {
        match self {
            Self::NoEnable => Path::new(DECISIONS).join("no-enable"),
            Self::Disabled => Path::new(DECISIONS).join("disabled"),
            Self::FilesWritten => Path::new(STATE).join("hooked"),
        }
    }

    /// The path that version 2.1.0 used: read until the next change moves the file.
    fn former_path(self) -> Option<PathBuf> {
        (self == Self::FilesWritten).then(|| Path::new(DECISIONS).join("hooked"))
    }

    /// The one of the two paths that exists.
    fn existing_path(self, root: &RootDirectory) -> Option<PathBuf> {
        let paths = [Some(self.path()), self.former_path()];
        paths.into_iter().flatten().find(|path| root.exists(path))
    }

    /// Whether the file exists.
    pub(crate) fn is_set(self, root: &RootDirectory) -> bool {
        self.existing_path(root).is_some()
    }

    /// The paths that the file lists.
    pub(crate) fn paths(self, root: &RootDirectory) -> Vec<PathBuf> {
        let text = self.existing_path(root).and_then(|path| root.read(&path).ok());
        let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
        text.lines()
            .filter(|line| line.starts_with('/'))
            .map(PathBuf::from)
            .collect()
    }

    /// Writes the file with a list of paths.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn set_paths(self, root: &RootDirectory, paths: &[PathBuf]) -> Result<(), Outcome> {
        let lines: Vec<String> = paths.iter().map(|path| format!("{}\n", path.display())).collect();
        self.set(root, &lines.concat())
    }

    /// Writes the file with a text.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn set(self, root: &RootDirectory, text: &str) -> Result<(), Outcome> {
        let path = self.path();
        if !root.read(&path).is_ok_and(|old| old == text.as_bytes()) {
            root.write(&path, text.as_bytes(), 0o644)
                .map_err(|error| Outcome::not_written(&path, error))?;
        }
        self.former_path().inspect(|former| remove(root, former));
        Ok(())
    }

    /// Checks in advance whether the file can be written.
    ///
    /// # Errors
    /// It is on a read-only file system.
    pub(crate) fn check(self, root: &RootDirectory) -> Result<(), Outcome> {
        check_writable(root, &self.path())
    }

    /// Removes the file.
    pub(crate) fn clear(self, root: &RootDirectory) {
        remove(root, &self.path());
        self.former_path().inspect(|former| remove(root, former));
    }
}

/// Removes a file, and its directory if it is empty then.
fn remove(root: &RootDirectory, path: &Path) {
    let _ = root.remove(path);
    if let Some(directory) = path.parent() {
        root.remove_empty_directory(directory);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_version_2_1_0_wrote_is_read_and_moves_with_the_next_change() {
        let directory = std::env::temp_dir().join(format!("eic-marker-{}", std::process::id()));
        let root = RootDirectory::new(&directory);
        let (former, now) = (
            directory.join("etc/ec2-instance-connect/hooked"),
            directory.join("var/lib/ec2-instance-connect/hooked"),
        );
        let write_former = || {
            fs::create_dir_all(directory.join("etc/ec2-instance-connect")).unwrap();
            fs::write(&former, "/etc/ssh/x\n").unwrap();
        };
        write_former();
        assert!(Marker::FilesWritten.is_set(&root));
        assert_eq!(Marker::FilesWritten.paths(&root), [PathBuf::from("/etc/ssh/x")]);

        Marker::FilesWritten
            .set_paths(&root, &[PathBuf::from("/etc/ssh/y")])
            .unwrap();
        assert_eq!(fs::read_to_string(&now).unwrap(), "/etc/ssh/y\n");
        assert!(!directory.join("etc/ec2-instance-connect").exists());

        write_former();
        Marker::Disabled.set(&root, "").unwrap();
        Marker::FilesWritten.clear(&root);
        assert!(!Marker::FilesWritten.is_set(&root) && !directory.join("var/lib/ec2-instance-connect").exists());
        assert!(Marker::Disabled.is_set(&root), "a decision stays in /etc");
        fs::remove_dir_all(&directory).unwrap();
    }
}
