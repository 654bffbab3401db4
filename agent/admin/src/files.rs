//! Files for the tests beside this, without a disk.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::sshd::sshd_config::Files;

/// Files with their texts; those without one cannot be read.
pub(crate) struct Tree(BTreeMap<PathBuf, Option<String>>);

impl Tree {
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

impl Files for Tree {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let text = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.clone().ok_or(io::ErrorKind::FileTooLarge)?.into_bytes())
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let in_folder = self.0.keys().filter(|path| path.parent() == Some(folder));
        in_folder
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }
}
