//! Looks up an account where sshd does: in every source of the name service switch (nsswitch.conf(5)).

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::root_directory::RootDirectory;
use super::subprocess;
use super::temporary_directory::TemporaryDirectory;
use crate::files::Files;
use crate::passwd::Account;
use eic_verify::text;

/// How long the lookup may take. A local account is found without LDAP or SSSD if `files` comes first, as in every
/// distribution; SSSD answers from its cache, or gives up on a server that does not answer, within a few seconds.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The exit status of getent(1) if there is no such account.
const NOT_FOUND: i32 = 2;

/// Looks up an account by name; `None` if there is none. In another root directory, only /etc/passwd is read.
///
/// # Errors
/// Why the lookup failed.
pub(crate) fn look_up(
    root: &RootDirectory,
    temporary: &TemporaryDirectory,
    name: &str,
) -> Result<Option<Account>, String> {
    let printable = |output: &str| text::printable(output.trim().as_bytes());
    if !root.is_running_system() {
        return Ok(in_passwd(root, name));
    }
    let mut command = Command::new("getent");
    command.args(["passwd", name]);
    match subprocess::run_within(TIMEOUT, command, temporary.on_host()) {
        Ok(output) if output.status == Some(0) => match Account::find(name, &output.stdout) {
            Some(account) => Ok(Some(account)),
            None => Err(format!("getent printed \"{}\"", printable(&output.stdout))),
        },
        Ok(output) if output.status == Some(NOT_FOUND) => Ok(None),
        Ok(output) => Err(format!("getent failed: {}", printable(&output.stderr))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(in_passwd(root, name)),
        Err(error) => Err(format!("getent: {error}")),
    }
}

/// The account of this name in /etc/passwd.
pub(crate) fn in_passwd(root: &RootDirectory, name: &str) -> Option<Account> {
    let passwd = root.read(Path::new("/etc/passwd")).unwrap_or_default();
    Account::find(name, &String::from_utf8_lossy(&passwd))
}
