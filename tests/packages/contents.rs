//! The contents of the packages: programs that start with the oldest glibc and on the other architecture, and linters'
//! findings.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use emulator::{Emulator, Options};
use tempfile::TempDir;

use crate::made::{dist, package};
use crate::releases::Release::Bookworm;
use crate::surroundings::{self, is_there};

const PROGRAMS: [&str; 2] = [
    "usr/libexec/ec2-instance-connect/eic_run_authorized_keys",
    "usr/sbin/ec2-instance-connect",
];

/// The four packages with programs: how their names start and end.
const PACKAGES: [(&str, &str); 4] = [
    ("ec2-instance-connect_", "_amd64.deb"),
    ("ec2-instance-connect_", "_arm64.deb"),
    ("ec2-instance-connect-2", ".x86_64.rpm"),
    ("ec2-instance-connect-2", ".aarch64.rpm"),
];

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Whether a tool is installed; otherwise prints what cannot be tested.
fn has(what: &str, tool: &str, package: &str) -> bool {
    let has = is_there(tool);
    if !has {
        println!("SKIPPED: {what}, no {tool} ({package})");
    }
    has
}

/// The package's files, without running any script.
fn unpacked(package: &Path) -> TempDir {
    let folder = tempfile::tempdir().expect("there is a place for temporary folders");
    let unpacked = if package.extension().is_some_and(|extension| extension == "deb") {
        run(Command::new("dpkg-deb")
            .arg("--extract")
            .arg(package)
            .arg(folder.path()))
    } else {
        let mut rpm = Command::new("rpm");
        rpm.arg("--root").arg(folder.path());
        rpm.args([
            "--dbpath",
            "/db",
            "--install",
            "--nodeps",
            "--noscripts",
            "--ignorearch",
            "--nosignature",
        ]);
        run(rpm.arg(package))
    };
    assert!(unpacked.status.success(), "{}", said(&unpacked));
    folder
}

/// Every package with this extension.
fn all(extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(dist()).expect("it can be read");
    let files = files.map(|entry| entry.expect("it can be read").path());
    files
        .filter(|path| path.extension().is_some_and(|its| its == extension))
        .collect()
}

fn check_program(program: &Path) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/check-program");
    run(Command::new(script).arg(program))
}

#[test]
fn the_programs_need_no_more_than_the_oldest_glibc() {
    for (start, end) in PACKAGES {
        let package = package(start, end);
        let folder = unpacked(&package);
        for program in PROGRAMS {
            let checked = check_program(&folder.path().join(program));
            assert!(checked.status.success(), "{}: {}", package.display(), said(&checked));
            println!("MEASURED: {end}: {}", said(&checked).trim());
        }
        let size = fs::metadata(&package).expect("it is there").len();
        println!(
            "MEASURED: {}: {} KiB",
            package.file_name().unwrap_or_default().to_string_lossy(),
            size / 1024
        );
    }
    // This test is linked for the machine that it runs on.
    let own = std::env::current_exe().expect("a test knows its own path");
    assert!(
        !check_program(&own).status.success(),
        "a program for a newer glibc, or with more libraries, is refused"
    );
}

#[test]
fn the_rpms_are_such_as_rpm_4_11_reads() {
    for (start, end) in &PACKAGES[2..] {
        let package = package(start, end);
        let asked = run(Command::new("rpm")
            .args([
                "-qp",
                "--qf",
                "%{PAYLOADCOMPRESSOR} %{FILEDIGESTALGO} %{SIGMD5} %{SHA1HEADER}\\n[%{REQUIRES}\\n]",
            ])
            .arg(&package));
        let text = String::from_utf8_lossy(&asked.stdout).into_owned();
        let mut lines = text.lines();
        let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        // 8 is SHA-256 (RFC 4880, section 9.4). Header and payload have MD5, and the header also has SHA-1.
        assert_eq!(words[..2], ["gzip", "8"], "{text}");
        assert!(words[2].len() == 32 && words[3].len() == 40, "{text}");
        assert!(
            lines.all(|requires| !requires.starts_with('(')),
            "a rich dependency: {text}"
        );
    }
}

