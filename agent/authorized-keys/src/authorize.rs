//! One call, from a user name to printed keys: the one place where gathering, verifying and printing meet.

use std::fmt;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select, try_join_all};
use tokio::task::yield_now;
use tokio::{join, runtime, time, try_join};

use crate::host::audit_log::{AuditLog, DEV_LOG, Weight};
use crate::host::chained::{Chained, Group};
use crate::host::deadline::{self, Deadline, Overdue, Stage};
use crate::host::endpoint::Endpoint;
use crate::host::imds::Imds;
use crate::host::machine::{CLOUD_INIT_ID, Machine};
use crate::host::trust_store::TrustStoreError;
use crate::host::waits::Waits;
use crate::host::{ImdsError, chained, clock, output, trust_store};
use crate::options::Options;
use crate::report::{self, Line};
use eic_verify::blob::{self, BlobError, Refusal};
use eic_verify::identity::{self, ExpectedSigner, IdentityError, InstanceId};
use eic_verify::limits::Limits;
use eic_verify::login::{UserName, Wanted};
use eic_verify::ocsp::Served;
use eic_verify::record::VerifiedKey;
use eic_verify::signer::TrustedSigner;
use eic_verify::signer_chain::SignerChain;
use eic_verify::signer_rejection::SignerRejection;
use eic_verify::trust_anchor::TrustAnchors;

/// What the call found out. It is filled in on the way, so that it says how far a call came that failed.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    /// The fingerprint that was looked for, once there were keys to look through.
    pub(crate) queried: Option<String>,
    /// The keys that hold.
    pub(crate) keys: Vec<VerifiedKey>,
    /// What was pushed for this key and does not hold.
    pub(crate) refused: Vec<Refusal>,
    /// How many more records there were than are judged.
    pub(crate) passed_over: usize,
    /// Why there was nothing to decide.
    pub(crate) nothing: Option<Nothing>,
    /// Why the call could not go on.
    pub(crate) failure: Option<Failure>,
}

/// Why there are no keys to judge, which is the usual case. It is not logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// IMDS has no key for the user.
    Pushed,
    /// It has, but not for the fingerprint that is asked for.
    OfThatFingerprint,
}

/// How much longer than the chained command our own work may take, both having been told to end at the same time.
const GRACE: Duration = Duration::from_millis(20);

/// What one call comes to.
#[derive(Debug, Default)]
struct Answer {
    keys: Vec<VerifiedKey>,
    /// For the log, and for whoever runs this by hand.
    lines: Vec<Line>,
    /// For the latter alone.
    aside: Option<String>,
    /// Whether it could not do its job.
    failed: bool,
}

