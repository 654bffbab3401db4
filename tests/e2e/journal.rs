//! The audit trail in systemd's journal, in a booted operating system.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Instant;

use emulator::Emulator;

use crate::audit::{Entry, assert_trail};
use crate::container::{Container, TOOLS, file_system};
use crate::key::KeyPair;
use crate::machine::{self, HOMES, become_instance, make_homes};
use crate::push::Client;
use crate::report;
use crate::ssh::{HOST, Ssh};
use crate::tools::lacking;
use crate::world::{AUTHPRIV_INFO, INSTANCE, SERVICE, USER, in_namespaces, options};

/// Prints what happened if the test fails.
struct Told<'a> {
    started: Instant,
    emulator: &'a Emulator,
    container: &'a Container,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let requests = self.emulator.requests();
            println!(
                "{}",
                report::timeline(self.started, &self.container.journal(), &requests)
            );
        }
    }
}

#[test]
fn the_journal_of_a_booted_os_keeps_both_ends_of_the_audit_trail() {
    if lacking(&TOOLS) {
        return;
    }
    // The root file system is made outside the namespaces, where there is a network.
    let Some(file_system) = file_system() else {
        return;
    };
    in_namespaces(false, move || {
        let emulator = Emulator::start(options()).expect("the namespace has these addresses");
        let started = Instant::now();
        let container = Container::boot(file_system, &emulator);
        let _told = Told {
            started,
            emulator: &emulator,
            container: &container,
        };
        // The client is this machine's root, with a home directory in the namespace.
        become_instance(Path::new("/"), &[]);
        make_homes(Path::new(HOMES));
        let known = machine::home("root").join(".ssh/known_hosts");
        fs::write(known, format!("{HOST} {}\n", container.host_key())).expect("the home is ours");

        let options = emulator.options();
        let client = Client {
            address: SERVICE.to_owned(),
            credentials: options.credentials.clone().expect("the options have credentials"),
            region: options.region.clone(),
            instance_id: INSTANCE.to_owned(),
        };
        let key = KeyPair::ed25519();
        let request_id = client.push(USER, &key.line);
        let login = Ssh::to(USER)
            .with(&key)
            .running("id -un; systemctl is-system-running")
            .run();
        assert_eq!(login.stdout.lines().next(), Some(USER), "{login:#?}");
        let entry = Entry {
            user: USER.to_owned(),
            fingerprint: key.fingerprint(),
            request_id,
            principal: options.caller.clone(),
        };
        assert_trail(&entry, || container.journal());
        let ours: Vec<_> = container.journal().into_iter().filter(|line| line.is_ours()).collect();
        // "Querying" and "Providing", once when the client offers the key and once when it sends the signature.
        assert_eq!(ours.len(), 4, "{ours:#?}");
        assert!(
            ours.iter().all(|line| line.priority == Some(AUTHPRIV_INFO)),
            "{ours:#?}"
        );
        // The command that an administrator would type.
        let typed = container.run(&[
            "journalctl",
            "--no-pager",
            "-t",
            "ec2-instance-connect",
            "-g",
            "Providing ssh key",
        ]);
        assert!(typed.success().contains(&entry.request_id), "{typed:#?}");
    });
}
