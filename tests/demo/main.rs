//! Pushes a key and shows that it is verified, then shows three records that are refused. Needs neither root nor EC2.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use emulator::instance::InstanceFiles;
use emulator::service::{CONTENT_TYPE, TARGET};
use emulator::{Emulator, Options, RecordTemplate, now};
use rand::rngs::OsRng;
use ssh_key::{Algorithm, HashAlg, PrivateKey};

/// The user for whom keys are pushed.
const USER: &str = "ec2-user";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let emulator = Emulator::start(Options::default())?;
    let demo = Demo {
        program: std::env::current_exe()?.with_file_name("eic_run_authorized_keys"),
        files: emulator.write_instance(folder.path())?,
        emulator,
    };
    println!(
        "An emulated instance, {}, with a CA in its trust store that issued the signer's certificate.",
        demo.instance()
    );

    let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519)?;
    key.set_comment("made for this demo");
    let line = key.public_key().to_openssh()?;
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();

    heading("Push a fresh key, as `aws ec2-instance-connect send-ssh-public-key` does");
    println!("  {line}");
    println!("  answer: {}", demo.send_ssh_public_key(&line)?);
    heading("sshd asks for that key: it is printed, without its comment");
    let mut good = demo.ask(&fingerprint, true)?;
    heading("sshd asks for another key: nothing is printed");
    good &= demo.ask("SHA256:1111111111111111111111111111111111111111111", false)?;

    let expiry = now();
    let record = |expires: i64, instance: &str| RecordTemplate::new(expires, instance, &line);
    let mut tampered = record(expiry + 60, demo.instance());
    tampered.tamper_signature = true;
    for (what, record) in [
        (
            "A record for another instance",
            record(expiry + 60, "i-0fedcba9876543210"),
        ),
        ("An expired record", record(expiry - 12, demo.instance())),
        ("A tampered record", tampered),
    ] {
        heading(&format!("{what} is refused, and the log says why"));
        demo.emulator.with_imds(|imds| {
            imds.unpublish(USER);
            imds.publish(USER, &record);
        });
        good &= demo.ask(&fingerprint, false)?;
    }

    println!();
    if good {
        println!("Everything is as expected. No file is left behind.");
        Ok(ExitCode::SUCCESS)
    } else {
        println!("NOT as expected: see above.");
        Ok(ExitCode::FAILURE)
    }
}

struct Demo {
    emulator: Emulator,
    files: InstanceFiles,
    program: PathBuf,
}

impl Demo {
    fn instance(&self) -> &str {
        &self.emulator.options().instance_id
    }

    /// Pushes a key in the service's wire format, and returns its answer.
    fn send_ssh_public_key(&self, line: &str) -> Result<String, Box<dyn Error>> {
        let body = serde_json::json!({
            "InstanceId": self.instance(),
            "InstanceOSUser": USER,
            "SSHPublicKey": line,
        })
        .to_string();
        let url = self.emulator.service_url();
        let address = url.strip_prefix("http://").ok_or("not http")?;
        let mut connection = TcpStream::connect(address)?;
        write!(
            connection,
            "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: {CONTENT_TYPE}\r\nX-Amz-Target: {TARGET}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned())
    }

    /// Runs the program as sshd does and shows its output; returns whether it printed a key exactly if it should.
    fn ask(&self, fingerprint: &str, should_print: bool) -> Result<bool, Box<dyn Error>> {
        println!("  $ eic_run_authorized_keys {USER} {fingerprint}");
        let output = Command::new(&self.program)
            .env_clear()
            .arg("--imds-endpoint")
            .arg(self.emulator.imds_url())
            .arg("--sysfs")
            .arg(&self.files.sysfs)
            .arg("--trust-store")
            .arg(&self.files.roots)
            .args([USER, fingerprint])
            .output()?;
        let (printed, said) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        for line in printed.lines() {
            println!("    prints: {line}");
        }
        for line in said.lines() {
            println!("    logs:   {line}");
        }
        println!(
            "    exit:   {}",
            output
                .status
                .code()
                .map_or("signal".to_owned(), |code| code.to_string())
        );
        Ok(output.status.success() && printed.is_empty() != should_print)
    }
}

fn heading(text: &str) {
    println!("\n{text}");
}
