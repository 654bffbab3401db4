//! The documentation's commands for administrators, run as printed in booted systems where IMDS answers.
//!
//! The files that `make packages` and `make repo` made are in the directory in which a user has downloaded them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::blocks::{Ended, continued, follow};
use crate::cell::play_imds;
use crate::machine::Machine;
use crate::made::{dist, made, ready};
use crate::releases::Release::Bookworm;
use crate::system::System::{self, Deb, Rpm};

/// The directory of the downloaded files.
const DOWNLOADS: &str = "/srv/downloads";

/// A layer with the downloaded files; the repository's files are links to the other tests' repository.
fn downloads(system: System) -> tempfile::TempDir {
    let layer = tempfile::tempdir().expect("there is a place for temporary directories");
    let at = layer.path().join(DOWNLOADS.trim_start_matches('/'));
    fs::create_dir_all(&at).expect("the directory is ours");
    for entry in fs::read_dir(dist()).expect("it can be read") {
        let file = entry.expect("it can be read").path();
        let name = file.file_name().expect("it has a name").to_owned();
        // The repository's rpms are signed, and so differ from those beside SHA256SUMS.
        let of_repository = !system.is_deb() && name.to_string_lossy().ends_with(".rpm");
        if file.is_file() && !of_repository {
            fs::copy(&file, at.join(name)).expect("the directory is ours");
        }
    }
    let ours = made().join("layer/srv/ours");
    let mut published = vec![ours.clone()];
    if !system.is_deb() {
        published.push(ours.join("yum"));
    }
    for directory in published {
        for entry in fs::read_dir(&directory).expect("it can be read") {
            let name = entry.expect("it can be read").file_name();
            let inside = Path::new("/srv").join(
                directory
                    .strip_prefix(made().join("layer/srv"))
                    .expect("it is in there"),
            );
            // If both have a file, the two are identical.
            let _ = symlink(inside.join(&name), at.join(&name));
        }
    }
    layer
}

/// Makes package managers assume "yes", and removes the repository's files.
const FRESH: &str = r#"
mkdir -p /etc/apt/apt.conf.d
echo 'APT::Get::Assume-Yes "true";' >/etc/apt/apt.conf.d/assume-yes
if [ -e /etc/dnf/dnf.conf ]; then echo 'assumeyes=True' >>/etc/dnf/dnf.conf; fi
rm -f /etc/apt/keyrings/* /etc/apt/sources.list.d/* /etc/yum.repos.d/*
useradd --create-home --shell /bin/sh ec2-user
"#;

/// Follows a document through its blocks for that system, after `first` has run there.
fn follow_on(place: &str, system: System, file: &str, first: &str) {
    let what = format!("the commands of {file} on {system:?}");
    if !ready(&what) {
        return;
    }
    let downloads = downloads(system);
    let mut image = system.image();
    if system.is_deb() {
        let more = Bookworm
            .layer("ca-certificates curl gpg")
            .unwrap_or_else(|why| panic!("no root: {why}"));
        image.layers.insert(1, more);
    }
    image.layers.insert(0, downloads.path().to_owned());
    let machine = Machine::boot(image, FRESH);
    let emulator = play_imds(&machine);
    let anchors: String = emulator.pki().anchors.iter().map(emulator::Certificate::pem).collect();
    machine.must(&format!("cat >>{} <<'END'\n{anchors}END\n", system.roots()));
    machine.must(&format!("cd {DOWNLOADS}; {first}"));
    let key = fs::read_to_string(made().join("layer/keys/pushed.pub")).expect("prepare made it");
    follow(
        file,
        place,
        |block, _| {
            // Replace the previous push by a new one.
            emulator.with_imds(|imds| imds.unpublish("ec2-user"));
            emulator.push("ec2-user", key.trim_end());
            let ran = machine.run(&format!(
                "export DEBIAN_FRONTEND=noninteractive HOME=/root\ncd {DOWNLOADS}\n{}",
                continued(&block.text, "/run/shell")
            ));
            Ended {
                status: ran.status,
                output: ran.stdout + &ran.stderr,
            }
        },
        |_| {
            machine
                .run("journalctl -q -o cat -t ec2-instance-connect -t sshd --no-pager")
                .stdout
        },
    );
}

#[test]
fn the_readme_s_commands_work_on_debian_as_printed() {
    follow_on("debian", Deb(Bookworm), "README.md", "");
}

#[test]
fn the_readme_s_commands_work_on_the_rpm_family_as_printed() {
    follow_on("rpm", Rpm, "README.md", "");
}

#[test]
fn installing_works_on_debian_as_printed() {
    follow_on("debian", Deb(Bookworm), "docs/install.md", "");
}

#[test]
fn installing_works_on_the_rpm_family_as_printed() {
    follow_on("rpm", Rpm, "docs/install.md", "");
}

#[test]
fn troubleshooting_works_on_debian_as_printed() {
    follow_on(
        "debian",
        Deb(Bookworm),
        "docs/troubleshooting.md",
        "apt-get install ./ec2-instance-connect_*_amd64.deb",
    );
}
