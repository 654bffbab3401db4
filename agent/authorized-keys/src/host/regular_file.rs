//! Reads a regular file of limited size, and never blocks on anything else.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The contents of a regular file of at most `limit` bytes.
///
/// # Errors
/// `InvalidInput` for anything but a regular file (a FIFO would block forever), `FileTooLarge` beyond the limit, and the
/// errors of opening and reading.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
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
