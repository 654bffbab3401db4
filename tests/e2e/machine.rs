//! Turns a root file system into an EC2 instance: users, CA certificates and the program, each at its real path.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use emulator::Certificate;

use crate::tools::{ROOTS, program};

/// The path of the program, as on Amazon Linux.
pub(crate) const PROGRAM: &str = "/opt/aws/bin/eic_run_authorized_keys";
/// The user that sshd runs it as.
pub(crate) const RUNS_AS: &str = "ec2-instance-connect";
/// The login users.
pub(crate) const USERS: [&str; 2] = ["ec2-user", "ubuntu"];
/// The directory of their home directories, of which every world has its own copy.
pub(crate) const HOMES: &str = "/opt/e2e-homes";

/// User IDs that no machine uses.
const FIRST_ID: u32 = 59_000;

/// Writes users, CA certificates and the program below that root directory. The directories must already be copies.
pub(crate) fn become_instance(root: &Path, anchors: &[Certificate]) {
    let at = |path: &str| root.join(path.trim_start_matches('/'));
    add_users(&at("/etc"));
    let mut roots = OpenOptions::new()
        .append(true)
        .open(at(ROOTS))
        .expect("the OS has a store");
    for anchor in anchors {
        roots.write_all(anchor.pem().as_bytes()).expect("it is a copy");
    }
    let place = at(PROGRAM);
    let folder = place.parent().expect("it has a folder");
    fs::create_dir_all(folder).expect("it is a copy");
    fs::copy(program(), &place).expect("the program was built");
    // sshd also checks every directory above.
    for path in ["/opt", "/opt/aws", "/opt/aws/bin", PROGRAM] {
        fs::set_permissions(at(path), Permissions::from_mode(0o755)).expect("it is a copy");
    }
}

/// Empty home directories, also for root, so that no existing ssh configuration is used.
pub(crate) fn make_homes(homes: &Path) {
    fs::create_dir_all(homes).expect("the place is ours");
    fs::set_permissions(homes, Permissions::from_mode(0o755)).expect("it is ours");
    for (user, id) in with_ids().into_iter().chain([("root".to_owned(), 0)]) {
        if user == RUNS_AS {
            continue;
        }
        let ssh = homes.join(&user).join(".ssh");
        fs::create_dir_all(&ssh).expect("it is ours");
        for folder in [ssh.parent().expect("it has one"), &ssh] {
            fs::set_permissions(folder, Permissions::from_mode(0o700)).expect("it is ours");
            chown(folder, Some(id), Some(id)).expect("root may give away");
        }
    }
}

/// A user's home.
pub(crate) fn home(user: &str) -> PathBuf {
    Path::new(HOMES).join(user)
}

/// A login user's number.
pub(crate) fn id_of(user: &str) -> u32 {
    let all = with_ids();
    all.iter().find(|(name, _)| name == user).expect("it is one of ours").1
}

fn with_ids() -> Vec<(String, u32)> {
    let names = [RUNS_AS].into_iter().chain(USERS);
    names.map(str::to_owned).zip(FIRST_ID..).collect()
}

fn add_users(etc: &Path) {
    let users = with_ids();
    let line = |user: &str, id: u32| match user == RUNS_AS {
        true => format!("{user}:x:{id}:{id}::/nonexistent:/usr/sbin/nologin"),
        false => format!("{user}:x:{id}:{id}::{HOMES}/{user}:/bin/sh"),
    };
    let root = format!("root:x:0:0:root:{HOMES}/root:/bin/sh");
    let mut passwd: Vec<_> = users.iter().map(|(user, id)| line(user, *id)).collect();
    passwd.push(root);
    replace(&etc.join("passwd"), &passwd);
    let group = |(user, id): &(String, u32)| format!("{user}:x:{id}:");
    replace(&etc.join("group"), &users.iter().map(group).collect::<Vec<_>>());
    // No password; "!" would be a locked account, which sshd refuses.
    let shadow = |(user, _): &(String, u32)| format!("{user}:*:19000:0:99999:7:::");
    replace(&etc.join("shadow"), &users.iter().map(shadow).collect::<Vec<_>>());
}

/// Replaces the lines with the same first field by these lines.
fn replace(file: &Path, lines: &[String]) {
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
    let ours: Vec<_> = lines.iter().map(|line| name(line)).collect();
    let old = fs::read_to_string(file).unwrap_or_default();
    let kept = old
        .lines()
        .filter(|line| !ours.contains(&name(line)))
        .map(str::to_owned);
    let new: Vec<_> = kept.chain(lines.iter().cloned()).collect();
    fs::write(file, new.join("\n") + "\n").expect("it is a copy");
}
