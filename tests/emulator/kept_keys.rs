//! RSA keys that are kept in a directory: making one takes tenths of a second, and each process of the tests needs ten.

use std::env;
use std::fs;
use std::path::PathBuf;

use rsa::RsaPrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _};

/// The environment variable that names the directory. Without it, no key is kept.
pub const EMULATOR_KEYS: &str = "EMULATOR_KEYS";

/// The key of that name and size from the directory. If it is not there, `make` makes it and the directory then has it.
pub(crate) fn kept(name: &str, bits: usize, make: impl FnOnce() -> RsaPrivateKey) -> RsaPrivateKey {
    let Some(directory) = env::var_os(EMULATOR_KEYS).map(PathBuf::from) else {
        return make();
    };
    let file = directory.join(format!("{name} {bits}.der"));
    let read = fs::read(&file).ok();
    if let Some(key) = read.and_then(|der| RsaPrivateKey::from_pkcs1_der(&der).ok()) {
        return key;
    }
    let key = make();
    let der = key.to_pkcs1_der().expect("an RSA key encodes");
    // Under another name first: another process may read it now. If two make the same key, each uses its own.
    let unfinished = file.with_extension(std::process::id().to_string());
    let written = fs::create_dir_all(&directory)
        .and_then(|()| fs::write(&unfinished, der.as_bytes()))
        .and_then(|()| fs::rename(&unfinished, &file));
    if let Err(error) = written {
        panic!("{}, which {EMULATOR_KEYS} names: {error}", directory.display());
    }
    key
}
