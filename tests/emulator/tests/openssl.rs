//! openssl reads certificates, staples and signatures of the emulator as they were meant.

use std::path::Path;
use std::process::Command;

use super::{ED25519, Scratch};
use crate::certificate::{NameAttribute, Version, purpose};
use crate::instance::{Machine, USUAL_ROOTS, roots, write_bundle, write_folder, write_sysfs};
use crate::key::{Key, SignatureAlgorithm};
use crate::pki::{Pki, signer_name};
use crate::record::{RecordSignature, RecordTemplate};
use crate::staple::{CertIdHash, ResponderName, Status};
use crate::{Certificate, StapleTemplate, now};

const REGION: &str = "us-west-2";
const DOMAIN: &str = "amazonaws.com";

fn pki() -> Pki {
    Pki::new(REGION, DOMAIN, now())
}

/// Runs openssl; exit status and everything it said. `None`, and a line that says so, where there is none.
fn openssl(arguments: &[&str]) -> Option<(bool, String)> {
    match Command::new("openssl").args(arguments).output() {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
        }
        Err(error) => {
            println!("SKIPPED: openssl does not run here: {error}");
            None
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the temporary folder's name is UTF-8")
}

/// Verifies a certificate under these anchors with that chain between.
fn verify(leaf: &Certificate, chain: &[Certificate], anchors: &[Certificate]) -> Option<(bool, String)> {
    let scratch = Scratch::new();
    let pem = |list: &[Certificate]| list.iter().map(Certificate::pem).collect::<String>();
    let leaf = scratch.file("leaf", leaf.pem());
    let chain = scratch.file("chain", pem(chain));
    let anchors = scratch.file("anchors", pem(anchors));
    let files = ["-untrusted", text(&chain), "-CAfile", text(&anchors), text(&leaf)];
    openssl(&[&["verify", "-no-CApath", "-purpose", "sslserver"][..], &files].concat())
}

/// What `openssl ocsp` says of a staple, with the root trusted.
fn staple_verdict(
    pki: &Pki,
    certificate: &Certificate,
    hash: &str,
    template: &StapleTemplate,
) -> Option<(bool, String)> {
    let scratch = Scratch::new();
    let issuer = pki.issuer_of(certificate).expect("it is one of the PKI's");
    let staple = scratch.file("staple", template.sign().der());
    let certificate = scratch.file("certificate", certificate.pem());
    let issuer = scratch.file("issuer", issuer.pem());
    let chain = scratch.file("chain", pki.chain_pem());
    let roots: String = [&pki.root, &pki.older_root, &pki.oldest_root]
        .map(Certificate::pem)
        .concat();
    let roots = scratch.file("roots", roots);
    openssl(&[
        "ocsp",
        "-no_nonce",
        "-respin",
        text(&staple),
        "-CAfile",
        text(&roots),
        "-verify_other",
        text(&chain),
        "-issuer",
        text(&issuer),
        hash,
        "-cert",
        text(&certificate),
    ])
}

#[track_caller]
fn assert_good(verdict: &(bool, String)) {
    let (success, said) = verdict;
    assert!(success, "{said}");
    assert!(said.contains("Response verify OK"), "{said}");
    assert!(said.contains(": good"), "{said}");
    assert!(!said.contains("WARNING"), "{said}");
}

#[test]
fn the_default_chain_verifies_up_to_each_root() {
    let pki = pki();
    for anchor in [&pki.root, &pki.older_root, &pki.oldest_root] {
        let Some((success, said)) = verify(&pki.leaf, &pki.chain[1..], std::slice::from_ref(anchor)) else {
            return;
        };
        assert!(success, "{said}");
    }
    let (success, said) = verify(&pki.leaf, &pki.chain[1..], &[]).expect("openssl ran before");
    assert!(!success, "{said}");
}

#[test]
fn the_default_leaf_reads_as_the_real_one_does() {
    let scratch = Scratch::new();
    let leaf = scratch.file("leaf", pki().leaf.pem());
    let Some((_, said)) = openssl(&["x509", "-in", text(&leaf), "-noout", "-text"]) else {
        return;
    };
    let name = signer_name(REGION, DOMAIN);
    for expected in [
        &format!("Subject: CN = {name}\n"),
        &format!("DNS:{name}\n"),
        "X509v3 Key Usage: critical",
        "Digital Signature, Key Encipherment\n",
        "TLS Web Server Authentication, TLS Web Client Authentication\n",
        "CA:FALSE\n",
        "Version: 3 (0x2)",
        "Public-Key: (2048 bit)",
        "Signature Algorithm: sha256WithRSAEncryption",
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
}

#[test]
fn every_default_staple_is_good_direct_and_delegated_with_either_certid() {
    let pki = pki();
    for certificate in &pki.chain {
        let issuer = pki.issuer_of(certificate).expect("it is one of the PKI's");
        let responder = pki.responder(issuer);
        for (hash, flag) in [(CertIdHash::Sha1, "-sha1"), (CertIdHash::Sha256, "-sha256")] {
            let direct = pki.staple(certificate).identified_by(hash, certificate, issuer);
            let mut by_key = direct.clone().delegated_to(&responder);
            by_key.responder_name = Some(ResponderName::by_key_of(&responder));
            for template in [&direct, &direct.clone().delegated_to(&responder), &by_key] {
                let Some(verdict) = staple_verdict(&pki, certificate, flag, template) else {
                    return;
                };
                assert_good(&verdict);
            }
        }
    }
}

#[test]
fn a_staple_says_revoked_and_unknown_and_a_tampered_one_does_not_verify() {
    let pki = pki();
    let staple = pki.staple(&pki.leaf);
    let said = |template: &StapleTemplate| staple_verdict(&pki, &pki.leaf, "-sha1", template);
    let Some((_, revoked)) = said(&staple.clone().with_status(Status::Revoked(pki.now - 60))) else {
        return;
    };
    assert!(
        revoked.contains(": revoked") && revoked.contains("keyCompromise"),
        "{revoked}"
    );
    let (_, unknown) = said(&staple.clone().with_status(Status::Unknown)).expect("openssl ran before");
    assert!(unknown.contains(": unknown"), "{unknown}");
    let mut tampered = staple;
    tampered.tamper_signature = true;
    let (success, failure) = said(&tampered).expect("openssl ran before");
    assert!(!success && failure.contains("Response Verify Failure"), "{failure}");
}

#[test]
fn a_staple_of_a_responder_without_the_purpose_does_not_verify() {
    let pki = pki();
    let mut template = pki.responder_template();
    template.extended_key_usage = Some(vec![purpose::ID_KP_SERVER_AUTH]);
    let responder = template.issued_by(&pki.issuing_ca);
    let staple = pki.staple(&pki.leaf).delegated_to(&responder);
    let Some((success, said)) = staple_verdict(&pki, &pki.leaf, "-sha1", &staple) else {
        return;
    };
    assert!(!success && said.contains("missing ocspsigning usage"), "{said}");
}

#[test]
fn a_records_signature_is_pss_over_its_lines() {
    let signer = Key::cached("leaf");
    let template = RecordTemplate::new(1_738_233_608, "i-0123456789abcdef0", ED25519)
        .with("Caller", "arn:aws:sts::123412341234:assumed-role/Name/session");
    for (signature, good) in [
        (RecordSignature::Pss(32), true),
        (RecordSignature::Pss(20), false),
        (RecordSignature::Pkcs1v15, false),
    ] {
        let record = RecordTemplate {
            signature,
            ..template.clone()
        }
        .sign(&signer);
        let scratch = Scratch::new();
        let key = scratch.file("key", signer.public_key_pem());
        let made = scratch.file("signature", &record.signature);
        let signed = scratch.file("signed", &record.signed);
        let Some((success, said)) = openssl(&[
            "dgst",
            "-sha256",
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            "rsa_pss_saltlen:32",
            "-sigopt",
            "rsa_mgf1_md:sha256",
            "-verify",
            text(&key),
            "-signature",
            text(&made),
            text(&signed),
        ]) else {
            return;
        };
        assert_eq!(success, good, "{signature:?}: {said}");
    }
}

#[test]
fn wrong_certificates_are_wrong_in_the_way_that_was_asked_for() {
    type Change = fn(&mut crate::pki::Templates);
    let cases: [(Change, &str); 9] = [
        (|t| t.leaf.not_after = t.leaf.not_before + 60, "certificate has expired"),
        (
            |t| t.leaf.not_before = t.leaf.not_after - 60,
            "certificate is not yet valid",
        ),
        (|t| t.issuing_ca.basic_constraints = None, "invalid CA certificate"),
        (|t| t.issuing_ca.key_usage = t.leaf.key_usage, "invalid CA certificate"),
        (
            |t| t.root_cross.basic_constraints = t.issuing_ca.basic_constraints.clone(),
            "path length constraint exceeded",
        ),
        (
            |t| t.leaf.extended_key_usage = Some(vec![purpose::ID_KP_CODE_SIGNING]),
            "purpose",
        ),
        (|t| t.leaf.tamper_signature = true, "signature failure"),
        (
            |t| t.leaf.extensions.push(crate::certificate::RawExtension::unknown(true)),
            "unhandled critical extension",
        ),
        (
            |t| {
                let excluded = vec!["amazonaws.com".to_owned()];
                t.issuing_ca.name_constraints = Some(crate::certificate::DnsConstraints {
                    permitted: Vec::new(),
                    excluded,
                });
            },
            "excluded subtree violation",
        ),
    ];
    for (change, expected) in cases {
        let pki = Pki::with(REGION, DOMAIN, now(), change);
        let Some((success, said)) = verify(&pki.leaf, &pki.chain[1..], &[pki.older_root]) else {
            return;
        };
        assert!(!success && said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn odd_certificates_of_every_algorithm_and_version_can_be_read() {
    let time = now();
    let names = vec![NameAttribute::common_name("one"), NameAttribute::common_name("two")];
    let mut joined = names.clone();
    joined[1].joined = true;
    let rsa = Key::cached("leaf");
    for (key, algorithm, subject, printed) in [
        (&rsa, SignatureAlgorithm::RsaSha384, &names, "sha384WithRSAEncryption"),
        (&rsa, SignatureAlgorithm::RsaSha1, &names, "sha1WithRSAEncryption"),
        (&rsa, SignatureAlgorithm::RsaMd5, &names, "md5WithRSAEncryption"),
        (
            &Key::p256(),
            SignatureAlgorithm::EcdsaSha256,
            &joined,
            "ecdsa-with-SHA256",
        ),
        (
            &Key::cached_rsa("small", 1024),
            SignatureAlgorithm::RsaSha256,
            &joined,
            "(1024 bit)",
        ),
    ] {
        let mut template =
            crate::CertificateTemplate::new(subject.clone(), key.clone(), time, time + 60).without_extensions();
        template.version = Version::V1;
        template.signature_algorithm = Some(algorithm);
        let certificate = template.self_signed();
        let scratch = Scratch::new();
        let file = scratch.file("certificate", certificate.pem());
        let Some((success, said)) = openssl(&["x509", "-in", text(&file), "-noout", "-text", "-fingerprint"]) else {
            return;
        };
        assert!(success && said.contains(printed), "{said}");
        assert!(said.contains("Version: 1 (0x0)"), "{said}");
        let separator = if subject == &joined {
            "CN = one + CN = two"
        } else {
            "CN = one, CN = two"
        };
        assert!(said.contains(separator), "{said}");
        assert!(said.replace(':', "").contains(&certificate.sha1()), "{said}");
        // MD5 is below what openssl verifies without being asked to lower its level.
        let roots = [certificate.clone()];
        let (_, said) = verify(&certificate, &[], &roots).expect("openssl ran before");
        assert!(!said.contains("signature failure"), "{said}");
    }
}

#[test]
fn a_trust_store_holds_the_anchors_among_as_many_roots_as_an_os_has() {
    let pki = pki();
    let scratch = Scratch::new();
    let all = roots(&pki.anchors, USUAL_ROOTS);
    assert_eq!(all.len(), USUAL_ROOTS);
    let bundle = scratch.path().join("roots.pem");
    write_bundle(&bundle, &all).expect("the scratch folder is writable");
    write_folder(&scratch.path().join("certs"), &all).expect("the scratch folder is writable");
    let files = std::fs::read_dir(scratch.path().join("certs")).expect("it was just written");
    assert_eq!(files.count(), USUAL_ROOTS);
    let leaf = scratch.file("leaf", pki.leaf.pem());
    let chain = scratch.file("chain", pki.chain_pem());
    let arguments = [
        "verify",
        "-no-CApath",
        "-CAfile",
        text(&bundle),
        "-untrusted",
        text(&chain),
        text(&leaf),
    ];
    if let Some((success, said)) = openssl(&arguments) {
        assert!(success, "{said}");
    }
}

#[test]
fn sysfs_tells_what_the_machine_is() {
    let scratch = Scratch::new();
    let id = "i-0123456789abcdef0";
    for (name, machine, file, expected) in [
        (
            "nitro",
            Machine::Nitro(id.to_owned()),
            "devices/virtual/dmi/id/board_asset_tag",
            id,
        ),
        ("xen", Machine::Xen, "hypervisor/uuid", "ec2"),
        ("other", Machine::Other, "devices/virtual/dmi/id/board_asset_tag", "Not"),
    ] {
        let sysfs = scratch.path().join(name);
        write_sysfs(&sysfs, &machine).expect("the scratch folder is writable");
        let content = std::fs::read_to_string(sysfs.join(file)).expect("it was just written");
        assert!(content.starts_with(expected), "{content}");
    }
}
