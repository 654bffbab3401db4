//! Stand-ins for the packages, with one file and no dependencies or scripts, and signed repositories of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

use crate::clients::{Apt, Dnf};
use crate::tools::{command, lacks, read, repository, said, succeed, text};

pub(crate) const TOOLS: &[&str] = &[
    "apt-ftparchive",
    "createrepo_c",
    "dpkg-deb",
    "gpg",
    "gpgconf",
    "rpmbuild",
    "rpmsign",
];
pub(crate) const PACKAGES: &str = "apt-utils createrepo-c dpkg gpg gpgconf gpg-agent rpm";

/// Temporary keys.
pub(crate) struct Keys {
    pub(crate) home: TempDir,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        Self { home }
    }

    /// Makes a key, and returns its fingerprint.
    pub(crate) fn make(&self, algorithm: &str, use_of: &str) -> String {
        let gpg = || {
            let mut gpg = command("gpg");
            gpg.env("GNUPGHOME", self.home.path()).args(["--batch", "--quiet"]);
            gpg
        };
        let name = format!("{algorithm} {use_of}");
        succeed(gpg().args([
            "--passphrase",
            "",
            "--quick-generate-key",
            &name,
            algorithm,
            use_of,
            "never",
        ]));
        let listed = text(gpg().args(["--with-colons", "--list-secret-keys", &format!("={name}")]));
        let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:"));
        fingerprint.unwrap().trim_matches(':').to_owned()
    }

    pub(crate) fn repo(&self, key: &str, dist: &Path, base: Option<&str>, earlier: Option<&Path>) -> Output {
        let mut repo = command(&repository().join("packaging/repo").to_string_lossy());
        repo.env("GNUPGHOME", self.home.path())
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .env_remove("BASEURL");
        if let Some(base) = base {
            repo.env("BASEURL", base);
        }
        repo.arg(key).arg(dist).args(earlier).output().unwrap()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = command("gpgconf")
            .env("GNUPGHOME", self.home.path())
            .args(["--kill", "all"])
            .output();
    }
}

/// A directory with stand-ins for the files that `make packages` makes.
pub(crate) fn dist(version: &str) -> TempDir {
    let dist = tempfile::tempdir().unwrap();
    let work = tempfile::tempdir().unwrap();
    let tree = work.path().join("tree");
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    for arch in ["amd64", "arm64"] {
        let control = format!(
            "Package: ec2-instance-connect\nVersion: {version}-1\nArchitecture: {arch}\n\
             Maintainer: nobody <nobody@localhost>\nDescription: stand-in of {}\n",
            work.path().display()
        );
        fs::write(tree.join("DEBIAN/control"), control).unwrap();
        let package = dist.path().join(format!("ec2-instance-connect_{version}-1_{arch}.deb"));
        succeed(
            command("dpkg-deb")
                .args(["--root-owner-group", "--build"])
                .arg(&tree)
                .arg(package),
        );
    }
    let spec = work.path().join("spec");
    let text = format!(
        "Name: ec2-instance-connect\nVersion: {version}\nRelease: 1\nSummary: stand-in\nLicense: Apache-2.0\n\
         %description\nstand-in of {}\n%install\nmkdir -p %{{buildroot}}/opt\necho >%{{buildroot}}/opt/stand-in\n\
         %files\n/opt/stand-in\n",
        work.path().display()
    );
    fs::write(&spec, text).unwrap();
    for arch in ["x86_64", "aarch64"] {
        succeed(
            command("rpmbuild")
                .args([
                    "-bb",
                    "--quiet",
                    "--target",
                    arch,
                    "--define",
                    "_binary_payload w9.gzdio",
                    "--define",
                ])
                .arg(format!("_topdir {}", work.path().display()))
                .arg(&spec),
        );
        let name = format!("ec2-instance-connect-{version}-1.{arch}.rpm");
        fs::copy(work.path().join(format!("RPMS/{arch}/{name}")), dist.path().join(name)).unwrap();
    }
    dist
}

/// Repositories of the stand-ins; `None` if a tool is missing.
pub(crate) struct Served {
    pub(crate) keys: Keys,
    pub(crate) key: String,
    pub(crate) dist: TempDir,
}

impl Served {
    pub(crate) fn new(what: &str, further: &[&str], packages: &str) -> Option<Self> {
        if lacks(what, &[TOOLS, further].concat(), &format!("{PACKAGES} {packages}")) {
            return None;
        }
        let keys = Keys::new();
        let key = keys.make("rsa4096", "sign");
        let dist = dist("2.1.0");
        let made = keys.repo(&key, dist.path(), None, None);
        assert!(made.status.success(), "{}", said(&made));
        Some(Self { keys, key, dist })
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.dist.path().join("repo").join(inside)
    }

    /// Changes a file, runs the check, and restores the file.
    pub(crate) fn while_changed<T>(
        &self,
        inside: &str,
        change: impl Fn(Vec<u8>) -> Vec<u8>,
        attempt: impl Fn() -> T,
    ) -> T {
        let path = self.path(inside);
        let kept = fs::read(&path).unwrap();
        let bytes = change(kept.clone());
        assert_ne!(bytes, kept, "{inside}");
        fs::write(&path, bytes).unwrap();
        let done = attempt();
        fs::write(&path, kept).unwrap();
        done
    }

    /// Makes apt update from the repository and download from it, as a system with the snippet and a key does.
    pub(crate) fn apt(&self, key: &Path) -> Output {
        // apt does not download packages from `file:` URLs.
        let snippet = read(self.path("ec2-instance-connect.sources")).replace("URIs: file:", "URIs: copy:");
        let apt = Apt::new(&snippet, key);
        let updated = apt.run(&["update"]);
        if !updated.status.success() {
            return updated;
        }
        let got = apt.run(&["install", "--yes", "--download-only", "ec2-instance-connect"]);
        let package = apt.path("cache/archives/ec2-instance-connect_2.1.0-1_amd64.deb");
        assert_eq!(got.status.success(), package.is_file(), "{}", said(&got));
        got
    }

    /// Makes dnf install from the repository into a new root, with the unchanged snippet.
    pub(crate) fn dnf(&self) -> Output {
        let dnf = Dnf::new(&read(self.path("ec2-instance-connect.repo")));
        let got = dnf.install("ec2-instance-connect");
        assert_eq!(
            got.status.success(),
            dnf.path("root/opt/stand-in").is_file(),
            "{}",
            said(&got)
        );
        got
    }
}
