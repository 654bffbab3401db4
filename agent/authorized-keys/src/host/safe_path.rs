//! sshd's own rule for programs that it runs (`safe_path` in OpenSSH's misc.c), extended to the symbolic links to them.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::symlinks::{self, Resolved};
use eic_verify::text::printable;

/// Why a file is not safe to run, or to trust.
#[derive(Debug)]
pub enum UnsafePath {
    /// The metadata of the file, or of a directory above it, cannot be read: most often, it does not exist.
    Stat {
        /// The path that cannot be examined.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// It is not a regular file.
    NotAFile(PathBuf),
    /// It has no execute permission.
    NotExecutable(PathBuf),
    /// The file, or a directory above it, is not owned by root.
    Owner {
        /// The path that is not.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// The file, or a directory above it, is writable by its group or by others.
    Mode {
        /// The path that is.
        path: PathBuf,
        /// Its permissions, without the file type.
        mode: u32,
    },
}

impl fmt::Display for UnsafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |path: &Path| printable(path.as_os_str().as_encoded_bytes());
        match self {
            Self::Stat { path, error } => write!(f, "cannot stat {}: {error}", name(path)),
            Self::NotAFile(path) => write!(f, "{} is not a regular file", name(path)),
            Self::NotExecutable(path) => write!(f, "{} is not executable", name(path)),
            Self::Owner { path, uid } => write!(f, "{} is owned by user {uid}, not by root", name(path)),
            Self::Mode { path, mode } => {
                write!(
                    f,
                    "{} is writable by its group or by others (mode {mode:04o})",
                    name(path)
                )
            }
        }
    }
}

/// Checks a program, as seen from `root`, as sshd does; and, unlike sshd, also the directories of the symbolic links to it:
/// a user who can write to one of them can substitute another program.
///
/// # Errors
/// [`UnsafePath`]: sshd does not run the program, or would run one that a user can replace.
pub fn check(root: &Path, program: &Path) -> Result<(), UnsafePath> {
    let file = RegularFile::find(root, program)?;
    if file.mode & 0o111 == 0 {
        return Err(UnsafePath::NotExecutable(program.to_owned()));
    }
    file.check_only_root_can_write(root)
}

/// Checks that only root can have written a file, which need not be executable.
///
/// # Errors
/// [`UnsafePath`].
pub(crate) fn check_only_root_can_write(file: &Path) -> Result<(), UnsafePath> {
    let root = Path::new("/");
    RegularFile::find(root, file)?.check_only_root_can_write(root)
}

/// A regular file that exists.
struct RegularFile {
    resolved: Resolved,
    mode: u32,
}

impl RegularFile {
    fn find(root: &Path, path: &Path) -> Result<Self, UnsafePath> {
        let resolved = symlinks::resolve_in_root(root, path).ok_or_else(|| UnsafePath::Stat {
            path: path.to_owned(),
            error: io::Error::other("too many levels of symbolic links"),
        })?;
        let metadata = stat(root, &resolved.path)?;
        if !metadata.is_file() {
            return Err(UnsafePath::NotAFile(path.to_owned()));
        }
        Ok(Self {
            resolved,
            mode: metadata.mode(),
        })
    }

    /// Checks the file, every directory above it, and every directory of and above the links to it.
    fn check_only_root_can_write(&self, root: &Path) -> Result<(), UnsafePath> {
        let link_directories = self.resolved.link_directories.iter();
        let above_links = link_directories.flat_map(|directory| directory.ancestors());
        for path in self.resolved.path.ancestors().chain(above_links) {
            let metadata = stat(root, path)?;
            check_owner_and_mode(path, metadata.uid(), metadata.mode())?;
        }
        Ok(())
    }
}

fn stat(root: &Path, path: &Path) -> Result<fs::Metadata, UnsafePath> {
    fs::metadata(symlinks::below_root(root, path)).map_err(|error| UnsafePath::Stat {
        path: path.to_owned(),
        error,
    })
}

/// Checks that root owns the path and nobody else can write to it.
fn check_owner_and_mode(path: &Path, uid: u32, mode: u32) -> Result<(), UnsafePath> {
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
        assert!(refused(&root, "/bin/y").starts_with("cannot stat /bin/y: No such file"));
        assert_eq!(
            refused(&root, "/bin/loop"),
            "cannot stat /bin/loop: too many levels of symbolic links"
        );
        assert_eq!(refused(&root, "/bin"), "/bin is not a regular file");
        assert_eq!(refused(&root, "/bin/x"), "/bin/x is not executable");
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn what_anybody_but_root_can_write_is_refused() {
        let path = Path::new("/x");
        let refused = |uid, mode| check_owner_and_mode(path, uid, mode).unwrap_err().to_string();
        assert_eq!(refused(1000, 0o100_755), "/x is owned by user 1000, not by root");
        assert_eq!(
            refused(0, 0o100_775),
            "/x is writable by its group or by others (mode 0775)"
        );
        assert_eq!(
            refused(0, 0o041_777),
            "/x is writable by its group or by others (mode 1777)"
        );
        assert!(check_owner_and_mode(path, 0, 0o100_755).is_ok());
    }
}
