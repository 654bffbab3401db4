//! The files under one root: read, written so that an interruption leaves the old ones or the new ones, taken away.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, StatVfsMountFlags, XattrFlags, fgetxattr, flistxattr, fsetxattr, statvfs};

use super::timestamp::Moment;
use crate::sshd::sshd_config::Files;
use eic_authorized_keys::host::regular_file;
use eic_authorized_keys::host::symlinks;

/// The longest configuration file that is read. Real ones have a few KiB.
const LONGEST: u64 = 1024 * 1024;

/// The number of `/dev/null` (null(4)): major 1, minor 3.
const DEV_NULL: u64 = 0x103;

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
        symlinks::resolve_in_root(&self.root, path).map(|resolved| resolved.path)
    }

    /// The root, as the running system has it.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a file under a name that sshd does not read, and gives it its own name when it is on the disk.
    ///
    /// A file that was there keeps its mode, owner and attributes (its SELinux label is one); a new one gets `mode`.
    /// What is there and no regular file (a link to `/dev/null`, say) stays as it is.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let target = self.on_host(path);
        let (folder, name) = folder_and_name(&target)?;
        if fs::symlink_metadata(&target).is_ok_and(|its| !its.is_file()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        make_folders(folder)?;
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

    /// Takes a file away; one that is not there is no error. A link goes itself: left to nothing, sshd would stop at it.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        let target = self.itself(path);
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
        fs::symlink_metadata(self.itself(path)).is_ok_and(|its| its.is_file())
    }

    /// As [`Disk::on_host`], but where a link is the last part, it itself.
    pub(crate) fn itself(&self, path: &Path) -> PathBuf {
        match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) => self.on_host(folder).join(name),
            _ => self.on_host(path),
        }
    }

    /// Takes a folder away if nothing is in it.
    pub(crate) fn remove_empty_folder(&self, path: &Path) {
        let _ = fs::remove_dir(self.on_host(path));
    }

    /// Whether a file stands, or would, on a file system that is mounted read-only.
    pub(crate) fn is_read_only(&self, path: &Path) -> bool {
        self.is_mounted(path, StatVfsMountFlags::RDONLY)
    }

    /// Whether programs of the file system on which a file stands cannot be run.
    pub(crate) fn is_noexec(&self, path: &Path) -> bool {
        self.is_mounted(path, StatVfsMountFlags::NOEXEC)
    }

    fn is_mounted(&self, path: &Path, how: StatVfsMountFlags) -> bool {
        let target = self.on_host(path);
        let there = target.ancestors().find_map(|above| statvfs(above).ok());
        there.is_some_and(|its| its.f_flag.contains(how))
    }

    /// When a file or folder, what a link to it leads to, or, where it is not there, the nearest folder above, was last
    /// changed. Nobody can set this time back: it is that of the inode.
    pub(crate) fn changed(&self, path: &Path) -> Moment {
        let of = |its: fs::Metadata| Moment::of_stat(its.ctime(), its.ctime_nsec());
        let found = path.ancestors().find_map(|path| {
            let itself = fs::symlink_metadata(self.itself(path)).ok().map(of)?;
            Some(itself.max(fs::metadata(self.on_host(path)).map(of).unwrap_or_default()))
        });
        found.unwrap_or_default()
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
    /// A folder and `/dev/null`, which admins link to where a file shall say nothing, are empty: so they are to sshd.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let path = self.on_host(path);
        let its = fs::metadata(&path)?;
        if its.is_dir() || (its.file_type().is_char_device() && its.rdev() == DEV_NULL) {
            return Ok(Vec::new());
        }
        regular_file::read(&path, LONGEST)
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

    fn has_name(&self, path: &Path) -> bool {
        fs::symlink_metadata(self.itself(path)).is_ok()
    }
}

/// Makes a folder, and those above it, that nobody else can write whatever the umask is.
pub(crate) fn make_folders(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(folder)
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
    match open_unless_it_waits(like) {
        Ok(old) => take_after(&file, &old)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        Err(error) => return Err(error),
    }
    file.sync_all()
}

