//! The scripts of the -selinux rpm, run by rpm in a separate root where stubs of SELinux's tools record their calls.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::tools::{command, lacks, repository, said, succeed, text};

const INSTALL: &str = "semodule -n -s targeted -X 200 -i /usr/share/selinux/packages/ec2-instance-connect.pp";
const REMOVE: &str = "semodule -n -s targeted -X 200 -r ec2-instance-connect";

/// A root with a shell, an rpm database, and packages to install into it.
struct Root {
    folder: TempDir,
}

impl Root {
    fn new(what: &str) -> Option<Self> {
        if lacks(what, &["rpm", "rpmbuild", "ldd"], "rpm libc-bin") {
            return None;
        }
        if !geteuid().is_root() {
            println!("SKIPPED: {what}: rpm wants a root of its own (run as root)");
            return None;
        }
        let root = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        root.write("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n", 0o644);
        fs::create_dir_all(root.path("etc/selinux/targeted/policy")).unwrap();
        root.take("/bin/sh");
        root.tool("semodule", "");
        root.tool("load_policy", "");
        root.tool("selinuxenabled", "[ -e /enabled ]");
        root.write("enabled", "", 0o644);
        Some(root)
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    fn write(&self, inside: &str, text: &str, mode: u32) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Copies a program of this machine with the libraries that it needs.
    fn take(&self, program: &str) {
        let libraries = text(command("ldd").arg(program));
        let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/'));
        for file in libraries.chain([program]) {
            let copy = self.path(file.trim_start_matches('/'));
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(file, copy).unwrap();
        }
    }

    /// A stub that records its calls (`selinuxenabled` only queries, so it records none).
    fn tool(&self, name: &str, end: &str) {
        let note = match name {
            "selinuxenabled" => "",
            _ => "echo \"${0##*/} $*\" >>/calls",
        };
        self.write(
            &format!("usr/sbin/{name}"),
            &format!("#!/bin/sh\n{note}\n{end}\n"),
            0o755,
        );
    }

    /// Builds the -selinux package with this version and these scripts.
    fn build(&self, version: &str, scripts: &str) -> PathBuf {
        let top = self.path("build");
        let spec = self.path("stand-in.spec");
        let text = format!(
            "Name: ec2-instance-connect\nVersion: {version}\nRelease: 1\nSummary: stand-in\nLicense: Apache-2.0\n\
             %description\nstand-in\n\
             %install\nmkdir -p %{{buildroot}}%{{_datadir}}/selinux/packages\n\
             echo {version} >%{{buildroot}}%{{_datadir}}/selinux/packages/ec2-instance-connect.pp\n{scripts}"
        );
        fs::write(&spec, text).unwrap();
        succeed(
            command("rpmbuild")
                .arg("-bb")
                .arg("--quiet")
                .arg("--define")
                .arg(format!("_topdir {}", top.display()))
                .arg(&spec),
        );
        top.join(format!(
            "RPMS/noarch/ec2-instance-connect-selinux-{version}-1.noarch.rpm"
        ))
    }

    fn ours(&self, version: &str) -> PathBuf {
        let scripts = repository().join("packaging/rpm/selinux.spec.in");
        self.build(version, &format!("%include {}\n", scripts.display()))
    }

    /// Runs rpm in this root, and returns its output.
    #[track_caller]
    fn rpm(&self, option: &str, what: &Path) -> String {
        let done = succeed(
            command("rpm")
                .arg("--root")
                .arg(self.folder.path())
                .args(["--dbpath", "/var/lib/rpm", "--nodeps", "--nosignature", option])
                .arg(what),
        );
        said(&done)
    }

    /// The calls since the last query.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.path("calls"));
        calls.lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

#[test]
fn where_selinux_is_on_the_module_is_stored_and_loaded_and_goes_with_the_package() {
    let Some(root) = Root::new("SELinux package") else {
        return;
    };
    root.rpm("-i", &root.ours("2.1.0"));
    assert_eq!(root.calls(), [INSTALL, "load_policy"]);
    root.rpm("-U", &root.ours("2.2.0"));
    assert_eq!(root.calls(), [INSTALL, "load_policy"]);
    root.rpm("-e", Path::new("ec2-instance-connect-selinux"));
    assert_eq!(root.calls(), [REMOVE, "load_policy"]);
}

#[test]
fn in_an_image_being_built_the_module_is_only_stored() {
    let Some(root) = Root::new("SELinux package in an image") else {
        return;
    };
    fs::remove_file(root.path("enabled")).unwrap();
    root.rpm("-i", &root.ours("2.1.0"));
    assert_eq!(root.calls(), [INSTALL]);
    root.rpm("-e", Path::new("ec2-instance-connect-selinux"));
    assert_eq!(root.calls(), [REMOVE]);
}

#[test]
fn without_a_policy_nothing_is_called() {
    let Some(root) = Root::new("SELinux package without a policy") else {
        return;
    };
    let package = root.ours("2.1.0");
    fs::remove_dir(root.path("etc/selinux/targeted/policy")).unwrap();
    root.rpm("-i", &package);
    root.rpm("-e", Path::new("ec2-instance-connect-selinux"));
    fs::remove_dir_all(root.path("etc/selinux")).unwrap();
    root.rpm("-i", &package);
    root.rpm("-e", Path::new("ec2-instance-connect-selinux"));
    assert_eq!(root.calls(), [""; 0]);
}

#[test]
fn a_failing_semodule_is_told_and_fails_no_transaction() {
    let Some(root) = Root::new("SELinux package with a broken store") else {
        return;
    };
    let package = root.ours("2.1.0");
    root.tool("semodule", "exit 1");
    let said = root.rpm("-i", &package);
    assert!(said.contains("its SELinux module could not be installed"), "{said}");
    assert!(!said.contains("scriptlet failed"), "{said}");
    let said = root.rpm("-e", Path::new("ec2-instance-connect-selinux"));
    assert!(!said.contains("scriptlet failed"), "{said}");
    assert_eq!(root.calls(), [INSTALL, REMOVE]);
}

#[test]
fn a_predecessor_that_takes_its_module_away_leaves_ours_in_place() {
    let Some(root) = Root::new("SELinux package over another") else {
        return;
    };
    let taking = "%package selinux\nSummary: stand-in\nBuildArch: noarch\n%description selinux\nstand-in\n\
                  %postun selinux\nsemodule -r ec2-instance-connect\n\
                  %files selinux\n%{_datadir}/selinux/packages/ec2-instance-connect.pp\n";
    root.rpm("-i", &root.build("1.1", taking));
    assert_eq!(root.calls(), [""; 0]);
    root.rpm("-U", &root.ours("2.1.0"));
    assert_eq!(
        root.calls(),
        ["semodule -r ec2-instance-connect", INSTALL, "load_policy"]
    );
}
