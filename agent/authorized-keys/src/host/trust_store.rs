//! The roots that this machine's owner trusts: read from the OS's store, wherever that OS keeps it.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::read::regular_file;
use eic_verify::limits::{TRUST_STORE_BYTES, TRUST_STORE_FILES};
use eic_verify::text::printable;
use eic_verify::trust_anchor::Store;

/// Where operating systems keep their roots; the first that exists is used.
pub const PLACES: [&str; 5] = [
    // Debian, Ubuntu; also Alpine, Arch.
    "/etc/ssl/certs/ca-certificates.crt",
    // Amazon Linux, RHEL, Fedora.
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    // SUSE.
    "/etc/ssl/ca-bundle.pem",
    // A folder of single certificates, where there is no bundle.
    "/etc/ssl/certs",
];

/// Reads the store at `place`, or the first of [`PLACES`] that exists: a bundle, or every file of a folder.
///
/// # Errors
/// [`TrustStoreError`] names the path and the reason.
pub fn read(place: Option<&Path>) -> Result<Store, TrustStoreError> {
    let path = match place {
        Some(path) => path.to_owned(),
        None => PLACES
            .iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
            .ok_or(TrustStoreError::None)?,
    };
    let files = if path.is_dir() {
        read_folder(&path)
    } else {
        regular_file(&path, TRUST_STORE_BYTES).map(|bundle| vec![bundle])
    };
    match files {
        Ok(files) => Ok(Store {
            place: name(&path),
            files,
        }),
        Err(error) => Err(TrustStoreError::Unreadable { path, error }),
    }
}

/// Every regular file of a folder; one that cannot be read is passed over, as another may hold the root.
fn read_folder(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut left = TRUST_STORE_BYTES;
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)?.flatten().take(TRUST_STORE_FILES) {
        let Ok(bytes) = regular_file(&entry.path(), left) else {
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

/// Why there are no roots.
#[derive(Debug)]
pub enum TrustStoreError {
    /// None of [`PLACES`] exists.
    None,
    /// The store is there, but cannot be read.
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// What reading it said.
        error: io::Error,
    },
}

impl fmt::Display for TrustStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "no trust store at any of {}", PLACES.join(", ")),
            Self::Unreadable { path, error } => {
                write!(f, "trust store {} cannot be read: {error}", name(path))
            }
        }
    }
}
