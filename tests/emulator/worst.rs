//! The most expensive answers that an attacker in place of IMDS can serve without a CA that the instance trusts.
//!
//! Each of them is within every limit on what the program reads. `make bench` measures the cost of refusing them; the tests
//! assert it with a wide margin.

use crate::certificate::{Certificate, CertificateTemplate, NameAttribute, RawExtension};
use crate::key::Key;
use crate::pki::{Pki, Templates};
use crate::staple::StapleTemplate;

/// The answers of `signer-cert/` and `signer-ocsp/`, and the instance's trust store.
#[derive(Clone, Debug)]
pub struct Worst {
    /// A description.
    pub name: &'static str,
    /// The trusted CAs, and the signer whose chain they issued.
    pub pki: Pki,
    /// The certificates served.
    pub chain: Vec<Certificate>,
    /// The staples served.
    pub staples: Vec<StapleTemplate>,
}

/// The name of the trusted root.
const ROOT: &str = "the root";

/// The most certificates that the program accepts from `signer-cert/`.
const CERTIFICATES: usize = 16;
/// The most staples that the program accepts.
const STAPLES: usize = 16;
/// The most fabricated responder certificates that fit into a staple of 16 KiB in base64.
const RESPONDERS: usize = 20;

/// All of them, for that region at that time.
pub fn all(region: &str, domain: &str, now: i64) -> Vec<Worst> {
    let pki = |change: fn(&mut Templates)| Pki::with(region, domain, now, change);
    let rsa = pki(|_| {});
    let p384 = pki(on_p384);
    vec![
        made_up("made-up CAs that issue each other", &rsa, &[("A", "A"); 15]),
        made_up(
            "made-up CAs that issue each other, two below the root",
            &rsa,
            &below_root(&[("A", "A"); 13]),
        ),
        made_up(
            "made-up CAs that issue each other, far below the root",
            &rsa,
            &far_below_root(&[("A", "A"); 8]),
        ),
        made_up("made-up CAs in two layers below the root", &p384, &two_layers()),
        padded("made-up CAs with thousands of extensions", &p384, ROOT, extended),
        padded(
            "made-up CAs with thousands of extensions that issue each other",
            &rsa,
            "A",
            extended,
        ),
        padded(
            "made-up CAs with thousands of purposes",
            &p384,
            ROOT,
            |template, bytes| {
                let purpose = crate::certificate::ObjectIdentifier::new_unwrap("1.2.3");
                template.extended_key_usage = Some(vec![purpose; bytes / 4]);
            },
        ),
        padded("made-up CAs with RSA keys of 16384 bits", &p384, ROOT, |template, _| {
            template.key = Key::hollow(16384);
        }),
        versions("the signer below thirteen versions of its issuer", &p384),
        stapled("staples of made-up responders", &p384, |pki| {
            responders(pki, RESPONDERS)
        }),
        stapled("staples of made-up responders with keys of 8192 bits", &p384, |pki| {
            let mut responder = pki.responder_template();
            responder.key = Key::hollow(8192);
            vec![forged(pki, responder); 6]
        }),
        stapled("staples with wrong signatures of the issuer", &p384, |_| Vec::new()),
    ]
}

fn extended(template: &mut CertificateTemplate, bytes: usize) {
    template.extensions = (0..bytes / 24).map(|_| RawExtension::unknown(false)).collect();
}

fn below_root<'n>(cas: &[(&'n str, &'n str)]) -> Vec<(&'n str, &'n str)> {
    [cas, &[("A", ROOT), ("A", ROOT)]].concat()
}

/// Only paths with more CAs than allowed.
fn far_below_root<'n>(cas: &[(&'n str, &'n str)]) -> Vec<(&'n str, &'n str)> {
    let up = [
        ("A", "B"),
        ("B", "C"),
        ("C", "D"),
        ("D", "E"),
        ("E", "F"),
        ("F", "G"),
        ("G", ROOT),
    ];
    [cas, &up].concat()
}

/// Few enough paths to try, except for the signatures on fifteen paths of three certificates.
fn two_layers() -> Vec<(&'static str, &'static str)> {
    [[("A", "B"); 3].as_slice(), &[("B", ROOT); 5]].concat()
}

