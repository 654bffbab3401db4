//! Chains, judged by `openssl verify` and by this program. Every certificate has a good staple.

use std::fs;
use std::path::Path;

use eic_verify::SignerRejection;
use emulator::{Pki, StapleTemplate};

use crate::chain_rows::rows;
use crate::differences::Surprises;
use crate::judge::{Case, DOMAIN, REGION, pem, served};
use crate::openssl::{OpenSsl, Opinion};

fn ask(openssl: &OpenSsl, pki: &Pki, options: &[&str]) -> Opinion {
    let leaf = openssl.file("leaf", pki.leaf.pem());
    let untrusted = openssl.pem("untrusted", pki.chain.get(1..).unwrap_or_default());
    let anchors = openssl.pem("anchors", &pki.anchors);
    let now = pki.now.to_string();
    let words = ["verify", "-no-CApath", "-no-CAstore", "-attime", &now];
    let words = [&words, options].concat();
    let paths = [
        ("-untrusted", untrusted.as_path()),
        ("-CAfile", anchors.as_path()),
        ("", leaf.as_path()),
    ];
    let (accepts, said) = openssl.run(&words, &paths);
    Opinion { accepts, said }
}

/// With a good staple for each certificate, even if its issuer's name has another encoding.
fn stapled(pki: &Pki) -> Case {
    let issuers = [&pki.issuing_ca, &pki.root, &pki.older_root, &pki.oldest_root];
    let staples = pki.chain.iter().map(|certificate| {
        let issuer = issuers
            .into_iter()
            .find(|issuer| issuer.subject_der() == certificate.issuer_der())
            .unwrap_or(&pki.issuing_ca);
        served(&StapleTemplate::good(certificate, issuer, pki.now))
    });
    Case {
        chain: pki.chain_pem().into(),
        staples: staples.collect(),
        store: vec![pem(&pki.anchors)],
        region: REGION.to_owned(),
        domain: DOMAIN.to_owned(),
        now: pki.now,
    }
}

#[test]
fn chains_are_judged_as_by_openssl_verify_but_for_the_listed_differences() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    let mut surprises = Surprises::default();
    for row in rows() {
        let pki = (row.make)();
        let here = stapled(&pki)
            .verdict()
            .map(drop)
            .map_err(|rejection| rejection.to_string());
        surprises.compare(row.name, row.verdict, &ask(&openssl, &pki, row.options), here);
    }
    surprises.are_none();
}

#[test]
fn the_real_chain_holds_for_both() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/verification/real-signer-chain");
    let path = |name: &str| Path::new(folder).join(name);
    let served: Vec<String> = ["0.pem", "1.pem", "2.pem", "3.pem"]
        .map(|name| fs::read_to_string(path(name)).expect("it is part of the repository"))
        .into();
    let leaf = openssl.file("leaf", &served[0]);
    let untrusted = openssl.file("untrusted", served[1..].concat());
    for anchor in ["amazon-root-ca-1.pem", "starfield-services-root-g2.pem"] {
        let anchor = path(anchor);
        // 2025-03-01, and the second after the leaf's last.
        for (now, good) in [(1_740_787_200_i64, true), (1_761_091_200, false)] {
            let (accepts, said) = openssl.run(
                &["verify", "-no-CApath", "-no-CAstore", "-attime", &now.to_string()],
                &[("-untrusted", &untrusted), ("-CAfile", &anchor), ("", &leaf)],
            );
            assert_eq!(accepts, good, "{said}");
            let here = Case {
                chain: served.concat().into(),
                staples: Vec::new(),
                store: vec![fs::read(&anchor).expect("it is part of the repository")],
                region: "us-east-1".to_owned(),
                domain: DOMAIN.to_owned(),
                now,
            };
            // Its staples no longer exist. That the error is a missing staple shows that everything else is valid.
            let lacks_staple_only = matches!(here.verdict(), Err(SignerRejection::Revocation { .. }));
            assert_eq!(lacks_staple_only, good);
        }
    }
}
