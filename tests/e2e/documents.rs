//! The documentation's commands for clients, run as printed: against the emulated service, with logins to a real sshd.

use std::fs;
use std::os::unix::fs::symlink;

use crate::aws::{PATIENCE, client, with_clients};
use crate::blocks::{Ended, continued, follow};
use crate::child::{run, wait_for};
use crate::namespaces::SCRATCH;
use crate::tools::repository;
use crate::world::{Setup, World};

/// The file that keeps the shell's variables between blocks.
const STATE: &str = "/run/e2e/shell";

/// The log as `tag: text`, one line each.
fn log(world: &World) -> String {
    let lines = world.lines();
    let lines: Vec<String> = lines
        .iter()
        .map(|line| format!("{}: {}", line.tag, line.text))
        .collect();
    lines.join("\n")
}

/// Follows a document as a user with the AWS CLI's settings, mssh and `ssh-once` on the path, and a key.
fn with_client_follow(file: &'static str) {
    with_clients(Setup::default(), move |world, venv| {
        let programs = format!("{SCRATCH}/programs");
        fs::create_dir(&programs).expect("the directory is ours");
        symlink(
            repository().join("packaging/examples/ssh-once"),
            format!("{programs}/ssh-once"),
        )
        .expect("the directory is ours");
        let shell = |script: &str| {
            let mut shell = client(world, venv, "sh", true);
            let script = format!("PATH=$PATH:{programs}\n{}", continued(script, STATE));
            run(shell.args(["-c", &script]), PATIENCE)
        };
        let key = shell("ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519");
        assert_eq!(key.status, Some(0), "{key:#?}");
        follow(
            file,
            "client",
            |block, _| {
                let outcome = shell(&block.text);
                Ended {
                    status: outcome.status.unwrap_or(-1),
                    output: outcome.stdout + &outcome.stderr,
                }
            },
            |there| {
                // Lines may not have arrived yet.
                wait_for(PATIENCE, || there(&log(world)).then_some(()));
                log(world)
            },
        );
    });
}

#[test]
fn the_readme_s_first_login_works_as_printed() {
    with_client_follow("README.md");
}

#[test]
fn every_way_to_connect_works_as_printed() {
    with_client_follow("docs/using.md");
}
