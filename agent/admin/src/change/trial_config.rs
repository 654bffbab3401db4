//! A changed configuration to ask sshd about, without touching the real one: copies of the files that lead to a change.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::sshd::sshd_config::{Files, Include, SshdConfig};

/// Files with changes laid over them.
pub(crate) struct Changed<'a> {
    pub(crate) files: &'a dyn Files,
    /// Each changed file's new bytes; `None` where it is taken away.
    pub(crate) changes: &'a BTreeMap<PathBuf, Option<Vec<u8>>>,
}

impl Files for Changed<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.changes.get(path) {
            Some(Some(bytes)) => Ok(bytes.clone()),
            Some(None) => Err(io::ErrorKind::NotFound.into()),
            None => self.files.read(path),
        }
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let mut names: BTreeSet<String> = self.files.names(folder).into_iter().collect();
        for (path, change) in self.changes.iter().filter(|(path, _)| path.parent() == Some(folder)) {
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

/// A file to write so that sshd reads it in place of another.
pub(crate) struct Copied {
    /// The file that it is a copy of.
    pub(crate) of: PathBuf,
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

/// The files to write so that sshd, started with the first of them, reads `config`.
///
/// `config` is what was read through [`Changed`]. A file that is changed, or that includes one, is copied into
/// `folder` under a number; its Include lines name each file that they stand for, and every line keeps its number.
///
/// # Errors
/// A file whose name could not be written so that sshd reads it.
pub(crate) fn copies(
    config: &SshdConfig,
    changes: &BTreeMap<PathBuf, Option<Vec<u8>>>,
    main: &Path,
    folder: &Path,
) -> Result<Vec<Copied>, PathBuf> {
    let mut copied: BTreeSet<&Path> = changes.keys().map(PathBuf::as_path).collect();
    copied.insert(main);
    loop {
        // What includes a file that is copied, or would have stood for one that is gone, is copied as well.
        let leads_there = |include: &&Include| {
            let stands_for = |path: &&Path| {
                let mut arguments = include.arguments.iter();
                arguments.any(|(argument, _)| crate::sshd::sshd_config::stands_for(argument, path))
            };
            !copied.contains(include.place.file.as_path()) && copied.iter().any(stands_for)
        };
        match config.includes.iter().find(leads_there) {
            Some(include) => copied.insert(&include.place.file),
            None => break,
        };
    }
    let numbered = copied
        .iter()
        .enumerate()
        .map(|(number, path)| (*path, folder.join(number.to_string())));
    let names: BTreeMap<&Path, PathBuf> = numbered.collect();
    let mut written = Vec::new();
    for (path, name) in &names {
        let Some(bytes) = config.files.get(*path) else {
            continue;
        };
        let copy = Copied {
            of: path.to_path_buf(),
            path: name.clone(),
            bytes: with_includes_named(bytes, path, config, &names)?,
        };
        if *path == main {
            written.insert(0, copy);
        } else {
            written.push(copy);
        }
    }
    Ok(written)
}

fn with_includes_named(
    bytes: &[u8],
    file: &Path,
    config: &SshdConfig,
    names: &BTreeMap<&Path, PathBuf>,
) -> Result<Vec<u8>, PathBuf> {
    let mut lines: Vec<Vec<u8>> = bytes.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    for include in config.includes.iter().filter(|include| include.place.file == file) {
        let mut line = String::new();
        for path in include.arguments.iter().flat_map(|(_, found)| found) {
            let path = names.get(path.as_path()).unwrap_or(path);
            let quotable = path
                .to_str()
                .filter(|path| !path.contains(['"', '\\', '\'', '#', '\n']));
            let path = quotable.ok_or_else(|| path.clone())?;
            let literal = path.replace('[', "[[]").replace('*', "[*]").replace('?', "[?]");
            line.push_str(&format!(" \"{literal}\""));
        }
        let line = if line.is_empty() {
            String::new()
        } else {
            format!("Include{line}")
        };
        if let Some(its) = lines.get_mut(include.place.line - 1) {
            *its = line.into_bytes();
        }
    }
    Ok(lines.join(&b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Tree;

    #[test]
    fn only_what_leads_to_a_change_is_copied_and_its_includes_are_named() {
        let main = Path::new("/etc/ssh/sshd_config");
        let added = PathBuf::from("/etc/ssh/sshd_config.d/60.conf");
        let tree = Tree::readable(&[
            (
                "/etc/ssh/sshd_config",
                "Include deep.conf\nInclude other.conf\nPort 22\n",
            ),
            ("/etc/ssh/deep.conf", "Include sshd_config.d/*.conf\n"),
            ("/etc/ssh/other.conf", "# nothing\n"),
            ("/etc/ssh/sshd_config.d/1 0.conf", "# ten\n"),
        ]);
        let changes = BTreeMap::from([(added, Some(b"Banner none\n".to_vec()))]);
        let changed = Changed {
            files: &tree,
            changes: &changes,
        };
        let config = SshdConfig::read(&changed, main, &[]);
        let written = copies(&config, &changes, main, Path::new("/t")).unwrap();
        let text = |at: usize| String::from_utf8(written[at].bytes.clone()).unwrap();
        assert_eq!(written.len(), 3);
        assert_eq!(text(0), "Include \"/t/0\"\nInclude \"/etc/ssh/other.conf\"\nPort 22\n");
        assert_eq!(text(1), "Include \"/etc/ssh/sshd_config.d/1 0.conf\" \"/t/2\"\n");
        assert_eq!(text(2), "Banner none\n");
        assert_eq!(written[1].of, Path::new("/etc/ssh/deep.conf"));
    }

    #[test]
    fn a_name_that_cannot_be_quoted_is_told() {
        let main = Path::new("/etc/ssh/sshd_config");
        let tree = Tree::readable(&[
            ("/etc/ssh/sshd_config", "Include *.conf\n"),
            ("/etc/ssh/a#b.conf", "# nothing\n"),
        ]);
        let config = SshdConfig::read(&tree, main, &[]);
        let refused = copies(&config, &BTreeMap::new(), main, Path::new("/t")).map(|_| ());
        assert_eq!(refused, Err(PathBuf::from("/etc/ssh/a#b.conf")));
    }
}
