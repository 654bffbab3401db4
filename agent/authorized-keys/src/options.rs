//! The command line, as sshd passes it or a person types it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;

use crate::host::imds::Endpoint;

const EXIT_STATUS: &str = "\
Exit status:
  0  Success, whether or not any keys were printed. The status is also 0 if no key was pushed, EC2 Instance
     Connect does not accept the user name, this is not an EC2 instance, IMDS is disabled, the machine and IMDS
     have different instance IDs, or every record was refused. With --chain: at least one of the two programs
     succeeded.
  1  Failure: IMDS is unreachable or returns errors, or the signer or its stapled OCSP responses do not verify.
  2  The command line is wrong.

sshd uses the keys only if the status is 0. Refusals are logged (authpriv) and printed to standard error.";

/// Prints the SSH keys that EC2 Instance Connect pushed for USER, for sshd's AuthorizedKeysCommand.
///
/// It prints only valid keys: it checks the signer, its revocation status, the signature, the expiry time and the instance.
/// No environment variable changes what it does.
#[derive(Debug, Clone, Parser)]
#[command(name = "eic_run_authorized_keys", version, after_help = EXIT_STATUS, max_term_width = 100)]
pub struct Options {
    /// Query IMDS at this address only [default: http://169.254.169.254, then http://[fd00:ec2::254]]
    // The address in brackets is not a link; `--help` prints this text as it is written.
    #[allow(rustdoc::broken_intra_doc_links)]
    #[arg(long, value_name = "URL", value_parser = Endpoint::parse)]
    pub(crate) imds_endpoint: Option<Endpoint>,

    /// Trust the CA certificates in this bundle or directory [default: the operating system's]
    #[arg(long, value_name = "PATH")]
    pub(crate) trust_store: Option<PathBuf>,

    /// Read DMI data from this directory
    #[arg(long, value_name = "DIR", default_value = "/sys")]
    pub(crate) sysfs: PathBuf,

    /// Overall timeout in seconds, 1 to 60
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = seconds)]
    pub(crate) timeout: u8,

    /// Also run this command, and print its keys after this program's own; must be the last option
    #[arg(long, value_name = "COMMAND [ARGUMENT]...", num_args = 1..)]
    pub(crate) chain: Vec<OsString>,

    /// The user to log in as (sshd's %u)
    pub(crate) user: OsString,

    /// The fingerprint of the offered key (sshd's %f): only that key is printed
    pub(crate) fingerprint: Option<OsString>,
}

/// The timeout.
fn seconds(given: &str) -> Result<u8, String> {
    let seconds = given.parse().ok().filter(|seconds| (1..=60).contains(seconds));
    seconds.ok_or_else(|| "expected a whole number of seconds from 1 to 60".to_owned())
}

impl Options {
    /// Parses a command line, which starts with the name of the program.
    ///
    /// # Errors
    /// An error of clap, to print and to exit with: for wrong usage, and for `--help` and `--version`.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut own: Vec<OsString> = arguments.into_iter().collect();
        let mut chain = Vec::new();
        // After the name of the program and a user. Every following argument belongs to the other command, hyphens
        // or not.
        let at = own.iter().skip(2).position(|word| word == "--chain").map(|at| at + 2);
        if let Some(at) = at.filter(|at| at + 1 < own.len()) {
            chain = own.split_off(at).split_off(1);
        }
        let mut options = Self::try_parse_from(protect_user_name(own))?;
        options.chain.extend(chain);
        Ok(options)
    }
}

/// Inserts `--` before a user name that starts with a hyphen. sshd passes the user name and the fingerprint as the last two
/// arguments, so the argument before a fingerprint is a user name even if it looks like an option.
fn protect_user_name(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if let [_, .., user, fingerprint] = arguments.as_slice() {
        let fingerprint = fingerprint.as_encoded_bytes();
        let is_fingerprint = fingerprint.starts_with(b"SHA256:") || fingerprint.starts_with(b"MD5:");
        if is_fingerprint && user.as_encoded_bytes().starts_with(b"-") {
            arguments.insert(arguments.len() - 2, "--".into());
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn read(arguments: &[&str]) -> Result<Options, clap::error::ErrorKind> {
        let arguments = ["eic_run_authorized_keys"].iter().chain(arguments).map(OsString::from);
        Options::read(arguments).map_err(|error| error.kind())
    }

    #[test]
    fn what_sshd_gives_is_understood() {
        let options = read(&["ec2-user", "SHA256:abc"]).unwrap();
        assert_eq!(options.user, "ec2-user");
        assert_eq!(options.fingerprint.unwrap(), "SHA256:abc");
        assert_eq!(options.sysfs, PathBuf::from("/sys"));
        assert_eq!(options.timeout, 5);
    }

    #[test]
    fn no_user_name_that_sshd_gives_is_a_usage_error() {
        for user in [
            "",
            "-x",
            "--help",
            "--timeout",
            "--timeout=9",
            "--",
            "-",
            "a b",
            "../x",
            "DOMAIN\\user",
        ] {
            for fingerprint in ["SHA256:abc", "MD5:00:11"] {
                let read = read(&[user, fingerprint]);
                assert!(read.is_ok(), "{user:?}: {read:?}");
            }
        }
        let bytes = OsString::from_vec(b"\xff\xfe".to_vec());
        assert!(Options::read(["eic".into(), bytes]).is_ok());
    }

    #[test]
    fn a_chained_command_takes_the_rest_of_the_line() {
        let options = read(&["-x", "SHA256:abc", "--chain", "/usr/bin/other", "-u", "-x", "--timeout"]).unwrap();
        assert_eq!(options.user, "-x");
        assert_eq!(options.fingerprint.unwrap(), "SHA256:abc");
        assert_eq!(options.chain, ["/usr/bin/other", "-u", "-x", "--timeout"]);
        assert!(read(&["a", "--chain"]).is_err());
        assert_eq!(read(&["--chain", "SHA256:abc"]).unwrap().user, "--chain");
    }

    #[test]
    fn missing_and_surplus_arguments_and_unknown_options_are_usage_errors() {
        use clap::error::ErrorKind;
        for (arguments, kind) in [
            (&[][..], ErrorKind::MissingRequiredArgument),
            (&["a", "b", "c"], ErrorKind::UnknownArgument),
            (&["--bogus", "a"], ErrorKind::UnknownArgument),
            (&["a", "--bogus"], ErrorKind::UnknownArgument),
            (&["--timeout", "0", "a"], ErrorKind::ValueValidation),
            (&["--timeout", "61", "a"], ErrorKind::ValueValidation),
            (&["--timeout", "soon", "a"], ErrorKind::ValueValidation),
            (
                &["--imds-endpoint", "https://127.0.0.1", "a"],
                ErrorKind::ValueValidation,
            ),
            (
                &["--imds-endpoint", "http://127.0.0.1/path", "a"],
                ErrorKind::ValueValidation,
            ),
        ] {
            assert_eq!(read(arguments).unwrap_err(), kind, "{arguments:?}");
        }
    }
}
