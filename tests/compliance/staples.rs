//! Staples for the leaf, judged by `openssl ocsp` and by this program. The chain and the other staple are good.
//!
//! `openssl ocsp` compares a staple's times with the machine's clock, so these staples are made for the current time, and no
//! limit is tried to the second.

use emulator::certificate::{BasicConstraints, KeyUsage, KeyUsages, ObjectIdentifier, RawExtension, purpose};
use emulator::staple::{CertIdHash, OcspResponseStatus, ResponderName, SingleTemplate, Status};
use emulator::{Certificate, CertificateTemplate, Key, Pki, SignatureAlgorithm, StapleTemplate, now};

use crate::differences::Verdict::{Accepted, Refused, RefusedHere};
use crate::differences::{Surprises, Verdict};
use crate::judge::{Case, DAY, DOMAIN, HOUR, REGION};
use crate::openssl::{OpenSsl, Opinion};

/// One staple.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    change: fn(&Pki, &mut StapleTemplate),
}

const fn row(name: &'static str, verdict: Verdict, change: fn(&Pki, &mut StapleTemplate)) -> Row {
    Row { name, verdict, change }
}

fn delegate(pki: &Pki, staple: &mut StapleTemplate, change: impl FnOnce(&mut CertificateTemplate)) {
    let mut responder = pki.responder_template();
    change(&mut responder);
    delegate_to(staple, &responder.issued_by(&pki.issuing_ca));
}

fn delegate_to(staple: &mut StapleTemplate, responder: &Certificate) {
    *staple = staple.clone().delegated_to(responder);
}

const DELEGATE: &str = "a responder's certificate is subject to the same rules as the signer's";

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = plain_rows();
    rows.extend(responder_rows());
    rows
}

