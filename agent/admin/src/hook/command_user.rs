//! Whether an account may be AuthorizedKeysCommandUser: nobody else may use it.
//!
//! sshd_config(5) recommends "a dedicated user that has no other role on the host": whoever runs a process as that user can
//! write to the output of the running program, and so make sshd accept a key of their own.

use std::fmt;

use crate::passwd::Account;
use eic_verify::text::printable;

/// The highest user ID of a system account if login.defs(5) does not set it: systemd's, and that of every distribution with
/// UID_MIN 1000. If login.defs has a lower limit, systemd-sysusers may still allocate IDs up to this one.
const HIGHEST_SYSTEM_UID: u32 = 999;

/// The shells of accounts to which nobody logs in, by the last part of the path: nologin(8), false(1), and null(4), which sshd
/// takes for no shell.
const NOLOGIN_SHELLS: [&str; 3] = ["nologin", "false", "null"];

/// Why an account must not be AuthorizedKeysCommandUser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unsuitable {
    /// It has root's user ID.
    Root,
    /// It has a login shell.
    Shell(String),
    /// Its user ID is not in the range of system accounts, but in that of people or of a directory service.
    NotSystem { uid: u32, highest: u32 },
    /// It has SSH keys: these allow forwarding and SFTP even without a shell.
    Keys(String),
}

impl fmt::Display for Unsuitable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("has user ID 0, which is root's"),
            Self::Shell(shell) => write!(f, "has a login shell, {}", printable(shell.as_bytes())),
            Self::NotSystem { uid, highest } => {
                write!(
                    f,
                    "is not a system account: its user ID is {uid}, and system accounts have IDs up to {highest}"
                )
            }
            Self::Keys(file) => write!(f, "has SSH keys of its own in {}", printable(file.as_bytes())),
        }
    }
}

/// Checks that nobody but sshd can run anything as this account. `login_defs` is the text of login.defs(5); `keys` is the path
/// of the account's authorized_keys, if that file exists.
///
/// # Errors
/// Why the account is not suitable.
pub(crate) fn check(account: &Account, login_defs: &str, keys: Option<&str>) -> Result<(), Unsuitable> {
    if account.uid == 0 {
        return Err(Unsuitable::Root);
    }
    let shell = if account.shell.is_empty() {
        "/bin/sh"
    } else {
        &account.shell
    };
    let last = shell.rsplit('/').next().unwrap_or_default();
    if !NOLOGIN_SHELLS.contains(&last) {
        return Err(Unsuitable::Shell(shell.to_owned()));
    }
    let highest = highest_system_uid(login_defs);
    if account.uid > highest {
        return Err(Unsuitable::NotSystem {
            uid: account.uid,
            highest,
        });
    }
    match keys {
        Some(file) => Err(Unsuitable::Keys(file.to_owned())),
        None => Ok(()),
    }
}

/// `SYS_UID_MAX`, or one less than `UID_MIN` (useradd(8)).
fn highest_system_uid(login_defs: &str) -> u32 {
    let value = |wanted: &str| {
        login_defs.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let is_it = words.next() == Some(wanted);
            words.next().filter(|_| is_it)?.parse::<u32>().ok()
        })
    };
    let limit = value("SYS_UID_MAX").or_else(|| value("UID_MIN").map(|lowest| lowest.saturating_sub(1)));
    limit.unwrap_or_default().max(HIGHEST_SYSTEM_UID)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(line: &str) -> Account {
        Account::find("ec2-instance-connect", line).unwrap()
    }

    #[test]
    fn the_accounts_that_packages_create_are_suitable() {
        for line in [
            // useradd -r -M -s /sbin/nologin
            "ec2-instance-connect:x:998:998::/home/ec2-instance-connect:/sbin/nologin",
            // adduser --system --home /nonexistent --shell /usr/sbin/nologin
            "ec2-instance-connect:x:105:65534::/nonexistent:/usr/sbin/nologin",
            // systemd-sysusers
            "root:x:0:0::/root:/bin/sh\nec2-instance-connect:!*:999:999:EC2 Instance Connect:/:/usr/sbin/nologin",
            "ec2-instance-connect:x:1:1::/:/bin/false",
        ] {
            for login_defs in ["", "#SYS_UID_MAX 99\nUID_MIN\t\t 1000\n", "SYS_UID_MAX 499\n"] {
                assert_eq!(check(&account(line), login_defs, None), Ok(()), "{line}");
            }
        }
    }

    #[test]
    fn an_account_that_somebody_can_use_is_refused() {
        let judged = |line: &str, login_defs: &str| check(&account(line), login_defs, None);
        assert_eq!(
            judged("ec2-instance-connect:x:0:0::/:/sbin/nologin", ""),
            Err(Unsuitable::Root)
        );
        let shell = |shell: &str| Err(Unsuitable::Shell(shell.to_owned()));
        assert_eq!(
            judged("ec2-instance-connect:x:998:998::/:/bin/bash", ""),
            shell("/bin/bash")
        );
        assert_eq!(judged("ec2-instance-connect:x:998:998::/:", ""), shell("/bin/sh"));
        let line = "ec2-instance-connect:*:1400001:9::/:/sbin/nologin";
        for (login_defs, highest) in [
            ("", 999),
            ("UID_MIN 2000\n", 1999),
            ("SYS_UID_MAX 1200\nUID_MIN 5000\n", 1200),
        ] {
            let uid = 1_400_001;
            assert_eq!(judged(line, login_defs), Err(Unsuitable::NotSystem { uid, highest }));
        }
        let own = account("ec2-instance-connect:x:998:998::/srv/x:/sbin/nologin");
        assert_eq!(
            check(&own, "", Some("/srv/x/.ssh/authorized_keys")),
            Err(Unsuitable::Keys("/srv/x/.ssh/authorized_keys".to_owned()))
        );
    }
}
