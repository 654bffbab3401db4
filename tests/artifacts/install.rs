//! `make install` and `make uninstall`, run as root without cargo.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use crate::tools::{command, files, repository, said};

/// Stand-ins for the built programs, newer than the sources or older.
fn built(date: &str) -> TempDir {
    let built = tempfile::tempdir().unwrap();
    for program in ["eic_run_authorized_keys", "ec2-instance-connect"] {
        let path = built.path().join(program);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        crate::tools::succeed(command("touch").args(["--date", date]).arg(path));
    }
    built
}

/// A PATH without cargo, as sudo sets it.
fn make(target: &str, built: &Path, root: &Path, prefix: &str) -> Output {
    command("make")
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir(repository())
        .args([target, "CARGO=/nonexistent/cargo", &format!("PREFIX={prefix}")])
        .arg(format!("BUILT={}", built.display()))
        .arg(format!("DESTDIR={}", root.display()))
        .output()
        .unwrap()
}

#[test]
fn what_was_built_is_installed_without_cargo_and_uninstalled() {
    let built = built("now");
    for (prefix, zsh) in [("/usr", "vendor-completions"), ("/usr/local", "site-functions")] {
        let zsh = if Path::new("/etc/debian_version").exists() {
            zsh
        } else {
            "site-functions"
        };
        let root = tempfile::tempdir().unwrap();
        let installed = make("install", built.path(), root.path(), prefix);
        assert!(installed.status.success(), "{}", said(&installed));
        let mode = |inside: &str| {
            let path = root.path().join(format!("{prefix}/{inside}").trim_start_matches('/'));
            let its = fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            its.permissions().mode() & 0o7777
        };
        assert_eq!(mode("libexec/ec2-instance-connect/eic_run_authorized_keys"), 0o711);
        assert_eq!(mode("sbin/ec2-instance-connect"), 0o755);
        for file in [
            "lib/sysusers.d/ec2-instance-connect.conf",
            "share/man/man8/ec2-instance-connect.8",
            "share/bash-completion/completions/ec2-instance-connect",
            "share/bash-completion/completions/eic_run_authorized_keys",
            &format!("share/zsh/{zsh}/_ec2-instance-connect"),
            "share/fish/vendor_completions.d/ec2-instance-connect.fish",
        ] {
            assert_eq!(mode(file), 0o644, "{file}");
        }

        let other = root.path().join("usr/share/man/man8/other.8");
        fs::create_dir_all(other.parent().unwrap()).unwrap();
        fs::write(&other, "").unwrap();
        let uninstalled = make("uninstall", built.path(), root.path(), prefix);
        assert!(uninstalled.status.success(), "{}", said(&uninstalled));
        assert_eq!(files(root.path()), [other]);
        assert!(
            !root
                .path()
                .join(format!(".{prefix}/libexec/ec2-instance-connect"))
                .exists()
        );
    }
}

#[test]
fn what_is_not_built_or_older_than_its_sources_is_not_installed() {
    for (built, why) in [
        (tempfile::tempdir().unwrap(), "does not exist: run `make build` first"),
        (built("2001-01-01"), "is older than its sources: run `make build` first"),
    ] {
        let root = tempfile::tempdir().unwrap();
        let refused = make("install", built.path(), root.path(), "/usr");
        assert!(
            !refused.status.success() && said(&refused).contains(why),
            "{}",
            said(&refused)
        );
        assert!(files(root.path()).is_empty());
    }
}
