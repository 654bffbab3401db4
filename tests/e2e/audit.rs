//! The audit trail, as an auditor follows it: the fingerprint links sshd's line to the program's, and the request ID links
//! the program's line to the API's response (on AWS: to CloudTrail).

use std::time::Duration;

use crate::child::wait_for;
use crate::dev_log::LogLine;

/// How long a line may take to reach the log after the login.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// A login and the push that allowed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Who logged in.
    pub(crate) user: String,
    /// With which key.
    pub(crate) fingerprint: String,
    /// The request that pushed the key.
    pub(crate) request_id: String,
    /// The principal that pushed the key.
    pub(crate) principal: String,
}

/// Every pair of a line of sshd and a line of the program about the same key.
pub(crate) fn join(lines: &[LogLine]) -> Vec<Entry> {
    let accepted = lines.iter().filter(|line| line.is_sshd()).filter_map(accepted);
    let provided: Vec<_> = lines
        .iter()
        .filter(|line| line.is_ours())
        .filter_map(provided)
        .collect();
    accepted
        .flat_map(|(user, key)| {
            let of_this_key = provided.iter().filter(move |(fingerprint, _, _)| *fingerprint == key);
            of_this_key.map(move |(_, request_id, principal)| Entry {
                user: user.to_owned(),
                fingerprint: key.to_owned(),
                request_id: (*request_id).to_owned(),
                principal: (*principal).to_owned(),
            })
        })
        .collect()
}

/// User and fingerprint of "Accepted publickey for USER from … port … ssh2: ED25519 SHA256:…".
fn accepted(line: &LogLine) -> Option<(&str, &str)> {
    let rest = line.text.strip_prefix("Accepted publickey for ")?;
    let (user, _) = rest.split_once(" from ")?;
    Some((user, rest.split(' ').next_back()?))
}

/// Fingerprint, request ID and principal in the program's line.
fn provided(line: &LogLine) -> Option<(&str, &str, &str)> {
    let start = "Providing ssh key from EC2 Instance Connect with fingerprint: ";
    let (fingerprint, rest) = line.text.strip_prefix(start)?.split_once(", request-id: ")?;
    let (request_id, principal) = rest.split_once(", for IAM principal: ")?;
    Some((fingerprint, request_id, principal))
}

/// Asserts that the log links this login to that answer of the API, as soon as the lines have arrived.
#[track_caller]
pub(crate) fn assert_trail(expected: &Entry, lines: impl Fn() -> Vec<LogLine>) {
    let found = wait_for(ON_ITS_WAY, || join(&lines()).contains(expected).then_some(()));
    assert!(
        found.is_some(),
        "nothing in the log leads to {expected:?}; what can be joined: {:#?}",
        join(&lines())
    );
}

#[test]
fn the_trail_is_followed_by_fingerprint_alone() {
    let line = |text: &str| LogLine::parse(text).expect("it is a log line");
    let lines = [
        line(
            "<38>Nov 20 12:00:00 sshd[7]: Accepted publickey for ubuntu from 203.0.113.9 port 1 ssh2: ED25519 SHA256:abc",
        ),
        line(
            "<86>ec2-instance-connect[8]: Providing ssh key from EC2 Instance Connect with fingerprint: SHA256:abc, request-id: 1, for IAM principal: arn:x",
        ),
        line(
            "<86>ec2-instance-connect[9]: Providing ssh key from EC2 Instance Connect with fingerprint: SHA256:xyz, request-id: 2, for IAM principal: arn:x",
        ),
        line(
            "<86>sshd[9]: Providing ssh key from EC2 Instance Connect with fingerprint: SHA256:abc, request-id: 3, for IAM principal: arn:x",
        ),
    ];
    let entry = Entry {
        user: "ubuntu".to_owned(),
        fingerprint: "SHA256:abc".to_owned(),
        request_id: "1".to_owned(),
        principal: "arn:x".to_owned(),
    };
    assert_eq!(join(&lines), [entry]);
    assert_eq!(join(&lines[1..]), []);
}
