//! The operating system's trust store: the CA certificates that the machine's administrator trusts.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::regular_file;
use eic_verify::TrustStore;
use eic_verify::text::printable;

/// Where operating systems keep their CA certificates. The first path that exists is read.
pub const DEFAULT_PATHS: [&str; 5] = [
    // Debian, Ubuntu; also Alpine, Arch.
    "/etc/ssl/certs/ca-certificates.crt",
    // Amazon Linux, RHEL, Fedora.
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    // SUSE.
    "/etc/ssl/ca-bundle.pem",
    // A directory of single certificates, if there is no bundle.
    "/etc/ssl/certs",
];

/// The bytes of the store that are read at most: a limit in case the path names a device or a log file. Debian's bundle of
/// 140 CA certificates has 220 KB.
const TRUST_STORE_BYTES: u64 = 4 * 1024 * 1024;

/// The files of a store that are read at most, if it is a directory. Debian's has 280 entries, two for each certificate.
const TRUST_STORE_FILES: usize = 2048;

/// Reads the store at `path`, or at the first of [`DEFAULT_PATHS`] that exists: a bundle, or every file of a directory.
///
/// # Errors
/// [`TrustStoreError`], with the path and the reason.
pub fn read(path: Option<&Path>) -> Result<TrustStore, TrustStoreError> {
    let path = match path {
        Some(path) => path.to_owned(),
        None => DEFAULT_PATHS
            .iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
            .ok_or(TrustStoreError::NotFound)?,
    };
    let files = if path.is_dir() {
        read_directory(&path)
    } else {
        regular_file::read(&path, TRUST_STORE_BYTES).map(|bundle| vec![bundle])
    };
    match files {
        Ok(files) => Ok(TrustStore {
            path: name(&path),
            files,
        }),
        Err(error) => Err(TrustStoreError::Unreadable { path, error }),
    }
}

/// Every regular file of a directory. A file that cannot be read is skipped: the CA may be in another one.
fn read_directory(directory: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut left = TRUST_STORE_BYTES;
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)?.flatten().take(TRUST_STORE_FILES) {
        let Ok(bytes) = regular_file::read(&entry.path(), left) else {
            continue;
        };
        left = left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        files.push(bytes);
    }
    Ok(files)
}

fn name(path: &Path) -> String {
    printable(path.as_os_str().as_encoded_bytes())
}

/// Why there are no CA certificates.
#[derive(Debug)]
pub enum TrustStoreError {
    /// None of [`DEFAULT_PATHS`] exists.
    NotFound,
    /// The store exists but cannot be read.
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
}

impl fmt::Display for TrustStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => write!(f, "no trust store found at any of {}", DEFAULT_PATHS.join(", ")),
            Self::Unreadable { path, error } => {
                write!(f, "cannot read trust store {}: {error}", name(path))
            }
        }
    }
}
