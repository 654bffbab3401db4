//! What the log says of a call: two lines that auditors parse, and one for each refusal that admins act on. And what
//! only stderr says, for whoever runs this by hand: why there was nothing to do.

use std::ffi::OsStr;
use std::path::Path;

use crate::authorize::{Decision, Nothing};
use crate::host::audit_log::Weight;
use eic_verify::login::UserName;
use eic_verify::record::VerifiedKey;
use eic_verify::text::{printable, quoted};

/// Refusals that are told one by one; whoever pushes more gains no more lines.
const REFUSALS_TOLD: usize = 8;

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What it says.
    pub(crate) text: String,
    /// What it is about.
    pub(crate) weight: Weight,
}

impl Line {
    /// A line that says of no key that it is printed.
    pub(crate) fn other(text: String) -> Self {
        let weight = Weight::Other;
        Self { text, weight }
    }
}

/// The lines, in the order they are logged. Whatever came from IMDS in them is printable ASCII.
pub(crate) fn lines(user: &UserName, decision: &Decision) -> Vec<Line> {
    let querying = decision
        .queried
        .iter()
        .map(|fingerprint| format!("Querying EC2 Instance Connect keys for matching fingerprint: {fingerprint}"));
    let providing = decision.keys.iter().map(|key| Line {
        text: providing(key),
        weight: Weight::Key,
    });
    let user = user.as_str();
    let refused = decision.refused.iter().take(REFUSALS_TOLD).map(|refusal| {
        let key = match &refusal.fingerprint {
            Some(fingerprint) => format!("ssh key with fingerprint: {fingerprint}"),
            None => "an ssh key".to_owned(),
        };
        format!("Refused {key} for user {user}: {}", refusal.reason)
    });
    let untold = decision.refused.len().saturating_sub(REFUSALS_TOLD);
    let more = (untold > 0).then(|| format!("Refused ssh keys for user {user}: and {untold} more"));
    let passed_over = (decision.passed_over > 0).then(|| {
        let count = decision.passed_over;
        format!("Passed over {count} records for user {user}: more than are judged for one login")
    });
    let failure = decision
        .failure
        .iter()
        .map(|failure| format!("Provided no ssh key for user {user}: {failure}"));
    querying
        .map(Line::other)
        .chain(providing)
        .chain(refused.chain(more).chain(passed_over).chain(failure).map(Line::other))
        .map(|line| Line {
            text: one_line(line.text),
            ..line
        })
        .collect()
}

/// Why there was nothing to decide.
pub(crate) fn nothing(user: &UserName, fingerprint: Option<&OsStr>, why: Nothing) -> String {
    let user = user.as_str();
    match why {
        Nothing::Pushed => format!(
            "no key was pushed for user {user} within the last 60 seconds, the time that a pushed key can be used"
        ),
        Nothing::OfThatFingerprint => {
            let fingerprint = printable(fingerprint.unwrap_or_default().as_encoded_bytes());
            format!("none of the keys pushed for user {user} has the fingerprint {fingerprint}")
        }
    }
}

/// Why there is no key for a name that the service does not take.
pub(crate) fn no_such_name(user: &OsStr) -> String {
    let user = quoted(user.as_encoded_bytes());
    format!("no key can be pushed for user \"{user}\": EC2 Instance Connect does not accept that name")
}

/// Why this is taken for no EC2 instance.
pub(crate) fn no_instance(sysfs: &Path) -> String {
    if sysfs.is_dir() {
        return "this is not an EC2 instance: nothing to do".to_owned();
    }
    let sysfs = printable(sysfs.as_os_str().as_encoded_bytes());
    format!("cannot tell whether this is an EC2 instance: {sysfs} is not a directory")
}

/// What is untrusted is escaped where it is taken in. Should that ever be forgotten, it shows, and does no harm.
fn one_line(line: String) -> String {
    line.replace(|character: char| character != ' ' && !character.is_ascii_graphic(), "?")
}

/// The line that joins a login to CloudTrail; its wording is what AWS's own program logs, byte for byte.
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
    use crate::authorize::Failure;
    use crate::host::ImdsError;

    #[test]
    fn nothing_but_printable_ascii_leaves_for_the_log() {
        let user = UserName::parse("alice".as_ref()).unwrap();
        let decision = Decision {
            failure: Some(Failure::Imds(ImdsError::InstanceId("a\n\u{1b}\u{9b}é".into()))),
            ..Decision::default()
        };
        let expected = "Provided no ssh key for user alice: IMDS returned an invalid instance ID: \"a????\"";
        assert_eq!(lines(&user, &decision), [Line::other(expected.to_owned())]);
    }
}
