//! The signed repositories: apt and dnf install only what is signed and unchanged.

use std::fs;
use std::process::Output;

use nix::unistd::geteuid;

use crate::served::{Keys, PACKAGES, Served, TOOLS, dist};
use crate::tools::{command, files, lacks, read, said, succeed, text};

const BASE: &str = "https://packages.example.com/eic";

/// Changes bytes without making the file malformed.
fn one_letter(mut bytes: Vec<u8>) -> Vec<u8> {
    let at = bytes.len() / 2;
    bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
    bytes
}

#[track_caller]
fn refused(done: &Output, why: &str) {
    let said = said(done);
    assert!(!done.status.success(), "{said}");
    assert!(said.contains(why), "{said}");
}

#[test]
fn apt_takes_what_was_signed_and_nothing_else() {
    let Some(served) = Served::new("apt repository", &["apt-get"], "apt") else {
        return;
    };
    let key = served.path("ec2-instance-connect.asc");
    let got = served.apt(&key);
    assert!(got.status.success(), "{}", said(&got));

    let other = served.keys.home.path().join("other.asc");
    let fingerprint = served.keys.make("rsa3072", "sign");
    let gpg =
        succeed(
            command("gpg")
                .env("GNUPGHOME", served.keys.home.path())
                .args(["--armor", "--export", &fingerprint]),
        );
    fs::write(&other, gpg.stdout).unwrap();
    refused(&served.apt(&other), "NO_PUBKEY");

    let attempt = || served.apt(&key);
    let packages = "apt/dists/stable/main/binary-amd64/Packages";
    let later = |bytes| {
        String::from_utf8(bytes)
            .unwrap()
            .replace("stable", "staple")
            .into_bytes()
    };
    refused(
        &served.while_changed("apt/dists/stable/InRelease", later, attempt),
        "BADSIG",
    );
    // apt uses the first format of an index that it can download.
    let hashes: Vec<_> = files(&served.path("apt/dists/stable/main/binary-amd64/by-hash"));
    assert_eq!(hashes.len(), 2);
    let hashed: Vec<_> = hashes
        .iter()
        .map(|path| path.strip_prefix(served.path("")).unwrap().to_str().unwrap().to_owned())
        .collect();
    let done = served.while_changed(&hashed[0], one_letter, || {
        served.while_changed(&hashed[1], one_letter, || {
            served.while_changed(packages, one_letter, || {
                served.while_changed(&format!("{packages}.gz"), one_letter, attempt)
            })
        })
    });
    refused(&done, "Hash Sum mismatch");
    let deb = "apt/pool/main/e/ec2-instance-connect/ec2-instance-connect_2.1.0-1_amd64.deb";
    refused(&served.while_changed(deb, one_letter, attempt), "Hash Sum mismatch");
}

#[test]
fn dnf_takes_what_was_signed_and_nothing_else() {
    let what = "yum repository";
    if !geteuid().is_root() {
        println!("SKIPPED: {what}: dnf wants a root of its own (run as root)");
        return;
    }
    let Some(served) = Served::new(what, &["dnf"], "dnf") else {
        return;
    };
    let got = served.dnf();
    assert!(got.status.success(), "{}", said(&got));

    let attempt = || served.dnf();
    let later = |bytes| {
        String::from_utf8(bytes)
            .unwrap()
            .replace("1700000000", "1700000001")
            .into_bytes()
    };
    let bad = "repomd.xml GPG signature verification error";
    refused(&served.while_changed("yum/repodata/repomd.xml", later, attempt), bad);
    refused(
        &served.while_changed("yum/repodata/repomd.xml.asc", one_letter, attempt),
        bad,
    );
    let rpm = "yum/ec2-instance-connect-2.1.0-1.x86_64.rpm";
    refused(&served.while_changed(rpm, one_letter, attempt), "checksum");

    // The system has another key than the one that signed.
    let fingerprint = served.keys.make("rsa3072", "sign");
    let other =
        succeed(
            command("gpg")
                .env("GNUPGHOME", served.keys.home.path())
                .args(["--armor", "--export", &fingerprint]),
        );
    let replace = |_| other.stdout.clone();
    refused(&served.while_changed("ec2-instance-connect.asc", replace, attempt), bad);

    // The metadata has a valid signature, but the package is not signed.
    fs::copy(
        served.dist.path().join("ec2-instance-connect-2.1.0-1.x86_64.rpm"),
        served.path(rpm),
    )
    .unwrap();
    succeed(
        command("createrepo_c")
            .args(["--quiet", "--no-database"])
            .arg(served.path("yum")),
    );
    succeed(
        command("gpg")
            .env("GNUPGHOME", served.keys.home.path())
            .args([
                "--batch",
                "--yes",
                "--armor",
                "--local-user",
                &served.key,
                "--detach-sign",
            ])
            .arg(served.path("yum/repodata/repomd.xml")),
    );
    refused(&served.dnf(), "is not signed");
}

