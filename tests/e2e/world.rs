//! An instance and its surroundings: IMDS, the service, sshd, the log, and a way to see what happened.

use std::fs;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use emulator::instance::{Machine, write_sysfs};
use emulator::{Credentials, Emulator, Options, RecordTemplate};

use crate::audit::{self, Entry};
use crate::child::{Daemon, Outcome, wait_for};
use crate::dev_log::{DevLog, LogLine};
use crate::key::KeyPair;
use crate::machine::{self, HOMES, become_instance, make_homes};
use crate::namespaces::{IPV4, IPV6, SCRATCH, enter, has_ipv6, own_dev, tmpfs};
use crate::push::Client;
use crate::ssh::{DENIED, HOST};
use crate::tools::{Tool, lacking, program};
use crate::{report, rsyslog, sshd};

/// Where the service listens.
pub(crate) const SERVICE: &str = "127.0.0.1:8080";
/// The instance.
pub(crate) const INSTANCE: &str = "i-0123456789abcdef0";
/// The user as whom most tests log in.
pub(crate) const USER: &str = "ec2-user";
/// Its public DNS name.
const NAME: &str = "ec2-203-0-113-10.us-west-2.compute.amazonaws.com";

/// Facility 10, severity 6 (RFC 5424, section 6.2.1).
pub(crate) const AUTHPRIV_INFO: u8 = 10 * 8 + 6;

/// How long sshd may take to listen.
const START: Duration = Duration::from_secs(20);

/// Settings that most tests do not change.
pub(crate) struct Setup {
    /// The emulator's options.
    pub(crate) emulator: Options,
    /// sshd's settings before its others.
    pub(crate) sshd: String,
    /// Log through rsyslog.
    pub(crate) rsyslog: bool,
    /// What the test needs in addition.
    pub(crate) tools: &'static [Tool],
    /// Run no other test at the same time, for measurements.
    pub(crate) alone: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            emulator: options(),
            sshd: String::new(),
            rsyslog: false,
            tools: &[],
            alone: false,
        }
    }
}

/// IMDS at its real addresses, and a service that requires signed requests.
pub(crate) fn options() -> Options {
    let mut imds_addresses = vec![SocketAddr::new(IPV4[0].parse().expect("it is an address"), 80)];
    if has_ipv6() {
        imds_addresses.push(SocketAddr::new(IPV6[0].parse().expect("it is an address"), 80));
    }
    Options {
        instance_id: INSTANCE.to_owned(),
        imds_addresses,
        service_address: SERVICE.parse().expect("it is an address"),
        credentials: Some(Credentials::random()),
        ..Options::default()
    }
}

/// Runs a test in a new world, or prints why it cannot run.
pub(crate) fn in_a_world(setup: Setup, test: impl FnOnce(&World) + Send + 'static) {
    if lacking(setup.tools) {
        return;
    }
    in_namespaces(setup.alone, move || test(&World::new(setup)));
}

/// Runs a test in new namespaces, and no other at the same time if it must be alone.
pub(crate) fn in_namespaces(alone: bool, test: impl FnOnce() + Send + 'static) {
    static TURNS: RwLock<()> = RwLock::new(());
    // A test that failed while it had the lock has printed its message.
    let _alone = alone.then(|| TURNS.write().unwrap_or_else(PoisonError::into_inner));
    let _with_others = (!alone).then(|| TURNS.read().unwrap_or_else(PoisonError::into_inner));
    // Build it while there is a network.
    program();
    let name = thread::current().name().unwrap_or("a test").to_owned();
    // The namespaces belong to this thread, and end with it and its children.
    let body = move || {
        enter();
        test();
    };
    let thread = thread::Builder::new()
        .name(name)
        .spawn(body)
        .expect("a thread can be started");
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}

/// The source of the log's lines.
enum Log {
    Memory(DevLog),
    Rsyslog { _daemon: Daemon },
}

/// An instance and its surroundings.
pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) started: Instant,
    log: Log,
    _sshd: Daemon,
}

impl World {
    fn new(setup: Setup) -> Self {
        let emulator = Emulator::start(setup.emulator).expect("the namespace has these addresses");
        // The emulator's clock starts at the same time.
        let started = Instant::now();
        tmpfs("/sys", "mode=0755");
        let machine = Machine::Nitro(emulator.options().instance_id.clone());
        write_sysfs(Path::new("/sys"), &machine).expect("it is ours");
        become_instance(Path::new("/"), &emulator.pki().anchors);
        make_homes(Path::new(HOMES));
        let host_key = sshd::make_host_key();
        introduce(&host_key);
        own_dev();
        let log = match setup.rsyslog {
            true => Log::Rsyslog {
                _daemon: rsyslog::start(),
            },
            false => Log::Memory(DevLog::listen(Path::new("/dev/log"))),
        };
        let mut daemon = sshd::start(&setup.sshd);
        let listens = wait_for(START, || {
            let lines = lines(&log);
            let listens = lines
                .iter()
                .any(|line| line.text.starts_with("Server listening on 0.0.0.0"));
            (listens || daemon.has_ended()).then_some(listens)
        });
        if listens != Some(true) {
            let output = fs::read_to_string(Path::new(SCRATCH).join("sshd.output")).unwrap_or_default();
            panic!("sshd does not listen: {output}{:#?}", lines(&log));
        }
        Self {
            emulator,
            started,
            log,
            _sshd: daemon,
        }
    }

