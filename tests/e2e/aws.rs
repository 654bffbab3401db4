//! The AWS CLI from PyPI: it pushes a key to the emulator, and the emulator reads its requests correctly.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::child::{Outcome, run};
use crate::key::KeyPair;
use crate::ssh::{PATH, Ssh, at_home};
use crate::tools::clients;
use crate::world::{INSTANCE, SERVICE, Setup, USER, World, in_a_world};

/// Python programs start slowly on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A client of the venv with the caller's credentials and region; and with the service's address where `endpoint` says so.
pub(crate) fn client(world: &World, venv: &Path, program: &str, endpoint: bool) -> Command {
    let caller = world.client();
    let mut command = at_home(program);
    command
        .env("PATH", format!("{}:{PATH}", venv.display()))
        .env("AWS_ACCESS_KEY_ID", &caller.credentials.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &caller.credentials.secret_access_key)
        .env("AWS_DEFAULT_REGION", &caller.region)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_MAX_ATTEMPTS", "1");
    if endpoint {
        command.env("AWS_ENDPOINT_URL", format!("http://{SERVICE}"));
    }
    command
}

/// Runs a test in a world, with the directory of the virtual environment's programs.
pub(crate) fn with_clients(setup: Setup, test: impl FnOnce(&World, &Path) + Send + 'static) {
    if crate::tools::lacking(setup.tools) {
        return;
    }
    // The virtual environment is made outside the world, where there is a network.
    if let Some(venv) = clients() {
        in_a_world(setup, move |world| test(world, venv));
    }
}

fn aws(world: &World, venv: &Path, arguments: &[&str]) -> Outcome {
    let mut command = client(world, venv, "aws", false);
    command
        .args(arguments)
        .args(["--endpoint-url", &format!("http://{SERVICE}")]);
    run(&mut command, PATIENCE)
}

/// The README's command; its options may be replaced.
fn send(world: &World, venv: &Path, user: &str, key: &KeyPair, further: &[&str]) -> Outcome {
    let file = format!("file://{}.pub", key.file.display());
    let mut words = vec![
        "ec2-instance-connect",
        "send-ssh-public-key",
        "--instance-os-user",
        user,
    ];
    words.extend(["--ssh-public-key", &file, "--output", "text"]);
    words.extend(further);
    aws(world, venv, &words)
}

#[test]
fn a_key_that_the_aws_cli_pushed_gets_in() {
    with_clients(Setup::default(), |world, venv| {
        let key = KeyPair::ed25519();
        let sent = send(
            world,
            venv,
            USER,
            &key,
            &["--instance-id", INSTANCE, "--query", "RequestId"],
        );
        let request = sent.success().trim();
        world.assert_in(&Ssh::to(USER).with(&key).run(), USER, &key, request);
    });
}

#[test]
fn the_aws_cli_is_told_of_its_mistakes_in_the_services_words() {
    with_clients(Setup::default(), |world, venv| {
        let key = KeyPair::ed25519();
        let refused = |user: &str, further: &[&str], exception: &str| {
            let sent = send(world, venv, user, &key, further);
            assert!(sent.status == Some(254) || sent.status == Some(255), "{sent:#?}");
            let said = format!("An error occurred ({exception}) when calling the SendSSHPublicKey operation");
            assert!(sent.stderr.contains(&said), "{sent:#?}");
        };
        refused(
            USER,
            &["--instance-id", "i-0fedcba9876543210"],
            "EC2InstanceNotFoundException",
        );
        refused(USER, &["--instance-id", "i-0123456789ABCDEF0"], "InvalidArgsException");
        refused("a b", &["--instance-id", INSTANCE], "InvalidArgsException");
        refused(
            USER,
            &["--instance-id", INSTANCE, "--availability-zone", "us-west-2b"],
            "EC2InstanceNotFoundException",
        );
        refused(
            USER,
            &["--instance-id", INSTANCE, "--region", "us-east-1"],
            "InvalidSignatureException",
        );
        let ids = "managed-ssh-keys/active-keys/";
        assert!(world.emulator.with_imds(|imds| imds.get(ids).is_none()));
    });
}

#[test]
fn the_aws_cli_with_anothers_credentials_is_refused_in_the_services_words() {
    with_clients(Setup::default(), |world, venv| {
        let key = KeyPair::ed25519();
        let push = |name: &str, value: &str| {
            let mut command = client(world, venv, "aws", true);
            command
                .env(name, value)
                .args(["ec2-instance-connect", "send-ssh-public-key"]);
            command
                .args([
                    "--instance-os-user",
                    USER,
                    "--instance-id",
                    INSTANCE,
                    "--ssh-public-key",
                ])
                .arg(&key.line);
            run(&mut command, PATIENCE)
        };
        for (name, value, exception) in [
            ("AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSES", "UnrecognizedClientException"),
            ("AWS_SECRET_ACCESS_KEY", "somebody-elses", "InvalidSignatureException"),
            ("AWS_SESSION_TOKEN", "somebody-elses", "UnrecognizedClientException"),
        ] {
            let sent = push(name, value);
            assert!(sent.status == Some(254) || sent.status == Some(255), "{sent:#?}");
            assert!(sent.stderr.contains(&format!("({exception})")), "{sent:#?}");
        }
        world.assert_denied(&Ssh::to(USER).with(&key).run());
    });
}

#[test]
fn the_aws_cli_reads_the_instance_and_no_instance_connect_endpoints() {
    with_clients(Setup::default(), |world, venv| {
        let query = "Reservations[].Instances[].[InstanceId,State.Name,Placement.AvailabilityZone,PublicIpAddress,\
                     PrivateIpAddress,Ipv6Address,PublicDnsName,PrivateDnsName]";
        let described = aws(
            world,
            venv,
            &["ec2", "describe-instances", "--query", query, "--output", "text"],
        );
        let words: Vec<_> = described.success().split_whitespace().collect();
        let expected = [
            INSTANCE,
            "running",
            "us-west-2a",
            "203.0.113.10",
            "10.0.0.10",
            "2001:db8::10",
            "ec2-203-0-113-10.us-west-2.compute.amazonaws.com",
            "ip-10-0-0-10.us-west-2.compute.internal",
        ];
        assert_eq!(words, expected);
        let words = ["ec2", "describe-instance-connect-endpoints", "--output", "json"];
        let endpoints = aws(world, venv, &words);
        let answer: serde_json::Value = serde_json::from_str(endpoints.success()).expect("it is JSON");
        assert_eq!(answer["InstanceConnectEndpoints"], serde_json::json!([]));
        let unknown = aws(
            world,
            venv,
            &["ec2", "describe-instances", "--instance-ids", "i-0fedcba9876543210"],
        );
        assert!(unknown.stderr.contains("(InvalidInstanceID.NotFound)"), "{unknown:#?}");
    });
}

#[test]
fn a_local_zones_instance_is_reached_by_its_zone() {
    let mut setup = Setup::default();
    setup.emulator.zone = "us-west-2-lax-1a".to_owned();
    with_clients(setup, |world, venv| {
        let key = KeyPair::rsa(2048);
        let zone = [
            "--availability-zone",
            "us-west-2-lax-1a",
            "--instance-id",
            INSTANCE,
            "--query",
            "RequestId",
        ];
        let sent = send(world, venv, USER, &key, &zone);
        world.assert_in(&Ssh::to(USER).with(&key).run(), USER, &key, sent.success().trim());
    });
}
