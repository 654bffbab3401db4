//! What these tests add to a release's root directory: the program under test, stand-ins for AuthorizedKeysCommands, users, keys.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::built::admin_program;
use crate::machine::Image;
use crate::releases::Release;
use crate::surroundings::target;

/// Creates users and keys, and masks units that a test does not need. Runs in every root directory before the boot.
const COMMON: &str = r#"
useradd --system --no-create-home --shell /usr/sbin/nologin ec2-instance-connect
useradd --create-home --shell /bin/sh ann
groupadd sftponly; useradd --create-home --shell /bin/sh -G sftponly bob
for user in ann bob; do
    install -d -o $user -g $user -m 700 /home/$user/.ssh
    install -o $user -g $user -m 600 /keys/own.pub /home/$user/.ssh/authorized_keys
done
systemctl -q mask getty@.service console-getty.service apt-daily.timer apt-daily-upgrade.timer systemd-networkd.service
rm -rf /run/sshd /run/nologin
# OpenSSH 9.8 and later block an address after failed logins, which these tests make on purpose.
if /usr/sbin/sshd -V 2>&1 | grep -q OpenSSH_1; then echo 'SSHD_OPTS="-o PerSourcePenalties=no"' >/etc/default/ssh; fi
"#;

impl From<Release> for Image {
    fn from(release: Release) -> Self {
        let base = release
            .root()
            .unwrap_or_else(|why| panic!("no root of {release:?}: {why}"));
        image(vec![extras().to_owned(), base])
    }
}

/// A release with additional packages of its distribution.
pub(crate) fn image_with(release: Release, packages: &str) -> Image {
    let there = |root: Result<PathBuf, String>| root.unwrap_or_else(|why| panic!("{packages}: {why}"));
    image(vec![
        extras().to_owned(),
        there(release.layer(packages)),
        there(release.root()),
    ])
}

fn image(layers: Vec<PathBuf>) -> Image {
    Image {
        layers,
        common: COMMON.to_owned(),
        options: Vec::new(),
    }
}

/// What is laid over every root: the programs under test, with this machine's libc beside them, as an older
/// release's would not do; a stand-in for the program that sshd runs, which answers with the pushed key at once; keys.
fn extras() -> &'static Path {
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
    ln -s "$(realpath --relative-to=$historical usr/libexec/ec2-instance-connect/eic_run_authorized_keys)" $historical/
done
printf '#!/bin/sh\ncat /keys/admin.pub\n' >usr/bin/admin_keys
chmod 755 usr/sbin/ec2-instance-connect usr/bin/admin_keys usr/libexec/ec2-instance-connect/*
chmod 644 keys/*.pub
"#;

fn make_extras() -> std::io::Result<PathBuf> {
    let folder = target().join("machines").join("extras");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let made = Command::new("sh")
        .args(["-c", PREPARE])
        .env("PROGRAM", admin_program())
        .current_dir(&folder)
        .output()?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(folder)
}