    /// The log so far.
    pub(crate) fn lines(&self) -> Vec<LogLine> {
        lines(&self.log)
    }

    /// What the program has logged so far.
    pub(crate) fn said(&self) -> Vec<String> {
        let lines = self.lines().into_iter().filter(LogLine::is_ours);
        lines
            .inspect(|line| {
                assert!(
                    line.priority.is_none_or(|priority| priority == AUTHPRIV_INFO),
                    "{line:?}"
                )
            })
            .map(|line| line.text)
            .collect()
    }

    /// A client of the service's.
    pub(crate) fn client(&self) -> Client {
        let options = self.emulator.options();
        Client {
            address: SERVICE.to_owned(),
            credentials: options
                .credentials
                .clone()
                .expect("the service wants to be called by somebody"),
            region: options.region.clone(),
            instance_id: options.instance_id.clone(),
        }
    }

    /// Pushes a key through the API; returns the request ID.
    #[track_caller]
    pub(crate) fn push(&self, user: &str, key: &KeyPair) -> String {
        self.client().push(user, &key.line)
    }

    /// Publishes a record that the signer made, in place of the existing ones.
    pub(crate) fn publish(&self, user: &str, record: &RecordTemplate) {
        self.emulator.with_imds(|imds| {
            imds.unpublish(user);
            imds.publish(user, record);
        });
    }

    /// Adds a key to `authorized_keys`.
    pub(crate) fn authorize(&self, user: &str, key: &KeyPair) {
        let file = machine::home(user).join(".ssh/authorized_keys");
        let before = fs::read_to_string(&file).unwrap_or_default();
        fs::write(&file, format!("{before}{}\n", key.line)).expect("the home is ours");
        let id = Some(machine::id_of(user));
        std::os::unix::fs::chown(&file, id, id).expect("root may give away");
    }

    /// Asserts that a login succeeded, and that the log links it to the push that allowed it.
    #[track_caller]
    pub(crate) fn assert_in(&self, login: &Outcome, user: &str, key: &KeyPair, request_id: &str) {
        assert_eq!(login.success().trim(), user, "{login:#?}");
        self.assert_trail(user, &key.fingerprint(), request_id);
    }

    /// Asserts that the log links this user's login to that answer of the API.
    #[track_caller]
    pub(crate) fn assert_trail(&self, user: &str, fingerprint: &str, request_id: &str) {
        let entry = Entry {
            user: user.to_owned(),
            fingerprint: fingerprint.to_owned(),
            request_id: request_id.to_owned(),
            principal: self.emulator.options().caller.clone(),
        };
        audit::assert_trail(&entry, || self.lines());
    }

    /// Asserts that sshd accepted no key.
    #[track_caller]
    pub(crate) fn assert_denied(&self, login: &Outcome) {
        assert_eq!(login.status, Some(255), "{login:#?}");
        assert!(login.stderr.contains(DENIED), "{login:#?}");
        assert!(login.stdout.is_empty(), "{login:#?}");
        let accepted = |line: &LogLine| line.is_sshd() && line.text.starts_with("Accepted");
        assert!(!self.lines().iter().any(accepted), "sshd accepted a key");
    }

    /// Asserts that the log has a line that contains this, as soon as it has arrived.
    #[track_caller]
    pub(crate) fn assert_logged(&self, what: &str) {
        let seen = wait_for(Duration::from_secs(5), || {
            self.lines().iter().any(|line| line.text.contains(what)).then_some(())
        });
        assert!(seen.is_some(), "nobody logged: {what}");
    }

    /// What sshd, the program and the emulator's clients did, in one table.
    pub(crate) fn report(&self) -> String {
        report::timeline(self.started, &self.lines(), &self.emulator.requests())
    }
}

impl Drop for World {
    /// If the test failed, prints what happened.
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{}", self.report());
        }
    }
}

fn lines(log: &Log) -> Vec<LogLine> {
    match log {
        Log::Memory(log) => log.lines(),
        Log::Rsyslog { .. } => rsyslog::lines(rsyslog::AUTH),
    }
}

/// Adds the host key, under every name, to root's known_hosts, and the names of the hosts to /etc/hosts.
fn introduce(host_key: &str) {
    let names = IPV4[1..].iter().chain(&IPV6[1..]).chain([&NAME]);
    let names: Vec<_> = names.copied().collect();
    let known = machine::home("root").join(".ssh/known_hosts");
    fs::write(known, format!("{} {host_key}\n", names.join(","))).expect("the home is ours");
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    fs::write("/etc/hosts", format!("{hosts}\n{HOST} {NAME}\n")).expect("it is a copy");
}
