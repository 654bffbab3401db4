//! The accounts of passwd(5) and the groups of group(5), read from their text.
#![deny(clippy::disallowed_methods)]

/// An entry of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The home directory.
    pub(crate) home: String,
    /// The login shell; empty stands for `/bin/sh`.
    pub(crate) shell: String,
}

impl Account {
    /// Finds an account by its name.
    pub(crate) fn find(name: &str, passwd: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
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
}

/// The users in `/etc/passwd`, each with the names of its groups in `/etc/group`.
pub(crate) fn users_with_groups(passwd: &str, group: &str) -> Vec<(String, Vec<String>)> {
    let groups: Vec<Vec<&str>> = group.lines().map(|line| line.split(':').collect()).collect();
    let users = passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (user, gid) = (*fields.first()?, *fields.get(3)?);
        let of_user = groups.iter().filter_map(|fields| match fields.as_slice() {
            [name, _, its_gid, its_users] => {
                let is_member = *its_gid == gid || its_users.split(',').any(|member| member == user);
                is_member.then(|| (*name).to_owned())
            }
            _ => None,
        });
        Some((user.to_owned(), of_user.collect()))
    });
    users.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_entry_of_that_name_is_the_account() {
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
