//! What is printed and logged if all is well: the pushed keys, the audit lines, and no more requests than needed.

use std::time::Duration;

use emulator::Options;
use emulator::imds::SIGNER_OCSP;

use crate::harness::{INSTANCE, Instance, USER, is_release, provided_none};
use crate::keys::{PublicKey, providing, querying, refused};
use crate::xen::{CloudInit, on_xen};

#[test]
fn every_kind_of_key_is_printed_re_encoded_and_without_its_comment() {
    let keys = [
        PublicKey::rsa(2048),
        PublicKey::rsa(4096),
        PublicKey::ed25519(1),
        PublicKey::p256(),
    ];
    for key in keys {
        let pasted = format!("{} somebody@their-laptop and more", key.line().replace(' ', " \t "));
        let (instance, request) = Instance::with_key(&pasted);
        let outcome = instance.login(USER).offering(key.fingerprint()).run();
        let said = querying(&key.fingerprint()) + &providing(&key, &request);
        outcome.is(0, &key.printed(), &said);
    }
}

#[test]
fn several_pushed_keys_are_printed_one_a_line_and_each_is_told() {
    let instance = Instance::start();
    let (first, second) = (PublicKey::ed25519(1), PublicKey::rsa(2048));
    let requests = [&first, &second].map(|key| instance.emulator.push(USER, &key.line()));
    let outcome = instance.login(USER).run();
    let said = providing(&first, &requests[0]) + &providing(&second, &requests[1]);
    outcome.is(0, &(first.printed() + &second.printed()), &said);
}

#[test]
fn only_the_key_that_is_offered_is_printed() {
    let instance = Instance::start();
    let (offered, other) = (PublicKey::ed25519(1), PublicKey::ed25519(2));
    instance.emulator.push(USER, &other.line());
    let request = instance.emulator.push(USER, &offered.line());
    let outcome = instance.login(USER).offering(offered.fingerprint()).run();
    let said = querying(&offered.fingerprint()) + &providing(&offered, &request);
    outcome.is(0, &offered.printed(), &said);
}

#[test]
fn a_fingerprint_in_another_form_is_no_filter() {
    let key = PublicKey::ed25519(1);
    let (instance, request) = Instance::with_key(&key.line());
    let md5 = "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48";
    let outcome = instance.login(USER).offering(md5).run();
    outcome.is(0, &key.printed(), &(querying(md5) + &providing(&key, &request)));
}

#[test]
fn the_audit_line_leaves_out_what_the_record_lacks() {
    let key = PublicKey::ed25519(1);
    let instance = Instance::start();
    instance.emulator.with_imds(|imds| {
        let record = imds.record(&key.line());
        imds.publish(USER, &record);
    });
    let outcome = instance.login(USER).run();
    let said = format!(
        "Providing ssh key from EC2 Instance Connect with fingerprint: {}\n",
        key.fingerprint()
    );
    outcome.is(0, &key.printed(), &said);
}

#[test]
fn a_key_is_printed_on_a_xen_instance_too() {
    let key = PublicKey::ed25519(1);
    let (instance, request) = Instance::with_key(&key.line());
    for cloud_init in [CloudInit::Absent, CloudInit::file(INSTANCE)] {
        let Some(login) = on_xen(&instance, &cloud_init) else {
            return;
        };
        login.run().is(0, &key.printed(), &providing(&key, &request));
    }
}

#[test]
fn staples_under_sha256_names_do_as_well() {
    let key = PublicKey::ed25519(1);
    let instance = Instance::with(Options {
        staple_names: emulator::StapleNames::Sha256,
        ..Options::default()
    });
    let request = instance.emulator.push(USER, &key.line());
    let outcome = instance.login(USER).run();
    outcome.is(0, &key.printed(), &providing(&key, &request));
}

#[test]
fn nobody_pushed_a_key_costs_two_requests_on_one_connection() {
    let instance = Instance::start();
    let outcome = instance.login(USER).offering("SHA256:anything").run();
    outcome.nobody_pushed();
    let asked = [
        "PUT /latest/api/token",
        "GET /latest/meta-data/managed-ssh-keys/active-keys/ec2-user/",
    ];
    assert_eq!(instance.emulator.imds_paths(), asked);
    assert_eq!(instance.emulator.connections(), 1);
}

#[test]
fn an_empty_answer_for_the_keys_is_as_if_nobody_pushed_one() {
    for empty in ["", "\n", " \n\r\n"] {
        let instance = Instance::start();
        instance.emulator.with_imds(|imds| imds.publish_raw(USER, empty));
        let outcome = instance.login(USER).offering("SHA256:anything").run();
        outcome.nobody_pushed();
        assert_eq!(instance.requests(), 2, "{empty:?}");
    }
}

#[test]
fn for_another_key_than_was_pushed_neither_signer_nor_staples_are_asked() {
    let (instance, _) = Instance::with_key(&PublicKey::ed25519(1).line());
    let offered = PublicKey::ed25519(2).fingerprint();
    let outcome = instance.login(USER).offering(&offered).run();
    let aside = format!("none of the keys pushed for user ec2-user has the fingerprint {offered}\n");
    outcome.is(0, "", &(aside + &querying(&offered)));
    assert_eq!(instance.requests(), 2);
}

