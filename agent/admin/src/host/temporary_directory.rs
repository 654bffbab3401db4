//! A folder of our own under `/run`, for one caller at a time, which goes away with its contents.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock, statvfs};

use super::root_directory::{Disk, make_folders};

/// Seen from the root; only root can write beside it.
const FOLDER: &str = "/run/ec2-instance-connect.scratch";
const LOCK: &str = "/run/ec2-instance-connect.lock";

/// The folder. While it is held, no other `enable` or `disable` of this root runs.
#[derive(Debug)]
pub(crate) struct Scratch {
    on_host: PathBuf,
    made_run: Option<PathBuf>,
    _lock: File,
}

impl Scratch {
    /// Makes the folder, after whoever has it now; what an interrupted call has left in it goes first.
    pub(crate) fn new(disk: &Disk) -> io::Result<Self> {
        let run = disk.on_host(Path::new("/run"));
        let made_run = (!run.exists()).then(|| run.clone());
        make_folders(&run)?;
        has_room(&run)?;
        let lock = lock(&disk.itself(Path::new(LOCK)))?;
        // What an image has under these names may be a link to anywhere.
        let on_host = disk.itself(Path::new(FOLDER));
        match fs::remove_dir_all(&on_host) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        DirBuilder::new().mode(0o700).create(&on_host)?;
        Ok(Self {
            on_host,
            made_run,
            _lock: lock,
        })
    }

    /// The folder as the running system has it.
    pub(crate) fn on_host(&self) -> &Path {
        &self.on_host
    }

    /// The folder as seen from the root.
    pub(crate) fn inside(&self) -> &Path {
        Path::new(FOLDER)
    }
}

/// What is written here at most at once, but for a copy of a very long sshd_config: `sshd -T`'s answer has some KiB, and one
/// that is cut short would look like another configuration.
const ROOM: u64 = 256 * 1024;

fn has_room(folder: &Path) -> io::Result<()> {
    let its = statvfs(folder)?;
    let free = its.f_bavail.saturating_mul(its.f_frsize);
    if free < ROOM {
        let words = format!("only {} KiB are free, {} are needed", free / 1024, ROOM / 1024);
        return Err(io::Error::new(io::ErrorKind::StorageFull, words));
    }
    Ok(())
}

/// Waits for the lock. Whoever had it has removed the file in the end: then a new one is locked.
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

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.on_host);
        // Still locked: whoever waits for it sees then that it is another file, or none.
        let _ = fs::remove_file(self.on_host.with_file_name("ec2-instance-connect.lock"));
        if let Some(run) = &self.made_run {
            let _ = fs::remove_dir(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_an_image_has_under_our_names_lead_nowhere() {
        let root = std::env::temp_dir().join(format!("eic-scratch-{}", std::process::id()));
        fs::create_dir_all(root.join("run")).unwrap();
        fs::create_dir_all(root.join("precious/x")).unwrap();
        std::os::unix::fs::symlink("/precious", root.join("run/ec2-instance-connect.scratch")).unwrap();
        let scratch = Scratch::new(&Disk::new(&root)).unwrap();
        fs::write(scratch.on_host().join("y"), b"").unwrap();
        drop(scratch);
        assert!(root.join("precious/x").exists() && !root.join("precious/y").exists());
        std::os::unix::fs::symlink("../precious/z", root.join("run/ec2-instance-connect.lock")).unwrap();
        assert!(Scratch::new(&Disk::new(&root)).is_err());
        assert!(!root.join("precious/z").exists());
        fs::remove_dir_all(&root).unwrap();
    }
}
