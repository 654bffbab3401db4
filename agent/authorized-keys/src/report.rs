//! What a run puts out: the keys, two lines for the log that auditors parse, one line for each refusal, and, on standard
//! error only, why there is nothing to do. All the wording is here.

use std::ffi::OsStr;
use std::path::Path;

use crate::decision::{Decision, Failure, NoRecord};
use crate::host::audit_log::{About, LogLine};
use crate::host::deadline::Expiry;
use eic_verify::text::{printable, quoted};
use eic_verify::{UserName, VerifiedKey};

/// The most refusals that are logged one by one: a user who pushes more does not get more lines.
const REFUSALS_LOGGED: usize = 8;

/// What a run puts out.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The keys to print.
    pub(crate) keys: Vec<VerifiedKey>,
    /// For the log, and for standard error.
    pub(crate) log: Vec<LogLine>,
    /// For standard error only.
    pub(crate) explanation: Option<String>,
    /// Whether the exit status is 1.
    pub(crate) failed: bool,
}

impl Report {
    /// The report on a decision about the user's keys; `fingerprint` is that of the offered key.
    pub(crate) fn new(user: &UserName, fingerprint: Option<&OsStr>, decision: Decision) -> Self {
        Self {
            log: log_lines(user, &decision),
            explanation: decision.no_record.map(|reason| no_record(user, fingerprint, reason)),
            failed: decision.failure.as_ref().is_some_and(Failure::is_error),
            keys: decision.keys,
        }
    }

    /// There is nothing to do.
    pub(crate) fn nothing_to_do(explanation: String) -> Self {
        Self {
            explanation: Some(explanation),
            ..Self::default()
        }
    }

    /// The run failed before there was a decision.
    pub(crate) fn failure(failure: &Failure) -> Self {
        Self {
            log: vec![LogLine::new(format!("Provided no ssh key: {failure}"))],
            failed: true,
            ..Self::default()
        }
    }
}

/// The line that the watchdog writes before it ends the process.
pub(crate) fn watchdog_line(expiry: &Expiry) -> String {
    match expiry {
        Expiry::TimedOut(timed_out) => timed_out.to_string(),
        Expiry::AnswerOverdue(error) => format!("Provided no ssh key: {error}"),
    }
}

/// The lines, in the order in which they are logged. Everything in them that comes from IMDS is printable ASCII.
fn log_lines(user: &UserName, decision: &Decision) -> Vec<LogLine> {
    let querying = decision
        .queried
        .iter()
        .map(|fingerprint| format!("Querying EC2 Instance Connect keys for matching fingerprint: {fingerprint}"));
    let providing = decision.keys.iter().map(|key| LogLine {
        text: providing(key),
        about: About::PrintedKey,
    });
    let user = user.as_str();
    let refused = decision.refused.iter().take(REFUSALS_LOGGED).map(|refusal| {
        let key = match &refusal.fingerprint {
            Some(fingerprint) => format!("ssh key with fingerprint: {fingerprint}"),
            None => "an ssh key".to_owned(),
        };
        format!("Refused {key} for user {user}: {}", refusal.reason)
    });
    let not_logged = decision.refused.len().saturating_sub(REFUSALS_LOGGED);
    let more = (not_logged > 0).then(|| format!("Refused {not_logged} more of the ssh keys for user {user}"));
    let skipped = (decision.skipped > 0).then(|| {
        let count = decision.skipped;
        format!("Did not check {count} of the records for user {user}: there are too many for one login")
    });
    let failure = decision
        .failure
        .iter()
        .map(|failure| format!("Provided no ssh key for user {user}: {failure}"));
    querying
        .map(LogLine::new)
        .chain(providing)
        .chain(refused.chain(more).chain(skipped).chain(failure).map(LogLine::new))
        .map(|line| LogLine {
            text: one_line(line.text),
            ..line
        })
        .collect()
}

/// Why there is no record to judge.
fn no_record(user: &UserName, fingerprint: Option<&OsStr>, reason: NoRecord) -> String {
    let user = user.as_str();
    match reason {
        NoRecord::NothingPushed => {
            format!("no key was pushed for user {user} in the last 60 seconds; a pushed key expires after 60 seconds")
        }
        NoRecord::OtherFingerprint => {
            let fingerprint = printable(fingerprint.unwrap_or_default().as_encoded_bytes());
            format!("none of the keys pushed for user {user} has the fingerprint {fingerprint}")
        }
    }
}

/// The service does not accept the user name.
pub(crate) fn invalid_user_name(user: &OsStr) -> String {
    let user = quoted(user.as_encoded_bytes());
    format!("no key can be pushed for user \"{user}\": EC2 Instance Connect does not accept this user name")
}

/// The files below `sysfs` are not those of an EC2 instance.
pub(crate) fn not_ec2(sysfs: &Path) -> String {
    let name = printable(sysfs.as_os_str().as_encoded_bytes());
    if sysfs.is_dir() {
        format!("this is not an EC2 instance according to the DMI data in {name}: nothing to do")
    } else {
        format!("cannot determine whether this is an EC2 instance: {name} is not a directory")
    }
}

/// Untrusted text is escaped where it is received. If that is ever forgotten, this shows it and makes it harmless.
fn one_line(line: String) -> String {
    line.replace(|character: char| character != ' ' && !character.is_ascii_graphic(), "?")
}

/// The line that links a login to CloudTrail. Its wording is exactly that of AWS's own program.
fn providing(key: &VerifiedKey) -> String {
    let mut line = format!(
        "Providing ssh key from EC2 Instance Connect with fingerprint: {}",
        key.key().fingerprint()
    );
    if let Some(request) = key.request() {
        line.push_str(", request-id: ");
        line.push_str(&printable(request));
    }
    if let Some(caller) = key.caller() {
        line.push_str(", for IAM principal: ");
        line.push_str(&printable(caller));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::imds::ImdsError;

    #[test]
    fn nothing_but_printable_ascii_leaves_for_the_log() {
        let user = UserName::parse("alice".as_ref()).unwrap();
        let decision = Decision {
            failure: Some(Failure::Imds(ImdsError::InvalidInstanceId("a\n\u{1b}\u{9b}é".into()))),
            ..Decision::default()
        };
        let expected = "Provided no ssh key for user alice: IMDS returned an invalid instance ID: \"a????\"";
        assert_eq!(log_lines(&user, &decision), [LogLine::new(expected.to_owned())]);
    }
}
