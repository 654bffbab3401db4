//! Standard output, from which sshd reads the keys, and standard error, which it discards.

use std::io::{self, ErrorKind, Write};

use eic_verify::VerifiedKey;

/// Prints the keys, one per line, and then the lines of the chained command, all in one write. It is not an error if the
/// reader has closed its end: sshd may have read enough.
///
/// # Errors
/// Any other error of writing.
pub(crate) fn print_keys(keys: &[VerifiedKey], chained_keys: &[u8]) -> io::Result<()> {
    let mut lines = Vec::new();
    for key in keys {
        lines.extend_from_slice(key.key().authorized_keys_line().as_bytes());
        lines.push(b'\n');
    }
    lines.extend_from_slice(chained_keys);
    if lines.is_empty() {
        return Ok(());
    }
    // Without std's line buffer, which would write each line on its own.
    let mut stdout = io::stdout().lock();
    match stdout.write_all(&lines).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Prints a line to standard error, for people who run the program by hand. It is not an error if nobody reads it.
pub(crate) fn print_message(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
