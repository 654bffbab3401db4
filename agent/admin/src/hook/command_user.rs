//! Whether an account may be the one that sshd runs the program as: nobody else may use it.
//!
//! sshd_config(5) asks for "a user that has no other role on the host": whoever runs as that user can write into the
//! running program's output, and so have sshd accept a key of their own.

use std::fmt;

use eic_verify::text::printable;

/// The highest user ID of a system account where login.defs(5) does not say: systemd's, and that of every distribution
/// with a UID_MIN of 1000. Where login.defs has less, systemd-sysusers may still have taken one up to here.
const HIGHEST_SYSTEM_UID: u32 = 999;

/// What a login shell is replaced with where nobody is to log in, by the last part of its path: nologin(8), false(1), and
/// null(4), which sshd takes for no shell at all.
const NO_SHELLS: [&str; 3] = ["nologin", "false", "null"];

/// An account, as passwd(5) has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: String,
    shell: String,
}

/// Why an account must not be the program's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It is root by another name.
    Root,
    /// Somebody can log in to it: sshd_config(5), `AuthorizedKeysCommandUser`.
    Shell(String),
    /// Its user ID is one of those for people, or of a directory's.
    NotSystem { uid: u32, highest: u32 },
    /// It has SSH keys, which open forwardings and SFTP also without a shell.
    Keys(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("has user ID 0, which is root's"),
            Self::Shell(shell) => write!(f, "has a login shell, {}", printable(shell.as_bytes())),
            Self::NotSystem { uid, highest } => {
                write!(
                    f,
                    "is not a system account: its user ID is {uid}, and theirs go up to {highest}"
                )
            }
            Self::Keys(file) => write!(f, "has SSH keys of its own in {}", printable(file.as_bytes())),
        }
    }
}

impl Account {
    /// The account of this name among lines of passwd(5).
    pub(crate) fn find(name: &str, lines: &str) -> Option<Self> {
        lines.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [its_name, _, uid, gid, _, home, shell] = fields.as_slice() else {
                return None;
            };
            let uid = uid.parse().ok().filter(|_| *its_name == name)?;
            Some(Self {
                uid,
                gid: gid.parse().ok()?,
                home: (*home).to_owned(),
                shell: (*shell).to_owned(),
            })
        })
    }

    /// Whether nobody but sshd can run anything as it. `login_defs` is login.defs(5); `keys` is its authorized_keys, where
    /// there is such a file.
    pub(crate) fn judge(&self, login_defs: &str, keys: Option<&str>) -> Result<(), Unfit> {
        if self.uid == 0 {
            return Err(Unfit::Root);
        }
        // An empty field stands for /bin/sh.
        let shell = if self.shell.is_empty() { "/bin/sh" } else { &self.shell };
        let last = shell.rsplit('/').next().unwrap_or_default();
        if !NO_SHELLS.contains(&last) {
            return Err(Unfit::Shell(shell.to_owned()));
        }
        let highest = highest_system_uid(login_defs);
        if self.uid > highest {
            return Err(Unfit::NotSystem { uid: self.uid, highest });
        }
        match keys {
            Some(file) => Err(Unfit::Keys(file.to_owned())),
            None => Ok(()),
        }
    }
}

/// `SYS_UID_MAX`, or else one below `UID_MIN` (useradd(8)).
fn highest_system_uid(login_defs: &str) -> u32 {
    let value = |wanted: &str| {
        login_defs.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let is_it = words.next() == Some(wanted);
            words.next().filter(|_| is_it)?.parse::<u32>().ok()
        })
    };
    let said = value("SYS_UID_MAX").or_else(|| value("UID_MIN").map(|lowest| lowest.saturating_sub(1)));
    said.unwrap_or_default().max(HIGHEST_SYSTEM_UID)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(line: &str) -> Account {
        Account::find("ec2-instance-connect", line).unwrap()
    }

    #[test]
    fn the_accounts_that_packages_make_are_fit() {
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
                assert_eq!(account(line).judge(login_defs, None), Ok(()), "{line}");
            }
        }
    }

    #[test]
    fn an_account_that_somebody_can_use_is_refused() {
        let judge = |line: &str, login_defs: &str| account(line).judge(login_defs, None);
        assert_eq!(
            judge("ec2-instance-connect:x:0:0::/:/sbin/nologin", ""),
            Err(Unfit::Root)
        );
        let shell = |shell: &str| Err(Unfit::Shell(shell.to_owned()));
        assert_eq!(
            judge("ec2-instance-connect:x:998:998::/:/bin/bash", ""),
            shell("/bin/bash")
        );
        assert_eq!(judge("ec2-instance-connect:x:998:998::/:", ""), shell("/bin/sh"));
        let line = "ec2-instance-connect:*:1400001:9::/:/sbin/nologin";
        for (login_defs, highest) in [
            ("", 999),
            ("UID_MIN 2000\n", 1999),
            ("SYS_UID_MAX 1200\nUID_MIN 5000\n", 1200),
        ] {
            let uid = 1_400_001;
            assert_eq!(judge(line, login_defs), Err(Unfit::NotSystem { uid, highest }));
        }
        let own = account("ec2-instance-connect:x:998:998::/srv/x:/sbin/nologin");
        assert_eq!(
            own.judge("", Some("/srv/x/.ssh/authorized_keys")),
            Err(Unfit::Keys("/srv/x/.ssh/authorized_keys".to_owned()))
        );
    }

    #[test]
    fn only_a_whole_line_of_that_name_is_the_account() {
        for lines in [
            "",
            "ec2-instance-connect2:x:1:1::/:/bin/sh",
            "ec2-instance-connect:x:1:1",
            "+ec2-instance-connect::::::",
        ] {
            assert_eq!(Account::find("ec2-instance-connect", lines), None, "{lines}");
        }
    }
}
