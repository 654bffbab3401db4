//! A connection as a Match line sees it: whether it matches, and one made up that does.

use std::net::IpAddr;

use super::pattern;

/// What Match lines judge by. Each part is given, as sshd refuses to guess one that a Match line needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) user: String,
    pub(crate) groups: Vec<String>,
    pub(crate) host: String,
    pub(crate) address: String,
    pub(crate) local_address: String,
    pub(crate) local_port: u16,
}

impl Connection {
    /// A connection like any other: TEST-NET addresses (RFC 5737), a user whom nobody has.
    pub(crate) fn ordinary() -> Self {
        Self {
            user: "eic-nobody-in-particular".to_owned(),
            groups: Vec::new(),
            host: "client.example.net".to_owned(),
            address: "192.0.2.1".to_owned(),
            local_address: "198.51.100.1".to_owned(),
            local_port: 22,
        }
    }

    /// sshd's `-C`, always complete: sshds of some releases stop at a Match line whose criterion is not given.
    pub(crate) fn specification(&self) -> String {
        format!(
            "user={},host={},addr={},laddr={},lport={}",
            self.user, self.host, self.address, self.local_address, self.local_port
        )
    }

    /// A connection that meets these criteria, where one can be made up. `members` are known users with their groups.
    pub(crate) fn meeting(criteria: &[Criterion], members: &[(String, Vec<String>)]) -> Option<Self> {
        let mut made = Self::ordinary();
        for criterion in criteria {
            match criterion {
                Criterion::All | Criterion::Version(_) => {}
                Criterion::User(list) => {
                    made.user = pattern::example(list)?;
                    made.groups = groups_of(&made.user, members);
                }
                Criterion::Group(list) if meets_groups(list, &made.groups) => {}
                Criterion::Group(list) => {
                    let users = members.iter().find(|(user, groups)| {
                        meets_groups(list, groups)
                            && criteria.iter().all(|other| match other {
                                Criterion::User(users) => pattern::list_matches(users, user),
                                Criterion::Group(list) => meets_groups(list, groups),
                                _ => true,
                            })
                    });
                    (made.user, made.groups) = users?.clone();
                }
                Criterion::Host(list) => made.host = pattern::example(&list.to_lowercase())?,
                Criterion::Address(list) => made.address = example_address(list)?,
                Criterion::LocalAddress(list) => made.local_address = example_address(list)?,
                Criterion::LocalPort(port) => made.local_port = *port,
                Criterion::Other(_) => return None,
            }
        }
        // A user or host with a comma in it, or none, would be read as something else.
        let sayable = [&made.user, &made.host].iter().all(|part| !part.contains([',', ' ']));
        (sayable && made.meets(criteria) == Some(true)).then_some(made)
    }

    /// Whether it meets all of the criteria; `None` where that cannot be told.
    pub(crate) fn meets(&self, criteria: &[Criterion]) -> Option<bool> {
        let mut unknown = false;
        for criterion in criteria {
            match self.meets_one(criterion) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => unknown = true,
            }
        }
        (!unknown).then_some(true)
    }

    fn meets_one(&self, criterion: &Criterion) -> Option<bool> {
        match criterion {
            Criterion::All => Some(true),
            Criterion::User(list) => Some(pattern::list_matches(list, &self.user)),
            Criterion::Group(list) => Some(meets_groups(list, &self.groups)),
            Criterion::Host(list) => Some(pattern::list_matches(&list.to_lowercase(), &self.host.to_lowercase())),
            Criterion::Address(list) => Some(address_matches(list, &self.address)),
            Criterion::LocalAddress(list) => Some(address_matches(list, &self.local_address)),
            Criterion::LocalPort(port) => Some(*port == self.local_port),
            Criterion::Version(_) | Criterion::Other(_) => None,
        }
    }
}

/// One criterion of a Match line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Criterion {
    All,
    User(String),
    Group(String),
    Host(String),
    Address(String),
    LocalAddress(String),
    LocalPort(u16),
    /// The release of sshd, which it alone knows.
    Version(String),
    /// One that needs what no `-C` says (a routing domain), or that this program does not know.
    Other(String),
}

impl Criterion {
    /// The criteria of a Match line, from the words behind `Match`; `None` where sshd would refuse them.
    pub(crate) fn read(words: &[String]) -> Option<Vec<Self>> {
        let mut criteria = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            let name = name.to_ascii_lowercase();
            if matches!(name.as_str(), "all" | "invalid-user") && value.is_none() {
                criteria.push(if name == "all" { Self::All } else { Self::Other(name) });
                continue;
            }
            let value = match value {
                Some(value) => value.to_owned(),
                None => words.next()?.clone(),
            };
            if value.is_empty() {
                return None;
            }
            criteria.push(match name.as_str() {
                "user" => Self::User(value),
                "group" => Self::Group(value),
                "host" => Self::Host(value),
                "address" => Self::Address(value),
                "localaddress" => Self::LocalAddress(value),
                "localport" => Self::LocalPort(value.parse().ok()?),
                "version" => Self::Version(value),
                _ => Self::Other(name),
            });
        }
        let alone = criteria.len() == 1 || !criteria.contains(&Self::All);
        (alone && !criteria.is_empty()).then_some(criteria)
    }
}