/// Answers sshd: prints the keys for the user, logs, and says how it went.
#[must_use]
pub fn authorize(options: &Options) -> ExitCode {
    if !options.chain.is_empty() {
        chained::close_inherited();
    }
    let group = Group::default();
    let to_end = group.clone();
    let (done, ours) = mpsc::channel();
    let overdue = (!options.chain.is_empty()).then(|| {
        // The other command's keys are not lost with ours.
        let done = done.clone();
        let give_up = move |error| drop(done.send(Answer::failed(&Failure::Imds(error))));
        Box::new(give_up) as Overdue
    });
    let limit = Duration::from_secs(options.timeout.into());
    let deadline = Deadline::start(limit, 1, overdue, move |stage, cause| {
        to_end.end();
        AuditLog::open(Path::new(DEV_LOG)).line(cause, Weight::Other);
        // Where stderr is what blocks, it is locked too.
        if stage != Stage::Explaining {
            output::explain(cause);
        }
    });
    let (answer, chained) = if options.chain.is_empty() {
        (answer(options, &deadline), Vec::new())
    } else {
        beside_another(options, &deadline, &group, done, &ours)
    };
    if !answer.lines.is_empty() {
        deadline.enter(Stage::Logging);
        let mut log = AuditLog::open(Path::new(DEV_LOG));
        for line in &answer.lines {
            log.line(&line.text, line.weight);
        }
    }
    deadline.enter(Stage::Printing);
    let printed = output::print(&answer.keys, &chained);
    deadline.enter(Stage::Explaining);
    let logged = answer.lines.iter().map(|line| &line.text);
    for line in answer.aside.iter().chain(logged) {
        output::explain(line);
    }
    match printed {
        Ok(()) if answer.failed => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::explain(&format!("keys could not be written: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Our own work.
fn answer(options: &Options, deadline: &Deadline) -> Answer {
    // Nobody can have pushed a key for another name, and nothing but the path a record was fetched from binds it to
    // its user: such a name is never sent.
    let Some(user) = UserName::parse(&options.user) else {
        return Answer::nothing(report::no_such_name(&options.user));
    };
    let machine = Machine::look(&options.sysfs);
    if machine == Machine::Elsewhere {
        return Answer::nothing(report::no_instance(&options.sysfs));
    }
    deadline.enter(Stage::Authorizing);
    let decision = decide(&user, &machine, options, deadline);
    Answer {
        lines: report::lines(&user, &decision),
        aside: decision
            .nothing
            .map(|nothing| report::nothing(&user, options.fingerprint.as_deref(), nothing)),
        failed: decision.failure.as_ref().is_some_and(Failure::is_failing),
        keys: decision.keys,
    }
}

/// Our own work, and the chained command beside it: each of them that fails loses only its own keys.
fn beside_another(
    options: &Options,
    deadline: &Deadline,
    group: &Group,
    done: Sender<Answer>,
    ours: &Receiver<Answer>,
) -> (Answer, Vec<u8>) {
    let chained = Chained::start(&options.chain, group);
    let (their_options, their_deadline) = (options.clone(), deadline.clone());
    // A thread of its own, as blocking work may not end (a dead NFS under the trust store).
    let working = thread::Builder::new().spawn(move || {
        let _ = done.send(answer(&their_options, &their_deadline));
    });
    let chained = chained.and_then(|chained| chained.keys(deadline.soft_end()));
    let until = deadline.soft_end() + GRACE;
    let ours = ours.recv_timeout(until.saturating_duration_since(Instant::now()));
    let mut answer = match (working, ours) {
        (Ok(_), Ok(answer)) => answer,
        (Ok(_), Err(_)) => Answer::failed(&Failure::Blocked(options.timeout)),
        (Err(error), _) => Answer::failed(&Failure::Runtime(error)),
    };
    let chained = match chained {
        Ok(keys) => {
            // One of the two has worked.
            answer.failed = false;
            keys
        }
        Err(error) => {
            answer.lines.push(Line::other(error.to_string()));
            Vec::new()
        }
    };
    (answer, chained)
}

impl Answer {
    fn nothing(why: String) -> Self {
        Self {
            aside: Some(why),
            ..Self::default()
        }
    }

    fn failed(failure: &Failure) -> Self {
        Self {
            lines: vec![Line::other(deadline::no_keys(failure))],
            failed: true,
            ..Self::default()
        }
    }
}

fn decide(user: &UserName, machine: &Machine, options: &Options, deadline: &Deadline) -> Decision {
    let mut decision = Decision::default();
    let result = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map(|runtime| {
            let result = runtime.block_on(async {
                let gathering = gather(user, machine, options, deadline.waits(), &mut decision);
                time::timeout_at(deadline.soft_end().into(), gathering).await
            });
            // A name look-up for an --imds-endpoint given by name may still be running.
            runtime.shutdown_background();
            result
        });
    decision.failure = match result {
        Ok(Ok(result)) => result.err(),
        Ok(Err(_elapsed)) => Some(Failure::OutOfTime(options.timeout)),
        Err(error) => Some(Failure::Runtime(error)),
    };
    decision
}

/// Gathers what is needed, as little and as late as possible, and decides.
///
/// Round trips: token; keys; where, and by whom signed; staples. Most calls end after the second.
async fn gather(
    user: &UserName,
    machine: &Machine,
    options: &Options,
    waits: &Waits,
    decision: &mut Decision,
) -> Result<(), Failure> {
    let limits = Limits::default();
    let wanted = Wanted::parse(options.fingerprint.as_deref());
    let endpoints = options
        .imds_endpoint
        .clone()
        .map_or_else(Endpoint::link_local, |only| vec![only]);
    let imds = Imds::open(&endpoints, &limits, waits).await?;

    // On Nitro the firmware has told the instance id. On Xen IMDS does, and it is needed as soon as there are keys.
    let (blob, instance) = match machine {
        Machine::Nitro(tag) => (imds.active_keys(user).await?, Ok(tag.clone())),
        Machine::Xen(_) | Machine::Elsewhere => {
            match select(pin!(imds.active_keys(user)), pin!(imds.instance_id())).await {
                Either::Left((blob, instance)) => match blob? {
                    Some(blob) => (Some(blob), instance.await),
                    // Nobody pushed a key: whatever becomes of the other answer.
                    None => {
                        decision.nothing = Some(Nothing::Pushed);
                        return Ok(());
                    }
                },
                Either::Right((instance, blob)) => (blob.await?, instance),
            }
        }
    };
    let Some(blob) = blob.filter(|blob| !blob::is_empty(blob)) else {
        decision.nothing = Some(Nothing::Pushed);
        return Ok(());
    };
    decision.queried = wanted.given().map(str::to_owned);
    let instance = instance?;
    if let Machine::Xen(Some(written)) = machine
        && *written != instance
    {
        return Err(Failure::OtherInstance {
            witness: Witness::CloudInit,
            said: written.clone(),
            imds: instance,
        });
    }

    let sifted = blob::sift(&blob, &wanted, &instance, clock::now(), &limits)?;
    decision.refused = sifted.refused;
    decision.passed_over = sifted.passed_over;
    if sifted.candidates.is_empty() {
        decision.nothing = decision.refused.is_empty().then_some(Nothing::OfThatFingerprint);
        return Ok(());
    }

    let second_witness = async {
        match machine {
            Machine::Nitro(_) => imds.instance_id().await,
            Machine::Xen(_) | Machine::Elsewhere => Ok(instance.clone()),
        }
    };
    let (told, placement, domain, chain, names) = try_join!(
        second_witness,
        imds.region(),
        imds.domain(),
        imds.signer_certificates(),
        imds.staple_names(),
    )?;
    if told != instance {
        return Err(Failure::OtherInstance {
            witness: Witness::Firmware,
            said: instance,
            imds: told,
        });
    }
    let chain = SignerChain::from_pem(&chain, &limits)?;

    let older_imds = async {
        if placement.is_some() {
            return Ok((None, None));
        }
        match imds.identity_document().await? {
            Some(document) => Ok((Some(document), None)),
            None => Ok((None, imds.zone().await?)),
        }
    };
    let roots = async {
        // Let the requests go out first: the store is read while they are answered.
        yield_now().await;
        waits.aside(|| {
            trust_store::read(options.trust_store.as_deref())
                .map(|store| TrustAnchors::select(store, &chain, clock::now()))
        })
    };
    let staples = try_join_all(names.iter().map(|name| imds.staple(name)));
    let (answers, anchors) = join!(async { try_join!(older_imds, staples) }, roots);
    let ((document, zone), staples) = answers?;
    let region = identity::region(placement.as_deref(), document.as_deref(), zone.as_deref())?;
    let expected = ExpectedSigner::new(region, &domain)?;
    let staples: Vec<Served> = staples.iter().flatten().map(|answer| Served::new(answer)).collect();

    // Read after everything was gathered: an attacker who delays answers gains no time.
    let now = clock::now();
    let signer = TrustedSigner::establish(&chain, &staples, &anchors?, &expected, now)?;
    for record in sifted.candidates {
        match record.verify(&signer, &instance, now) {
            Ok(key) => decision.keys.push(key),
            Err(refusal) => decision.refused.push(refusal),
        }
    }
    Ok(())
}

/// Why a call could not go on.
#[derive(Debug)]
pub(crate) enum Failure {
    /// IMDS gave no answer that can be used.
    Imds(ImdsError),
    /// Where this instance is could not be told.
    Identity(IdentityError),
    /// IMDS and another witness name different instances.
    OtherInstance {
        witness: Witness,
        said: InstanceId,
        imds: InstanceId,
    },
    /// The answer for the keys is no key blob.
    Blob(BlobError),
    /// There are no roots.
    TrustStore(TrustStoreError),
    /// The signer is not trusted.
    Signer(SignerRejection),
    /// The deadline, in seconds, came first.
    OutOfTime(u8),
    /// The same, while something here could not be given up.
    Blocked(u8),
    /// The kernel gave no means to ask IMDS at all.
    Runtime(io::Error),
}

/// Who names the instance, beside IMDS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Witness {
    /// The DMI tag, on Nitro.
    Firmware,
    /// cloud-init's file, on Xen.
    CloudInit,
}

impl Failure {
    /// Not where there is nothing that could be mended by trying again or looking at IMDS, the signer or the roots.
    fn is_failing(&self) -> bool {
        !matches!(
            self,
            Self::Imds(ImdsError::SwitchedOff) | Self::OtherInstance { .. } | Self::Blob(BlobError::NoRecord(_))
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Imds(error) => error.fmt(f),
            Self::Identity(error) => error.fmt(f),
            Self::OtherInstance { witness, said, imds } => {
                let (said, imds) = (said.as_str(), imds.as_str());
                match witness {
                    Witness::Firmware => write!(f, "the firmware says this is {said}, IMDS says {imds}"),
                    Witness::CloudInit => write!(
                        f,
                        "cloud-init says this is {said}, IMDS says {imds} ({CLOUD_INIT_ID} can be deleted where it was \
                         left by another instance)"
                    ),
                }
            }
            Self::Blob(error) => error.fmt(f),
            Self::TrustStore(error) => error.fmt(f),
            Self::Signer(rejection) => rejection.fmt(f),
            Self::OutOfTime(seconds) => write!(f, "IMDS took longer than the timeout of {seconds} s"),
            Self::Blocked(seconds) => f.write_str(&deadline::timed_out(u64::from(*seconds), Stage::Authorizing)),
            Self::Runtime(error) => write!(f, "could not start: {error} (too few descriptors or threads allowed?)"),
        }
    }
}

macro_rules! failure_from {
    ($($error:ty => $variant:ident),+ $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })+
    };
}
failure_from! {
    ImdsError => Imds,
    IdentityError => Identity,
    BlobError => Blob,
    TrustStoreError => TrustStore,
    SignerRejection => Signer,
}