fn plain_rows() -> Vec<Row> {
    vec![
        row("a good staple of the issuer", Accepted, |_, _| {}),
        row("a staple that encloses its issuer", Accepted, |pki, s| {
            s.enclosed = vec![pki.issuing_ca.clone()];
        }),
        row("a staple that names the issuer by its key", Accepted, |pki, s| {
            s.responder_name = Some(ResponderName::by_key_of(&pki.issuing_ca));
        }),
        row("a staple with a SHA-256 CertID", Accepted, |pki, s| {
            *s = s.clone().identified_by(CertIdHash::Sha256, &pki.leaf, &pki.issuing_ca);
        }),
        // Of the same issuer: releases of OpenSSL 3 differ on responses for several issuers.
        row("a staple for other certificates too", Accepted, |pki, s| {
            let mut other = SingleTemplate::good(CertIdHash::Sha1, &pki.leaf, &pki.issuing_ca, pki.now);
            other.serial = vec![1, 2, 3];
            s.singles.insert(0, other);
        }),
        row("a staple that ended three hours ago", Refused, |pki, s| {
            s.single().this_update = pki.now - DAY;
            s.single().next_update = Some(pki.now - 3 * HOUR);
        }),
        row("a staple that ended four minutes ago", Accepted, |pki, s| {
            s.single().next_update = Some(pki.now - 240);
        }),
        row("a staple that begins in three hours", Refused, |pki, s| {
            s.single().this_update = pki.now + 3 * HOUR;
        }),
        row("a staple that begins in four minutes", Accepted, |pki, s| {
            s.single().this_update = pki.now + 240;
        }),
        row("a staple that ends before it begins", Refused, |pki, s| {
            s.single().next_update = Some(pki.now - 2 * HOUR);
        }),
        row("a staple from an hour ago without nextUpdate", Accepted, |_, s| {
            s.single().next_update = None;
        }),
        row(
            "a staple from eleven days ago without nextUpdate",
            RefusedHere(
                "accepted for ten days at most (Baseline Requirements 4.9.10); OpenSSL accepts any age by default",
            ),
            |pki, s| {
                s.single().this_update = pki.now - 11 * DAY;
                s.single().next_update = None;
            },
        ),
        row("a staple that says revoked", Refused, |pki, s| {
            s.single().status = Status::Revoked(pki.now - DAY);
        }),
        row("a staple that does not know the certificate", Refused, |_, s| {
            s.single().status = Status::Unknown;
        }),
        row("a staple for another serial number", Refused, |_, s| {
            s.single().serial = vec![1, 2, 3];
        }),
        row(
            "a staple for the same serial number under another issuer",
            Refused,
            |pki, s| {
                let namesake = pki.leaf.template().clone().issued_by(&pki.root);
                *s = StapleTemplate::good(&namesake, &pki.root, pki.now);
            },
        ),
        row("a staple with another issuer's key in its CertID", Refused, |pki, s| {
            s.single().issuer_key_hash = pki.staple(&pki.issuing_ca).single().issuer_key_hash.clone();
        }),
        row("a staple with a tampered signature", Refused, |_, s| {
            s.tamper_signature = true
        }),
        row("a staple signed by another key", Refused, |_, s| {
            s.signing_key = Some(Key::cached("somebody else"));
        }),
        row("a staple that claims another algorithm", Refused, |_, s| {
            s.claimed_algorithm = Some(SignatureAlgorithm::RsaSha384);
        }),
        row(
            "a staple signed with SHA-1",
            RefusedHere("SHA-1 signatures are never accepted; OpenSSL's default security level accepts them"),
            |_, s| s.signature_algorithm = Some(SignatureAlgorithm::RsaSha1),
        ),
        row(
            "a staple signed by the root instead of the issuing CA",
            Refused,
            |pki, s| s.responder = pki.root.clone(),
        ),
        row("a staple with an unknown responder name", Refused, |_, s| {
            s.responder_name = Some(ResponderName::ByKey(vec![7; 20]));
        }),
        row(
            "a staple with trailing bytes",
            RefusedHere("nothing may follow the DER value; OpenSSL reads only the first value of a file"),
            |_, s| s.trailing = vec![0],
        ),
        row(
            "a staple with trailing bytes after its basic response",
            RefusedHere("the same, inside the OCTET STRING"),
            |_, s| s.inner_trailing = vec![0],
        ),
        row(
            "a staple with an unknown critical extension",
            RefusedHere("an unknown critical extension must be refused (RFC 6960 4.4); OpenSSL does not check it"),
            |_, s| s.extensions.push(RawExtension::unknown(true)),
        ),
        row(
            "a staple with an unknown critical extension in its single response",
            RefusedHere("an unknown critical extension must be refused (RFC 6960 4.4); OpenSSL does not check it"),
            |_, s| s.single().extensions.push(RawExtension::unknown(true)),
        ),
        row("a staple with an unknown extension", Accepted, |_, s| {
            s.extensions.push(RawExtension::unknown(false));
        }),
        row("a response with the status tryLater", Refused, |_, s| {
            s.response_status = OcspResponseStatus::TryLater;
        }),
        row("a response of another type", Refused, |_, s| {
            s.response_type = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.99");
        }),
        row("a response without a single response", Refused, |_, s| {
            s.singles.clear()
        }),
    ]
}

