//! What keeps pushed keys from logging in though sshd is configured for them, each with its remedy.

use std::fmt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Serialize;

use super::sshd_service::{InEffect, Setup};
use crate::hook::command_user::Account;
use crate::hook::keys_command;
use crate::host::accounts;
use crate::host::subprocess;
use crate::host::temporary_directory::Scratch;
use eic_authorized_keys::host::safe_path;
use eic_verify::text::printable;

/// How long the program may take to print its version; it takes a millisecond.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which problem, as other programs know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    ConfigurationInvalid,
    UserMissing,
    ProgramUnusable,
    PublickeyNotAccepted,
    SshdNotUpToDate,
    SshdReadsAnotherConfiguration,
    AnotherSshdUsesIt,
}

impl Kind {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 7] = [
        Self::ConfigurationInvalid,
        Self::UserMissing,
        Self::ProgramUnusable,
        Self::PublickeyNotAccepted,
        Self::SshdNotUpToDate,
        Self::SshdReadsAnotherConfiguration,
        Self::AnotherSshdUsesIt,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A problem, as a clause each; neither ends in a full stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) what: String,
    pub(crate) remedy: String,
}

impl Problem {
    pub(crate) fn new(kind: Kind, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem: {}.\nRemedy: {}", self.what, self.remedy)
    }
}

/// What keeps sshd from running the program, or from accepting what that prints. `answers` are sshd's own, to
/// each connection that it was asked about.
pub(crate) fn of_setup(setup: &Setup<'_>, scratch: Option<&Scratch>, answers: &[InEffect]) -> Vec<Problem> {
    let scratch = scratch.filter(|_| setup.disk.is_own_root());
    let mut problems: Vec<Problem> = not_accepted(setup, answers).into_iter().collect();
    for (program, user) in keys_command::ours_with_users(&setup.config) {
        let found = match account(setup, scratch, user) {
            Ok(account) => unusable(setup, scratch.zip(Some(account)), &program).err(),
            Err(problem) => Some(problem),
        };
        problems.extend(found.filter(|problem| !problems.contains(problem)));
    }
    problems
}

/// Where sshd accepts no keys at all, or no list of methods has them.
fn not_accepted(setup: &Setup<'_>, answers: &[InEffect]) -> Option<Problem> {
    if let Some(line) = setup.config.pubkey_off() {
        return Some(Problem::new(
            Kind::PublickeyNotAccepted,
            format!("sshd accepts no keys at all: PubkeyAuthentication no ({})", line.place),
            format!("set PubkeyAuthentication yes at {}, and reload sshd", line.place),
        ));
    }
    let methods = answers
        .first()
        .map_or("any", |answer| answer.value("authenticationmethods"));
    let takes_key = |list: &str| list == "any" || list.split(',').any(|method| method == "publickey");
    let none = !methods.split_whitespace().any(takes_key);
    none.then(|| {
        Problem::new(
            Kind::PublickeyNotAccepted,
            format!(
                "sshd lets nobody in by a key: AuthenticationMethods {}",
                printable(methods.as_bytes())
            ),
            "add publickey to AuthenticationMethods, and reload sshd",
        )
    })
}

/// The command's user.
fn account(setup: &Setup<'_>, scratch: Option<&Scratch>, user: &str) -> Result<Account, Problem> {
    let name = printable(user.as_bytes());
    let looked_up = match scratch {
        Some(scratch) => accounts::account(setup.disk, scratch, user),
        None => Ok(accounts::in_file(setup.disk, user)),
    };
    let missing = |what: String| Problem::new(Kind::UserMissing, what, remedy_for(user));
    match looked_up {
        Ok(Some(account)) => Ok(account),
        Ok(None) => Err(missing(format!(
            "there is no user {name}, so sshd does not run the program"
        ))),
        Err(words) => Err(missing(format!("the user {name} cannot be looked up: {words}"))),
    }
}

fn remedy_for(user: &str) -> String {
    if user == keys_command::USER {
        format!("useradd --system --user-group --no-create-home --home-dir / --shell /usr/sbin/nologin {user}")
    } else {
        "name a user that exists as AuthorizedKeysCommandUser, and reload sshd".to_owned()
    }
}

/// Whether sshd can run the program: its own rule, and then, on the running system, whether it starts as that user.
fn unusable(setup: &Setup<'_>, run_as: Option<(&Scratch, Account)>, program: &str) -> Result<(), Problem> {
    let problem = |what: String, remedy: &str| Problem::new(Kind::ProgramUnusable, what, remedy);
    safe_path::check(setup.disk.root(), Path::new(program)).map_err(|error| {
        let remedy = "install the package again, or give the program and its directories to root, and let nobody else write them";
        problem(format!("sshd does not run the program: {error}"), remedy)
    })?;
    // AWS's own program would ask IMDS.
    let is_ours = setup.disk.resolve(Path::new(program)) == setup.disk.resolve(Path::new(keys_command::PROGRAM));
    let Some((scratch, account)) = run_as.filter(|_| is_ours) else {
        return Ok(());
    };
    let mut command = Command::new(program);
    command
        .arg("--version")
        .uid(account.uid)
        .gid(account.gid)
        .current_dir("/");
    let said = match subprocess::run_within(PATIENCE, command, scratch.on_host()) {
        Ok(ended) if ended.status == Some(0) => return Ok(()),
        Ok(ended) => format!(
            "{} --version failed: {}",
            program,
            printable(ended.stderr.trim().as_bytes())
        ),
        Err(error) => format!("{program} cannot be run: {error}"),
    };
    Err(if setup.disk.is_noexec(Path::new(program)) {
        problem(
            format!("sshd cannot run the program: {program} is on a file system that is mounted noexec"),
            "mount that file system without noexec",
        )
    } else {
        problem(
            format!("sshd cannot run the program as its user: {said}"),
            "install the package again, or let that user run the program (mode 0711) and enter its directories (mode 0755)",
        )
    })
}
