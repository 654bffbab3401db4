//! The SELinux module: exactly which rules it adds to a policy.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::tools::{command, lacks, read, repository, succeed, text};

const COMPILERS: &[&str] = &["checkmodule", "semodule_package"];
const TOOLS: &[&str] = &[
    "checkmodule",
    "semodule_package",
    "semodule_link",
    "semodule_expand",
    "sesearch",
    "bunzip2",
];
const PACKAGES: &str = "checkpolicy semodule-utils setools bzip2 selinux-policy-default";
/// Debian's modules; base and ssh do not depend on others.
const POLICY: &str = "/usr/share/selinux/default";

/// The part of a newer policy's domain that the module needs.
const SESSION: &str = "module session 1.0;
require { attribute domain; }
type sshd_session_t;
typeattribute sshd_session_t domain;
";

fn source() -> String {
    read(repository().join("packaging/selinux/ec2-instance-connect.te"))
}

/// Compiles a module for the given module version, or for the newest.
fn compile(folder: &Path, name: &str, source: &str, version: Option<&str>) {
    fs::write(folder.join(name).with_extension("te"), source).unwrap();
    let mut checkmodule = command("checkmodule");
    checkmodule.current_dir(folder).args(["-M", "-m"]);
    if let Some(version) = version {
        checkmodule.args(["-c", version]);
    }
    succeed(checkmodule.args(["-o", &format!("{name}.mod"), &format!("{name}.te")]));
    package(folder, name);
}

fn package(folder: &Path, name: &str) {
    succeed(command("semodule_package").current_dir(folder).args([
        "-m",
        &format!("{name}.mod"),
        "-o",
        &format!("{name}.pp"),
    ]));
}

/// Each single permission that the policy made of these modules allows, with its condition.
fn allowed(folder: &Path, modules: &[&str]) -> BTreeSet<String> {
    let modules = modules.iter().map(|name| format!("{name}.pp"));
    succeed(
        command("semodule_link")
            .current_dir(folder)
            .args(["-o", "linked"])
            .args(modules),
    );
    succeed(
        command("semodule_expand")
            .current_dir(folder)
            .args(["linked", "policy"]),
    );
    let rules = text(command("sesearch").current_dir(folder).args(["-A", "policy"]));
    let mut allowed = BTreeSet::new();
    for rule in rules.lines() {
        // allow SOURCE TARGET:CLASS PERMISSION; or allow SOURCE TARGET:CLASS { PERMISSIONS }; [ CONDITION ]:True
        let (rule, condition) = rule.split_once(';').unwrap();
        let words: Vec<&str> = rule
            .split_whitespace()
            .filter(|word| !["{", "}"].contains(word))
            .collect();
        for permission in &words[3..] {
            allowed.insert(format!("{} {permission}{condition}", words[..3].join(" ")));
        }
    }
    allowed
}

/// Debian's base and ssh modules, and the packaged module; `None` if a tool is missing.
fn policy(what: &str) -> Option<TempDir> {
    if lacks(what, TOOLS, PACKAGES) {
        return None;
    }
    if !Path::new(POLICY).join("ssh.pp.bz2").is_file() {
        println!("SKIPPED: {what}: no policy in {POLICY} (apt-get install selinux-policy-default)");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    for module in ["base", "ssh"] {
        let packed = Path::new(POLICY).join(format!("{module}.pp.bz2"));
        let unpacked = succeed(command("bunzip2").arg("--stdout").arg(packed)).stdout;
        fs::write(folder.path().join(format!("{module}.pp")), unpacked).unwrap();
    }
    succeed(command(&repository().join("packaging/selinux/build").to_string_lossy()).arg(folder.path()));
    compile(folder.path(), "session", SESSION, None);
    Some(folder)
}

fn added(folder: &Path, before: &[&str]) -> Vec<String> {
    let after = [before, &["ec2-instance-connect"]].concat();
    let (before, after) = (allowed(folder, before), allowed(folder, &after));
    assert!(before.len() > 10_000 && before.is_subset(&after), "{}", before.len());
    after.difference(&before).cloned().collect()
}

const OLD: [&str; 2] = [
    "allow sshd_t http_port_t:tcp_socket name_connect",
    "allow sshd_t sshd_t:process setpgid",
];
const NEW: [&str; 2] = [
    "allow sshd_session_t http_port_t:tcp_socket name_connect",
    "allow sshd_session_t sshd_session_t:process setpgid",
];

#[test]
fn the_module_adds_two_rules_for_sshd() {
    let Some(folder) = policy("SELinux rules") else { return };
    assert_eq!(added(folder.path(), &["base", "ssh"]), OLD);
}

#[test]
fn where_the_session_has_a_domain_of_its_own_the_module_adds_the_same_two_for_it() {
    let Some(folder) = policy("SELinux rules with sshd_session_t") else {
        return;
    };
    assert_eq!(added(folder.path(), &["base", "ssh", "session"]), [NEW, OLD].concat());
}

#[test]
fn a_module_of_the_newest_version_says_the_same_as_the_one_for_old_systems() {
    let Some(folder) = policy("SELinux module versions") else {
        return;
    };
    let folder = folder.path();
    let modules = ["base", "ssh", "session", "ec2-instance-connect"];
    let old = fs::read(folder.join("ec2-instance-connect.pp")).unwrap();
    let by_old = allowed(folder, &modules);
    compile(folder, "ec2-instance-connect", &source(), None);
    assert_ne!(fs::read(folder.join("ec2-instance-connect.pp")).unwrap(), old);
    assert_eq!(allowed(folder, &modules), by_old);
}

#[test]
fn the_module_is_the_same_bytes_wherever_it_is_built() {
    if lacks("SELinux module, built twice", COMPILERS, PACKAGES) {
        return;
    }
    let build = repository().join("packaging/selinux/build");
    let built = [(); 2].map(|()| {
        let folder = tempfile::tempdir().unwrap();
        succeed(command(&build.to_string_lossy()).arg(folder.path().join("deeper")));
        fs::read(folder.path().join("deeper/ec2-instance-connect.pp")).unwrap()
    });
    assert_eq!(built[0], built[1]);
}
