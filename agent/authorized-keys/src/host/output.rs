//! What sshd reads: the verified keys, in one write when all is decided.

use std::io::{self, ErrorKind, Write};

use eic_verify::record::VerifiedKey;

/// Prints keys, one a line, and behind them the lines of a chained command. A reader that has closed its end is no
/// error: sshd may have seen enough.
///
/// # Errors
/// Whatever else writing says.
pub fn print(keys: &[VerifiedKey], chained: &[u8]) -> io::Result<()> {
    let mut lines = Vec::new();
    for key in keys {
        lines.extend_from_slice(key.key().authorized_keys_line().as_bytes());
        lines.push(b'\n');
    }
    lines.extend_from_slice(chained);
    if lines.is_empty() {
        return Ok(());
    }
    // Locked and written raw: std's line buffer would make a write of each line.
    let mut stdout = io::stdout().lock();
    match stdout.write_all(&lines).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Says a line to whoever runs this by hand; sshd throws it away. Nobody listening is no error.
pub fn explain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
