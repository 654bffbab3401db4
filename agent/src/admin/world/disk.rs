//! The files under one root: read, written so that an interruption leaves the old ones or the new ones, taken away.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, getxattr, listxattr, setxattr};

use crate::admin::hook::sshd_config::Files;
use crate::host::links;
use crate::host::read::regular_file;

/// The longest configuration file that is read. Real ones have a few KiB.
const LONGEST: u64 = 1024 * 1024;

/// What one extended attribute, and the list of their names, may take; an SELinux label has about 40 bytes.
const ATTRIBUTE_BYTES: usize = 4096;

/// The files under a root; every path is given as seen from there.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    root: PathBuf,
}

impl Disk {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Whether this is the running system's own root.
    pub(crate) fn is_own_root(&self) -> bool {
        self.root == Path::new("/")
    }

    /// A path as the running system has it, links followed as they would be within the root.
    pub(crate) fn on_host(&self, path: &Path) -> PathBuf {
        let resolved = self.resolve(path).unwrap_or_else(|| path.to_owned());
        self.root.join(resolved.strip_prefix("/").unwrap_or(&resolved))
    }

    /// A path with its links followed within the root; `None` where they go round in circles. What is not there
    /// resolves to itself.
    pub(crate) fn resolve(&self, path: &Path) -> Option<PathBuf> {
        links::followed(&self.root, path).map(|(resolved, _)| resolved)
    }

    /// The root, as the running system has it.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a file under a name that sshd does not read, and gives it its own name when it is on the disk.
    ///
    /// A file that was there keeps its mode, owner and attributes (its SELinux label is one); a new one gets `mode`.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let target = self.on_host(path);
        let (folder, name) = folder_and_name(&target)?;
        fs::create_dir_all(folder)?;
        let new = folder.join(format!(".{name}.ec2-instance-connect-new"));
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let written = write_new(&new, bytes, mode, &target).and_then(|()| fs::rename(&new, &target));
        if let Err(error) = written {
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        File::open(folder)?.sync_all()
    }

    /// Takes a file away; one that is not there is no error.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        let target = self.on_host(path);
        match fs::remove_file(&target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                let (folder, _) = folder_and_name(&target)?;
                File::open(folder)?.sync_all()
            }
        }
    }

    /// Whether a regular file stands there itself, and not a link to one.
    pub(crate) fn is_file_itself(&self, path: &Path) -> bool {
        let folder = path.parent().map(|folder| self.on_host(folder));
        let own = folder.zip(path.file_name()).map(|(folder, name)| folder.join(name));
        own.is_some_and(|path| fs::symlink_metadata(path).is_ok_and(|its| its.is_file()))
    }

    /// Takes a folder away if nothing is in it.
    pub(crate) fn remove_empty_folder(&self, path: &Path) {
        let _ = fs::remove_dir(self.on_host(path));
    }

    /// When a file, or its name, was last changed, in seconds since the epoch.
    pub(crate) fn changed(&self, path: &Path) -> Option<u64> {
        let its = fs::metadata(self.on_host(path)).ok()?;
        u64::try_from(its.ctime()).ok()
    }

    /// The mode for a new file in sshd's folder, by its kind: RHEL keeps these files from other users, Debian does not.
    pub(crate) fn mode_in(&self, folder: &Path, beside: &Path) -> u32 {
        let is_open =
            |path: &Path, bit: u32| fs::metadata(self.on_host(path)).map_or(true, |its| its.mode() & bit != 0);
        if is_open(folder, 0o001) && is_open(beside, 0o004) {
            0o644
        } else {
            0o600
        }
    }
}

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        regular_file(&self.on_host(path), LONGEST)
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(self.on_host(folder)).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    fn exists(&self, path: &Path) -> bool {
        self.on_host(path).exists()
    }
}

fn folder_and_name(path: &Path) -> io::Result<(&Path, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    path.parent()
        .zip(name)
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn write_new(new: &Path, bytes: &[u8], mode: u32, like: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    file.write_all(bytes)?;
    match fs::metadata(like) {
        Ok(old) => {
            chown(new, Some(old.uid()), Some(old.gid()))?;
            copy_attributes(like, new);
            file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
        }
        Err(_) => file.set_permissions(Permissions::from_mode(mode))?,
    }
    file.sync_all()
}

/// Copies what can be copied: a file system without attributes has none to lose.
fn copy_attributes(from: &Path, to: &Path) {
    let mut names = vec![0; ATTRIBUTE_BYTES];
    let Ok(length) = listxattr(from, &mut names) else {
        return;
    };
    for name in names.get(..length).unwrap_or_default().split(|&byte| byte == 0) {
        let mut value = vec![0; ATTRIBUTE_BYTES];
        if let Ok(length) = getxattr(from, name, &mut value) {
            let _ = setxattr(to, name, value.get(..length).unwrap_or_default(), XattrFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(name: &str) -> Disk {
        let root = std::env::temp_dir().join(format!("eic-disk-{}-{name}", std::process::id()));
        fs::create_dir_all(root.join("etc/ssh")).unwrap();
        Disk::new(&root)
    }

    #[test]
    fn a_file_that_is_replaced_keeps_its_mode_and_nothing_is_left_beside_it() {
        let disk = disk("write");
        let path = Path::new("/etc/ssh/x");
        disk.write(path, b"1", 0o640).unwrap();
        let mode = || fs::metadata(disk.on_host(path)).unwrap().mode() & 0o777;
        assert_eq!(mode(), 0o640);
        disk.write(path, b"2", 0o600).unwrap();
        assert_eq!((mode(), disk.read(path).unwrap()), (0o640, b"2".to_vec()));
        assert_eq!(disk.names(Path::new("/etc/ssh")), ["x"]);
        disk.remove(path).unwrap();
        disk.remove(path).unwrap();
        fs::remove_dir_all(&disk.root).unwrap();
    }
}
