//! The pushed public key: the accepted key types, and the form in which a key is printed.

use std::error::Error;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ssh_key::HashAlg;
use ssh_key::public::KeyData;

use crate::text::quoted;

/// The key types that sshd accepts and the service can push. ssh-dss is not accepted because it is broken, certificates
/// because their CA would decide about the login instead of the record's signer.
const ACCEPTED: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// The minimum size of an RSA modulus, in bits: the service's minimum.
const RSA_MIN_BITS: usize = 2048;

/// The maximum size of an RSA modulus, in bits: OpenSSH's own maximum (`SSHBUF_MAX_BIGNUM`).
const RSA_MAX_BITS: usize = 16384;

/// A well-formed SSH public key of an accepted type. It need not be verified: see [`VerifiedKey`](crate::VerifiedKey).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key_type: &'static str,
    blob: Vec<u8>,
    fingerprint: String,
}

impl PublicKey {
    /// Parses a key line: key type, base64, and an optional comment, separated by any number of spaces and tabs, because
    /// users paste keys. As in OpenSSH, a carriage return at the end belongs to the end of the line.
    ///
    /// # Errors
    /// [`PublicKeyError`] if the line is malformed or the key is not accepted.
    pub fn parse(line: &[u8]) -> Result<Self, PublicKeyError> {
        let mut words = line
            .strip_suffix(b"\r")
            .unwrap_or(line)
            .split(|b| matches!(b, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        let word = words.next().unwrap_or_default();
        let key_type = ACCEPTED
            .into_iter()
            .find(|key_type| key_type.as_bytes() == word)
            .ok_or_else(|| PublicKeyError::Type(quoted(word)))?;
        let blob = STANDARD
            .decode(words.next().ok_or(PublicKeyError::NoKey)?)
            .map_err(|_| PublicKeyError::Base64)?;
        // ssh-key's error can contain any part of the key.
        let malformed = |error: ssh_key::Error| PublicKeyError::Malformed(quoted(error.to_string().as_bytes()));
        let key = ssh_key::PublicKey::from_bytes(&blob).map_err(malformed)?;
        if key.algorithm().as_str() != key_type {
            return Err(PublicKeyError::OtherType {
                line: key_type,
                key: quoted(key.algorithm().as_str().as_bytes()),
            });
        }
        check_rsa_size(key.key_data())?;
        Ok(Self {
            key_type,
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
            // Encoded again from the parsed fields, so that nothing else is printed.
            blob: key.to_bytes().map_err(malformed)?,
        })
    }

    /// The fingerprint in the form of sshd's `%f`: `SHA256:` and base64 without padding.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The key as a line of an `authorized_keys` file: key type and base64, without options, comment or line feed.
    #[must_use]
    pub fn authorized_keys_line(&self) -> String {
        format!("{} {}", self.key_type, STANDARD.encode(&self.blob))
    }
}

fn check_rsa_size(key: &KeyData) -> Result<(), PublicKeyError> {
    let KeyData::Rsa(rsa) = key else {
        return Ok(());
    };
    let modulus = rsa.n.as_positive_bytes().unwrap_or_default();
    let leading_zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = modulus.len() * 8 - leading_zeros;
    if (RSA_MIN_BITS..=RSA_MAX_BITS).contains(&bits) {
        Ok(())
    } else {
        Err(PublicKeyError::RsaBits(bits))
    }
}

/// Why a key line is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// The line starts with this word instead of an accepted key type: options, the type of a certificate, ssh-dss.
    Type(String),
    /// Nothing follows the key type.
    NoKey,
    /// The word after the key type is not valid base64.
    Base64,
    /// The key is malformed.
    Malformed(String),
    /// The key is not of the type that the line has.
    OtherType {
        /// The key type in the line.
        line: &'static str,
        /// The key type in the key itself.
        key: String,
    },
    /// The RSA modulus has this many bits.
    RsaBits(usize),
}

impl fmt::Display for PublicKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(word) => write!(f, "key line starts with \"{word}\", which is not an accepted key type"),
            Self::NoKey => f.write_str("key line ends after the key type"),
            Self::Base64 => f.write_str("key is not valid base64"),
            Self::Malformed(why) => write!(f, "key is malformed: {why}"),
            Self::OtherType { line, key } => {
                write!(f, "key line has the key type {line}, but the key is of type {key}")
            }
            Self::RsaBits(bits) => write!(
                f,
                "RSA key has {bits} bits; {RSA_MIN_BITS} to {RSA_MAX_BITS} are accepted"
            ),
        }
    }
}

