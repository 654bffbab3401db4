//! No configuration in the documentation makes sshd run a command as an account that others use as well, such as nobody.

use std::fs;

use crate::blocks::{documents, read, repository};

/// The package's user; root, which can do everything anyway; and the user of a command that needs its own.
const OWN: [&str; 3] = ["ec2-instance-connect", "root", "opksshuser"];

#[test]
fn the_command_s_user_is_one_without_another_role() {
    let mut files = documents();
    for directory in ["packaging/man", "packaging/sshd"] {
        let entries = fs::read_dir(repository().join(directory)).expect("the directory is there");
        files.extend(entries.map(|entry| {
            let name = entry.expect("it can be read").file_name();
            format!("{directory}/{}", name.to_string_lossy())
        }));
    }
    let mut seen = 0;
    for file in files {
        let text = read(&file);
        for after in text.split("AuthorizedKeysCommandUser ").skip(1) {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
            let user = after.split(|c| !is_name(c)).next().unwrap_or_default();
            seen += usize::from(OWN.contains(&user));
            assert!(!["nobody", "daemon", "sssd"].contains(&user), "{file}: {user}");
        }
    }
    assert!(seen > 5, "{seen}");
}
