//! Makes a temporary host key, which `sshd -t` needs and no sshd ever serves with.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use ssh_key::LineEnding;
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData, PrivateKey};
use ssh_key::public::Ed25519PublicKey;

/// Writes a new ed25519 key in OpenSSH's format.
///
/// # Errors
/// The key cannot be made, or the file not be created.
pub(crate) fn write(path: &Path) -> io::Result<()> {
    let failed = |_| io::Error::other("no host key could be made");
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(failed)?;
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| failed(ring::error::Unspecified))?;
    let public = Ed25519PublicKey::try_from(pair.public_key().as_ref()).map_err(io::Error::other)?;
    let private = Ed25519PrivateKey::from_bytes(&seed);
    let key = KeypairData::from(Ed25519Keypair { public, private });
    let text = PrivateKey::new(key, "temporary")
        .and_then(|key| key.to_openssh(LineEnding::LF))
        .map_err(io::Error::other)?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}