impl Error for PublicKeyError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An SSH wire string (RFC 4251 section 5).
    fn string(bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap();
        [&length.to_be_bytes()[..], bytes].concat()
    }

    fn ed25519() -> Vec<u8> {
        [string(b"ssh-ed25519"), string(&[7; 32])].concat()
    }

    fn rsa(bits: usize) -> Vec<u8> {
        let mut modulus = vec![0];
        modulus.extend(vec![0xff; bits.div_ceil(8)]);
        if !bits.is_multiple_of(8) {
            modulus.remove(0);
            modulus[0] = 0xff >> (8 - bits % 8);
        }
        [string(b"ssh-rsa"), string(&[1, 0, 1]), string(&modulus)].concat()
    }

    fn line(kind: &str, blob: &[u8]) -> Vec<u8> {
        format!("{kind} {}", STANDARD.encode(blob)).into_bytes()
    }

    #[test]
    fn a_comment_and_extra_blanks_are_not_printed() {
        let tidy = line("ssh-ed25519", &ed25519());
        let text = String::from_utf8(tidy.clone()).unwrap();
        let untidy = format!(" {}\t a comment ", text.replace(' ', " \t "));
        let key = PublicKey::parse(untidy.as_bytes()).unwrap();
        assert_eq!(key.authorized_keys_line().as_bytes(), tidy);
    }

    #[test]
    fn every_key_type_that_the_service_can_push_is_accepted() {
        let point = |length: usize| [vec![4], vec![1; length]].concat();
        let ecdsa = |size: u16, length| {
            let name = format!("nistp{size}");
            let kind = format!("ecdsa-sha2-{name}");
            let blob = [string(kind.as_bytes()), string(name.as_bytes()), string(&point(length))].concat();
            line(&kind, &blob)
        };
        let sk_ed25519 = [string(b"sk-ssh-ed25519@openssh.com"), string(&[7; 32]), string(b"ssh:")].concat();
        let sk_ecdsa = [
            string(b"sk-ecdsa-sha2-nistp256@openssh.com"),
            string(b"nistp256"),
            string(&point(64)),
            string(b"ssh:"),
        ]
        .concat();
        for key in [
            line("ssh-ed25519", &ed25519()),
            line("ssh-rsa", &rsa(2048)),
            line("ssh-rsa", &rsa(16384)),
            ecdsa(256, 64),
            ecdsa(384, 96),
            ecdsa(521, 132),
            line("sk-ssh-ed25519@openssh.com", &sk_ed25519),
            line("sk-ecdsa-sha2-nistp256@openssh.com", &sk_ecdsa),
        ] {
            let parsed = PublicKey::parse(&key).map(|key| key.authorized_keys_line().into_bytes());
            assert_eq!(parsed.as_ref(), Ok(&key), "{}", String::from_utf8_lossy(&key));
        }
    }

    #[test]
    fn dss_certificates_and_options_are_refused() {
        for kind in [
            "ssh-dss",
            "ssh-ed25519-cert-v01@openssh.com",
            "command=\"/bin/sh\"",
            "SSH-RSA",
            "",
        ] {
            let text = format!("{kind} AAAA");
            assert!(
                matches!(PublicKey::parse(text.as_bytes()), Err(PublicKeyError::Type(_))),
                "{kind}"
            );
        }
        let with_option = [b"no-pty ".to_vec(), line("ssh-ed25519", &ed25519())].concat();
        assert_eq!(
            PublicKey::parse(&with_option),
            Err(PublicKeyError::Type("no-pty".into()))
        );
    }

    #[test]
    fn a_key_of_another_type_than_its_line_is_refused() {
        assert_eq!(
            PublicKey::parse(&line("ssh-rsa", &ed25519())),
            Err(PublicKeyError::OtherType {
                line: "ssh-rsa",
                key: "ssh-ed25519".into()
            })
        );
    }

    #[test]
    fn rsa_keys_under_2048_and_over_16384_bits_are_refused() {
        for bits in [8, 1024, 2047, 16385] {
            assert_eq!(
                PublicKey::parse(&line("ssh-rsa", &rsa(bits))),
                Err(PublicKeyError::RsaBits(bits))
            );
        }
    }

    #[test]
    fn a_key_with_bytes_after_it_is_refused() {
        let long = [ed25519(), vec![0]].concat();
        assert!(matches!(
            PublicKey::parse(&line("ssh-ed25519", &long)),
            Err(PublicKeyError::Malformed(_))
        ));
    }

    #[test]
    fn a_line_without_a_readable_key_is_refused() {
        assert_eq!(PublicKey::parse(b"ssh-ed25519"), Err(PublicKeyError::NoKey));
        assert_eq!(PublicKey::parse(b"ssh-ed25519 ****"), Err(PublicKeyError::Base64));
        assert_eq!(PublicKey::parse(b"ssh-ed25519 AA\rAA"), Err(PublicKeyError::Base64));
        assert_eq!(
            PublicKey::parse(b"ssh-ed25519\rAAAA"),
            Err(PublicKeyError::Type("ssh-ed25519\\x0dAAAA".into()))
        );
        assert!(matches!(
            PublicKey::parse(b"ssh-ed25519 AAAA"),
            Err(PublicKeyError::Malformed(_))
        ));
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic_and_an_accepted_key_prints_as_one_line(bytes: Vec<u8>) {
            for kind in ACCEPTED {
                if let Ok(key) = PublicKey::parse(&line(kind, &bytes)) {
                    let printed = key.authorized_keys_line();
                    prop_assert!(printed.bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
                }
            }
            let _ = PublicKey::parse(&bytes);
        }
    }
}