fn responder_rows() -> Vec<Row> {
    vec![
        row("a delegated responder", Accepted, |pki, s| delegate(pki, s, |_| {})),
        row("a delegated responder named by its key", Accepted, |pki, s| {
            delegate(pki, s, |_| {});
            s.responder_name = Some(ResponderName::by_key_of(&s.responder));
        }),
        row("a delegated responder without ocsp-nocheck", Accepted, |pki, s| {
            delegate(pki, s, |t| t.extensions.clear());
        }),
        row("a delegated responder without keyUsage", Accepted, |pki, s| {
            delegate(pki, s, |t| t.key_usage = None);
        }),
        row("a responder without OCSPSigning", Refused, |pki, s| {
            delegate(pki, s, |t| {
                t.extended_key_usage = Some(vec![purpose::ID_KP_SERVER_AUTH])
            });
        }),
        row("a responder with anyExtendedKeyUsage", Refused, |pki, s| {
            delegate(pki, s, |t| {
                t.extended_key_usage = Some(vec![purpose::ANY_EXTENDED_KEY_USAGE])
            });
        }),
        row(
            "a responder whose keyUsage lacks digitalSignature",
            RefusedHere("such a key must not sign (RFC 5280 4.2.1.3); OpenSSL does not check it"),
            |pki, s| {
                delegate(pki, s, |t| {
                    t.key_usage = Some(KeyUsage(KeyUsages::KeyEncipherment.into()))
                })
            },
        ),
        row("a responder that expired", Refused, |pki, s| {
            delegate(pki, s, |t| t.not_after = pki.now - HOUR);
        }),
        row("a responder of another issuer", Refused, |pki, s| {
            delegate_to(s, &pki.responder(&pki.root));
        }),
        row("a responder that the leaf issued", Refused, |pki, s| {
            delegate_to(s, &pki.responder(&pki.leaf));
        }),
        row("a self-signed responder", Refused, |pki, s| {
            delegate_to(s, &pki.responder_template().self_signed());
        }),
        row("a responder whose certificate is not enclosed", Refused, |pki, s| {
            delegate(pki, s, |_| {});
            s.enclosed.clear();
        }),
        row("a responder with a tampered certificate", Refused, |pki, s| {
            delegate(pki, s, |t| t.tamper_signature = true);
        }),
        row(
            "a responder whose certificate is signed with SHA-1",
            RefusedHere(DELEGATE),
            |pki, s| delegate(pki, s, |t| t.signature_algorithm = Some(SignatureAlgorithm::RsaSha1)),
        ),
        row("a responder that is a CA", RefusedHere(DELEGATE), |pki, s| {
            delegate(pki, s, |t| {
                t.basic_constraints = Some(BasicConstraints {
                    ca: true,
                    path_len_constraint: None,
                });
            });
        }),
        row("a responder with an unknown critical extension", Refused, |pki, s| {
            delegate(pki, s, |t| t.extensions.push(RawExtension::unknown(true)));
        }),
    ]
}

fn ask(openssl: &OpenSsl, pki: &Pki, staple: &StapleTemplate) -> Opinion {
    let respin = openssl.file("staple", staple.sign().der());
    let issuer = openssl.file("issuer", pki.issuing_ca.pem());
    let certificate = openssl.file("certificate", pki.leaf.pem());
    let chain = openssl.pem("chain", &pki.chain);
    let roots = openssl.pem("roots", &pki.anchors);
    let sha256 = staple.singles.iter().any(|single| single.hash == CertIdHash::Sha256);
    let hash = if sha256 { "-sha256" } else { "-sha1" };
    let words = ["ocsp", "-no_nonce", hash];
    let paths = [
        ("-respin", respin.as_path()),
        ("-CAfile", roots.as_path()),
        ("-verify_other", chain.as_path()),
        ("-issuer", issuer.as_path()),
        ("-cert", certificate.as_path()),
    ];
    let (success, said) = openssl.run(&words, &paths);
    // OpenSSL prints a warning for bad times and a line for the status; neither affects the exit status.
    let accepts =
        success && said.contains("Response verify OK") && said.contains(": good") && !said.contains("WARNING");
    Opinion { accepts, said }
}

#[test]
fn staples_are_judged_as_by_openssl_ocsp_but_for_the_listed_differences() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    let mut surprises = Surprises::default();
    for row in rows() {
        let pki = Pki::new(REGION, DOMAIN, now());
        let mut staple = pki.staple(&pki.leaf);
        (row.change)(&pki, &mut staple);
        let case = Case::of(&pki).stapled([&staple, &pki.staple(&pki.issuing_ca)]);
        let here = case.verdict().map(drop).map_err(|rejection| rejection.to_string());
        surprises.compare(row.name, row.verdict, &ask(&openssl, &pki, &staple), here);
    }
    surprises.are_none();
}
