//! mssh, AWS's own client from PyPI: it looks up the instance, makes a key, pushes it, and runs ssh.

use std::fs;
use std::path::Path;

use emulator::Listener;

use crate::aws::{PATIENCE, client, with_clients};
use crate::child::run;
use crate::namespaces::SCRATCH;
use crate::world::{INSTANCE, Setup, USER, World};

/// The requests to the service, in order.
fn operations(world: &World) -> Vec<String> {
    let requests = world.emulator.requests();
    let service = requests.iter().filter(|request| request.listener == Listener::Service);
    service
        .filter_map(|request| request.operation().map(str::to_owned))
        .collect()
}

#[test]
fn mssh_gets_in_from_nothing_but_an_instance_id() {
    with_clients(Setup::default(), |world, venv| {
        let temporary = Path::new(SCRATCH).join("temporary");
        fs::create_dir(&temporary).expect("the folder is ours");
        let mut mssh = client(world, venv, "mssh", true);
        mssh.env("TMPDIR", &temporary)
            .args(["-r", "us-west-2", &format!("{USER}@{INSTANCE}"), "id -un"]);
        let login = run(&mut mssh, PATIENCE);
        assert_eq!(login.success().trim(), USER, "{login:#?}");
        assert_eq!(operations(world), ["DescribeInstances", "SendSSHPublicKey"]);

        // mssh made the key and deleted it, so only the log contains its fingerprint.
        world.assert_logged("Accepted publickey for ec2-user from 203.0.113.10");
        let lines = world.lines();
        let accepted = lines.iter().find(|line| line.text.starts_with("Accepted publickey"));
        let fingerprint = accepted
            .and_then(|line| line.text.split(' ').next_back())
            .unwrap_or_default();
        let pushed = pushed_key(world);
        assert_eq!(fingerprint, pushed.0);
        world.assert_trail(USER, fingerprint, &pushed.1);
        let left = fs::read_dir(temporary).expect("the folder is ours").count();
        assert_eq!(left, 0);
    });
}

/// Fingerprint of the key that mssh pushed, and the request ID in its record, which the service returned to mssh.
fn pushed_key(world: &World) -> (String, String) {
    let requests = world.emulator.requests();
    let push = requests
        .iter()
        .find(|request| request.operation() == Some("SendSSHPublicKey"));
    let push = push.expect("mssh has pushed a key");
    let body: serde_json::Value = serde_json::from_slice(&push.body).expect("the request is JSON");
    assert_eq!(body["AvailabilityZone"], "us-west-2a");
    let line = body["SSHPublicKey"].as_str().expect("it has a key");
    assert!(line.starts_with("ssh-rsa "), "{line}");
    let key: ssh_key::PublicKey = line.parse().expect("the key is one");
    let request_id = push.request_id.clone().expect("the service answers with an id");
    (key.fingerprint(ssh_key::HashAlg::Sha256).to_string(), request_id)
}

#[test]
fn mssh_with_a_wrong_secret_is_told_and_gets_nowhere() {
    with_clients(Setup::default(), |world, venv| {
        let mut mssh = client(world, venv, "mssh", true);
        mssh.env("AWS_SECRET_ACCESS_KEY", "somebody-elses");
        let login = run(
            mssh.args(["-r", "us-west-2", &format!("{USER}@{INSTANCE}"), "id"]),
            PATIENCE,
        );
        assert_eq!(login.status, Some(1), "{login:#?}");
        assert!((login.stdout + &login.stderr).contains("(AuthFailure)"));
        assert_eq!(operations(world), ["DescribeInstances"]);
    });
}