#[test]
fn for_records_that_cannot_hold_neither_signer_nor_staples_are_asked() {
    let key = PublicKey::ed25519(1);
    let expired = Instance::start();
    expired.emulator.with_imds(|imds| {
        let ended = emulator::now() - 12;
        let record = imds.record(&key.line()).with("Timestamp", &ended.to_string());
        imds.publish(USER, &record);
    });
    let outcome = expired.login(USER).offering(key.fingerprint()).run();
    assert_eq!(expired.requests(), 2);
    let said = [12, 13, 14].map(|ago| {
        let refusal = refused(&key, &format!("record expired {ago} s ago"));
        format!("{}{refusal}\n", querying(&key.fingerprint()))
    });
    assert!(said.iter().any(|said| said == outcome.said()), "{}", outcome.said());
    outcome.is(0, "", outcome.said());

    let elsewhere = Instance::start();
    elsewhere.emulator.with_imds(|imds| {
        let record = imds.record(&key.line()).with("Instance", "i-0fedcba9876543210");
        imds.publish(USER, &record);
    });
    let outcome = elsewhere.login(USER).run();
    outcome.refused(
        0,
        &refused(
            &key,
            "record is for instance i-0fedcba9876543210, but this is i-0123456789abcdef0",
        ),
    );
    assert_eq!(elsewhere.requests(), 2);
}

/// How many round trips one after another IMDS has had, where each answer takes [`LATENCY`]: requests that came within
/// half of that of each other were sent in parallel.
fn round_trips(instance: &Instance) -> usize {
    let mut came: Vec<_> = instance.emulator.requests().iter().map(|request| request.at).collect();
    came.sort();
    1 + came.windows(2).filter(|pair| pair[1] - pair[0] > LATENCY / 2).count()
}

/// Long enough that a fifth round trip shows on a busy machine.
const LATENCY: Duration = Duration::from_millis(300);

#[test]
fn one_key_takes_four_round_trips_and_at_most_five_connections() {
    let key = PublicKey::ed25519(1);
    for xen in [false, true] {
        let (instance, _) = Instance::with_key(&key.line());
        instance.emulator.set_latency(LATENCY);
        let login = match xen {
            false => Some(instance.login(USER)),
            true => on_xen(&instance, &CloudInit::file(INSTANCE)),
        };
        let Some(login) = login else { return };
        let outcome = login.run();
        assert_eq!(outcome.printed(), key.printed());
        assert_eq!(round_trips(&instance), 4, "{:?}", instance.emulator.imds_paths());
        assert!(
            instance.emulator.connections() <= 5,
            "{}",
            instance.emulator.connections()
        );
        assert!(outcome.duration < LATENCY * 5, "{outcome:?}");
    }
}

#[test]
fn an_older_imds_costs_no_further_round_trip() {
    let key = PublicKey::ed25519(1);
    let (instance, _) = Instance::with_key(&key.line());
    instance.emulator.with_imds(|imds| imds.remove("placement/region"));
    instance.emulator.set_latency(LATENCY);
    assert_eq!(instance.login(USER).run().printed(), key.printed());
    assert_eq!(round_trips(&instance), 4, "{:?}", instance.emulator.imds_paths());
    assert!(
        instance.emulator.connections() <= 5,
        "{}",
        instance.emulator.connections()
    );
}

#[test]
fn every_request_carries_the_token_and_nothing_that_does_not_belong() {
    let (instance, _) = Instance::with_key(&PublicKey::ed25519(1).line());
    instance.login(USER).run();
    let requests = instance.emulator.requests();
    let (token, others) = requests.split_first().unwrap();
    let ttl = token.header("x-aws-ec2-metadata-token-ttl-seconds").unwrap();
    assert!((1..=21600).contains(&ttl.parse::<u32>().unwrap()));
    for request in others {
        assert!(request.header("x-aws-ec2-metadata-token").is_some(), "{request}");
        assert_eq!(request.status, 200, "{request}");
        assert!(request.body.is_empty());
    }
    for forbidden in [
        "x-forwarded-for",
        "cookie",
        "referer",
        "authorization",
        "accept-encoding",
    ] {
        assert!(
            requests.iter().all(|request| request.header(forbidden).is_none()),
            "{forbidden}"
        );
    }
}

/// The release build may use 8 MiB; a debug build is larger and may use 16.
#[test]
fn ordinary_calls_stay_small() {
    let limit = if is_release() { 8 * 1024 } else { 16 * 1024 };
    let (instance, _) = Instance::with_key(&PublicKey::ed25519(1).line());
    for user in [USER, "nobody-pushed"] {
        let outcome = instance.login(user).measured().run();
        let peak = outcome.peak_kib.unwrap();
        assert!(peak < limit, "{user}: {peak} KiB");
    }
}

#[test]
fn a_staple_that_is_gone_since_it_was_listed_is_a_missing_one() {
    let (instance, _) = Instance::with_key(&PublicKey::ed25519(1).line());
    let leaf = instance.emulator.pki().leaf;
    instance.emulator.with_imds(|imds| {
        let listing: Vec<_> = imds.pki.chain.iter().map(|c| c.sha1()).collect();
        imds.set(SIGNER_OCSP, listing.join("\n"));
        imds.remove_staple(&leaf);
    });
    let signer = "managed-ssh-signer.us-west-2.amazonaws.com";
    let outcome = instance.login(USER).run();
    outcome.refused(1, &provided_none(&format!("OCSP response for \"{signer}\" is missing")));
}
