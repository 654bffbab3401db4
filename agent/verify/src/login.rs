//! The login that sshd asks about: the user, and the key that is offered.

use std::ffi::OsStr;

use crate::text::printable;

/// The maximum length of a user name in the service's API, in characters.
const MAX_USER_CHARACTERS: usize = 32;

/// A user name that a key can be pushed for.
///
/// A record's signature does not cover the user: only the path that the record was fetched from names the user. So the
/// only names accepted are those of the API (`SendSSHPublicKey`, `InstanceOSUser`), in which no character has a special
/// meaning in a URL. Other names are never sent, not even percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// The user name in sshd's `%u`; `None` if no key can be pushed for it.
    #[must_use]
    pub fn parse(user: &OsStr) -> Option<Self> {
        let user = user.to_str()?;
        let body = match user.as_bytes() {
            [rest @ .., b'$'] if !rest.is_empty() => rest,
            whole => whole,
        };
        let starts_well = match body.first()? {
            b'0'..=b'9' => body.iter().any(|b| !b.is_ascii_digit()),
            first => first.is_ascii_alphabetic() || *first == b'_',
        };
        // In the API's pattern, the last of 32 characters can be neither `@` nor `.`.
        let fits =
            user.len() < MAX_USER_CHARACTERS || (user.len() == MAX_USER_CHARACTERS && !user.ends_with(['@', '.']));
        let known = body.iter().all(|b| b.is_ascii_alphanumeric() || b"@._-".contains(b));
        (starts_well && fits && known).then(|| Self(user.to_owned()))
    }

    /// The name, unchanged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The keys that a login asks for, according to the fingerprint of the offered key (sshd's `%f`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FingerprintFilter {
    /// Only the key with this fingerprint, in the form `SHA256:…`.
    Only(String),
    /// Every key: the fingerprint that was given is in another form (`MD5:…`), which is not used as a filter.
    AnyAs(String),
    /// Every key: no fingerprint was given.
    Any,
}

impl FingerprintFilter {
    /// The filter for sshd's `%f`; `None`: sshd is configured without `%f`.
    #[must_use]
    pub fn parse(fingerprint: Option<&OsStr>) -> Self {
        let Some(given) = fingerprint else {
            return Self::Any;
        };
        let text = printable(given.as_encoded_bytes());
        if text.starts_with("SHA256:") {
            Self::Only(text)
        } else {
            Self::AnyAs(text)
        }
    }

    /// The fingerprint that was given, as printable ASCII for the log.
    #[must_use]
    pub fn given(&self) -> Option<&str> {
        match self {
            Self::Only(text) | Self::AnyAs(text) => Some(text),
            Self::Any => None,
        }
    }

    /// Whether the login asks for the key with this fingerprint, in the form `SHA256:…`.
    #[must_use]
    pub fn matches(&self, fingerprint: &str) -> bool {
        match self {
            Self::Only(text) => text == fingerprint,
            Self::AnyAs(_) | Self::Any => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    use proptest::prelude::*;

    fn is_accepted(user: &str) -> bool {
        UserName::parse(OsStr::new(user)).is_some()
    }

    #[test]
    fn names_that_the_api_accepts_are_accepted() {
        for user in [
            "ec2-user",
            "root",
            "_apt",
            "a",
            "A",
            "user@example.com",
            "first.last",
            "machine$",
            "1a",
            "00_b",
            "12@x",
            "1..",
            "a..",
            &"a".repeat(32),
        ] {
            assert!(is_accepted(user), "{user:?}");
        }
    }

    #[test]
    fn names_that_the_api_does_not_accept_cannot_have_a_key() {
        for user in [
            "",
            "-x",
            ".",
            "..",
            "../x",
            "a/b",
            "a b",
            "a%2f",
            "a\\b",
            "DOMAIN\\user",
            "123",
            "$",
            "a$b",
            "$a",
            "@a",
            "a\n",
            "é",
            &format!("{}.", "a".repeat(31)),
            &format!("{}@", "a".repeat(31)),
            "a?b",
            "a#b",
            "--help",
            &"a".repeat(33),
        ] {
            assert!(!is_accepted(user), "{user:?}");
        }
        assert!(UserName::parse(OsStr::from_bytes(b"a\xff")).is_none());
    }

    #[test]
    fn a_sha256_fingerprint_is_a_filter_and_any_other_form_is_not() {
        let sha256 = FingerprintFilter::parse(Some(OsStr::new("SHA256:abc")));
        assert!(sha256.matches("SHA256:abc"));
        assert!(!sha256.matches("SHA256:abd"));
        let md5 = FingerprintFilter::parse(Some(OsStr::new("MD5:00:11")));
        assert!(md5.matches("SHA256:abc"));
        assert_eq!(md5.given(), Some("MD5:00:11"));
        assert!(FingerprintFilter::parse(None).matches("SHA256:abc"));
        assert_eq!(FingerprintFilter::parse(None).given(), None);
    }

    proptest! {
        /// RFC 3986 2.3 and 3.3: unreserved characters, and `@` and `$`, stand for themselves in a path segment.
        #[test]
        fn every_accepted_name_is_unchanged_in_a_url(user in "\\PC{0,40}") {
            if is_accepted(&user) {
                prop_assert!(user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._@$".contains(&b)));
                prop_assert!(user != "." && user != "..");
            }
        }
    }
}
