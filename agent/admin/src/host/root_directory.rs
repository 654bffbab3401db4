//! The files under a root directory: read, removed, and written so that an interruption leaves the old or the new bytes.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, StatVfsMountFlags, XattrFlags, fgetxattr, flistxattr, fsetxattr, statvfs};

use super::timestamp::Timestamp;
use crate::files::Files;
use eic_authorized_keys::host::regular_file;
use eic_authorized_keys::host::symlinks;

/// The longest configuration file that is read; real ones have a few KiB.
const MAX_BYTES: u64 = 1024 * 1024;

/// The device number of `/dev/null` (null(4)): major 1, minor 3.
const DEV_NULL: u64 = 0x103;

/// The longest extended attribute, and list of their names, that is copied; an SELinux label has about 40 bytes.
const ATTRIBUTE_BYTES: usize = 4096;

/// A root directory. Every path is given as seen from it.
#[derive(Debug, Clone)]
pub(crate) struct RootDirectory {
    path: PathBuf,
}

impl RootDirectory {
    /// The root directory at `path`.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Whether this is the running system: `/`.
    pub(crate) fn is_running_system(&self) -> bool {
        self.path == Path::new("/")
    }

    /// A path as seen from the running system, with links followed within the root directory.
    pub(crate) fn on_host(&self, path: &Path) -> PathBuf {
        let resolved = self.resolve(path).unwrap_or_else(|| path.to_owned());
        self.path.join(resolved.strip_prefix("/").unwrap_or(&resolved))
    }

    /// A path with its links followed within the root directory; `None` if they form a loop. A part that does not exist
    /// resolves to itself.
    pub(crate) fn resolve(&self, path: &Path) -> Option<PathBuf> {
        symlinks::resolve_in_root(&self.path, path).map(|resolved| resolved.path)
    }

    /// The root directory, as seen from the running system.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file: first under a name that sshd does not read, then, once it is on the disk, renames it.
    ///
    /// An existing file keeps its mode, owner and extended attributes, such as its SELinux label; a new one gets `mode`.
    /// Anything but a regular file (a link to `/dev/null`, for instance) is not replaced.
    ///
    /// # Errors
    /// The path is not a regular file, or cannot be written.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let target = self.on_host(path);
        let (directory, name) = directory_and_name(&target)?;
        if fs::symlink_metadata(&target).is_ok_and(|its| !its.is_file()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        make_directories(directory)?;
        let new = directory.join(format!(".{name}.ec2-instance-connect-new"));
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let written = write_new(&new, bytes, mode, &target).and_then(|()| fs::rename(&new, &target));
        if let Err(error) = written {
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        File::open(directory)?.sync_all()
    }

    /// Removes a file; it is no error if it does not exist. Of a link, the link itself is removed: sshd fails on a dangling
    /// one.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        let target = self.link_on_host(path);
        match fs::remove_file(&target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                let (directory, _) = directory_and_name(&target)?;
                File::open(directory)?.sync_all()
            }
        }
    }

    /// Whether the path is a regular file, and not a link to one.
    pub(crate) fn is_regular_file(&self, path: &Path) -> bool {
        fs::symlink_metadata(self.link_on_host(path)).is_ok_and(|its| its.is_file())
    }

    /// As [`RootDirectory::on_host`], but if the last part is a link, it is not followed.
    pub(crate) fn link_on_host(&self, path: &Path) -> PathBuf {
        match (path.parent(), path.file_name()) {
            (Some(directory), Some(name)) => self.on_host(directory).join(name),
            _ => self.on_host(path),
        }
    }

    /// Removes a directory if it is empty.
    pub(crate) fn remove_empty_directory(&self, path: &Path) {
        let _ = fs::remove_dir(self.on_host(path));
    }

    /// Whether a file is, or would be, on a file system that is mounted read-only.
    pub(crate) fn is_read_only(&self, path: &Path) -> bool {
        self.has_mount_flag(path, StatVfsMountFlags::RDONLY)
    }

    /// Whether a file is on a file system that is mounted noexec.
    pub(crate) fn is_noexec(&self, path: &Path) -> bool {
        self.has_mount_flag(path, StatVfsMountFlags::NOEXEC)
    }

    fn has_mount_flag(&self, path: &Path, flag: StatVfsMountFlags) -> bool {
        let target = self.on_host(path);
        let existing = target.ancestors().find_map(|above| statvfs(above).ok());
        existing.is_some_and(|its| its.f_flag.contains(flag))
    }

    /// When a file or directory, or the target of a link, was last changed; if it does not exist, the nearest existing directory
    /// above it. This is the inode's ctime, which nobody can set back.
    pub(crate) fn changed_at(&self, path: &Path) -> Timestamp {
        let of = |its: fs::Metadata| Timestamp::from_stat(its.ctime(), its.ctime_nsec());
        let found = path.ancestors().find_map(|path| {
            let link = fs::symlink_metadata(self.link_on_host(path)).ok().map(of)?;
            Some(link.max(fs::metadata(self.on_host(path)).map(of).unwrap_or_default()))
        });
        found.unwrap_or_default()
    }

    /// The mode for a new file in sshd's configuration directory: as readable for others as that directory and `sibling` are.
    /// RHEL keeps these files from other users, Debian does not.
    pub(crate) fn mode_for_new_file(&self, directory: &Path, sibling: &Path) -> u32 {
        let is_open =
            |path: &Path, bit: u32| fs::metadata(self.on_host(path)).map_or(true, |its| its.mode() & bit != 0);
        if is_open(directory, 0o001) && is_open(sibling, 0o004) {
            0o644
        } else {
            0o600
        }
    }
}