#[test]
fn the_rpms_and_the_metadata_are_of_forms_that_rpm_4_11_reads() {
    let Some(served) = Served::new("yum repository's forms", &["rpmkeys"], "") else {
        return;
    };
    let database = tempfile::tempdir().unwrap();
    let rpmkeys = || {
        let mut rpmkeys = command("rpmkeys");
        rpmkeys.env("LC_ALL", "C.UTF-8").arg("--dbpath").arg(database.path());
        rpmkeys
    };
    succeed(rpmkeys().arg("--import").arg(served.path("ec2-instance-connect.asc")));
    for arch in ["x86_64", "aarch64"] {
        let package = served.path(&format!("yum/ec2-instance-connect-2.1.0-1.{arch}.rpm"));
        let checked = text(rpmkeys().args(["--checksig", "--verbose"]).arg(package));
        let signatures: Vec<&str> = checked.lines().filter(|line| line.contains("Signature")).collect();
        // The signature of the header, and the one over header and payload.
        assert_eq!(signatures.len(), 2, "{checked}");
        for signature in signatures {
            assert!(
                signature.contains("V4 RSA/SHA256") && signature.ends_with(": OK"),
                "{checked}"
            );
        }
        assert!(checked.contains("MD5 digest: OK"), "{checked}");
    }
    let metadata = files(&served.path("yum/repodata"));
    assert_eq!(metadata.len(), 5, "{metadata:?}");
    for file in metadata {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(
            name.ends_with(".xml.gz") || name == "repomd.xml" || name == "repomd.xml.asc",
            "{name}"
        );
    }
    let index = read(served.path("yum/repodata/repomd.xml"));
    assert!(
        index.contains("type=\"sha256\"") && !index.contains("type=\"sha\""),
        "{index}"
    );
}

#[test]
fn what_a_system_gets_names_where_the_repositories_are_served_and_demands_signatures() {
    if lacks("repository snippets", TOOLS, PACKAGES) {
        return;
    }
    let (keys, dist) = (Keys::new(), dist("2.1.0"));
    let key = keys.make("rsa4096", "sign");
    let made = keys.repo(&key, dist.path(), Some(&format!("{BASE}/")), None);
    assert!(made.status.success(), "{}", said(&made));
    let snippet = |end: &str| read(dist.path().join(format!("repo/ec2-instance-connect.{end}")));
    let yum = snippet("repo");
    for line in [
        "gpgcheck=1",
        "repo_gpgcheck=1",
        &format!("baseurl={BASE}/yum"),
        &format!("gpgkey={BASE}/ec2-instance-connect.asc"),
    ] {
        assert!(yum.lines().any(|one| one == line), "{line}: {yum}");
    }
    let signed_by = "/etc/apt/keyrings/ec2-instance-connect.asc";
    assert_eq!(
        snippet("list"),
        format!("deb [signed-by={signed_by}] {BASE}/apt stable main\n")
    );
    assert_eq!(
        snippet("sources"),
        format!("Types: deb\nURIs: {BASE}/apt\nSuites: stable\nComponents: main\nSigned-By: {signed_by}\n")
    );
    assert!(!snippet("asc").contains("PRIVATE"));
    let release = read(dist.path().join("repo/apt/dists/stable/Release"));
    for line in [
        "Acquire-By-Hash: yes",
        "Architectures: amd64 arm64",
        "Codename: stable",
        "Date: Tue, 14 Nov 2023 22:13:20 +0000",
        "Label: ec2-instance-connect",
        "Origin: ec2-instance-connect",
        "Suite: stable",
    ] {
        assert!(release.lines().any(|one| one == line), "{line}: {release}");
    }
}

#[test]
fn a_key_that_old_systems_could_not_check_is_refused_and_what_was_there_stays() {
    if lacks("repository keys", TOOLS, PACKAGES) {
        return;
    }
    let (keys, dist) = (Keys::new(), dist("2.1.0"));
    let there = dist.path().join("repo/there");
    fs::create_dir(dist.path().join("repo")).unwrap();
    fs::write(&there, "").unwrap();
    let good = keys.make("rsa4096", "sign");
    for (key, why) in [
        (keys.make("ed25519", "sign"), "is not an RSA key"),
        (keys.make("rsa3072", "sign"), "has 3072 bits"),
        (keys.make("rsa4096", "cert"), "cannot sign itself"),
        (good[24..].to_owned(), "is not the fingerprint"),
        ("0".repeat(40), "is not the fingerprint"),
    ] {
        refused(&keys.repo(&key, dist.path(), None, None), why);
    }
    fs::remove_file(dist.path().join("ec2-instance-connect-2.1.0-1.x86_64.rpm")).unwrap();
    fs::remove_file(dist.path().join("ec2-instance-connect-2.1.0-1.aarch64.rpm")).unwrap();
    refused(&keys.repo(&good, dist.path(), None, None), "no .rpm in");
    assert!(there.is_file() && !dist.path().join("repo.new").exists());
}