fn groups_of(user: &str, members: &[(String, Vec<String>)]) -> Vec<String> {
    let found = members.iter().find(|(name, _)| name == user);
    found.map(|(_, groups)| groups.clone()).unwrap_or_default()
}

/// `ga_match_pattern_list`: one group matches, and none is negated.
fn meets_groups(list: &str, groups: &[String]) -> bool {
    let negated = |group: &String| {
        let mut negatives = list.split(',').filter_map(|pattern| pattern.strip_prefix('!'));
        negatives.any(|pattern| pattern::matches(pattern, group))
    };
    !groups.iter().any(negated) && groups.iter().any(|group| pattern::list_matches(list, group))
}

/// `addr_match_list`: networks (`10.0.0.0/8`), and patterns where it is no network.
fn address_matches(list: &str, address: &str) -> bool {
    let parsed: Option<IpAddr> = address.parse().ok();
    let mut positive = false;
    for entry in list.split(',') {
        let (negated, entry) = match entry.strip_prefix('!') {
            Some(entry) => (true, entry),
            None => (false, entry),
        };
        let matches = match (network(entry), parsed) {
            (Some((net, bits)), Some(address)) => masked(address, bits) == masked(net, bits),
            (Some(_), None) => false,
            (None, _) => pattern::matches(entry, address),
        };
        if matches && negated {
            return false;
        }
        positive |= matches;
    }
    positive
}

fn network(entry: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match entry.split_once('/') {
        Some((address, bits)) => (address.parse().ok()?, Some(bits.parse().ok()?)),
        None => (entry.parse().ok()?, None),
    };
    let all = if matches!(address, IpAddr::V4(_)) { 32 } else { 128 };
    let bits = bits.unwrap_or(all);
    (bits <= all).then_some((address, bits))
}

/// The first bits of an address, the family beside them.
fn masked(address: IpAddr, bits: u32) -> (bool, u128) {
    let (is_v6, number, all) = match address {
        IpAddr::V4(address) => (false, u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (true, u128::from(address), 128),
    };
    (is_v6, number.checked_shr(all - bits).unwrap_or(0))
}

/// An address that matches a list, where one is easily made: of a network its first, of a pattern with ones filled in.
fn example_address(list: &str) -> Option<String> {
    let positive = list.split(',').filter(|entry| !entry.starts_with('!'));
    let mut examples = positive.flat_map(|entry| match network(entry) {
        Some((address, bits)) => {
            let spare = if matches!(address, IpAddr::V4(_)) { 32 } else { 128 } - bits;
            let next = match address {
                IpAddr::V4(address) if spare > 1 => IpAddr::V4(u32::from(address).wrapping_add(1).into()),
                IpAddr::V6(address) if spare > 1 => IpAddr::V6(u128::from(address).wrapping_add(1).into()),
                exact => exact,
            };
            vec![next.to_string(), address.to_string()]
        }
        None => vec![
            entry.replace(['*', '?'], "1"),
            entry.replace('*', "1.1").replace('?', "1"),
            entry.replace('*', "1.1.1").replace('?', "1"),
            entry.replace('*', "192.0.2.1"),
        ],
    });
    examples.find(|address| address.parse::<IpAddr>().is_ok() && address_matches(list, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn criteria(line: &str) -> Option<Vec<Criterion>> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Criterion::read(&words)
    }

    #[test]
    fn a_connection_is_made_up_for_each_kind_of_criterion() {
        let members = [
            ("root".to_owned(), vec!["root".to_owned()]),
            ("ann".to_owned(), vec!["ann".to_owned(), "sftp".to_owned()]),
        ];
        for line in [
            "all",
            "user git",
            "user=git",
            "user *,!eic-nobody-in-particular,!x",
            "group sftp",
            "user a* group sftp",
            "host *.Example.org",
            "address 10.0.0.0/8,!10.0.0.1",
            "address 10.*",
            "address fd00::/8",
            "localaddress 127.0.0.1",
            "localport 2222",
            "user git address 192.0.2.0/24 localport 22",
        ] {
            let criteria = criteria(line).unwrap();
            let made = Connection::meeting(&criteria, &members);
            assert!(made.is_some(), "{line}");
        }
        for line in ["group wheel", "user !git", "rdomain x", "address !10.0.0.0/8"] {
            let criteria = criteria(line).unwrap();
            assert_eq!(Connection::meeting(&criteria, &members), None, "{line}");
        }
    }

    #[test]
    fn criteria_that_sshd_refuses_are_refused() {
        for line in ["", "user", "all user a", "user a all", "localport x"] {
            assert_eq!(criteria(line), None, "{line:?}");
        }
        assert_eq!(Criterion::read(&[]), None);
    }

    #[test]
    fn networks_match_by_their_bits_and_family() {
        assert!(address_matches("10.0.0.0/8", "10.1.2.3"));
        assert!(!address_matches("10.0.0.0/8", "11.1.2.3"));
        assert!(!address_matches("0.0.0.0/0", "::1"));
        assert!(address_matches("::/0", "::1"));
        assert!(!address_matches("10.0.0.0/8,!10.0.0.1", "10.0.0.1"));
    }
}
