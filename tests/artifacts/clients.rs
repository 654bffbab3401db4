//! apt and dnf as on a system with the repository's snippet, without any configuration of the machine that runs the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

use crate::tools::command;

/// apt in a separate root.
pub(crate) struct Apt(TempDir);

impl Apt {
    /// With a `.sources` snippet, and this file as the key that it names.
    pub(crate) fn new(snippet: &str, key: &Path) -> Self {
        let apt = Self(tempfile::tempdir().unwrap());
        for folder in [
            "etc/sources.list.d",
            "etc/preferences.d",
            "state/lists/partial",
            "cache/archives/partial",
        ] {
            fs::create_dir_all(apt.path(folder)).unwrap();
        }
        fs::write(apt.path("status"), "").unwrap();
        let keyring = "/etc/apt/keyrings/ec2-instance-connect.asc";
        assert!(snippet.contains(keyring));
        fs::write(
            apt.path("etc/sources.list.d/ec2-instance-connect.sources"),
            snippet.replace(keyring, key.to_str().unwrap()),
        )
        .unwrap();
        apt
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.tool("apt-get", arguments)
    }

    /// The versions that can be installed, the newest first.
    pub(crate) fn versions(&self) -> Vec<String> {
        let shown = self.tool("apt-cache", &["madison", "ec2-instance-connect"]);
        let text = String::from_utf8(shown.stdout).unwrap();
        let lines = text.lines().filter_map(|line| line.split('|').nth(1));
        lines.map(|version| version.trim().to_owned()).collect()
    }

    fn tool(&self, tool: &str, arguments: &[&str]) -> Output {
        let mut apt = command(tool);
        apt.current_dir(self.0.path()).env("LC_ALL", "C.UTF-8");
        apt.env_remove("http_proxy").env_remove("HTTP_PROXY");
        for (option, value) in [
            ("Dir::Etc", "etc"),
            ("Dir::Etc::main", "none"),
            ("Dir::Etc::parts", "none"),
            ("Dir::State", "state"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "cache"),
        ] {
            apt.arg("-o").arg(format!("{option}={}", self.path(value).display()));
        }
        for option in [
            "APT::Architecture=amd64",
            "APT::Architectures=amd64",
            "APT::Sandbox::User=root",
            "APT::Update::Error-Mode=any",
        ] {
            apt.args(["-o", option]);
        }
        apt.args(arguments).output().unwrap()
    }
}

/// dnf with a separate root.
pub(crate) struct Dnf(TempDir);

impl Dnf {
    /// With a `.repo` snippet.
    pub(crate) fn new(snippet: &str) -> Self {
        let dnf = Self(tempfile::tempdir().unwrap());
        fs::create_dir(dnf.path("repositories")).unwrap();
        fs::write(dnf.path("repositories/ec2-instance-connect.repo"), snippet).unwrap();
        fs::write(dnf.path("dnf.conf"), "[main]\n").unwrap();
        dnf
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside)
    }

    pub(crate) fn install(&self, package: &str) -> Output {
        command("dnf")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY")
            .args(["--assumeyes", "--releasever=1", "--forcearch=x86_64", "--installroot"])
            .arg(self.path("root"))
            .arg(format!("--config={}", self.path("dnf.conf").display()))
            .arg(format!("--setopt=reposdir={}", self.path("repositories").display()))
            .arg(format!("--setopt=cachedir={}", self.path("cache").display()))
            .args(["install", package])
            .output()
            .unwrap()
    }
}
