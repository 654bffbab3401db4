//! Every way in which an answer can go wrong, on every path that is requested: nothing is printed, nothing breaks, the
//! cause is logged.

use std::time::Duration;

use emulator::imds::{IDENTITY_DOCUMENT, META_DATA, TOKEN};
use emulator::{Fault, FaultRule};

use crate::harness::{HOSTILE_KIB, Instance, REQUESTS_AT_MOST, USER};
use crate::keys::PublicKey;
use crate::surroundings::side_by_side;

/// The required result of a call.
#[derive(Clone, Copy, Debug)]
enum Is {
    /// Nothing printed, status 1, and a line that contains this.
    Failure(&'static str),
    /// Nothing printed, status 0, and a line that contains this: IMDS answered, but its answer has no valid key.
    Refusal(&'static str),
    /// Nothing printed, status 0, and the line that nobody pushed a key.
    NobodyPushed,
    /// The key is printed: the answer was not needed, or is complete enough.
    Key,
    /// Either [`Is::Key`] or [`Is::Failure`]: half an answer may contain all that is needed.
    KeyOrFailure(&'static str),
}

use Is::{Failure, Key, KeyOrFailure, NobodyPushed, Refusal};

/// The requests of a call, in the order of the table's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Token,
    Keys,
    InstanceId,
    Region,
    Domain,
    Certificates,
    Listing,
    Staple,
}

const ASKED: [Asked; 8] = [
    Asked::Token,
    Asked::Keys,
    Asked::InstanceId,
    Asked::Region,
    Asked::Domain,
    Asked::Certificates,
    Asked::Listing,
    Asked::Staple,
];

impl Asked {
    fn path(self, instance: &Instance) -> String {
        let below = match self {
            Self::Token => return TOKEN.to_owned(),
            Self::Keys => "managed-ssh-keys/active-keys/ec2-user/",
            Self::InstanceId => "instance-id",
            Self::Region => "placement/region",
            Self::Domain => "services/domain",
            Self::Certificates => "managed-ssh-keys/signer-cert/",
            Self::Listing => "managed-ssh-keys/signer-ocsp/",
            Self::Staple => {
                let leaf = instance.emulator.pki().leaf.sha1();
                return format!("{META_DATA}managed-ssh-keys/signer-ocsp/{leaf}");
            }
        };
        format!("{META_DATA}{below}")
    }

    /// Applies the fault only to this path. The staples' paths start with the path of their listing, which is requested
    /// first.
    fn spoil(self, instance: &Instance, fault: Fault) {
        let tried = match fault {
            Fault::Status(401 | 500 | 503) | Fault::Reset | Fault::Close => 3,
            Fault::Cut | Fault::CutHead | Fault::ResetBody | Fault::LongContentLength => 3,
            Fault::Raw(ref bytes) if bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 100") => 3,
            _ => 1,
        };
        let rule = FaultRule::imds(&self.path(instance), fault);
        instance.emulator.fault_rule(match self {
            Self::Listing => rule.first(tried),
            _ => rule,
        });
    }
}

/// Runs a login with each fault on each path, and asserts the result in the row.
fn row(faults: &[Fault], expected: [Is; 8]) {
    let cells: Vec<_> = faults
        .iter()
        .flat_map(|fault| {
            ASKED
                .into_iter()
                .zip(expected)
                .map(move |(asked, is)| (fault, asked, is))
        })
        .collect();
    side_by_side(cells, 8, |(fault, asked, is)| {
        let key = PublicKey::ed25519(1);
        let (instance, _) = Instance::with_key(&key.line());
        // The target of a redirect, which must never be requested.
        let path = asked.path(&instance);
        instance.emulator.with_imds(|imds| {
            let good = imds.get(&path).unwrap_or(b"good").to_vec();
            imds.set("/elsewhere", good);
        });
        asked.spoil(&instance, fault.clone());
        let outcome = instance.login(USER).measured().run();
        let cell = format!("{} on {asked:?} must be {is:?}: {outcome:?}", fault.name());

        let (status, said) = (outcome.status.code(), outcome.said());
        let printed_nothing = outcome.stdout.is_empty();
        let is_failure = |why| printed_nothing && status == Some(1) && said.contains(why);
        let is_key = outcome.printed() == key.printed() && status == Some(0);
        assert!(
            match is {
                Failure(why) => is_failure(why),
                Refusal(why) => printed_nothing && status == Some(0) && said.contains(why),
                NobodyPushed => printed_nothing && status == Some(0) && said.starts_with("no key was pushed for user "),
                Key => is_key,
                KeyOrFailure(why) => is_key || is_failure(why),
            },
            "{cell}"
        );
        assert!(!said.contains("panicked") && said.lines().count() <= 1, "{cell}");
        assert!(outcome.duration < Duration::from_millis(2900), "{cell}");
        assert!(outcome.peak_kib.is_some_and(|kib| kib < HOSTILE_KIB), "{cell}");
        let paths = instance.emulator.imds_paths();
        assert!(paths.len() <= REQUESTS_AT_MOST, "{cell}: {paths:?}");
        assert!(!paths.iter().any(|path| path.ends_with("/elsewhere")), "{cell}");
    });
}

/// One second: too slow for any answer, too fast for a timeout between two bytes.
const SLOWLY: Duration = Duration::from_secs(1);

const SILENT: Is = Failure("IMDS did not answer the request for ");
const NOT_HTTP: Is = Failure("the request to IMDS for ");
const BROKE: Is = Failure("the connection to IMDS was closed before ");
const TOO_LONG: Is = Failure("IMDS returned more than");

#[test]
fn an_answer_that_hangs_or_drips_ends_within_its_time() {
    row(
        &[Fault::Hang, Fault::Drip(SLOWLY), Fault::DripBody(SLOWLY)],
        [SILENT; 8],
    );
}

#[test]
fn an_answer_without_end_is_cut_off_at_its_limit() {
    row(&[Fault::EndlessChunks, Fault::EndlessBody], [TOO_LONG; 8]);
}

#[test]
fn an_answer_of_5_megabytes_is_cut_off_at_its_limit() {
    row(&[Fault::Body(vec![b'A'; 5_000_000])], [TOO_LONG; 8]);
}

#[test]
fn a_content_length_that_promises_too_much_is_no_answer() {
    row(&[Fault::LongContentLength], [BROKE; 8]);
}

#[test]
fn a_content_length_that_promises_too_little_is_no_more_than_half_an_answer() {
    row(
        &[Fault::ShortContentLength],
        [
            Failure("IMDS returned HTTP status 401 for /latest/meta-data/managed-ssh-keys/active-keys/ec2-user/"),
            // The middle of a record depends on the length of its key.
            Refusal("for user ec2-user: record"),
            Failure("IMDS returned an invalid instance ID: \"i-0123456\""),
            Failure("\"us-w\" is not an AWS region"),
            Failure("IMDS returned the services domain \"amazon\", but that of us-west-2 is amazonaws.com"),
            // The first half of the chain contains the signer and its issuer: the trust store has the root.
            KeyOrFailure("Provided no ssh key"),
            // The first half of the names may contain exactly these two.
            KeyOrFailure("Provided no ssh key"),
            Failure("OCSP response for \"managed-ssh-signer.us-west-2.amazonaws.com\" is missing"),
        ],
    );
}

#[test]
fn a_connection_that_breaks_is_no_answer() {
    let nothing = Fault::Raw(Vec::new());
    row(
        &[
            Fault::Cut,
            Fault::CutHead,
            Fault::Reset,
            Fault::ResetBody,
            Fault::Close,
            nothing,
        ],
        [BROKE; 8],
    );
}

#[test]
fn a_redirect_is_never_followed() {
    row(
        &[Fault::Redirect("/elsewhere".to_owned())],
        [Failure("IMDS returned HTTP status 302 for "); 8],
    );
}

#[test]
fn a_flood_of_headers_is_no_answer() {
    row(&[Fault::HeaderFlood(33), Fault::HeaderFlood(20_000)], [NOT_HTTP; 8]);
}

#[test]
fn a_web_page_is_no_answer() {
    row(
        &[Fault::Html],
        [
            Failure("IMDS returned an invalid token"),
            Refusal("IMDS returned keys in an unknown format, starting with \"<!DOCTYPE html>"),
            Failure("IMDS returned an invalid instance ID: \"<!DOCTYPE html>"),
            Failure("<!DOCTYPE html>"),
            Failure("<!DOCTYPE html>"),
            Failure("IMDS returned no signer certificate"),
            Failure("OCSP response for \"managed-ssh-signer.us-west-2.amazonaws.com\" is missing"),
            Failure(
                "OCSP response for \"managed-ssh-signer.us-west-2.amazonaws.com\" is missing (IMDS returned one that cannot be parsed",
            ),
        ],
    );
}

#[test]
fn a_401_that_a_new_token_does_not_cure_is_a_failure() {
    row(
        &[Fault::Status(401)],
        [Failure("IMDS returned HTTP status 401 for "); 8],
    );
}

#[test]
fn a_403_is_a_refusal_for_the_token_and_a_failure_for_all_else() {
    let mut expected = [Failure("IMDS returned HTTP status 403 for "); 8];
    expected[0] = Refusal("IMDS is disabled for this instance");
    row(&[Fault::Status(403)], expected);
}

#[test]
fn a_404_is_what_it_means_on_each_path() {
    row(
        &[Fault::Status(404)],
        [
            Failure("IMDS returned HTTP status 404 for "),
            NobodyPushed,
            Failure("IMDS returned HTTP status 404 for /latest/meta-data/instance-id"),
            // Older versions of IMDS do not serve this; the document contains it.
            Key,
            Failure("IMDS returned HTTP status 404 for /latest/meta-data/services/domain"),
            Failure("IMDS returned HTTP status 404 for /latest/meta-data/managed-ssh-keys/signer-cert/"),
            Failure("IMDS returned HTTP status 404 for /latest/meta-data/managed-ssh-keys/signer-ocsp/"),
            Failure("OCSP response for \"managed-ssh-signer.us-west-2.amazonaws.com\" is missing"),
        ],
    );
}

#[test]
fn a_500_and_a_503_that_last_are_failures() {
    row(
        &[Fault::Status(500)],
        [Failure("IMDS returned HTTP status 500 for "); 8],
    );
    row(
        &[Fault::Status(503)],
        [Failure("IMDS returned HTTP status 503 for "); 8],
    );
}

#[test]
fn other_statuses_are_failures_whatever_their_body() {
    for status in [201, 204, 206, 400, 418, 429] {
        let instance = Instance::start();
        let path = Asked::Keys.path(&instance);
        instance.emulator.fault(&path, Fault::Status(status));
        let why = format!("Provided no ssh key for user ec2-user: IMDS returned HTTP status {status} for {path}");
        instance.login(USER).run().refused(1, &why);
    }
}

#[test]
fn what_is_no_http_is_no_answer() {
    let raw = [
        &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
        b"\0\0\0\0",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhellos",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
    ];
    let faults = raw.map(|bytes| Fault::Raw(bytes.to_vec()));
    row(&faults, [NOT_HTTP; 8]);
}

#[test]
fn a_flood_of_interim_answers_is_no_answer() {
    let flood = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000);
    row(&[Fault::Raw(flood.into_bytes())], [BROKE; 8]);
}

/// Interim answers, and the digits of a chunk's size, without end.
pub(crate) fn endless_before_a_body() -> [Fault; 2] {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(2000).into_bytes();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let zeros = vec![b'0'; 64 * 1024];
    [
        Fault::EndlessRaw(Vec::new(), interim),
        Fault::EndlessRaw(chunked, zeros),
    ]
}

/// The HTTP library reads as long as data is available. Data that arrives without a pause and never ends must not keep it
/// from checking the deadline.
#[test]
fn what_never_comes_to_a_body_ends_within_its_time() {
    let keys = Asked::Keys.path(&Instance::start());
    // Without the watchdog, it would take the five seconds of the whole call.
    for (path, first, last) in [(TOKEN, 1000, 2200), (&keys, 1500, 2700)] {
        for fault in endless_before_a_body() {
            let (instance, _) = Instance::with_key(&PublicKey::ed25519(1).line());
            instance.emulator.fault(path, fault);
            let outcome = instance.login(USER).measured().run();
            assert!(outcome.said().contains("IMDS did not answer"), "{outcome:?}");
            outcome.is(1, "", outcome.said());
            let expected = Duration::from_millis(first)..Duration::from_millis(last);
            assert!(expected.contains(&outcome.duration), "{outcome:?}");
            assert!(outcome.peak_kib.is_some_and(|kib| kib < HOSTILE_KIB), "{outcome:?}");
        }
    }
}

#[test]
fn the_older_paths_are_no_less_guarded() {
    for fault in [
        Fault::Hang,
        Fault::EndlessBody,
        Fault::Status(500),
        Fault::Cut,
        Fault::Html,
    ] {
        let (instance, _) = Instance::with_key(&PublicKey::ed25519(1).line());
        instance.emulator.with_imds(|imds| imds.remove("placement/region"));
        instance.emulator.fault(IDENTITY_DOCUMENT, fault.clone());
        let outcome = instance.login(USER).run();
        assert!(
            outcome.said().starts_with("Provided no ssh key for user ec2-user: "),
            "{outcome:?}"
        );
        outcome.is(1, "", outcome.said());
        assert!(instance.requests() <= REQUESTS_AT_MOST);
    }
}