/// The packages of debug symbols, in the order of [`PACKAGES`].
const SYMBOLS: [(&str, &str); 4] = [
    ("ec2-instance-connect-dbgsym_", "_amd64.deb"),
    ("ec2-instance-connect-dbgsym_", "_arm64.deb"),
    ("ec2-instance-connect-debuginfo-", ".x86_64.rpm"),
    ("ec2-instance-connect-debuginfo-", ".aarch64.rpm"),
];

fn output(tool: &str, arguments: &[&str], file: &Path) -> String {
    let output = run(Command::new(tool).args(arguments).arg(file));
    assert!(output.status.success(), "{tool}: {}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_programs_are_stripped_and_their_symbols_lead_to_lines_of_the_sources() {
    for ((start, end), (symbols_start, symbols_end)) in PACKAGES.into_iter().zip(SYMBOLS) {
        let programs = unpacked(&package(start, end));
        let symbols = unpacked(&package(symbols_start, symbols_end));
        for (program, function, file) in [
            (
                PROGRAMS[0],
                "eic_authorized_keys::authorize",
                "agent/authorized-keys/src/authorize.rs",
            ),
            (PROGRAMS[1], "ec2_instance_connect::", "agent/admin/src/"),
        ] {
            let program = programs.path().join(program);
            let sections = output("readelf", &["--sections", "--wide"], &program);
            assert!(
                !sections.contains(" .symtab ") && !sections.contains(" .debug_info "),
                "{sections}"
            );
            let notes = output("readelf", &["--notes"], &program);
            let id = notes.lines().find_map(|line| line.trim().strip_prefix("Build ID: "));
            let (first, rest) = id.expect("it has a build-id").split_at(2);
            let found = symbols
                .path()
                .join(format!("usr/lib/debug/.build-id/{first}/{rest}.debug"));
            assert!(output("readelf", &["--notes"], &found).contains(&format!("Build ID: {first}{rest}")));

            let names = output("nm", &["--demangle", "--defined-only"], &found);
            let named = |line: &&str| {
                line.split_once(' ')
                    .is_some_and(|(_, name)| name[2..].starts_with(function))
            };
            let line = names
                .lines()
                .find(named)
                .unwrap_or_else(|| panic!("no {function} in {names}"));
            let address = line.split(' ').next().unwrap_or_default();
            // With the lines of functions inlined there, because this may be their first instruction.
            let place = run(Command::new("addr2line")
                .args(["--inlines", "--exe"])
                .arg(&found)
                .arg(address));
            assert!(said(&place).contains(file), "{end}: {line}: {}", said(&place));
        }
    }
}

#[test]
fn the_debug_symbols_name_no_directory_of_the_machine_that_built_them() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let home = std::env::var("HOME").unwrap_or_default();
    for (start, end) in SYMBOLS {
        let folder = unpacked(&package(start, end));
        let find = format!(
            "! grep -raF -e '{}/' -e '{home}/.cargo' {}/usr/lib/debug",
            here.display(),
            folder.path().display()
        );
        let found = run(Command::new("sh").args(["-c", &find]));
        assert!(found.status.success(), "{end}");
    }
}

#[test]
fn the_rpm_s_licence_covers_every_crate_that_is_linked() {
    let list = fs::read_to_string(package("ec2-instance-connect-", ".cdx.json")).expect("it can be read");
    let list: serde_json::Value = serde_json::from_str(&list).expect("it is JSON");
    for (start, end) in &PACKAGES[2..] {
        let licence = output(
            "rpm",
            &["-qp", "--nosignature", "--qf", "%{LICENSE}"],
            &package(start, end),
        );
        let parts: Vec<&str> = licence
            .split(" AND ")
            .map(|part| part.trim_matches(['(', ')']))
            .collect();
        for one in list["components"].as_array().expect("a list") {
            let expression = one["licenses"][0]["expression"].as_str().expect("a text");
            for part in expression.split(" AND ") {
                let mut choices: Vec<&str> = part.trim_matches(['(', ')']).split(" OR ").collect();
                choices.sort_unstable();
                assert!(
                    parts.contains(&choices.join(" OR ").as_str()),
                    "{expression} in {licence}"
                );
            }
        }
    }
}

