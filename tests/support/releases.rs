//! The Debian roots of which containers are made: one for each release, made once and kept in the target directory.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use crate::surroundings::target;

/// A release of Debian, and with it of OpenSSH: 9.2, 8.4, 10.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Release {
    Bookworm,
    Bullseye,
    Trixie,
}

impl Release {
    fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Bullseye => "bullseye",
            Self::Trixie => "trixie",
        }
    }

    /// The root, made by debootstrap if it does not exist yet, or the reason why it could not be made.
    pub(crate) fn root(self) -> Result<PathBuf, String> {
        static MAKING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = MAKING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let root = target().join("machines").join(self.name());
        if root.join("usr/sbin/sshd").exists() {
            return Ok(root);
        }
        let new = root.with_extension("new");
        let _ = fs::remove_dir_all(&new);
        fs::create_dir_all(&new).map_err(|error| error.to_string())?;
        let made = Command::new("debootstrap")
            .args([
                "--variant=minbase",
                "--include=openssh-server,openssh-client,systemd-sysv,dbus,libpam-systemd",
            ])
            .arg(self.name())
            .arg(&new)
            .output()
            .map_err(|error| error.to_string())?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stdout);
            return Err(format!(
                "debootstrap failed: {}",
                said.lines().last().unwrap_or_default()
            ));
        }
        fs::rename(&new, &root).map_err(|error| error.to_string())?;
        Ok(root)
    }

    /// A layer with further packages of the release, for use over [`Release::root`]; also made once.
    pub(crate) fn layer(self, packages: &str) -> Result<PathBuf, String> {
        let base = self.root()?;
        static MAKING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = MAKING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let made = base.with_extension(packages.replace(' ', "+"));
        if made.exists() {
            return Ok(made);
        }
        let folder = tempfile::tempdir_in(target()).map_err(|error| error.to_string())?;
        let installed = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-euc", LAYER])
            .env("BASE", base)
            .env("PACKAGES", packages)
            .current_dir(folder.path())
            .output()
            .map_err(|error| error.to_string())?;
        if !installed.status.success() {
            return Err(String::from_utf8_lossy(&installed.stderr).into_owned());
        }
        fs::rename(folder.path().join("upper"), &made).map_err(|error| error.to_string())?;
        Ok(made)
    }
}

/// Installs packages into the upper directory of an overlay; nothing is started in a chroot.
const LAYER: &str = r#"
mkdir upper work root
mount -t overlay layer -o "lowerdir=$BASE,upperdir=upper,workdir=work" root
cp /etc/resolv.conf root/etc/
mount -t proc proc root/proc
export DEBIAN_FRONTEND=noninteractive
case $PACKAGES in *:arm64*) chroot root dpkg --add-architecture arm64 ;; esac
chroot root apt-get -q update
chroot root apt-get -q -y --no-install-recommends install $PACKAGES </dev/null
rm -rf root/var/lib/apt/lists root/var/cache/apt/*.bin root/var/cache/apt/archives/*.deb
umount root/proc root
"#;