impl Files for RootDirectory {
    /// A directory, and `/dev/null`, to which administrators link a file that is to have no effect, are empty, as for sshd.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let path = self.on_host(path);
        let its = fs::metadata(&path)?;
        if its.is_dir() || (its.file_type().is_char_device() && its.rdev() == DEV_NULL) {
            return Ok(Vec::new());
        }
        regular_file::read(&path, MAX_BYTES)
    }

    fn names(&self, directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(self.on_host(directory)).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    fn exists(&self, path: &Path) -> bool {
        self.on_host(path).exists()
    }

    fn has_name(&self, path: &Path) -> bool {
        fs::symlink_metadata(self.link_on_host(path)).is_ok()
    }
}

/// Creates a directory and its parents, which nobody else can write, whatever the umask is.
///
/// # Errors
/// A directory cannot be created.
pub(crate) fn make_directories(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(directory)
}

fn directory_and_name(path: &Path) -> io::Result<(&Path, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    path.parent()
        .zip(name)
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn write_new(new: &Path, bytes: &[u8], mode: u32, like: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    file.write_all(bytes)?;
    match open_without_blocking(like) {
        Ok(old) => copy_metadata(&file, &old)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        Err(error) => return Err(error),
    }
    file.sync_all()
}

/// Opens a file that is to be replaced. If it has become a FIFO in the meantime, this does not block; a link is not followed.
fn open_without_blocking(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// Gives a file another's owner, extended attributes and mode, by descriptors: their names may lead to other files by now.
fn copy_metadata(new: &File, old: &File) -> io::Result<()> {
    let its = old.metadata()?;
    fchown(new, Some(its.uid()), Some(its.gid()))?;
    copy_attributes(old, new);
    new.set_permissions(Permissions::from_mode(its.mode() & 0o7777))
}

/// Copies the extended attributes that can be copied; a file system that does not support them has none to lose.
fn copy_attributes(from: &File, to: &File) {
    let mut names = vec![0; ATTRIBUTE_BYTES];
    let Ok(length) = flistxattr(from, &mut names) else {
        return;
    };
    for name in names.get(..length).unwrap_or_default().split(|&byte| byte == 0) {
        let mut value = vec![0; ATTRIBUTE_BYTES];
        if let Ok(length) = fgetxattr(from, name, &mut value) {
            let _ = fsetxattr(to, name, value.get(..length).unwrap_or_default(), XattrFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root_directory(name: &str) -> RootDirectory {
        let root = std::env::temp_dir().join(format!("eic-disk-{}-{name}", std::process::id()));
        fs::create_dir_all(root.join("etc/ssh")).unwrap();
        RootDirectory::new(&root)
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_no_other_file_is_left() {
        let root = root_directory("write");
        let path = Path::new("/etc/ssh/x");
        root.write(path, b"1", 0o640).unwrap();
        let mode = || fs::metadata(root.on_host(path)).unwrap().mode() & 0o777;
        assert_eq!(mode(), 0o640);
        root.write(path, b"2", 0o600).unwrap();
        assert_eq!((mode(), root.read(path).unwrap()), (0o640, b"2".to_vec()));
        assert_eq!(root.names(Path::new("/etc/ssh")), ["x"]);
        root.remove(path).unwrap();
        root.remove(path).unwrap();
        fs::remove_dir_all(&root.path).unwrap();
    }

    #[test]
    fn owner_mode_and_attributes_go_to_the_open_file_whatever_its_name_leads_to_by_now() {
        const LABEL: &str = "user.eic-test";
        let root = root_directory("descriptor");
        let [old, new, moved] = ["old", "new", "moved"].map(|name| root.path.join("etc/ssh").join(name));
        fs::write(&old, b"").unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o640)).unwrap();
        let old = File::open(&old).unwrap();
        let has_attributes = fsetxattr(&old, LABEL, b"x", XattrFlags::empty()).is_ok();
        let file = File::create(&new).unwrap();
        fs::rename(&new, &moved).unwrap();
        fs::write(&new, b"").unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
        copy_metadata(&file, &old).unwrap();
        let label = |path: &Path| fgetxattr(File::open(path).unwrap(), LABEL, &mut [0; 9]).is_ok();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&moved), label(&moved)), (0o640, has_attributes));
        assert_eq!((mode(&new), label(&new)), (0o600, false));
        fs::remove_dir_all(&root.path).unwrap();
    }

    #[test]
    fn a_removed_or_replaced_file_changes_its_directory() {
        let root = root_directory("changed");
        let (directory, file) = (Path::new("/etc/ssh"), Path::new("/etc/ssh/x.d/x"));
        let before = root.changed_at(directory);
        let wait = || std::thread::sleep(std::time::Duration::from_millis(20));
        wait();
        root.write(file, b"1", 0o640).unwrap();
        let (made, directory_then) = (root.changed_at(file), root.changed_at(directory));
        assert!(before < directory_then && directory_then <= made);
        wait();
        root.remove(file).unwrap();
        assert!(root.changed_at(file) > made, "the directory it was in");
        wait();
        fs::remove_dir(root.path.join("etc/ssh/x.d")).unwrap();
        assert!(root.changed_at(directory) > directory_then);
        assert_eq!(
            root.changed_at(file),
            root.changed_at(directory),
            "the nearest that is there"
        );
        fs::remove_dir_all(&root.path).unwrap();
    }

    #[test]
    fn only_a_regular_file_is_overwritten() {
        let root = root_directory("device");
        let path = Path::new("/etc/ssh/x");
        let _socket = std::os::unix::net::UnixListener::bind(root.on_host(path)).unwrap();
        assert!(root.write(path, b"1", 0o640).is_err());
        assert!(root.read(path).is_err());
        assert_eq!(root.read(Path::new("/etc/ssh")).unwrap(), b"", "a directory");
        assert_eq!(
            RootDirectory::new(Path::new("/")).read(Path::new("/dev/null")).unwrap(),
            b""
        );
        assert!(RootDirectory::new(Path::new("/")).read(Path::new("/dev/zero")).is_err());
        fs::remove_dir_all(&root.path).unwrap();
    }

    #[test]
    fn a_link_itself_is_removed_and_a_dangling_one_still_has_a_name() {
        let root = root_directory("link");
        let (link, file) = (Path::new("/etc/ssh/link"), Path::new("/etc/ssh/file"));
        root.write(file, b"1", 0o640).unwrap();
        std::os::unix::fs::symlink("file", root.path.join("etc/ssh/link")).unwrap();
        assert!(root.is_regular_file(file) && !root.is_regular_file(link) && root.has_name(link));
        root.remove(file).unwrap();
        assert!(!root.exists(link) && root.has_name(link));
        root.remove(link).unwrap();
        assert!(!root.has_name(link));
        fs::remove_dir_all(&root.path).unwrap();
    }
}
