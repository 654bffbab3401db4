//! nameConstraints (RFC 5280 4.2.1.10), applied to a DNS name.

use x509_parser::extensions::{GeneralSubtree, NameConstraints};
use x509_parser::prelude::GeneralName;

/// Whether the constraints permit this DNS name. If they cannot be read in full, they permit nothing.
pub(super) fn permits_dns_name(constraints: &NameConstraints<'_>, name: &str) -> bool {
    let matches_dns = |tree: &GeneralSubtree<'_>| match tree.base {
        GeneralName::DNSName(base) => Some(is_within(name, base)),
        _ => None,
    };
    // x509-parser drops a list that it cannot read, and both lists if the first one is empty (RFC 5280 requires a subtree).
    let lists = [&constraints.permitted_subtrees, &constraints.excluded_subtrees];
    let unreadable = |tree: &GeneralSubtree<'_>| matches!(tree.base, GeneralName::Invalid(..));
    if lists.iter().all(|list| list.is_none()) || lists.into_iter().flatten().flatten().any(unreadable) {
        return false;
    }
    let mut permitted = constraints
        .permitted_subtrees
        .iter()
        .flatten()
        .filter_map(matches_dns)
        .peekable();
    let permits = permitted.peek().is_none() || permitted.any(|within| within);
    let excludes = constraints
        .excluded_subtrees
        .iter()
        .flatten()
        .filter_map(matches_dns)
        .any(|within| within);
    permits && !excludes
}

/// Whether `name` is `base` or a subdomain of it; only a subdomain if `base` starts with a dot.
fn is_within(name: &str, base: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let base = base.to_ascii_lowercase();
    let below = base.trim_start_matches('.');
    below.is_empty() || (name == base) || name.strip_suffix(below).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_within_itself_and_its_parents() {
        for base in ["", "com", "example.com", ".example.com", "a.example.com", "EXAMPLE.com"] {
            assert!(is_within("a.example.com", base), "{base}");
        }
        for base in [
            "xample.com",
            ".a.example.com",
            "b.example.com",
            "b.a.example.com",
            "org",
        ] {
            assert!(!is_within("a.example.com", base), "{base}");
        }
    }
}
