//! Reading a file whole, within a bound, and without ever waiting on one that is not a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The bytes of a regular file, at most `limit` of them.
///
/// # Errors
/// `InvalidInput` for anything but a regular file (a FIFO would block for ever), `FileTooLarge` beyond the limit,
/// and whatever opening and reading say.
pub fn regular_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {limit} bytes"),
        ));
    }
    Ok(bytes)
}
