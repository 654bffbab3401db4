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
/// Whom most tests log in as.
pub(crate) const USER: &str = "ec2-user";
/// The name that EC2 has for it.
const NAME: &str = "ec2-203-0-113-10.us-west-2.compute.amazonaws.com";

/// Facility 10, severity 6 (RFC 5424, section 6.2.1).
pub(crate) const AUTHPRIV_INFO: u8 = 10 * 8 + 6;

/// How long sshd may take to listen.
const START: Duration = Duration::from_secs(20);

/// What most tests leave as it is.
pub(crate) struct Setup {
    /// The emulator's options.
    pub(crate) emulator: Options,
    /// sshd's settings before its others.
    pub(crate) sshd: String,
    /// The log is rsyslog's.
    pub(crate) rsyslog: bool,
    /// What the test needs besides what all need.
    pub(crate) tools: &'static [Tool],
    /// Nothing else runs meanwhile: for tests that measure.
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

/// IMDS at its real addresses, and a service that wants to be called by somebody.
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

/// Runs a test in a world of its own, or says why it cannot run.
pub(crate) fn in_a_world(setup: Setup, test: impl FnOnce(&World) + Send + 'static) {
    if lacking(setup.tools) {
        return;
    }
    in_namespaces(setup.alone, move || test(&World::new(setup)));
}

/// Runs a test in namespaces of its own; no other meanwhile, where it must be alone.
pub(crate) fn in_namespaces(alone: bool, test: impl FnOnce() + Send + 'static) {
    static TURNS: RwLock<()> = RwLock::new(());
    // A test that failed in its turn has said so.
    let _alone = alone.then(|| TURNS.write().unwrap_or_else(PoisonError::into_inner));
    let _with_others = (!alone).then(|| TURNS.read().unwrap_or_else(PoisonError::into_inner));
    // Built before there is no network.
    program();
    let name = thread::current().name().unwrap_or("a test").to_owned();
    // The namespaces are this thread's and end with it and its children.
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

/// Where lines of the log are found.
enum Log {
    Memory(DevLog),
    Rsyslog { _daemon: Daemon },
}

/// An instance with everything around it.
pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) started: Instant,
    log: Log,
    _sshd: Daemon,
}

impl World {
    fn new(setup: Setup) -> Self {
        let emulator = Emulator::start(setup.emulator).expect("the namespace has these addresses");
        // The emulator's clock started with it.
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

    /// Pushes a key over the API; the request id of its answer.
    #[track_caller]
    pub(crate) fn push(&self, user: &str, key: &KeyPair) -> String {
        self.client().push(user, &key.line)
    }

    /// Publishes a record that the signer made, in the place of what there is.
    pub(crate) fn publish(&self, user: &str, record: &RecordTemplate) {
        self.emulator.with_imds(|imds| {
            imds.unpublish(user);
            imds.publish(user, record);
        });
    }

    /// Lets a key in as people do without EC2 Instance Connect.
    pub(crate) fn authorize(&self, user: &str, key: &KeyPair) {
        let file = machine::home(user).join(".ssh/authorized_keys");
        let before = fs::read_to_string(&file).unwrap_or_default();
        fs::write(&file, format!("{before}{}\n", key.line)).expect("the home is ours");
        let id = Some(machine::id_of(user));
        std::os::unix::fs::chown(&file, id, id).expect("root may give away");
    }

    /// Sees that a login came about, and that it can be followed to the push it was made with.
    #[track_caller]
    pub(crate) fn assert_in(&self, login: &Outcome, user: &str, key: &KeyPair, request_id: &str) {
        assert_eq!(login.success().trim(), user, "{login:#?}");
        self.assert_trail(user, &key.fingerprint(), request_id);
    }

    /// Sees that the log leads from this user's login to that answer of the API.
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

    /// Sees that sshd took no key.
    #[track_caller]
    pub(crate) fn assert_denied(&self, login: &Outcome) {
        assert_eq!(login.status, Some(255), "{login:#?}");
        assert!(login.stderr.contains(DENIED), "{login:#?}");
        assert!(login.stdout.is_empty(), "{login:#?}");
        let accepted = |line: &LogLine| line.is_sshd() && line.text.starts_with("Accepted");
        assert!(!self.lines().iter().any(accepted), "sshd accepted a key");
    }

    /// Sees that the log has a line with this in it, once it has arrived.
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
    /// Where a test failed, what happened is told.
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

/// Tells root's ssh the host's key, under every name, and the names of the hosts.
fn introduce(host_key: &str) {
    let names = IPV4[1..].iter().chain(&IPV6[1..]).chain([&NAME]);
    let names: Vec<_> = names.copied().collect();
    let known = machine::home("root").join(".ssh/known_hosts");
    fs::write(known, format!("{} {host_key}\n", names.join(","))).expect("the home is ours");
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    fs::write("/etc/hosts", format!("{hosts}\n{HOST} {NAME}\n")).expect("it is a copy");
}
