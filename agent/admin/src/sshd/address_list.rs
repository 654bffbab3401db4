//! Lists of networks and patterns, as `Match Address` and `Match LocalAddress` use them (`addr_match_list` in addrmatch.c).
//!
//! `ipnet` agrees with addr.c on networks, except that it accepts bits after the prefix (`10.0.0.1/8`), which sshd refuses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::pattern_list;

/// An entry of a list.
enum Entry<'a> {
    Network(IpNet),
    Pattern(&'a str),
    /// An address in a notation that getaddrinfo(3) accepts and this program does not (`127.1`, `fe80::1%eth0`), or a prefix
    /// length above 128, which only newer releases refuse.
    Unknown,
    /// sshd refuses it.
    Invalid,
}

/// The entries of a list, each with whether it is negated.
fn entries(list: &str) -> impl Iterator<Item = (bool, Entry<'_>)> {
    list.split(',').map(|entry| match entry.strip_prefix('!') {
        Some(entry) => (true, read(entry)),
        None => (false, read(entry)),
    })
}

fn read(entry: &str) -> Entry<'_> {
    let (address, length) = match entry.split_once('/') {
        Some((address, length)) => (address, Some(length.trim_ascii_start().parse::<u32>())),
        None => (entry, None),
    };
    let network = match (address.parse::<IpAddr>(), length) {
        _ if entry.is_empty() => return Entry::Invalid,
        (_, Some(Err(_))) => return Entry::Pattern(entry),
        (Err(_), _) if !is_other_notation(address) => return Entry::Pattern(entry),
        (Err(_), _) | (Ok(_), Some(Ok(129..))) => return Entry::Unknown,
        (Ok(address), None) => Some(IpNet::from(address)),
        (Ok(address), Some(Ok(length))) => u8::try_from(length)
            .ok()
            .and_then(|length| IpNet::new(address, length).ok()),
    };
    network
        .filter(|network| network.trunc() == *network)
        .map_or(Entry::Invalid, Entry::Network)
}

/// Whether a text may be an address in another notation of inet_aton(3), or with a zone.
fn is_other_notation(text: &str) -> bool {
    let is_of_numbers = text
        .chars()
        .all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | 'x' | 'X'));
    text.contains('%') || text.starts_with(|c: char| c.is_ascii_digit()) && is_of_numbers
}

/// Whether this program knows what a list matches; `None` if sshd refuses the list.
pub(crate) fn is_known(list: &str) -> Option<bool> {
    let mut known = true;
    for (_, entry) in entries(list) {
        match entry {
            Entry::Invalid => return None,
            Entry::Unknown => known = false,
            Entry::Network(_) | Entry::Pattern(_) => {}
        }
    }
    Some(known)
}

/// Whether an address matches a list: an entry matches, and no negated entry does.
pub(crate) fn matches(list: &str, address: &str) -> bool {
    let Ok(parsed) = address.parse::<IpAddr>() else {
        return false;
    };
    let mut positive = false;
    for (negated, entry) in entries(list) {
        let is_match = match entry {
            Entry::Network(network) => network.contains(&parsed),
            Entry::Pattern(pattern) => pattern_list::pattern_matches(pattern, address),
            Entry::Unknown | Entry::Invalid => false,
        };
        if is_match && negated {
            return false;
        }
        positive |= is_match;
    }
    positive
}

/// An address that matches a list: the first of a network, or a pattern with its wildcards filled in. `None` if none of these
/// matches.
pub(crate) fn example(list: &str) -> Option<String> {
    let positive = entries(list).filter(|(negated, _)| !negated);
    let mut examples = positive.flat_map(|(_, entry)| match entry {
        Entry::Network(network) => {
            let hosts = network.hosts().next().into_iter().chain([network.addr()]);
            hosts.map(|address| address.to_string()).collect()
        }
        Entry::Pattern(pattern) => vec![
            pattern.replace(['*', '?'], "1"),
            pattern.replace('*', "1.1").replace('?', "1"),
            pattern.replace('*', "1.1.1").replace('?', "1"),
            pattern.replace('*', "192.0.2.1"),
        ],
        Entry::Unknown | Entry::Invalid => Vec::new(),
    });
    examples.find(|address| matches(list, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_match_by_their_bits_and_family() {
        for (list, address, expected) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/08", "10.1.2.3", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "::1", true),
            ("10.0.0.0/8,!10.0.0.1", "10.0.0.1", false),
            ("!10.0.0.1,10.0.0.0/8", "10.0.0.1", false),
            ("fd00::1,10.0.0.1", "10.0.0.1", true),
            ("FD00::0001", "fd00::1", true),
            ("::ffff:10.0.0.1", "10.0.0.1", false),
            ("10.?.2.*", "10.1.2.3", true),
            ("10.0.0.0/x", "10.0.0.1", false),
            ("*", "::1", true),
        ] {
            assert_eq!(matches(list, address), expected, "{list} {address}");
            assert_eq!(is_known(list), Some(true), "{list}");
        }
    }

    #[test]
    fn lists_that_sshd_refuses_are_refused() {
        for list in [
            "10.0.0.1/8",
            "fd00::1/8",
            "10.0.0.0/33",
            "10.0.0.0/128",
            "10.0.0.0/8,",
            "!",
            "*,,::1",
            "*,10.0.0.1/8",
            "",
        ] {
            assert_eq!(is_known(list), None, "{list}");
        }
    }

    #[test]
    fn what_only_getaddrinfo_or_only_some_releases_take_is_not_known() {
        for list in [
            "127.1",
            "10/8",
            "0x7f.0.0.1",
            "010.0.0.1",
            "2130706433",
            "fe80::1%eth0",
            "*,10.0/16",
            "fd00::/129",
        ] {
            assert_eq!(is_known(list), Some(false), "{list}");
        }
    }

    #[test]
    fn an_example_is_made_of_a_network_or_a_pattern() {
        for (list, expected) in [
            ("10.0.0.0/8", Some("10.0.0.1")),
            ("10.0.0.0/8,!10.0.0.1", Some("10.0.0.0")),
            ("192.0.2.7", Some("192.0.2.7")),
            ("10.*", Some("10.1.1.1")),
            ("10.1.*.?", Some("10.1.1.1")),
            ("*", Some("192.0.2.1")),
            ("fd00::/8", Some("fd00::")),
            ("!10.0.0.0/8", None),
        ] {
            assert_eq!(example(list).as_deref(), expected, "{list}");
        }
    }
}
