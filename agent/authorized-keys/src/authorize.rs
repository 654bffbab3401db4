//! One run of the program: reads, requests, has `eic-verify` decide, logs and prints. Everything happens in this order.

use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::future::{Either, select, try_join_all};
use tokio::task::yield_now;
use tokio::{join, runtime, time, try_join};

use crate::chain::Chain;
use crate::decision::{Decision, Failure, InstanceIdSource, NoRecord};
use crate::host::audit_log::{AuditLog, DEV_LOG, LogLine};
use crate::host::deadline::{Activity, Deadline};
use crate::host::imds::{Endpoint, Imds, ImdsError, PendingAnswers};
use crate::host::machine::Machine;
use crate::host::{clock, output, trust_store};
use crate::options::Options;
use crate::report::{self, Report};
use eic_verify::{
    ExpectedSigner, FingerprintFilter, InstanceId, KeyBlob, Limits, OcspStaple, Region, SignerChain, TrustAnchors,
    TrustedSigner, UserName,
};

/// Prints the valid keys of the user, logs, and returns the exit status.
#[must_use]
pub fn authorize(options: &Options) -> ExitCode {
    let chain = (!options.chain.is_empty()).then(Chain::prepare);
    let deadline = start_deadline(options, chain.as_ref());
    let (report, chained_keys) = match chain {
        None => (instance_connect(options, &deadline), Vec::new()),
        Some(chain) => chain.run(options, &deadline, instance_connect),
    };
    if !report.log.is_empty() {
        deadline.enter(Activity::Logging);
        let mut log = AuditLog::open(Path::new(DEV_LOG));
        for line in &report.log {
            log.write(line);
        }
    }
    deadline.enter(Activity::PrintingKeys);
    let printed = output::print_keys(&report.keys, &chained_keys);
    deadline.enter(Activity::PrintingMessages);
    let logged = report.log.iter().map(|line| &line.text);
    for line in report.explanation.iter().chain(logged) {
        output::print_message(line);
    }
    match printed {
        Ok(()) if report.failed => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::print_message(&format!("cannot write the keys to standard output: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Starts the watchdog, which reports why it ends the process.
fn start_deadline(options: &Options, chain: Option<&Chain>) -> Deadline {
    let limit = Duration::from_secs(options.timeout.into());
    let group = chain.map(Chain::process_group).unwrap_or_default();
    Deadline::start(
        limit,
        1,
        chain.map(Chain::on_overdue_answer),
        move |activity, expiry| {
            group.kill();
            let line = report::watchdog_line(&expiry);
            AuditLog::open(Path::new(DEV_LOG)).write(&LogLine::new(line.clone()));
            // If stderr is what blocks, it is locked too.
            if activity != Activity::PrintingMessages {
                output::print_message(&line);
            }
        },
    )
}

/// The keys of EC2 Instance Connect, without those of a chained command.
fn instance_connect(options: &Options, deadline: &Deadline) -> Report {
    // Nobody can have pushed a key for another name. Such a name is never sent: only the path that a record was fetched
    // from binds the record to its user.
    let Some(user) = UserName::parse(&options.user) else {
        return Report::nothing_to_do(report::invalid_user_name(&options.user));
    };
    let machine = Machine::detect(&options.sysfs);
    if machine == Machine::NotEc2 {
        return Report::nothing_to_do(report::not_ec2(&options.sysfs));
    }
    deadline.enter(Activity::FetchingAndVerifying);
    let decision = decide(&user, &machine, options, deadline);
    Report::new(&user, options.fingerprint.as_deref(), decision)
}

/// Fetches and verifies, until the deadline at most.
fn decide(user: &UserName, machine: &Machine, options: &Options, deadline: &Deadline) -> Decision {
    let mut decision = Decision::default();
    let result = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map(|runtime| {
            let result = runtime.block_on(async {
                let work = fetch_and_verify(user, machine, options, deadline.pending_answers(), &mut decision);
                time::timeout_at(deadline.give_up_at().into(), work).await
            });
            // If --imds-endpoint is a host name, its lookup may still be running.
            runtime.shutdown_background();
            result
        });
    decision.failure = match result {
        Ok(Ok(result)) => result.err(),
        Ok(Err(_elapsed)) => Some(Failure::ImdsTooSlow(options.timeout)),
        Err(error) => Some(Failure::Runtime(error)),
    };
    decision
}

/// Fetches what is needed, as little and as late as possible, and verifies the records.
///
/// Round trips: token; keys; region, signer and names of the staples; staples. Most runs end after the second.
async fn fetch_and_verify(
    user: &UserName,
    machine: &Machine,
    options: &Options,
    pending: &PendingAnswers,
    decision: &mut Decision,
) -> Result<(), Failure> {
    // Was a key pushed for the user?
    let limits = Limits::default();
    let filter = FingerprintFilter::parse(options.fingerprint.as_deref());
    let endpoints = options
        .imds_endpoint
        .clone()
        .map_or_else(Endpoint::link_local, |only| vec![only]);
    let imds = Imds::connect(&endpoints, &limits, pending).await?;
    let pushed = blob_and_instance_id(&imds, user, machine).await?;
    let Some((blob, instance)) = pushed.filter(|(blob, _)| !KeyBlob::new(blob).is_empty()) else {
        decision.no_record = Some(NoRecord::NothingPushed);
        return Ok(());
    };
    decision.queried = filter.given().map(str::to_owned);
    let instance = instance?;
    if let Machine::Xen(Some(own)) = machine
        && *own != instance
    {
        return Err(Failure::InstanceMismatch {
            source: InstanceIdSource::CloudInit,
            own: own.clone(),
            imds: instance,
        });
    }

    // Is there a record for the offered key, for this instance, that has not expired?
    let candidates = KeyBlob::new(&blob).select_candidates(&filter, &instance, clock::now(), &limits)?;
    decision.refused = candidates.refused;
    decision.skipped = candidates.skipped;
    if candidates.records.is_empty() {
        decision.no_record = decision.refused.is_empty().then_some(NoRecord::OtherFingerprint);
        return Ok(());
    }

    // Which instance is this, and who signs here?
    let imds_instance = async {
        match machine {
            Machine::Nitro(_) => imds.instance_id().await,
            Machine::Xen(_) | Machine::NotEc2 => Ok(instance.clone()),
        }
    };
    let (imds_instance, placement, domain, chain, staple_names) = try_join!(
        imds_instance,
        imds.region(),
        imds.domain(),
        imds.signer_certificates(),
        imds.staple_names(),
    )?;
    if imds_instance != instance {
        return Err(Failure::InstanceMismatch {
            source: InstanceIdSource::Dmi,
            own: instance,
            imds: imds_instance,
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
    let anchors = async {
        // Let the requests go out first: the trust store is read while IMDS answers them.
        yield_now().await;
        pending.run_blocking(|| {
            trust_store::read(options.trust_store.as_deref())
                .map(|store| TrustAnchors::select(store, &chain, clock::now()))
        })
    };
    let staples = try_join_all(staple_names.iter().map(|name| imds.staple(name)));
    let (answers, anchors) = join!(async { try_join!(older_imds, staples) }, anchors);
    let ((document, zone), staples) = answers?;
    let region = Region::from_imds(placement.as_deref(), document.as_deref(), zone.as_deref())?;
    let expected = ExpectedSigner::new(region, &domain)?;
    let staples: Vec<OcspStaple> = staples
        .iter()
        .flatten()
        .map(|answer| OcspStaple::from_base64(answer))
        .collect();

    // Is the signer trusted, and did it sign the records? The clock is read after everything was fetched: an attacker who
    // delays answers gains no time.
    let now = clock::now();
    let signer = TrustedSigner::establish(&chain, &staples, &anchors?, &expected, now)?;
    for record in candidates.records {
        match record.verify(&signer, &instance, now) {
            Ok(key) => decision.keys.push(key),
            Err(refusal) => decision.refused.push(refusal),
        }
    }
    Ok(())
}

/// The key blob of the user, with the instance ID; `None` if nobody pushed a key.
///
/// On Nitro the instance ID is that of the firmware. On Xen it is that of IMDS, which is requested at the same time as the
/// blob; whether that request succeeds matters only if there are keys.
async fn blob_and_instance_id(
    imds: &Imds,
    user: &UserName,
    machine: &Machine,
) -> Result<Option<(Vec<u8>, Result<InstanceId, ImdsError>)>, ImdsError> {
    if let Machine::Nitro(own) = machine {
        let blob = imds.active_keys(user).await?;
        return Ok(blob.map(|blob| (blob, Ok(own.clone()))));
    }
    match select(pin!(imds.active_keys(user)), pin!(imds.instance_id())).await {
        Either::Left((blob, instance)) => match blob? {
            Some(blob) => Ok(Some((blob, instance.await))),
            None => Ok(None),
        },
        Either::Right((instance, blob)) => Ok(blob.await?.map(|blob| (blob, instance))),
    }
}