/// Every CA uses P-384, the most expensive algorithm that public CAs use.
fn on_p384(templates: &mut Templates) {
    for template in [
        &mut templates.issuing_ca,
        &mut templates.root,
        &mut templates.older_root,
        &mut templates.oldest_root,
    ] {
        template.key = Key::p384();
    }
    templates.root_cross.key = templates.root.key.clone();
    templates.older_root_cross.key = templates.older_root.key.clone();
}

fn name(common_name: &str) -> Vec<NameAttribute> {
    vec![NameAttribute::common_name(common_name)]
}

/// A made-up signer below a CA named `A`, and made-up CAs of these names, each in the name of that issuer; the name of the
/// root stands for itself.
fn made_up(label: &'static str, pki: &Pki, cas: &[(&str, &str)]) -> Worst {
    let root = |issuer: &str| match issuer {
        ROOT => pki.root.template().subject.clone(),
        other => name(other),
    };
    let mut ca = pki.root.template().clone();
    let cas = cas.iter().zip(1..).map(|((subject, issuer), serial)| {
        ca.subject = name(subject);
        ca.serial = vec![serial];
        ca.key = Key::p256();
        ca.clone().signed_by(&root(issuer), &Key::p256())
    });
    let leaf = pki.leaf.template().clone().signed_by(&name("A"), &Key::p256());
    Worst {
        name: label,
        pki: pki.clone(),
        chain: [leaf].into_iter().chain(cas).collect(),
        staples: Vec::new(),
    }
}

/// A made-up signer, and as many made-up CAs as are taken, all in the name of that issuer, grown to fill what is read.
fn padded(label: &'static str, pki: &Pki, issuer: &str, grow: fn(&mut CertificateTemplate, usize)) -> Worst {
    let mut worst = made_up(label, pki, &[("A", issuer); CERTIFICATES - 1]);
    // 64 KiB of PEM are 48 KiB of DER; each has some 700 bytes without.
    let room = 48 * 1024 / CERTIFICATES - 800;
    for certificate in worst.chain.iter_mut().skip(1) {
        let mut template = certificate.template().clone();
        grow(&mut template, room);
        let issuer = match issuer {
            ROOT => pki.root.template().subject.clone(),
            other => name(other),
        };
        *certificate = template.signed_by(&issuer, &Key::p256());
    }
    worst
}

/// The genuine chain, and as many genuine versions of the issuing CA as are taken: every path but for its staples good.
fn versions(label: &'static str, pki: &Pki) -> Worst {
    let mut pki = pki.clone();
    pki.anchors = vec![pki.older_root.clone()];
    let version = |serial| {
        let mut template = pki.issuing_ca.template().clone();
        template.serial = vec![serial];
        template.issued_by(&pki.root)
    };
    let versions: Vec<Certificate> = (1..=12).map(version).collect();
    let chain = [
        vec![pki.leaf.clone()],
        versions,
        vec![pki.issuing_ca.clone(), pki.root_cross.clone()],
    ];
    Worst {
        name: label,
        staples: vec![pki.staple(&pki.leaf)],
        chain: chain.concat(),
        pki,
    }
}

/// The genuine chain, every staple of which speaks of all its certificates and encloses these.
fn stapled(label: &'static str, pki: &Pki, enclosed: impl Fn(&Pki) -> Vec<Certificate>) -> Worst {
    let mut staple = pki.staple(&pki.leaf);
    let others = [pki.staple(&pki.issuing_ca), pki.staple(&pki.root_cross)];
    staple
        .singles
        .extend(others.into_iter().flat_map(|other| other.singles));
    staple.enclosed = enclosed(pki);
    if let Some(responder) = staple.enclosed.first() {
        staple.responder = responder.clone();
    }
    staple.tamper_signature = true;
    Worst {
        name: label,
        pki: pki.clone(),
        chain: pki.chain.clone(),
        staples: vec![staple; STAPLES],
    }
}

/// So many responders that claim to be the issuing CA's.
fn responders(pki: &Pki, count: usize) -> Vec<Certificate> {
    let mut responder = pki.responder_template();
    responder.key = Key::p256();
    responder.key_identifiers = false;
    vec![forged(pki, responder); count]
}

fn forged(pki: &Pki, mut template: CertificateTemplate) -> Certificate {
    template.tamper_signature = true;
    template.issued_by(&pki.issuing_ca)
}
