//! OpenSSH's client, run as a person or a script runs it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::child::{Outcome, Running};
use crate::key::KeyPair;
use crate::machine;

/// The time after which a client is killed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The directories of the operating system's programs.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// The address at which most clients reach the instance.
pub(crate) const HOST: &str = "203.0.113.10";

/// One call of ssh.
#[derive(Clone, Debug)]
pub(crate) struct Ssh {
    user: String,
    keys: Vec<PathBuf>,
    agent: Option<PathBuf>,
    command: String,
}

impl Ssh {
    /// As that user, without a key; runs `id -un`.
    pub(crate) fn to(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            keys: Vec::new(),
            agent: None,
            command: "id -un".to_owned(),
        }
    }

    /// Offers that key, after the ones added before.
    pub(crate) fn with(mut self, key: &KeyPair) -> Self {
        self.keys.push(key.file.clone());
        self
    }

    /// Offers the keys of the agent at that socket.
    pub(crate) fn with_agent(mut self, socket: &Path) -> Self {
        self.agent = Some(socket.to_owned());
        self
    }

    /// Runs that command on the instance.
    pub(crate) fn running(mut self, command: &str) -> Self {
        self.command = command.to_owned();
        self
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Running {
        let mut ssh = at_home("ssh");
        ssh.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=20"]);
        for key in &self.keys {
            ssh.arg("-i").arg(key);
        }
        match &self.agent {
            Some(socket) => ssh.env("SSH_AUTH_SOCK", socket),
            None => ssh.args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]),
        };
        ssh.args(["-l", &self.user, HOST, &self.command]);
        Running::start(&mut ssh, "")
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Outcome {
        self.start().end_within(PATIENCE)
    }
}

/// A program with the environment of root's login and a home directory in the namespace.
pub(crate) fn at_home(program: &str) -> Command {
    let mut command = Command::new(program);
    let home = machine::home("root");
    command
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", &home)
        .current_dir(home);
    command
}

/// ssh's message if no key was accepted.
pub(crate) const DENIED: &str = "Permission denied (publickey).";
