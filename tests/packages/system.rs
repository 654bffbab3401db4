//! The systems in which packages are installed, and the commands for that.

use std::path::PathBuf;

use crate::cell::FILES;
use crate::families::{old, rpm};
use crate::machine::Image;
use crate::made::made;
use crate::releases::Release;

/// A system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    /// Debian, with apt.
    Deb(Release),
    /// Debian with cloud-init.
    Cloud,
    /// A Debian root made to look like an rpm system, with dnf.
    Rpm,
    /// The same with an sshd that does not support Include.
    OldRpm,
}

/// A login user and a quiet boot. It runs within the root, before the boot.
const COMMON: &str = r#"
useradd --create-home --shell /bin/sh ann
install -d -o ann -g ann -m 700 /home/ann/.ssh
install -o ann -g ann -m 600 /keys/own.pub /home/ann/.ssh/authorized_keys
systemctl -q mask getty@.service console-getty.service apt-daily.timer apt-daily-upgrade.timer systemd-networkd.service
rm -rf /run/sshd /run/nologin
# OpenSSH 9.8 and later shut out who fails to log in, as these tests do on purpose.
if /usr/sbin/sshd -V 2>&1 | grep -q OpenSSH_1; then echo 'SSHD_OPTS="-o PerSourcePenalties=no"' >/etc/default/ssh; fi
"#;

/// Only the signed repository, because there is no network.
const APT: &str = r#"
rm -f /etc/apt/sources.list
mkdir -p /etc/apt/keyrings
cp /srv/ours/ec2-instance-connect.asc /etc/apt/keyrings/
cp /srv/ours/ec2-instance-connect.sources /etc/apt/sources.list.d/
"#;

/// The same for dnf, with stubs of the dependencies; Debian's rpm keeps its database in a home directory.
const DNF: &str = r#"
mkdir -p /etc/rpm /etc/yum.repos.d /etc/pki/tls/certs
echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros.dbpath
rpm --initdb
rpm --install --noscripts /srv/stubs/*.rpm
cp /srv/ours/ec2-instance-connect.repo /etc/yum.repos.d/
mv /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt
"#;

impl System {
    pub(crate) fn is_deb(self) -> bool {
        matches!(self, Self::Deb(_) | Self::Cloud)
    }

    fn release(self) -> Release {
        match self {
            Self::Deb(release) => release,
            _ => Release::Bookworm,
        }
    }

    /// sshd's unit.
    pub(crate) fn unit(self) -> &'static str {
        if self.is_deb() { "ssh.service" } else { "sshd.service" }
    }

    /// The path of AWS's program, at which our package has a link.
    pub(crate) fn historical(self) -> &'static str {
        if self.is_deb() {
            "/usr/share/ec2-instance-connect/eic_run_authorized_keys"
        } else {
            "/opt/aws/bin/eic_run_authorized_keys"
        }
    }

    /// The path of the trust store on this family of systems.
    pub(crate) fn roots(self) -> &'static str {
        if self.is_deb() {
            "/etc/ssl/certs/ca-certificates.crt"
        } else {
            "/etc/pki/tls/certs/ca-bundle.crt"
        }
    }

    /// Installs the newest version that the repositories have, or that one.
    pub(crate) fn install(self, version: &str) -> String {
        match (self.is_deb(), version) {
            (true, "") => apt("update && APT install ec2-instance-connect"),
            (true, version) => apt(&format!("update && APT install ec2-instance-connect={version}")),
            (false, "") => dnf("install ec2-instance-connect"),
            (false, version) => dnf(&format!("install ec2-instance-connect-{version}")),
        }
    }

    /// Upgrades to the newest version that the repositories have.
    pub(crate) fn upgrade(self) -> String {
        if self.is_deb() {
            apt("update && APT install --only-upgrade ec2-instance-connect")
        } else {
            dnf("upgrade ec2-instance-connect")
        }
    }

    /// Goes back to that version, as documented.
    pub(crate) fn downgrade(self, version: &str) -> String {
        if self.is_deb() {
            apt(&format!("install --allow-downgrades ec2-instance-connect={version}"))
        } else {
            dnf(&format!("downgrade ec2-instance-connect-{version}"))
        }
    }

    /// Goes back to AWS's package, which has that version.
    pub(crate) fn to_aws(self, version: &str) -> String {
        if self.is_deb() {
            self.downgrade(version)
        } else {
            dnf("--disablerepo=ec2-instance-connect downgrade ec2-instance-connect")
        }
    }

    /// Replaces another package with a higher version by ours.
    pub(crate) fn to_ours(self) -> String {
        if self.is_deb() {
            apt("update && APT install --allow-downgrades ec2-instance-connect/stable")
        } else {
            dnf("--repo=ec2-instance-connect downgrade ec2-instance-connect")
        }
    }

    pub(crate) fn reinstall(self) -> String {
        if self.is_deb() {
            apt("install --reinstall ec2-instance-connect")
        } else {
            dnf("reinstall ec2-instance-connect")
        }
    }

    pub(crate) fn remove(self) -> String {
        if self.is_deb() {
            apt("remove ec2-instance-connect")
        } else {
            dnf("remove ec2-instance-connect")
        }
    }

    /// Debian's more thorough way to remove it.
    pub(crate) fn purge(self) -> String {
        apt("purge ec2-instance-connect")
    }

    pub(crate) fn image(self) -> Image {
        let release = self.release();
        let more = match self {
            Self::Deb(_) => "ca-certificates",
            Self::Cloud => "ca-certificates cloud-init",
            Self::Rpm | Self::OldRpm => "ca-certificates dnf gpg rpm",
        };
        let there = |made: Result<PathBuf, String>| made.unwrap_or_else(|why| panic!("no root of {release:?}: {why}"));
        let family = match self {
            Self::Deb(_) | Self::Cloud => APT.to_owned(),
            Self::Rpm => [rpm!(), DNF].concat(),
            Self::OldRpm => [rpm!(), old!(), DNF].concat(),
        };
        let firmware = "/sys/devices/virtual";
        Image {
            layers: vec![made().join("layer"), there(release.layer(more)), there(release.root())],
            common: format!("{COMMON}\n{family}\n({FILES}) >/var/tmp/baseline\n"),
            options: vec![format!(
                "--overlay-ro={firmware}:{}:{firmware}",
                made().join("sysfs/devices/virtual").display()
            )],
        }
    }
}

fn apt(what: &str) -> String {
    let apt = "apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0";
    format!(
        "export DEBIAN_FRONTEND=noninteractive; {apt} {}",
        what.replace("APT", apt)
    )
}

fn dnf(what: &str) -> String {
    format!("dnf -y --setopt=keepcache=0 {what}")
}
