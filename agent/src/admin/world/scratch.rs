//! A folder of our own under `/run`, for one caller at a time, which goes away with its contents.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::disk::Disk;

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
        fs::create_dir_all(&run)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(disk.on_host(Path::new(LOCK)))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let on_host = disk.on_host(Path::new(FOLDER));
        if on_host.exists() {
            fs::remove_dir_all(&on_host)?;
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

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.on_host);
        // The lock file of the running system stays: another caller may wait for it.
        if !self.on_host.starts_with("/run") {
            let _ = fs::remove_file(self.on_host.with_file_name("ec2-instance-connect.lock"));
        }
        if let Some(run) = &self.made_run {
            let _ = fs::remove_dir(run);
        }
    }
}