/// Opens what is there to be replaced. A FIFO that somebody has put there meanwhile would be waited for, and a link followed.
fn open_unless_it_waits(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// Gives a file another's owner, attributes and mode. Both are open: what their names lead to by now does not matter.
fn take_after(new: &File, old: &File) -> io::Result<()> {
    let its = old.metadata()?;
    fchown(new, Some(its.uid()), Some(its.gid()))?;
    copy_attributes(old, new);
    new.set_permissions(Permissions::from_mode(its.mode() & 0o7777))
}

/// Copies what can be copied: a file system without attributes has none to lose.
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

    #[test]
    fn owner_mode_and_attributes_go_to_the_open_file_whatever_its_name_leads_to_by_now() {
        const LABEL: &str = "user.eic-test";
        let disk = disk("descriptor");
        let [old, new, moved] = ["old", "new", "moved"].map(|name| disk.root.join("etc/ssh").join(name));
        fs::write(&old, b"").unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o640)).unwrap();
        let old = File::open(&old).unwrap();
        let has_attributes = fsetxattr(&old, LABEL, b"x", XattrFlags::empty()).is_ok();
        let file = File::create(&new).unwrap();
        fs::rename(&new, &moved).unwrap();
        fs::write(&new, b"").unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
        take_after(&file, &old).unwrap();
        let label = |path: &Path| fgetxattr(File::open(path).unwrap(), LABEL, &mut [0; 9]).is_ok();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&moved), label(&moved)), (0o640, has_attributes));
        assert_eq!((mode(&new), label(&new)), (0o600, false));
        fs::remove_dir_all(&disk.root).unwrap();
    }

    #[test]
    fn a_file_that_goes_or_is_replaced_changes_the_folder_it_was_in() {
        let disk = disk("changed");
        let (folder, file) = (Path::new("/etc/ssh"), Path::new("/etc/ssh/x.d/x"));
        let before = disk.changed(folder);
        let wait = || std::thread::sleep(std::time::Duration::from_millis(20));
        wait();
        disk.write(file, b"1", 0o640).unwrap();
        let (made, folder_then) = (disk.changed(file), disk.changed(folder));
        assert!(before < folder_then && folder_then <= made);
        wait();
        disk.remove(file).unwrap();
        assert!(disk.changed(file) > made, "the folder it was in");
        wait();
        fs::remove_dir(disk.root.join("etc/ssh/x.d")).unwrap();
        assert!(disk.changed(folder) > folder_then);
        assert_eq!(disk.changed(file), disk.changed(folder), "the nearest that is there");
        fs::remove_dir_all(&disk.root).unwrap();
    }

    #[test]
    fn what_is_no_regular_file_is_never_written_over() {
        let disk = disk("device");
        let path = Path::new("/etc/ssh/x");
        let _socket = std::os::unix::net::UnixListener::bind(disk.on_host(path)).unwrap();
        assert!(disk.write(path, b"1", 0o640).is_err());
        assert!(disk.read(path).is_err());
        assert_eq!(disk.read(Path::new("/etc/ssh")).unwrap(), b"", "a folder");
        assert_eq!(Disk::new(Path::new("/")).read(Path::new("/dev/null")).unwrap(), b"");
        assert!(Disk::new(Path::new("/")).read(Path::new("/dev/zero")).is_err());
        fs::remove_dir_all(&disk.root).unwrap();
    }

    #[test]
    fn a_link_is_taken_away_itself_and_one_to_nothing_still_has_a_name() {
        let disk = disk("link");
        let (link, file) = (Path::new("/etc/ssh/link"), Path::new("/etc/ssh/file"));
        disk.write(file, b"1", 0o640).unwrap();
        std::os::unix::fs::symlink("file", disk.root.join("etc/ssh/link")).unwrap();
        assert!(disk.is_file_itself(file) && !disk.is_file_itself(link) && disk.has_name(link));
        disk.remove(file).unwrap();
        assert!(!disk.exists(link) && disk.has_name(link));
        disk.remove(link).unwrap();
        assert!(!disk.has_name(link));
        fs::remove_dir_all(&disk.root).unwrap();
    }
}
