//! A temporary directory under `/run`, for one caller at a time, which is removed with its contents.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock, statvfs};

use super::root_directory::{RootDirectory, make_directories};

/// As seen from the root directory; only root can write to `/run`.
const PATH: &str = "/run/ec2-instance-connect.scratch";
const LOCK: &str = "/run/ec2-instance-connect.lock";

/// The directory. As long as it exists, no other `enable` or `disable` changes this root directory.
#[derive(Debug)]
pub(crate) struct TemporaryDirectory {
    on_host: PathBuf,
    /// `/run`, if it had to be created.
    created_run: Option<PathBuf>,
    _lock: File,
}

impl TemporaryDirectory {
    /// Creates the directory once no other call uses it, and removes what an interrupted call left in it.
    ///
    /// # Errors
    /// The caller is not root, `/run` is full or read-only, or there is no room.
    pub(crate) fn new(root: &RootDirectory) -> io::Result<Self> {
        let run = root.on_host(Path::new("/run"));
        let created_run = (!run.exists()).then(|| run.clone());
        make_directories(&run)?;
        check_room(&run)?;
        let lock = lock(&root.link_on_host(Path::new(LOCK)))?;
        // In an image, these names may be links to anywhere.
        let on_host = root.link_on_host(Path::new(PATH));
        match fs::remove_dir_all(&on_host) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        DirBuilder::new().mode(0o700).create(&on_host)?;
        Ok(Self {
            on_host,
            created_run,
            _lock: lock,
        })
    }

    /// The directory, as seen from the running system.
    pub(crate) fn on_host(&self) -> &Path {
        &self.on_host
    }

    /// The directory, as seen from the root directory.
    pub(crate) fn in_root(&self) -> &Path {
        Path::new(PATH)
    }
}

/// The room needed at once, unless sshd_config is very long. The output of `sshd -T` has some KiB; a truncated one would look
/// like another configuration.
const ROOM_BYTES: u64 = 256 * 1024;

fn check_room(directory: &Path) -> io::Result<()> {
    let its = statvfs(directory)?;
    let free = its.f_bavail.saturating_mul(its.f_frsize);
    if free < ROOM_BYTES {
        let message = format!("only {} KiB are free, {} are needed", free / 1024, ROOM_BYTES / 1024);
        return Err(io::Error::new(io::ErrorKind::StorageFull, message));
    }
    Ok(())
}

/// Waits for the lock. The former holder removes the file when it ends: then a new file is locked.
fn lock(path: &Path) -> io::Result<File> {
    loop {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)?;
        flock(&lock, FlockOperation::LockExclusive)?;
        if fs::metadata(path).is_ok_and(|its| lock.metadata().is_ok_and(|own| own.ino() == its.ino())) {
            return Ok(lock);
        }
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.on_host);
        // Removed while still locked: a caller that waits for it sees that the file was replaced, or is gone.
        let _ = fs::remove_file(self.on_host.with_file_name("ec2-instance-connect.lock"));
        if let Some(run) = &self.created_run {
            let _ = fs::remove_dir(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_with_our_names_in_an_image_are_not_followed() {
        let root = std::env::temp_dir().join(format!("eic-temporary-{}", std::process::id()));
        fs::create_dir_all(root.join("run")).unwrap();
        fs::create_dir_all(root.join("precious/x")).unwrap();
        std::os::unix::fs::symlink("/precious", root.join("run/ec2-instance-connect.scratch")).unwrap();
        let temporary = TemporaryDirectory::new(&RootDirectory::new(&root)).unwrap();
        fs::write(temporary.on_host().join("y"), b"").unwrap();
        drop(temporary);
        assert!(root.join("precious/x").exists() && !root.join("precious/y").exists());
        std::os::unix::fs::symlink("../precious/z", root.join("run/ec2-instance-connect.lock")).unwrap();
        assert!(TemporaryDirectory::new(&RootDirectory::new(&root)).is_err());
        assert!(!root.join("precious/z").exists());
        fs::remove_dir_all(&root).unwrap();
    }
}
