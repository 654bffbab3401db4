//! The `openssl` command: finds it, and runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use emulator::Certificate;
use tempfile::TempDir;

/// OpenSSL's verdict, and its output.
pub(crate) struct Opinion {
    pub(crate) accepts: bool,
    pub(crate) said: String,
}

/// Files for the command, deleted when dropped.
pub(crate) struct OpenSsl {
    folder: TempDir,
}

impl OpenSsl {
    /// `None`, after printing a line, if the command is missing or older than the version in the tables.
    pub(crate) fn find() -> Option<Self> {
        let version = match Command::new("openssl").arg("version").output() {
            Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Err(error) => {
                println!("SKIPPED: openssl does not run here: {error} (apt-get install openssl)");
                return None;
            }
        };
        if !version.starts_with("OpenSSL 3.") {
            println!("SKIPPED: the tables are of OpenSSL 3, this is {version} (apt-get install openssl)");
            return None;
        }
        let folder = TempDir::new().expect("there is room for a folder");
        Some(Self { folder })
    }

    pub(crate) fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, contents).expect("the folder is writable");
        path
    }

    pub(crate) fn pem(&self, name: &str, certificates: &[Certificate]) -> PathBuf {
        let text: String = certificates.iter().map(Certificate::pem).collect();
        self.file(name, text)
    }

    /// Runs it with these arguments: first words, then paths.
    pub(crate) fn run(&self, words: &[&str], paths: &[(&str, &Path)]) -> (bool, String) {
        let mut command = Command::new("openssl");
        // Ignore the distribution's settings (such as forbidding SHA-1), which are not OpenSSL's own verdict.
        command.env("OPENSSL_CONF", "/dev/null").args(words);
        for (option, path) in paths {
            if !option.is_empty() {
                command.arg(option);
            }
            command.arg(path);
        }
        let output = command.output().expect("openssl ran before");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }
}
