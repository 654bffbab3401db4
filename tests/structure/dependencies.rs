//! What each crate links, by `cargo tree`: verifying needs no I/O, and the program that sshd runs has nothing of what people run.

use std::collections::BTreeSet;
use std::env;
use std::process::Command;

use crate::workspace;

/// The crates that `package` links, itself included; its direct dependencies alone where `depth` is 1.
fn linked(package: &str, depth: Option<u8>) -> BTreeSet<String> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What only runs during the build is not linked. The crates for other systems are not downloaded.
    cargo
        .args(["tree", "--locked", "--package", package, "--edges=normal,no-proc-macro"])
        .args(["--prefix=none", "--format={lib}"])
        .current_dir(workspace());
    if let Some(depth) = depth {
        cargo.arg(format!("--depth={depth}"));
    }
    let output = cargo.output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    // A line ends with " (*)" where cargo has printed the crate before.
    tree.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// The crates of `found` that `names` lists.
fn listed(found: &BTreeSet<String>, names: &[&str]) -> BTreeSet<String> {
    found.intersection(&set(names)).cloned().collect()
}

#[test]
fn the_verifier_depends_on_parsers_signatures_and_hashes_alone() {
    let expected = [
        "eic_verify",
        "base64",
        "rustls_pki_types",
        "serde",
        "serde_json",
        "sha1",
        "sha2",
        "ssh_key",
        "webpki",
        "x509_parser",
    ];
    assert_eq!(linked("eic-verify", Some(1)), set(&expected));
}

#[test]
fn the_verifier_links_no_runtime_no_http_no_command_line_and_no_system_calls() {
    let linked = linked("eic-verify", None);
    assert!(linked.len() > 40, "{linked:?}");
    let unwanted = [
        "tokio",
        "hyper",
        "reqwest",
        "mio",
        "socket2",
        "clap",
        "nix",
        "rustix",
        "syslog",
        "futures_util",
    ];
    assert_eq!(listed(&linked, &unwanted), BTreeSet::new());
}

#[test]
fn the_program_that_sshd_runs_links_nothing_of_what_people_run() {
    let sshd_program = linked("eic-authorized-keys", None);
    let both = linked("ec2-instance-connect", None);
    let only_for_people: BTreeSet<String> = both.difference(&sshd_program).cloned().collect();
    assert_eq!(
        only_for_people,
        set(&["ec2_instance_connect", "rustix", "linux_raw_sys"])
    );
}

#[test]
fn the_program_that_sshd_runs_links_no_tls() {
    let linked = linked("eic-authorized-keys", None);
    assert!(linked.contains("reqwest"), "{linked:?}");
    let unwanted = [
        "rustls",
        "native_tls",
        "openssl",
        "openssl_sys",
        "tokio_rustls",
        "hyper_rustls",
        "hyper_tls",
        "aws_lc_rs",
    ];
    assert_eq!(listed(&linked, &unwanted), BTreeSet::new());
}

#[test]
fn crates_depend_one_way_from_admin_to_authorized_keys_to_verify() {
    let ours = ["eic_verify", "eic_authorized_keys", "ec2_instance_connect"];
    for (package, expected) in [
        ("eic-verify", &ours[..1]),
        ("eic-authorized-keys", &ours[..2]),
        ("ec2-instance-connect", &ours[..]),
    ] {
        assert_eq!(listed(&linked(package, None), &ours), set(expected), "{package}");
    }
}
