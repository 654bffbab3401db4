//! Public keys to push, encoded byte by byte: the program's output is not compared with its own encoder's.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

/// A public key in OpenSSH's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    kind: &'static str,
    blob: Vec<u8>,
}

impl PublicKey {
    /// An Ed25519 key; a different one for each number.
    pub(crate) fn ed25519(number: u16) -> Self {
        let mut point = [7; 32];
        point[..2].copy_from_slice(&number.to_be_bytes());
        Self::of("ssh-ed25519", &[&point])
    }

    /// An RSA key of that size, with the usual exponent.
    pub(crate) fn rsa(bits: usize) -> Self {
        let mut modulus = vec![0xc5; bits / 8];
        // An mpint (RFC 4251 5) whose first bit is set is preceded by a zero byte.
        modulus.insert(0, 0);
        Self::of("ssh-rsa", &[&[1, 0, 1], &modulus])
    }

    /// The ECDSA key whose point is the generator of P-256.
    pub(crate) fn p256() -> Self {
        let x = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
        let y = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
        let point = [vec![4], from_hex(x), from_hex(y)].concat();
        Self::of("ecdsa-sha2-nistp256", &[b"nistp256", &point])
    }

    fn of(kind: &'static str, fields: &[&[u8]]) -> Self {
        let mut blob = Vec::new();
        for field in [kind.as_bytes()].iter().chain(fields) {
            let length = u32::try_from(field.len()).expect("fields are short");
            blob.extend(length.to_be_bytes());
            blob.extend(*field);
        }
        Self { kind, blob }
    }

    /// `type base64`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.kind, STANDARD.encode(&self.blob))
    }

    /// What the program prints for it.
    pub(crate) fn printed(&self) -> String {
        self.line() + "\n"
    }

    /// `SHA256:…`, as sshd gives it in `%f`.
    pub(crate) fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&self.blob)))
    }
}

fn from_hex(digits: &str) -> Vec<u8> {
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits"))
        .collect()
}

/// The audit line that is logged after IMDS returned keys.
pub(crate) fn querying(fingerprint: &str) -> String {
    format!("Querying EC2 Instance Connect keys for matching fingerprint: {fingerprint}\n")
}

/// The audit line for a key that was pushed through the emulated service.
pub(crate) fn providing(key: &PublicKey, request: &str) -> String {
    format!(
        "Providing ssh key from EC2 Instance Connect with fingerprint: {}, request-id: {request}, \
         for IAM principal: arn:aws:sts::123412341234:assumed-role/Developer/session\n",
        key.fingerprint()
    )
}

/// The line for a pushed key that is not valid.
pub(crate) fn refused(key: &PublicKey, why: &str) -> String {
    format!(
        "Refused ssh key with fingerprint: {} for user ec2-user: {why}",
        key.fingerprint()
    )
}
