//! What keeps pushed keys from logging in although sshd runs this program, each problem with its remedy.

use std::fmt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Serialize;

use super::effective_config::EffectiveConfig;
use super::sshd_service::SshdService;
use crate::hook::keys_command;
use crate::hook::owner::{PROGRAM, USER};
use crate::host::accounts;
use crate::host::subprocess;
use crate::host::temporary_directory::TemporaryDirectory;
use crate::passwd::Account;
use eic_authorized_keys::host::safe_path;
use eic_verify::text::printable;

/// How long the program may take to print its version, which takes a millisecond.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);

/// Which problem it is, as `status --json` prints it.
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

/// A problem and its remedy, each a clause without a full stop at its end.
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

/// Finds what keeps sshd from running the program, or from accepting the keys that it prints. `answers` is sshd's effective
/// configuration for each connection that it was asked about.
pub(crate) fn find(
    service: &SshdService<'_>,
    temporary: Option<&TemporaryDirectory>,
    answers: &[EffectiveConfig],
) -> Vec<Problem> {
    let temporary = temporary.filter(|_| service.root.is_running_system());
    let mut problems: Vec<Problem> = not_accepted(service, answers).into_iter().collect();
    for (program, user) in keys_command::our_programs_with_users(&service.config) {
        let problem = match account(service, temporary, user) {
            Ok(account) => check_program(service, temporary.zip(Some(account)), &program).err(),
            Err(problem) => Some(problem),
        };
        problems.extend(problem.filter(|problem| !problems.contains(problem)));
    }
    problems
}

/// The problem if sshd accepts no keys at all, or no authentication method list contains publickey.
fn not_accepted(service: &SshdService<'_>, answers: &[EffectiveConfig]) -> Option<Problem> {
    if let Some(line) = service.config.pubkey_authentication_off() {
        return Some(Problem::new(
            Kind::PublickeyNotAccepted,
            format!("sshd accepts no keys at all: PubkeyAuthentication no ({})", line.place),
            format!("set PubkeyAuthentication yes at {}, and reload sshd", line.place),
        ));
    }
    let methods = answers
        .first()
        .map_or("any", |answer| answer.value("authenticationmethods"));
    let accepts_keys = |list: &str| list == "any" || list.split(',').any(|method| method == "publickey");
    let none = !methods.split_whitespace().any(accepts_keys);
    none.then(|| {
        Problem::new(
            Kind::PublickeyNotAccepted,
            format!(
                "sshd lets nobody log in with a key: AuthenticationMethods {}",
                printable(methods.as_bytes())
            ),
            "add publickey to AuthenticationMethods, and reload sshd",
        )
    })
}

/// The account of AuthorizedKeysCommandUser.
fn account(service: &SshdService<'_>, temporary: Option<&TemporaryDirectory>, user: &str) -> Result<Account, Problem> {
    let name = printable(user.as_bytes());
    let looked_up = match temporary {
        Some(temporary) => accounts::look_up(service.root, temporary, user),
        None => Ok(accounts::in_passwd(service.root, user)),
    };
    let missing = |what: String| Problem::new(Kind::UserMissing, what, remedy_for(user));
    match looked_up {
        Ok(Some(account)) => Ok(account),
        Ok(None) => Err(missing(format!(
            "there is no user {name}, so sshd does not run the program"
        ))),
        Err(error) => Err(missing(format!("the user {name} cannot be looked up: {error}"))),
    }
}

fn remedy_for(user: &str) -> String {
    if user == USER {
        format!("useradd --system --user-group --no-create-home --home-dir / --shell /usr/sbin/nologin {user}")
    } else {
        "name a user that exists as AuthorizedKeysCommandUser, and reload sshd".to_owned()
    }
}

/// Checks that sshd can run the program: that its path is safe, and on the running system that it starts as that user.
fn check_program(
    service: &SshdService<'_>,
    run_as: Option<(&TemporaryDirectory, Account)>,
    program: &str,
) -> Result<(), Problem> {
    let problem = |what: String, remedy: &str| Problem::new(Kind::ProgramUnusable, what, remedy);
    safe_path::check(service.root.path(), Path::new(program)).map_err(|error| {
        let remedy = "install the package again, or make root own the program and its directories, and let nobody else write to them";
        problem(format!("sshd does not run the program: {error}"), remedy)
    })?;
    // AWS's own program would query IMDS.
    let is_ours = service.root.resolve(Path::new(program)) == service.root.resolve(Path::new(PROGRAM));
    let Some((temporary, account)) = run_as.filter(|_| is_ours) else {
        return Ok(());
    };
    let mut command = Command::new(program);
    command
        .arg("--version")
        .uid(account.uid)
        .gid(account.gid)
        .current_dir("/");
    let failure = match subprocess::run_within(VERSION_TIMEOUT, command, temporary.on_host()) {
        Ok(output) if output.status == Some(0) => return Ok(()),
        Ok(output) => format!(
            "{} --version failed: {}",
            program,
            printable(output.stderr.trim().as_bytes())
        ),
        Err(error) => format!("{program} cannot be run: {error}"),
    };
    Err(if service.root.is_noexec(Path::new(program)) {
        problem(
            format!("sshd cannot run the program: {program} is on a file system that is mounted noexec"),
            "mount that file system without noexec",
        )
    } else {
        problem(
            format!("sshd cannot run the program as its user: {failure}"),
            "install the package again, or let that user run the program (mode 0711) and enter its directories (mode 0755)",
        )
    })
}
