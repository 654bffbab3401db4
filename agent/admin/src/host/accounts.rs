//! Looks an account up where sshd does: in every source that the name service switch has.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::root_directory::Disk;
use super::subprocess;
use super::temporary_directory::Scratch;
use crate::hook::command_user::Account;
use crate::sshd::sshd_config::Files;
use eic_verify::text::printable;

/// How long a directory (LDAP, SSSD) may take. A local account is found without it where `files` comes first, as in every
/// distribution; SSSD answers from its cache, or gives up on a dead directory, within some seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// What getent(1) ends with where there is no such account.
const NOT_FOUND: i32 = 2;

/// The account of this name; `None` where there is none. Of another root, /etc/passwd alone is read.
///
/// # Errors
/// What kept it from being looked up.
pub(crate) fn account(disk: &Disk, scratch: &Scratch, name: &str) -> Result<Option<Account>, String> {
    let words = |text: &str| printable(text.trim().as_bytes());
    if !disk.is_own_root() {
        return Ok(in_file(disk, name));
    }
    let mut command = Command::new("getent");
    command.args(["passwd", name]);
    match subprocess::run_within(PATIENCE, command, scratch.on_host()) {
        Ok(ended) if ended.status == Some(0) => match Account::find(name, &ended.stdout) {
            Some(account) => Ok(Some(account)),
            None => Err(format!("getent printed \"{}\"", words(&ended.stdout))),
        },
        Ok(ended) if ended.status == Some(NOT_FOUND) => Ok(None),
        Ok(ended) => Err(format!("getent failed: {}", words(&ended.stderr))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(in_file(disk, name)),
        Err(error) => Err(format!("getent: {error}")),
    }
}

/// The account of this name in /etc/passwd.
pub(crate) fn in_file(disk: &Disk, name: &str) -> Option<Account> {
    let passwd = disk.read(Path::new("/etc/passwd")).unwrap_or_default();
    Account::find(name, &String::from_utf8_lossy(&passwd))
}
