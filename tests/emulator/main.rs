//! The emulator as a program: start it, push a key with curl or the AWS CLI, and run the program under test against it.

use std::error::Error;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use emulator::instance::InstanceFiles;
use emulator::{Credentials, Emulator, LoggedRequest, Options};
use nix::sys::signal::{SigSet, Signal};

/// Plays IMDSv2 and EC2 Instance Connect's service on this machine. Needs no root.
#[derive(Debug, Parser)]
#[command(name = "emulator", version)]
struct Arguments {
    /// Where IMDS listens; may be given several times
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1338")]
    imds: Vec<SocketAddr>,
    /// Where the service listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1339")]
    service: SocketAddr,
    /// The region to play
    #[arg(long, default_value = "us-west-2")]
    region: String,
    /// The availability zone [default: the region's zone a]
    #[arg(long)]
    zone: Option<String>,
    /// The partition of that region
    #[arg(long, default_value = "aws")]
    partition: String,
    /// The domain of that partition's services
    #[arg(long, default_value = "amazonaws.com")]
    domain: String,
    /// The instance to play
    #[arg(long, default_value = "i-0123456789abcdef0")]
    instance_id: String,
    /// What requests to the service must be signed with [default: made at the start]
    #[arg(long, value_name = "ID", requires = "secret_access_key")]
    access_key_id: Option<String>,
    /// The secret that goes with it
    #[arg(long, value_name = "SECRET", requires = "access_key_id")]
    secret_access_key: Option<String>,
    /// Write the instance's side into this directory (sysfs/ and roots.pem), and the AWS CLI's settings (environment)
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Answer everything this much later
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    latency_ms: u64,
    /// End after this time
    #[arg(long = "for", value_name = "SECONDS")]
    run_for: Option<u64>,
    /// End when standard input does
    #[arg(long)]
    until_stdin_closes: bool,
}

