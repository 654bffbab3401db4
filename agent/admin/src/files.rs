//! Where files are read from: a trait for it, the same with planned changes applied, and files in memory for tests.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use eic_verify::text::printable;

/// A source of files: a root directory, the same with planned changes, or memory in tests.
pub(crate) trait Files {
    /// The bytes of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The names in a directory; none if it does not exist.
    fn names(&self, directory: &Path) -> Vec<String>;
    /// Whether a file or directory exists; links are followed.
    fn exists(&self, path: &Path) -> bool;
    /// The same, or a dangling link: sshd fails on one that an Include matches.
    fn has_name(&self, path: &Path) -> bool {
        self.exists(path)
    }
}

/// Planned changes: the new bytes of each file, or `None` to remove it.
pub(crate) type Changes = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// A source of files with planned changes applied.
pub(crate) struct AfterChanges<'a> {
    /// The source.
    pub(crate) files: &'a dyn Files,
    /// The changes.
    pub(crate) changes: &'a Changes,
}

impl Files for AfterChanges<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.changes.get(path) {
            Some(Some(bytes)) => Ok(bytes.clone()),
            Some(None) => Err(io::ErrorKind::NotFound.into()),
            None => self.files.read(path),
        }
    }

    fn names(&self, directory: &Path) -> Vec<String> {
        let mut names: BTreeSet<String> = self.files.names(directory).into_iter().collect();
        for (path, change) in self.changes.iter().filter(|(path, _)| path.parent() == Some(directory)) {
            if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                if change.is_some() {
                    names.insert(name.to_owned());
                } else {
                    names.remove(name);
                }
            }
        }
        names.into_iter().collect()
    }

    fn exists(&self, path: &Path) -> bool {
        match self.changes.get(path) {
            Some(change) => change.is_some(),
            None => self.files.exists(path),
        }
    }

    fn has_name(&self, path: &Path) -> bool {
        match self.changes.get(path) {
            Some(change) => change.is_some(),
            None => self.files.has_name(path),
        }
    }
}

/// A path as messages show it: control characters are escaped.
pub(crate) fn printable_path(path: &Path) -> String {
    printable(path.as_os_str().as_encoded_bytes())
}

/// Several paths, separated by commas.
pub(crate) fn printable_paths(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| printable_path(path)).collect();
    paths.join(", ")
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    /// Counted from 1.
    pub(crate) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", printable_path(&self.file), self.line)
    }
}

#[cfg(test)]
pub(crate) use in_memory::InMemory;

#[cfg(test)]
mod in_memory {
    use super::*;
    /// Files with their text; a file without text cannot be read.
    pub(crate) struct InMemory(BTreeMap<PathBuf, Option<String>>);

    impl InMemory {
        pub(crate) fn of(files: &[(&str, Option<&str>)]) -> Self {
            let owned = files
                .iter()
                .map(|(path, text)| (PathBuf::from(path), text.map(str::to_owned)));
            Self(owned.collect())
        }

        /// All of them can be read.
        pub(crate) fn readable(files: &[(&str, &str)]) -> Self {
            let files: Vec<_> = files.iter().map(|(path, text)| (*path, Some(*text))).collect();
            Self::of(&files)
        }
    }

    impl Files for InMemory {
        fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
            let text = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
            Ok(text.clone().ok_or(io::ErrorKind::FileTooLarge)?.into_bytes())
        }

        fn names(&self, directory: &Path) -> Vec<String> {
            let in_directory = self.0.keys().filter(|path| path.parent() == Some(directory));
            in_directory
                .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
                .collect()
        }

        fn exists(&self, path: &Path) -> bool {
            self.0.contains_key(path)
        }
    }
}
