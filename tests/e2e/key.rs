//! Key pairs made by ssh-keygen, in files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ssh_key::{HashAlg, PublicKey};

use crate::child::run;
use crate::namespaces::SCRATCH;

/// A key pair in a directory of the namespace.
#[derive(Clone, Debug)]
pub(crate) struct KeyPair {
    /// The file of the private key; the public key is in the same directory.
    pub(crate) file: PathBuf,
    /// The public key's line.
    pub(crate) line: String,
}

impl KeyPair {
    /// Makes an ED25519 key.
    pub(crate) fn ed25519() -> Self {
        Self::of("ed25519", "256")
    }

    /// Makes an RSA key.
    pub(crate) fn rsa(bits: u32) -> Self {
        Self::of("rsa", &bits.to_string())
    }

    fn of(kind: &str, bits: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = Path::new(SCRATCH).join(format!("key-{number}"));
        let mut keygen = Command::new("ssh-keygen");
        keygen
            .args(["-q", "-t", kind, "-b", bits, "-N", "", "-C", "somebody@laptop", "-f"])
            .arg(&file);
        // RSA-4096 takes seconds on a busy machine.
        run(&mut keygen, Duration::from_secs(60)).success();
        Self::read(file)
    }

    /// The key pair in that file.
    pub(crate) fn read(file: PathBuf) -> Self {
        let line = fs::read_to_string(file.with_extension("pub")).expect("ssh-keygen wrote it");
        Self {
            line: line.trim_end().to_owned(),
            file,
        }
    }

    /// `SHA256:…`
    pub(crate) fn fingerprint(&self) -> String {
        let key: PublicKey = self.line.parse().expect("ssh-keygen writes public keys");
        key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// `MD5:…`, as sshd writes it with `FingerprintHash md5`.
    pub(crate) fn md5_fingerprint(&self) -> String {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-l", "-E", "md5", "-f"]).arg(&self.file);
        let told = run(&mut keygen, Duration::from_secs(10));
        let mut words = told.success().split(' ');
        words.nth(1).expect("the second word is the fingerprint").to_owned()
    }
}