/// What the main thread waits for.
enum Event {
    Request(LoggedRequest),
    End,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, the error cannot be printed.
            writeln!(io::stderr(), "emulator: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    // Do this first, so that a signal during start-up is handled as well.
    let (events, incoming) = channel();
    end_on_signals(events.clone())?;
    if arguments.until_stdin_closes {
        end_with_stdin(events.clone());
    }
    let emulator = Emulator::start(options(arguments, forwarding(events)))
        .map_err(|error| format!("{error} (--imds and --service choose other addresses)"))?;
    let files = match &arguments.directory {
        Some(directory) => {
            let files = written(directory, &emulator);
            Some(files.map_err(|error| format!("cannot write into {}: {error}", directory.display()))?)
        }
        None => None,
    };
    say(&greeting(&emulator, arguments.directory.as_deref().zip(files.as_ref())))?;
    let until = arguments
        .run_for
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    show_requests(&incoming, until)?;
    Ok(())
}

fn options(arguments: &Arguments, observer: Sender<LoggedRequest>) -> Options {
    let mut options = Options::in_region(&arguments.region, &arguments.partition, &arguments.domain);
    if let Some(zone) = &arguments.zone {
        options.zone.clone_from(zone);
    }
    options.instance_id.clone_from(&arguments.instance_id);
    options.imds_addresses.clone_from(&arguments.imds);
    options.service_address = arguments.service;
    options.latency = Duration::from_millis(arguments.latency_ms);
    options.credentials = Some(credentials(arguments));
    options.observer = Some(observer);
    options
}

fn credentials(arguments: &Arguments) -> Credentials {
    let mut credentials = Credentials::random();
    if let (Some(id), Some(secret)) = (&arguments.access_key_id, &arguments.secret_access_key) {
        credentials.access_key_id.clone_from(id);
        credentials.secret_access_key.clone_from(secret);
    }
    credentials
}

/// Shows requests until it is time to end.
fn show_requests(events: &Receiver<Event>, until: Option<Instant>) -> io::Result<()> {
    loop {
        let event = match until {
            Some(until) => events.recv_timeout(until.saturating_duration_since(Instant::now())),
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match event {
            Ok(Event::Request(request)) => say(&format!("{request}\n"))?,
            Ok(Event::End) | Err(_) => return Ok(()),
        }
    }
}

/// Prints at once, also into a pipe; a closed pipe is an error here and not a panic.
fn say(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Passes the emulator's requests on as events.
fn forwarding(events: Sender<Event>) -> Sender<LoggedRequest> {
    let (observer, requests) = channel();
    thread::spawn(move || {
        for request in requests {
            if events.send(Event::Request(request)).is_err() {
                return;
            }
        }
    });
    observer
}

fn end_with_stdin(events: Sender<Event>) {
    thread::spawn(move || {
        let mut ignored = [0; 4096];
        let mut input = io::stdin().lock();
        while input.read(&mut ignored).is_ok_and(|length| length > 0) {}
        // This fails if the main thread has already ended.
        events.send(Event::End).ok();
    });
}

fn end_on_signals(events: Sender<Event>) -> io::Result<()> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    // Every thread inherits that they are blocked, and the one below waits for them.
    signals.thread_block()?;
    thread::spawn(move || {
        signals.wait().ok();
        // This fails if the main thread has already ended.
        events.send(Event::End).ok();
    });
    Ok(())
}

/// What the AWS CLI needs to reach this emulator; `.` reads it in a shell.
const ENVIRONMENT: &str = "environment";

/// Writes the instance's files, and the settings that make the AWS CLI use this emulator.
fn written(directory: &Path, emulator: &Emulator) -> io::Result<InstanceFiles> {
    let files = emulator.write_instance(directory)?;
    write_environment(directory, emulator)?;
    Ok(files)
}

/// Writes the variables that make the AWS CLI use this emulator.
fn write_environment(directory: &Path, emulator: &Emulator) -> io::Result<()> {
    let options = emulator.options();
    let credentials = options.credentials.clone().unwrap_or_else(Credentials::random);
    let text = format!(
        "export AWS_ENDPOINT_URL={} AWS_DEFAULT_REGION={}\nexport AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}\n\
         unset AWS_SESSION_TOKEN\n",
        emulator.service_url(),
        options.region,
        credentials.access_key_id,
        credentials.secret_access_key,
    );
    fs::write(directory.join(ENVIRONMENT), text)
}

/// The endpoints, and commands to paste.
fn greeting(emulator: &Emulator, directory: Option<(&Path, &InstanceFiles)>) -> String {
    let imds = emulator.imds_urls().join(", ");
    let service = emulator.service_url();
    let options = emulator.options();
    let instance = &options.instance_id;
    let mut text = format!(
        "IMDS:     {imds}\nservice:  {service} (EC2 Instance Connect, and EC2's DescribeInstances)\n\
         instance: {instance}\n\n"
    );
    match directory {
        Some((directory, files)) => text.push_str(&format!(
            "In another terminal, push a key with the AWS CLI (it lives {lifetime} seconds):\n\n\
             \x20 . {environment}\n\
             \x20 aws ec2-instance-connect send-ssh-public-key --instance-id {instance} \\\n\
             \x20     --instance-os-user ec2-user --ssh-public-key file://$HOME/.ssh/id_ed25519.pub\n\n\
             Then ask for it, as sshd does:\n\n\
             \x20 target/release/eic_run_authorized_keys --imds-endpoint {} \\\n\
             \x20     --trust-store {} --sysfs {} ec2-user\n\n\
             Ctrl-C ends the emulator. Requests:\n\n",
            emulator.imds_url(),
            shell_word(&files.roots),
            shell_word(&files.sysfs),
            lifetime = options.key_lifetime.as_secs(),
            environment = shell_word(&directory.join(ENVIRONMENT)),
        )),
        None => text.push_str(
            "Start it with --directory DIR to get the credentials, the CA certificates and commands to paste.\n\n",
        ),
    }
    text
}

/// A path quoted as one word for a shell.
fn shell_word(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    match path.chars().all(plain) {
        true => path,
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}
