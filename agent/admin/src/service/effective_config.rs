//! sshd's own effective configuration (`sshd -T`), compared with what this program reads.

use std::path::Path;
use std::time::{Duration, Instant};

use super::sshd_service::SshdService;
use crate::files::{Files, Place};
use crate::hook::keys_command;
use crate::hook::owner::{self, Owner};
use crate::host::sshd_program::{Refused, SshdProgram};
use crate::passwd;
use crate::sshd::connection::Connection;
use crate::sshd::sample_connections::SampleConnections;
use crate::sshd::sshd_config::{Scope, Setting, SshdConfig};

/// The time for asking sshd about Match blocks before a change. The same questions follow about a copy with the change, and once
/// the change is written: 5 seconds in all, during which a package script keeps dpkg's lock.
const ASKING_TIME: Duration = Duration::from_millis(5000 / 3);

const COMMAND: &str = "authorizedkeyscommand";
const USER: &str = "authorizedkeyscommanduser";

/// What the crypto policies of Fedora and RHEL set on sshd's command line (`opensshserver.config` of crypto-policies), as
/// `sshd -T` of old and new releases names it. The override that AWS's package writes leaves the policy out.
const CRYPTO_POLICY: [&str; 11] = [
    "casignaturealgorithms",
    "ciphers",
    "gssapikexalgorithms",
    "hostbasedacceptedalgorithms",
    "hostbasedacceptedkeytypes",
    "hostkeyalgorithms",
    "kexalgorithms",
    "macs",
    "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes",
    "requiredrsasize",
];

/// Why sshd does not confirm what this program reads.
#[derive(Debug)]
pub(crate) enum Unconfirmed {
    /// sshd refuses the configuration, with this message.
    Refused(String),
    /// sshd reports another value.
    Disagrees(Disagreement),
}

/// A value that this program reads in one way, and sshd in another.
#[derive(Debug)]
pub(crate) struct Disagreement {
    /// The connection, as sshd's `-C` takes it.
    pub(crate) connection: String,
    /// What this program reads.
    pub(crate) read: String,
    /// What sshd reports.
    pub(crate) reported: String,
}

/// What sshd reports; it agrees with what this program reads.
#[derive(Default)]
pub(crate) struct Confirmation {
    /// One for each connection that sshd was asked about.
    pub(crate) answers: Vec<EffectiveConfig>,
    /// The Match lines for which the time was too short.
    not_asked: Vec<Place>,
}

impl Confirmation {
    /// A note for the user if sshd was not asked about every Match block.
    pub(crate) fn note(&self) -> Option<String> {
        let first = self.not_asked.first()?;
        Some(format!(
            "sshd was not asked about {} of the Match blocks (the first: {first}), because that would have taken more than 5 \
             seconds: only this program has read them.",
            self.not_asked.len()
        ))
    }
}

