//! sshd's own rule on programs that it runs (`safe_path` in OpenSSH's misc.c), and on the folders of links to them.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::links;
use crate::verify::text::printable;

/// What is wrong with a program's path.
#[derive(Debug)]
pub(crate) enum UnsafePath {
    /// It cannot be looked at: most often, it is not there.
    Unreadable { path: PathBuf, error: io::Error },
    /// It is not a regular file.
    NotAFile(PathBuf),
    /// It cannot be run.
    NotExecutable(PathBuf),
    /// It, or a folder above it, is not root's.
    Owner { path: PathBuf, uid: u32 },
    /// It, or a folder above it, can be written by its group or by others.
    Mode { path: PathBuf, mode: u32 },
}

impl fmt::Display for UnsafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |path: &Path| printable(path.as_os_str().as_encoded_bytes());
        match self {
            Self::Unreadable { path, error } => write!(f, "{} cannot be looked at: {error}", name(path)),
            Self::NotAFile(path) => write!(f, "{} is not a regular file", name(path)),
            Self::NotExecutable(path) => write!(f, "{} is not executable", name(path)),
            Self::Owner { path, uid } => write!(f, "{} belongs to user {uid}, not to root", name(path)),
            Self::Mode { path, mode } => {
                write!(f, "{} can be written by others than root (mode {mode:04o})", name(path))
            }
        }
    }
}

/// Checks a program, as seen from `root`, as sshd will, and what sshd does not: the folders that links to it lie in.
/// Whoever can write one of those can put another program in its place.
pub(crate) fn check(root: &Path, program: &Path) -> Result<(), UnsafePath> {
    let looked = |path: &Path| {
        fs::metadata(links::on_host(root, path)).map_err(|error| UnsafePath::Unreadable {
            path: path.to_owned(),
            error,
        })
    };
    let (resolved, links) = links::followed(root, program).ok_or_else(|| UnsafePath::Unreadable {
        path: program.to_owned(),
        error: io::Error::other("its links go round in circles"),
    })?;
    let file = looked(&resolved)?;
    if !file.is_file() {
        return Err(UnsafePath::NotAFile(program.to_owned()));
    }
    if file.mode() & 0o111 == 0 {
        return Err(UnsafePath::NotExecutable(program.to_owned()));
    }
    let above_links = links.iter().flat_map(|folder| folder.ancestors());
    for path in resolved.ancestors().chain(above_links) {
        let its = looked(path)?;
        if its.uid() != 0 {
            return Err(UnsafePath::Owner {
                path: path.to_owned(),
                uid: its.uid(),
            });
        }
        if its.mode() & 0o022 != 0 {
            return Err(UnsafePath::Mode {
                path: path.to_owned(),
                mode: its.mode() & 0o7777,
            });
        }
    }
    Ok(())
}
