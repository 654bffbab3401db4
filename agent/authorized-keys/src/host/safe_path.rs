//! sshd's own rule on programs that it runs (`safe_path` in OpenSSH's misc.c), and on the folders of links to them.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::links;
use eic_verify::text::printable;

/// What is wrong with a program's path.
#[derive(Debug)]
pub enum UnsafePath {
    /// It, or a directory above it, cannot be examined: most often, it does not exist.
    Unreadable {
        /// What cannot be examined.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// It is not a regular file.
    NotAFile(PathBuf),
    /// It has no execute permission.
    NotExecutable(PathBuf),
    /// It, or a directory above it, does not belong to root.
    Owner {
        /// What does not.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// It, or a directory above it, can be written by its group or by others.
    Mode {
        /// What can be.
        path: PathBuf,
        /// Its permissions, the file type left out.
        mode: u32,
    },
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
pub fn check(root: &Path, program: &Path) -> Result<(), UnsafePath> {
    let file = File::look(root, program)?;
    if file.mode & 0o111 == 0 {
        return Err(UnsafePath::NotExecutable(program.to_owned()));
    }
    file.is_root_s(root)
}

/// Checks that only root can have written a file, which need not be executable.
pub fn check_written_by_root(file: &Path) -> Result<(), UnsafePath> {
    let root = Path::new("/");
    File::look(root, file)?.is_root_s(root)
}

/// A regular file that was looked at.
struct File {
    /// Where it is, links followed.
    resolved: PathBuf,
    /// The folders of the links.
    links: Vec<PathBuf>,
    mode: u32,
}

impl File {
    fn look(root: &Path, path: &Path) -> Result<Self, UnsafePath> {
        let (resolved, links) = links::followed(root, path).ok_or_else(|| UnsafePath::Unreadable {
            path: path.to_owned(),
            error: io::Error::other("its links go round in circles"),
        })?;
        let metadata = looked(root, &resolved)?;
        if !metadata.is_file() {
            return Err(UnsafePath::NotAFile(path.to_owned()));
        }
        Ok(Self {
            resolved,
            links,
            mode: metadata.mode(),
        })
    }

    /// Whether it and every folder above it and above the links to it are root's, and writable by nobody else.
    fn is_root_s(&self, root: &Path) -> Result<(), UnsafePath> {
        let above_links = self.links.iter().flat_map(|folder| folder.ancestors());
        for path in self.resolved.ancestors().chain(above_links) {
            let its = looked(root, path)?;
            is_root_s(path, its.uid(), its.mode())?;
        }
        Ok(())
    }
}

fn looked(root: &Path, path: &Path) -> Result<fs::Metadata, UnsafePath> {
    fs::metadata(links::on_host(root, path)).map_err(|error| UnsafePath::Unreadable {
        path: path.to_owned(),
        error,
    })
}

/// Whether nobody but root can write what has this owner and mode.
fn is_root_s(path: &Path, uid: u32, mode: u32) -> Result<(), UnsafePath> {
    let path = path.to_owned();
    if uid != 0 {
        return Err(UnsafePath::Owner { path, uid });
    }
    if mode & 0o022 != 0 {
        let mode = mode & 0o7777;
        return Err(UnsafePath::Mode { path, mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(root: &Path, program: &str) -> String {
        check(root, Path::new(program)).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_there_no_file_or_not_executable_is_refused() {
        let root = std::env::temp_dir().join(format!("eic-safe-{}", std::process::id()));
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::write(root.join("bin/x"), b"").unwrap();
        std::os::unix::fs::symlink("loop", root.join("bin/loop")).unwrap();
        assert!(refused(&root, "/bin/y").starts_with("/bin/y cannot be looked at: No such file"));
        assert_eq!(
            refused(&root, "/bin/loop"),
            "/bin/loop cannot be looked at: its links go round in circles"
        );
        assert_eq!(refused(&root, "/bin"), "/bin is not a regular file");
        assert_eq!(refused(&root, "/bin/x"), "/bin/x is not executable");
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn what_anybody_but_root_can_write_is_refused() {
        let path = Path::new("/x");
        let refused = |uid, mode| is_root_s(path, uid, mode).unwrap_err().to_string();
        assert_eq!(refused(1000, 0o100_755), "/x belongs to user 1000, not to root");
        assert_eq!(
            refused(0, 0o100_775),
            "/x can be written by others than root (mode 0775)"
        );
        assert_eq!(
            refused(0, 0o041_777),
            "/x can be written by others than root (mode 1777)"
        );
        assert!(is_root_s(path, 0, 0o100_755).is_ok());
    }
}