#[test]
fn the_debian_copyright_names_files_that_are_there() {
    let folder = unpacked(&package(PACKAGES[0].0, PACKAGES[0].1));
    let copyright = folder.path().join("usr/share/doc/ec2-instance-connect/copyright");
    let text = fs::read_to_string(copyright).expect("it is there");
    let named: Vec<&str> = text
        .split_whitespace()
        .filter(|word| word.starts_with("/usr/share/doc/"))
        .collect();
    assert!(!named.is_empty(), "{text}");
    for path in named {
        let path = path.trim_end_matches(['.', ',']);
        assert!(folder.path().join(&path[1..]).is_file(), "{path}");
    }
}

#[test]
fn lintian_finds_nothing() {
    if !has("lintian", "lintian", "lintian") {
        return;
    }
    let judged = run(Command::new("lintian")
        .args(["--allow-root", "--fail-on", "error,warning"])
        .args(all("deb")));
    assert!(judged.status.success(), "{}", said(&judged));
}

#[test]
fn rpmlint_finds_nothing() {
    if !has("rpmlint", "rpmlint", "rpmlint") {
        return;
    }
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/rpm/rpmlint.toml");
    let judged = run(Command::new("rpmlint").arg("--config").arg(settings).args(all("rpm")));
    assert!(
        judged.status.success() && said(&judged).contains(" 0 errors, 0 warnings"),
        "{}",
        said(&judged)
    );
}

#[test]
fn the_arm64_program_verifies_a_pushed_key_under_emulation() {
    let what = "the arm64 program under emulation";
    if !surroundings::ready(what) || !has(what, "qemu-aarch64-static", "qemu-user-static") {
        return;
    }
    // The release's libc for arm64; Debian 12's libc6-arm64-cross hangs in qemu at the first thread.
    let libraries = Bookworm.layer("libc6:arm64").expect("it can be had").join("usr");
    let emulator = Emulator::start(Options::default()).expect("loopback has free ports");
    let instance = tempfile::tempdir().expect("there is a place for temporary folders");
    let files = emulator.write_instance(instance.path()).expect("the folder is ours");
    let keygen = run(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(instance.path().join("key")));
    assert!(keygen.status.success(), "{}", said(&keygen));
    let line = fs::read_to_string(instance.path().join("key.pub")).expect("it was made");
    emulator.push("ec2-user", line.trim());

    for (start, end) in [PACKAGES[1], PACKAGES[3]] {
        let folder = unpacked(&package(start, end));
        let qemu = |program: &str| {
            let mut command = Command::new("timeout");
            command
                .args(["60", "qemu-aarch64-static", "-L"])
                .arg(&libraries)
                .arg(folder.path().join(program));
            command
        };
        for program in PROGRAMS {
            let version = run(qemu(program).arg("--version"));
            assert!(
                version.status.success() && said(&version).contains(env!("CARGO_PKG_VERSION")),
                "{}",
                said(&version)
            );
        }
        let asked = run(qemu(PROGRAMS[0])
            .args(["--imds-endpoint", &emulator.imds_url()])
            .arg("--trust-store")
            .arg(&files.roots)
            .arg("--sysfs")
            .arg(&files.sysfs)
            .arg("ec2-user"));
        assert_eq!(
            String::from_utf8_lossy(&asked.stdout).trim(),
            line.trim(),
            "{}",
            said(&asked)
        );
    }
}

/// What needs the real operating system, and its stand-in.
const NOT_RUN: [(&str, &str); 5] = [
    (
        "Ubuntu 18.04 to 24.04",
        "Debian bullseye, bookworm and trixie with apt; for sshd before Include, the hook's tests",
    ),
    (
        "Amazon Linux 2 (rpm 4.11, yum)",
        "a Debian root with dnf, stub rpms and an sshd that knows no Include; the rpm's format by its tags",
    ),
    (
        "Amazon Linux 2023, RHEL 8 and 9, Fedora",
        "a Debian root with dnf, stub rpms, their os-release, unit name and modes",
    ),
    (
        "SELinux, enforcing",
        "the module's rules by sesearch, and its package with stand-ins for semodule, in the artifacts' tests",
    ),
    (
        "AWS's own packages",
        "packages that do to sshd what theirs do, with a script as program that runs ours under another name",
    ),
];

#[test]
fn what_was_not_run_is_said() {
    for (what, instead) in NOT_RUN {
        println!("NOT RUN: {what}; what stood in: {instead}");
    }
}
