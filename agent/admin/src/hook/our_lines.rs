//! The lines that `enable` writes, in each of their three forms: a drop-in of sshd_config, a drop-in of a unit, and a block.

use std::path::{Path, PathBuf};

use super::owner::{PROGRAM, USER};
use crate::sshd::config_line::first_match;

/// The drop-in for sshd, in the directory that the sshd_config of most distributions includes.
pub(crate) const SSHD_DROP_IN: &str = "/etc/ssh/sshd_config.d/60-ec2-instance-connect.conf";

/// The name of a unit's drop-in, in `/etc/systemd/system/<unit>.d`.
const UNIT_DROP_IN: &str = "60-ec2-instance-connect.conf";

/// Where AWS's packages, and this program, write drop-ins of units.
pub(crate) const UNIT_DIRECTORIES: [&str; 3] =
    ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

const TEMPLATE: &str = include_str!("../../../../systemd/sshd-command-line.conf.in");

const BEGIN: &str = "# BEGIN ec2-instance-connect";
const BEGIN_AFTER_NEWLINE: &str = "# BEGIN ec2-instance-connect (with the newline before it)";
const END: &str = "# END ec2-instance-connect";

/// AuthorizedKeysCommand and AuthorizedKeysCommandUser.
pub(crate) fn two_lines() -> String {
    format!("AuthorizedKeysCommand {PROGRAM} %u %f\nAuthorizedKeysCommandUser {USER}\n")
}

/// The text of [`SSHD_DROP_IN`]. `disable` recognizes it by every byte: another text makes it leave the drop-in that an
/// earlier version wrote.
pub(crate) fn sshd_drop_in() -> String {
    format!(
        "# Written by `ec2-instance-connect enable`, taken away by `ec2-instance-connect disable`.\n\
         # Delete or change it as you like: neither upgrades nor reinstalls put it back.\n{}",
        two_lines()
    )
}

/// The text of a unit's drop-in: the unit's own ExecStart with our two options. As with [`sshd_drop_in`], every byte counts.
pub(crate) fn unit_drop_in(exec_start: &str) -> String {
    TEMPLATE
        .replace("@EXEC_START@", exec_start)
        .replace("@PROGRAM@", PROGRAM)
        .replace("@USER@", USER)
}

/// The unit's own ExecStart, from the drop-in that was made from it; `None` if somebody changed the drop-in.
pub(crate) fn original_exec_start(drop_in: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(drop_in).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("# Made from: "))?;
    (unit_drop_in(line) == text).then(|| line.to_owned())
}

/// The path of our drop-in for a unit.
pub(crate) fn unit_drop_in_path(unit: &str) -> PathBuf {
    Path::new("/etc/systemd/system")
        .join(format!("{unit}.d"))
        .join(UNIT_DROP_IN)
}

/// Whether this is the path of our drop-in for any unit.
pub(crate) fn is_unit_drop_in(path: &Path) -> bool {
    path.starts_with("/etc/systemd/system") && path.file_name().is_some_and(|name| name == UNIT_DROP_IN)
}

/// Whether this path is below a directory of units.
pub(crate) fn is_of_unit(path: &Path) -> bool {
    UNIT_DIRECTORIES.iter().any(|units| path.starts_with(units))
}

/// An sshd_config with our block in it, before the first Match line.
pub(crate) fn with_our_block(config: &[u8]) -> Vec<u8> {
    let at = first_match(config).unwrap_or(config.len());
    let (before, after) = config.split_at_checked(at).unwrap_or((config, &[]));
    let block = if before.is_empty() || before.ends_with(b"\n") {
        block()
    } else {
        block_after_newline()
    };
    [before, block.as_bytes(), after].concat()
}

fn block() -> String {
    format!("{BEGIN}\n{}{END}\n", two_lines())
}

/// The block where the text before it has no newline at its end.
fn block_after_newline() -> String {
    format!("\n{BEGIN_AFTER_NEWLINE}\n{}{END}\n", two_lines())
}

/// Our lines in each form in which they stand in a file together with other lines.
pub(crate) fn blocks() -> [String; 4] {
    [sshd_drop_in(), block(), block_after_newline(), two_lines()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_s_drop_in_has_the_original_exec_start_unless_somebody_changed_it() {
        let made = unit_drop_in("/usr/sbin/sshd -D $SSHD_OPTS");
        assert_eq!(
            original_exec_start(made.as_bytes()).unwrap(),
            "/usr/sbin/sshd -D $SSHD_OPTS"
        );
        assert!(made.contains("%%u %%f"));
        assert_eq!(
            original_exec_start(made.replace("-D", "-D -e").as_bytes()).map(|_| ()),
            Some(())
        );
        assert_eq!(original_exec_start(format!("{made}Nice=5\n").as_bytes()), None);
    }
}
