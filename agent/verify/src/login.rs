//! What sshd asks for: the keys of one user, perhaps of one fingerprint only.

use std::ffi::OsStr;

use super::text::printable;

/// The longest user name that the service takes, in characters.
const LONGEST_USER: usize = 32;

/// A user name that the service would take a key for.
///
/// The signature on a record does not cover the user: only the path that the record was fetched from does. So the
/// grammar is the API's own (`SendSSHPublicKey`, `InstanceOSUser`), in which every character stands for itself in a
/// URL, and what is outside it is never sent, not even encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// The user name in sshd's `%u`; `None` where nobody can have pushed a key for it.
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
        // The grammar's last character, where all 32 are there, is of a class without `@` and `.`.
        let fits = user.len() < LONGEST_USER || (user.len() == LONGEST_USER && !user.ends_with(['@', '.']));
        let known = body.iter().all(|b| b.is_ascii_alphanumeric() || b"@._-".contains(b));
        (starts_well && fits && known).then(|| Self(user.to_owned()))
    }

    /// The name, exactly as sshd gave it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The fingerprint in sshd's `%f`: which key somebody is offering just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Only the key with this `SHA256:` fingerprint.
    Key(String),
    /// Every key that holds, for sshd to pick from: a fingerprint was given, in a form that is no filter (`MD5:…`).
    AnyAs(String),
    /// Every key that holds; no fingerprint was given.
    Any,
}

impl Wanted {
    /// What to look for, by sshd's second argument.
    #[must_use]
    pub fn parse(fingerprint: Option<&OsStr>) -> Self {
        let Some(given) = fingerprint else {
            return Self::Any;
        };
        let text = printable(given.as_encoded_bytes());
        if text.starts_with("SHA256:") {
            Self::Key(text)
        } else {
            Self::AnyAs(text)
        }
    }

    /// The fingerprint as it was given, made fit to be logged.
    #[must_use]
    pub fn given(&self) -> Option<&str> {
        match self {
            Self::Key(text) | Self::AnyAs(text) => Some(text),
            Self::Any => None,
        }
    }

    /// Whether a key with the fingerprint `fingerprint` (in the form `SHA256:…`) is looked for.
    #[must_use]
    pub fn includes(&self, fingerprint: &str) -> bool {
        match self {
            Self::Key(text) => text == fingerprint,
            Self::AnyAs(_) | Self::Any => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    use proptest::prelude::*;

    fn taken(user: &str) -> bool {
        UserName::parse(OsStr::new(user)).is_some()
    }

    #[test]
    fn names_of_the_api_s_grammar_are_taken() {
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
            assert!(taken(user), "{user:?}");
        }
    }

    #[test]
    fn names_outside_the_api_s_grammar_cannot_have_a_key() {
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
            assert!(!taken(user), "{user:?}");
        }
        assert!(UserName::parse(OsStr::from_bytes(b"a\xff")).is_none());
    }

    #[test]
    fn a_sha256_fingerprint_is_a_filter_and_any_other_form_is_not() {
        let sha256 = Wanted::parse(Some(OsStr::new("SHA256:abc")));
        assert!(sha256.includes("SHA256:abc"));
        assert!(!sha256.includes("SHA256:abd"));
        let md5 = Wanted::parse(Some(OsStr::new("MD5:00:11")));
        assert!(md5.includes("SHA256:abc"));
        assert_eq!(md5.given(), Some("MD5:00:11"));
        assert!(Wanted::parse(None).includes("SHA256:abc"));
        assert_eq!(Wanted::parse(None).given(), None);
    }

    proptest! {
        /// RFC 3986 2.3 and 3.3: unreserved characters, and `@` and `$`, stand for themselves in a path segment.
        #[test]
        fn every_name_that_is_taken_stands_for_itself_in_a_url(user in "\\PC{0,40}") {
            if taken(&user) {
                prop_assert!(user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._@$".contains(&b)));
                prop_assert!(user != "." && user != "..");
            }
        }
    }
}
