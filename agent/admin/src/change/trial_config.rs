//! A changed configuration for sshd to check before anything is written: copies of the files that lead to a change.
#![deny(clippy::disallowed_methods)]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::files::Changes;
use crate::sshd::sshd_config::{Include, SshdConfig};
use eic_verify::text::printable;

/// A copy of one file.
struct TrialFile {
    /// The file that it is a copy of.
    original: PathBuf,
    /// Where the copy is written, as sshd sees it.
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Copies of sshd's configuration with a change made in them; the main file is first.
pub(crate) struct TrialConfig(Vec<TrialFile>);

impl TrialConfig {
    /// The copies so that sshd, started with the first of them, reads `config`.
    ///
    /// `config` was read through [`crate::files::AfterChanges`]. A file that is changed, or that includes a copied one, is
    /// copied into `directory` under a number. Its Include lines name each file instead of a pattern, and every line keeps
    /// its number.
    ///
    /// # Errors
    /// A file whose name cannot be written so that sshd reads it.
    pub(crate) fn new(config: &SshdConfig, changes: &Changes, main: &Path, directory: &Path) -> Result<Self, PathBuf> {
        let mut copied: BTreeSet<&Path> = changes.keys().map(PathBuf::as_path).collect();
        copied.insert(main);
        loop {
            // A file is copied as well if it includes a copied one, or would have included one that is removed.
            let includes_copied = |include: &&Include| {
                !copied.contains(include.place.file.as_path()) && copied.iter().any(|path| include.would_include(path))
            };
            match config.includes.iter().find(includes_copied) {
                Some(include) => copied.insert(&include.place.file),
                None => break,
            };
        }
        let numbered = copied
            .iter()
            .enumerate()
            .map(|(number, path)| (*path, directory.join(number.to_string())));
        let copies: BTreeMap<&Path, PathBuf> = numbered.collect();
        let mut files = Vec::new();
        for (original, path) in &copies {
            let Some(bytes) = config.files.get(*original) else {
                continue;
            };
            let file = TrialFile {
                original: original.to_path_buf(),
                path: path.clone(),
                bytes: with_named_includes(bytes, original, config, &copies)?,
            };
            if *original == main {
                files.insert(0, file);
            } else {
                files.push(file);
            }
        }
        Ok(Self(files))
    }

    /// The main file, as sshd sees it.
    pub(crate) fn main(&self) -> &Path {
        self.0.first().map_or(Path::new(""), |file| &file.path)
    }

    /// The files to write: the name of each in `directory`, and its bytes.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&OsStr, &[u8])> {
        let files = self.0.iter();
        files.map(|file| (file.path.file_name().unwrap_or_default(), file.bytes.as_slice()))
    }

    /// A message of sshd that names copies, with the originals' names: the copies no longer exist when the user reads it.
    pub(crate) fn with_original_names(&self, message: &str) -> String {
        let mut message = message.to_owned();
        // The names are numbers: 10 begins with 1.
        let mut names: Vec<_> = self
            .0
            .iter()
            .map(|file| (file.path.to_string_lossy(), &file.original))
            .collect();
        names.sort_by_key(|(path, _)| Reverse(path.len()));
        for (path, original) in names {
            message = message.replace(path.as_ref(), &printable(original.as_os_str().as_encoded_bytes()));
        }
        message
    }
}

/// The bytes of a file in which each Include names the files, or their copies, that it includes.
fn with_named_includes(
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
    use crate::files::InMemory;

    #[test]
    fn only_what_leads_to_a_change_is_copied_and_its_includes_are_named() {
        let main = Path::new("/etc/ssh/sshd_config");
        let added = PathBuf::from("/etc/ssh/sshd_config.d/60.conf");
        let tree = InMemory::readable(&[
            (
                "/etc/ssh/sshd_config",
                "Include deep.conf\nInclude other.conf\nPort 22\n",
            ),
            ("/etc/ssh/deep.conf", "Include sshd_config.d/*.conf\n"),
            ("/etc/ssh/other.conf", "# nothing\n"),
            ("/etc/ssh/sshd_config.d/1 0.conf", "# ten\n"),
        ]);
        let changes = BTreeMap::from([(added, Some(b"Banner none\n".to_vec()))]);
        let changed = crate::files::AfterChanges {
            files: &tree,
            changes: &changes,
        };
        let config = SshdConfig::read(&changed, main, &[]);
        let written = TrialConfig::new(&config, &changes, main, Path::new("/t")).unwrap().0;
        let text = |at: usize| String::from_utf8(written[at].bytes.clone()).unwrap();
        assert_eq!(written.len(), 3);
        assert_eq!(text(0), "Include \"/t/0\"\nInclude \"/etc/ssh/other.conf\"\nPort 22\n");
        assert_eq!(text(1), "Include \"/etc/ssh/sshd_config.d/1 0.conf\" \"/t/2\"\n");
        assert_eq!(text(2), "Banner none\n");
        assert_eq!(written[1].original, Path::new("/etc/ssh/deep.conf"));
    }

    #[test]
    fn a_name_that_cannot_be_quoted_is_reported() {
        let main = Path::new("/etc/ssh/sshd_config");
        let tree = InMemory::readable(&[
            ("/etc/ssh/sshd_config", "Include *.conf\n"),
            ("/etc/ssh/a#b.conf", "# nothing\n"),
        ]);
        let config = SshdConfig::read(&tree, main, &[]);
        let refused = TrialConfig::new(&config, &BTreeMap::new(), main, Path::new("/t")).map(|_| ());
        assert_eq!(refused, Err(PathBuf::from("/etc/ssh/a#b.conf")));
    }
}
