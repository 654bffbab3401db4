//! The pushed public key: which kinds are accepted, and the one form in which they are printed.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ssh_key::HashAlg;
use ssh_key::public::KeyData;

use super::text::quoted;

/// The kinds of key that sshd takes and the service may carry; never ssh-dss (broken) and never certificates (whoever
/// holds the CA behind one decides, not the record's signer).
const ACCEPTED: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// The shortest RSA modulus, in bits: what the service and OpenSSH's default demand.
const RSA_LEAST_BITS: usize = 2048;

/// The longest RSA modulus, in bits: OpenSSH's own bound (`SSHBUF_MAX_BIGNUM`).
const RSA_MOST_BITS: usize = 16384;

/// A well-formed public key. Whether it may log in is another question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: &'static str,
    blob: Vec<u8>,
    fingerprint: String,
}

impl PublicKey {
    /// Reads a key line: kind, base64, and perhaps a comment, between blanks and tabs in any number (people paste). A
    /// carriage return at its end is part of the line end, as to OpenSSH.
    ///
    /// # Errors
    /// [`KeyRejection`] names what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Self, KeyRejection> {
        let mut words = line
            .strip_suffix(b"\r")
            .unwrap_or(line)
            .split(|b| matches!(b, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        let word = words.next().unwrap_or_default();
        let kind = ACCEPTED
            .into_iter()
            .find(|kind| kind.as_bytes() == word)
            .ok_or_else(|| KeyRejection::Kind(quoted(word)))?;
        let blob = STANDARD
            .decode(words.next().ok_or(KeyRejection::NoBlob)?)
            .map_err(|_| KeyRejection::Base64)?;
        // The error quotes from the blob what it likes.
        let malformed = |error: ssh_key::Error| KeyRejection::Malformed(quoted(error.to_string().as_bytes()));
        let key = ssh_key::PublicKey::from_bytes(&blob).map_err(malformed)?;
        if key.algorithm().as_str() != kind {
            return Err(KeyRejection::OtherKindInside {
                line: kind,
                blob: quoted(key.algorithm().as_str().as_bytes()),
            });
        }
        check_rsa_size(key.key_data())?;
        Ok(Self {
            kind,
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
            // Encoded anew from what was understood: nothing that was not can ride along.
            blob: key.to_bytes().map_err(malformed)?,
        })
    }

    /// The fingerprint as sshd writes it: `SHA256:` and base64 without padding.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The key as a line of `authorized_keys`: kind and base64, no options, no comment, no line end.
    #[must_use]
    pub fn authorized_keys_line(&self) -> String {
        format!("{} {}", self.kind, STANDARD.encode(&self.blob))
    }
}

fn check_rsa_size(key: &KeyData) -> Result<(), KeyRejection> {
    let KeyData::Rsa(rsa) = key else {
        return Ok(());
    };
    let modulus = rsa.n.as_positive_bytes().unwrap_or_default();
    let leading_zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = modulus.len() * 8 - leading_zeros;
    if (RSA_LEAST_BITS..=RSA_MOST_BITS).contains(&bits) {
        Ok(())
    } else {
        Err(KeyRejection::RsaBits(bits))
    }
}

/// Why a key line is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRejection {
    /// The line does not begin with a kind of key that is accepted (options, certificates, ssh-dss, anything else).
    Kind(String),
    /// Nothing follows the kind.
    NoBlob,
    /// What follows the kind is not base64.
    Base64,
    /// The key is not one of its kind.
    Malformed(String),
    /// The line says one kind and the key another.
    OtherKindInside {
        /// What the line says.
        line: &'static str,
        /// What the key says.
        blob: String,
    },
    /// An RSA modulus of this many bits.
    RsaBits(usize),
}

impl fmt::Display for KeyRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(word) => write!(f, "key line begins with \"{word}\", no kind of key that is accepted"),
            Self::NoBlob => f.write_str("key line ends after the kind"),
            Self::Base64 => f.write_str("key is not base64"),
            Self::Malformed(why) => write!(f, "key is malformed: {why}"),
            Self::OtherKindInside { line, blob } => {
                write!(f, "key line says {line}, the key itself {blob}")
            }
            Self::RsaBits(bits) => write!(
                f,
                "RSA key has {bits} bits, accepted are {RSA_LEAST_BITS} to {RSA_MOST_BITS}"
            ),
        }
    }
}

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
    fn a_comment_and_odd_blanks_are_dropped_from_what_is_printed() {
        let tidy = line("ssh-ed25519", &ed25519());
        let text = String::from_utf8(tidy.clone()).unwrap();
        let untidy = format!(" {}\t a comment ", text.replace(' ', " \t "));
        let key = PublicKey::parse(untidy.as_bytes()).unwrap();
        assert_eq!(key.authorized_keys_line().as_bytes(), tidy);
    }

    #[test]
    fn every_kind_that_the_service_or_sshd_takes_is_accepted() {
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
                matches!(PublicKey::parse(text.as_bytes()), Err(KeyRejection::Kind(_))),
                "{kind}"
            );
        }
        let with_option = [b"no-pty ".to_vec(), line("ssh-ed25519", &ed25519())].concat();
        assert_eq!(PublicKey::parse(&with_option), Err(KeyRejection::Kind("no-pty".into())));
    }

    #[test]
    fn a_key_that_is_not_what_its_line_says_is_refused() {
        assert_eq!(
            PublicKey::parse(&line("ssh-rsa", &ed25519())),
            Err(KeyRejection::OtherKindInside {
                line: "ssh-rsa",
                blob: "ssh-ed25519".into()
            })
        );
    }

    #[test]
    fn rsa_keys_under_2048_and_over_16384_bits_are_refused() {
        for bits in [8, 1024, 2047, 16385] {
            assert_eq!(
                PublicKey::parse(&line("ssh-rsa", &rsa(bits))),
                Err(KeyRejection::RsaBits(bits))
            );
        }
    }

    #[test]
    fn a_key_with_bytes_behind_it_is_refused() {
        let long = [ed25519(), vec![0]].concat();
        assert!(matches!(
            PublicKey::parse(&line("ssh-ed25519", &long)),
            Err(KeyRejection::Malformed(_))
        ));
    }

    #[test]
    fn a_line_without_a_readable_key_is_refused() {
        assert_eq!(PublicKey::parse(b"ssh-ed25519"), Err(KeyRejection::NoBlob));
        assert_eq!(PublicKey::parse(b"ssh-ed25519 ****"), Err(KeyRejection::Base64));
        assert_eq!(PublicKey::parse(b"ssh-ed25519 AA\rAA"), Err(KeyRejection::Base64));
        assert_eq!(
            PublicKey::parse(b"ssh-ed25519\rAAAA"),
            Err(KeyRejection::Kind("ssh-ed25519\\x0dAAAA".into()))
        );
        assert!(matches!(
            PublicKey::parse(b"ssh-ed25519 AAAA"),
            Err(KeyRejection::Malformed(_))
        ));
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic_and_what_is_taken_prints_as_one_line(bytes: Vec<u8>) {
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
