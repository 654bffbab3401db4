//! A connection, as the criteria of Match lines see it: whether it meets them, and how to construct one that does.

use super::{address_list, pattern_list};

/// The attributes that Match criteria test. All are set: sshd fails on a criterion whose attribute it does not know.
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
    /// A connection that no special rule is written for: TEST-NET addresses (RFC 5737), and a user that does not exist.
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

    /// The connection as sshd's `-C` takes it, always complete: some releases of sshd fail on a criterion that is not given.
    pub(crate) fn specification(&self) -> String {
        format!(
            "user={},host={},addr={},laddr={},lport={}",
            self.user, self.host, self.address, self.local_address, self.local_port
        )
    }

    /// A connection that meets these criteria; `None` if none can be constructed. `users` are known users with their groups.
    pub(crate) fn meeting(criteria: &[Criterion], users: &[(String, Vec<String>)]) -> Option<Self> {
        let mut made = Self::ordinary();
        for criterion in criteria {
            match criterion {
                Criterion::All | Criterion::Version(_) => {}
                Criterion::User(list) => {
                    made.user = pattern_list::example(list)?;
                    made.groups = groups_of(&made.user, users);
                }
                Criterion::Group(list) if meets_groups(list, &made.groups) => {}
                Criterion::Group(list) => {
                    let member = users.iter().find(|(user, groups)| {
                        meets_groups(list, groups)
                            && criteria.iter().all(|other| match other {
                                Criterion::User(list) => pattern_list::matches(list, user),
                                Criterion::Group(list) => meets_groups(list, groups),
                                _ => true,
                            })
                    });
                    (made.user, made.groups) = member?.clone();
                }
                Criterion::Host(list) => made.host = pattern_list::example(&list.to_ascii_lowercase())?,
                Criterion::Address(list) => made.address = address_list::example(list)?,
                Criterion::LocalAddress(list) => made.local_address = address_list::example(list)?,
                Criterion::LocalPort(port) => made.local_port = *port,
                Criterion::Other(_) => return None,
            }
        }
        // `-C` cannot express a user or host that contains a comma.
        let is_expressible = [&made.user, &made.host].iter().all(|part| !part.contains([',', ' ']));
        (is_expressible && made.meets(criteria) == Some(true)).then_some(made)
    }

    /// Whether it meets all of the criteria; `None` if only sshd can tell.
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
            Criterion::User(list) => Some(pattern_list::matches(list, &self.user)),
            Criterion::Group(list) => Some(meets_groups(list, &self.groups)),
            Criterion::Host(list) => {
                let [list, host] = [list, &self.host].map(|text| text.to_ascii_lowercase());
                Some(pattern_list::matches(&list, &host))
            }
            Criterion::Address(list) => Some(address_list::matches(list, &self.address)),
            Criterion::LocalAddress(list) => Some(address_list::matches(list, &self.local_address)),
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
    /// The release of sshd, which only sshd knows.
    Version(String),
    /// A criterion that `-C` cannot express (a routing domain), or that this program does not know.
    Other(String),
}

impl Criterion {
    /// Reads the criteria of a Match line from its arguments; `None` if sshd would refuse them. `service_port` returns the port of
    /// a TCP service (services(5)).
    ///
    /// Quotes and escapes are read as by sshd from 9.9 on. Older releases know only double quotes.
    pub(crate) fn read(words: &[String], service_port: &dyn Fn(&str) -> Option<u16>) -> Option<Vec<Self>> {
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
                "address" | "localaddress" if !address_list::is_known(&value)? => Self::Other(name),
                "address" => Self::Address(value),
                "localaddress" => Self::LocalAddress(value),
                "localport" => Self::LocalPort(value.parse().ok().or_else(|| service_port(&value))?),
                "version" => Self::Version(value),
                _ => Self::Other(name),
            });
        }
        let alone = criteria.len() == 1 || !criteria.contains(&Self::All);
        (alone && !criteria.is_empty()).then_some(criteria)
    }
}

/// The port of a TCP service by its name or an alias, from the text of services(5).
pub(crate) fn service_port(services: &[u8], name: &str) -> Option<u16> {
    String::from_utf8_lossy(services).lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let official = words.next()?;
        let port = words.next()?.strip_suffix("/tcp")?;
        let mut names = words.chain([official]);
        names.any(|its| its == name).then(|| port.parse().ok()).flatten()
    })
}

fn groups_of(user: &str, users: &[(String, Vec<String>)]) -> Vec<String> {
    let found = users.iter().find(|(name, _)| name == user);
    found.map(|(_, groups)| groups.clone()).unwrap_or_default()
}

/// Whether one group matches the list and none matches a negated pattern (`ga_match_pattern_list` in groupaccess.c).
fn meets_groups(list: &str, groups: &[String]) -> bool {
    let negated = |group: &String| {
        let mut negatives = list.split(',').filter_map(|pattern| pattern.strip_prefix('!'));
        negatives.any(|pattern| pattern_list::pattern_matches(pattern, group))
    };
    !groups.iter().any(negated) && groups.iter().any(|group| pattern_list::matches(list, group))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn criteria(line: &str) -> Option<Vec<Criterion>> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Criterion::read(&words, &|name| (name == "ssh").then_some(22))
    }

    #[test]
    fn a_connection_is_constructed_for_each_kind_of_criterion() {
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
            "localport ssh",
            "user git address 192.0.2.0/24 localport 22",
        ] {
            let criteria = criteria(line).unwrap();
            let made = Connection::meeting(&criteria, &members);
            assert!(made.is_some(), "{line}");
        }
        for line in [
            "group wheel",
            "user !git",
            "rdomain x",
            "address !10.0.0.0/8",
            "address 127.1",
        ] {
            let criteria = criteria(line).unwrap();
            assert_eq!(Connection::meeting(&criteria, &members), None, "{line}");
        }
    }

    #[test]
    fn criteria_that_sshd_refuses_are_refused() {
        for line in [
            "",
            "user",
            "all user a",
            "user a all",
            "localport x",
            "address 10.0.0.1/8",
            "localaddress 10.0.0.1,",
        ] {
            assert_eq!(criteria(line), None, "{line:?}");
        }
        assert_eq!(Criterion::read(&[], &|_| None), None);
    }

    #[test]
    fn a_service_has_the_port_that_etc_services_gives_it_for_tcp() {
        let services = b"# ssh 1/tcp\nssh\t22/udp\nssh\t\t22/tcp\t\t\t# SSH\nhttp-alt 8080/tcp webcache\n";
        for (name, port) in [("ssh", Some(22)), ("webcache", Some(8080)), ("SSH", None), ("#", None)] {
            assert_eq!(service_port(services, name), port, "{name}");
        }
    }
}
