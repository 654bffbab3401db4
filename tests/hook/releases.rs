//! The roots that containers are made of: one for each release, made once and kept in the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::surroundings::{program, target};

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

    /// The root, made by debootstrap where it is not there yet, or what kept it from being made.
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
}

/// What is laid over every root: the programs under test, with this machine's libc beside them, as an older
/// release's would not do; a stand-in for the program that sshd runs, which answers with the pushed key at once; keys.
pub(crate) fn extras() -> &'static Path {
    static EXTRAS: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    EXTRAS.get_or_init(|| make_extras().expect("the target folder can be written"))
}

const PREPARE: &str = r#"
set -eu
mkdir -p opt/glibc usr/sbin usr/libexec/ec2-instance-connect usr/bin keys
cp -L $(ldd "$PROGRAM" | grep -o '/[^ ]*' | sort -u) opt/glibc/
cp "$PROGRAM" opt/glibc/ec2-instance-connect
loader=$(cd opt/glibc && ls ld-linux* | head -n 1)
cat >usr/sbin/ec2-instance-connect <<END
#!/bin/sh
exec /opt/glibc/$loader --library-path /opt/glibc /opt/glibc/ec2-instance-connect "\$@"
END
for key in own pushed admin; do ssh-keygen -q -t ed25519 -N '' -C $key -f keys/$key; done
printf '#!/bin/sh\ncat /keys/pushed.pub\n' >usr/libexec/ec2-instance-connect/eic_run_authorized_keys
for historical in opt/aws/bin usr/share/ec2-instance-connect; do
    mkdir -p $historical
    cp usr/libexec/ec2-instance-connect/eic_run_authorized_keys $historical/
done
printf '#!/bin/sh\ncat /keys/admin.pub\n' >usr/bin/admin_keys
chmod 755 usr/sbin/ec2-instance-connect usr/bin/admin_keys usr/libexec/ec2-instance-connect/* opt/aws/bin/* usr/share/ec2-instance-connect/*
chmod 644 keys/*.pub
"#;

fn make_extras() -> std::io::Result<PathBuf> {
    let folder = target().join("machines").join("extras");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let made = Command::new("sh")
        .args(["-c", PREPARE])
        .env("PROGRAM", program("ec2-instance-connect"))
        .current_dir(&folder)
        .output()?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(folder)
}