impl SshdService<'_> {
    /// Has sshd check the configuration in `file`, which is the configuration or a copy of it, and compares its effective
    /// configuration with what this program reads: for an ordinary connection, and for each Match block or at least one of
    /// each kind, within [`ASKING_TIME`].
    ///
    /// # Errors
    /// sshd refuses the configuration, or reports another AuthorizedKeysCommand or user.
    pub(crate) fn confirm(&self, sshd: &SshdProgram<'_>, file: &Path) -> Result<Confirmation, Unconfirmed> {
        let text = |path: &str| {
            let bytes = self.root.read(Path::new(path)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let users = passwd::users_with_groups(&text("/etc/passwd"), &text("/etc/group"));
        let end = Instant::now() + ASKING_TIME;
        check_validity(sshd, file)?;
        let ordinary = self.effective_config(sshd, file, Connection::ordinary())?;
        let mut confirmation = Confirmation {
            answers: vec![ordinary],
            not_asked: Vec::new(),
        };
        let mut connections = SampleConnections::new(&self.config, &users);
        for (number, block) in self.config.match_blocks.iter().enumerate() {
            if Instant::now() >= end {
                confirmation.not_asked.push(block.place.clone());
            } else if let Some(connection) = connections.for_block(number) {
                let answer = self.effective_config(sshd, file, connection)?;
                confirmation.answers.push(answer);
            }
        }
        Ok(confirmation)
    }

    /// The same for these connections only.
    ///
    /// # Errors
    /// As [`SshdService::confirm`].
    pub(crate) fn confirm_for(
        &self,
        sshd: &SshdProgram<'_>,
        file: &Path,
        connections: impl Iterator<Item = Connection>,
    ) -> Result<Vec<EffectiveConfig>, Unconfirmed> {
        check_validity(sshd, file)?;
        connections
            .map(|connection| self.effective_config(sshd, file, connection))
            .collect()
    }

    fn effective_config(
        &self,
        sshd: &SshdProgram<'_>,
        file: &Path,
        connection: Connection,
    ) -> Result<EffectiveConfig, Unconfirmed> {
        let lines = sshd.effective_config(file, &connection.specification());
        let lines = lines.map_err(|Refused(message)| Unconfirmed::Refused(message))?;
        let answer = EffectiveConfig { connection, lines };
        self.compare(&answer)?;
        Ok(answer)
    }

    fn compare(&self, answer: &EffectiveConfig) -> Result<(), Unconfirmed> {
        let Some(effective) = self.config.effective(Scope::Connection(&answer.connection)) else {
            // A Match criterion that only sshd can evaluate: there is nothing to compare.
            return Ok(());
        };
        for (keyword, read) in [(COMMAND, effective.command), (USER, effective.user)] {
            let reported = answer.value(keyword);
            if !is_same(read, reported) {
                return Err(Unconfirmed::Disagrees(Disagreement {
                    connection: answer.connection.specification(),
                    read: match read {
                        Some(read) => format!("\"{keyword} {}\" ({})", read.value, read.place),
                        None => format!("no {keyword}"),
                    },
                    reported: format!("\"{keyword} {reported}\""),
                }));
            }
        }
        Ok(())
    }
}

fn check_validity(sshd: &SshdProgram<'_>, file: &Path) -> Result<(), Unconfirmed> {
    sshd.check_validity(file)
        .map_err(|Refused(message)| Unconfirmed::Refused(message))
}

/// The configuration that is in effect for one connection, as sshd reports it.
pub(crate) struct EffectiveConfig {
    /// The connection.
    pub(crate) connection: Connection,
    /// The lines of `sshd -T`, sorted, without the host keys.
    pub(crate) lines: Vec<String>,
}

impl EffectiveConfig {
    /// The value of a keyword, given in lower case; `none` if sshd does not report it.
    pub(crate) fn value(&self, keyword: &str) -> &str {
        let values = self.lines.iter().filter_map(|line| line.split_once(' '));
        let mut values = values.filter(|(name, _)| *name == keyword);
        values.next().map_or("none", |(_, value)| value)
    }

    /// The AuthorizedKeysCommand.
    pub(crate) fn command(&self) -> &str {
        self.value(COMMAND)
    }

    /// Whether sshd runs this program, as its own user or, if it is set within a Match block, as any user.
    pub(crate) fn is_ours(&self, config: &SshdConfig) -> bool {
        let read = config.effective(Scope::Connection(&self.connection));
        let by_administrator = read.is_some_and(keys_command::is_ours);
        let is_own_user = self.value(USER) == owner::USER || by_administrator;
        Owner::of(self.value(COMMAND)) != Owner::Other && is_own_user
    }

    /// A line, other than AuthorizedKeysCommand and its user, that differs from `before`. Lines that a crypto policy sets
    /// do not count if `ignores_crypto_policy`.
    pub(crate) fn other_change<'b>(&'b self, before: &'b Self, ignores_crypto_policy: bool) -> Option<&'b str> {
        let is_other = move |line: &&String| {
            let keyword = line.split(' ').next().unwrap_or_default();
            !(line.starts_with(COMMAND) || ignores_crypto_policy && CRYPTO_POLICY.contains(&keyword))
        };
        let others = |its: &'b Self| its.lines.iter().filter(is_other);
        let (ours, theirs): (Vec<_>, Vec<_>) = (others(self).collect(), others(before).collect());
        let new = ours.iter().find(|line| !theirs.contains(line));
        let gone = theirs.iter().find(|line| !ours.contains(line));
        gone.or(new).map(|line| line.as_str())
    }
}

/// Whether sshd reports what this program reads. sshd before 8.5 removes a comment after a command, later releases keep it.
fn is_same(read: Option<&Setting>, reported: &str) -> bool {
    let read = read.map_or("none", |read| read.value.trim());
    let both_none = read.eq_ignore_ascii_case("none") && reported.eq_ignore_ascii_case("none");
    let comment = read.strip_prefix(reported).map(str::trim_start);
    both_none || comment.is_some_and(|comment| comment.is_empty() || comment.starts_with('#'))
}
