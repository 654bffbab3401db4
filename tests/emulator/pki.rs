//! The signer's whole PKI, with the same structure as the real one.
//!
//! ```text
//! leaf ← issuing CA ← root, cross-signed ← older root, cross-signed     what IMDS serves
//!                     root, self-signed    older root, self-signed      what an operating system may trust
//!                                          (each with the same key as the one above) ← oldest root
//! ```

use const_oid::ObjectIdentifier;

use crate::certificate::{
    BasicConstraints, Certificate, CertificateTemplate, KeyUsage, KeyUsages, NameAttribute, RawExtension, purpose,
};
use crate::key::Key;
use crate::staple::StapleTemplate;

const DAY: i64 = 24 * 60 * 60;

/// The templates of all certificates before any is signed, for [`Pki::with`].
#[derive(Clone, Debug)]
pub struct Templates {
    /// The signer: bare CN, one DNS name.
    pub leaf: CertificateTemplate,
    /// The CA that issues it; path length 0.
    pub issuing_ca: CertificateTemplate,
    /// The root that the instance trusts.
    pub root: CertificateTemplate,
    /// The same root (name and key) as a certificate of the older root.
    pub root_cross: CertificateTemplate,
    /// The older root, self-signed.
    pub older_root: CertificateTemplate,
    /// The same older root as a certificate of the oldest root.
    pub older_root_cross: CertificateTemplate,
    /// The oldest root, self-signed.
    pub oldest_root: CertificateTemplate,
}

/// All certificates with their keys, the chain that IMDS serves and the anchors that the instance trusts.
#[derive(Clone, Debug)]
pub struct Pki {
    /// The clock reading around which all validity periods were chosen.
    pub now: i64,
    /// The signer.
    pub leaf: Certificate,
    /// Its issuer.
    pub issuing_ca: Certificate,
    /// The root, self-signed.
    pub root: Certificate,
    /// The root, cross-signed.
    pub root_cross: Certificate,
    /// The older root, self-signed.
    pub older_root: Certificate,
    /// The older root, cross-signed.
    pub older_root_cross: Certificate,
    /// The oldest root, self-signed.
    pub oldest_root: Certificate,
    /// What IMDS serves, leaf first.
    pub chain: Vec<Certificate>,
    /// The contents of the instance's trust store: only the self-signed root, unless a test adds to it.
    pub anchors: Vec<Certificate>,
}

impl Pki {
    /// The default: everything is valid at `now` (seconds since the epoch), and for months before and after.
    pub fn new(region: &str, domain: &str, now: i64) -> Self {
        Self::with(region, domain, now, |_| {})
    }

    /// The same with templates that a test has changed.
    pub fn with(region: &str, domain: &str, now: i64, change: impl FnOnce(&mut Templates)) -> Self {
        let mut templates = Templates::new(&signer_name(region, domain), now);
        change(&mut templates);
        templates.mint(now)
    }

    /// Replaces the leaf, in `leaf` and as the first certificate of `chain`.
    pub fn replace_leaf(&mut self, leaf: Certificate) {
        self.leaf = leaf.clone();
        match self.chain.first_mut() {
            Some(first) => *first = leaf,
            None => self.chain.push(leaf),
        }
    }

    /// The chain as IMDS serves it.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(Certificate::pem).collect()
    }

    /// The certificate whose subject is this one's issuer; if two have that name, the one in the served chain.
    pub fn issuer_of(&self, certificate: &Certificate) -> Option<&Certificate> {
        let roots = [&self.root, &self.older_root, &self.oldest_root];
        self.chain
            .iter()
            .chain([&self.issuing_ca])
            .chain(roots)
            .chain(&self.anchors)
            .find(|other| other.subject_der() == certificate.issuer_der())
    }

    /// A good staple for that certificate, signed by its issuer itself, thisUpdate an hour ago.
    ///
    /// # Panics
    ///
    /// If no certificate has its issuer's name; then use [`StapleTemplate::good`].
    pub fn staple(&self, certificate: &Certificate) -> StapleTemplate {
        let issuer = self
            .issuer_of(certificate)
            .expect("the certificate's issuer is part of this PKI");
        StapleTemplate::good(certificate, issuer, self.now)
    }

    /// A responder that an issuer may delegate to: sign it with [`CertificateTemplate::issued_by`].
    pub fn responder_template(&self) -> CertificateTemplate {
        responder_template(self.now)
    }

    /// A correct responder of that issuer.
    pub fn responder(&self, issuer: &Certificate) -> Certificate {
        self.responder_template().issued_by(issuer)
    }
}

/// The only common name that a verifier may accept in that region.
pub fn signer_name(region: &str, domain: &str) -> String {
    format!("managed-ssh-signer.{region}.{domain}")
}

/// A delegated OCSP responder's certificate: OCSPSigning, digitalSignature, nocheck, short-lived.
fn responder_template(now: i64) -> CertificateTemplate {
    let mut responder = CertificateTemplate::new(
        ca_name("OCSP Responder"),
        Key::cached("responder"),
        now - 5 * DAY,
        now + 25 * DAY,
    );
    responder.key_usage = Some(KeyUsage(KeyUsages::DigitalSignature.into()));
    responder.extended_key_usage = Some(vec![purpose::ID_KP_OCSP_SIGNING]);
    responder.extensions.push(RawExtension::ocsp_no_check());
    responder
}

fn ca_name(common_name: &str) -> Vec<NameAttribute> {
    vec![
        NameAttribute::organization("EC2 Instance Connect emulator"),
        NameAttribute::common_name(common_name),
    ]
}

fn tls_purposes() -> Option<Vec<ObjectIdentifier>> {
    Some(vec![purpose::ID_KP_SERVER_AUTH, purpose::ID_KP_CLIENT_AUTH])
}

impl Templates {
    fn new(signer_name: &str, now: i64) -> Self {
        let mut leaf = CertificateTemplate::new(
            vec![NameAttribute::common_name(signer_name)],
            Key::cached("leaf"),
            now - 30 * DAY,
            now + 365 * DAY,
        );
        leaf.basic_constraints = Some(BasicConstraints {
            ca: false,
            path_len_constraint: None,
        });
        leaf.key_usage = Some(KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment));
        leaf.extended_key_usage = tls_purposes();
        leaf.dns_names = Some(vec![signer_name.to_owned()]);

        let ca = |name, key, years: i64, path_length| {
            let year = 365 * DAY;
            let (from, to) = (now - years * year, now + years * year);
            CertificateTemplate::new(ca_name(name), Key::cached(key), from, to).for_ca(path_length)
        };
        let mut issuing_ca = ca("Issuing CA", "issuing CA", 3, Some(0));
        issuing_ca.extended_key_usage = tls_purposes();

        Self {
            leaf,
            issuing_ca,
            root: ca("Root CA", "root", 10, None),
            root_cross: ca("Root CA", "root", 8, None),
            older_root: ca("Older Root CA", "older root", 15, None),
            older_root_cross: ca("Older Root CA", "older root", 8, None),
            oldest_root: ca("Oldest Root CA", "oldest root", 20, None),
        }
    }

    fn mint(self, now: i64) -> Pki {
        let oldest_root = self.oldest_root.self_signed();
        let older_root_cross = self.older_root_cross.issued_by(&oldest_root);
        let older_root = self.older_root.self_signed();
        let root_cross = self.root_cross.issued_by(&older_root);
        let root = self.root.self_signed();
        let issuing_ca = self.issuing_ca.issued_by(&root);
        let leaf = self.leaf.issued_by(&issuing_ca);
        let chain = [&leaf, &issuing_ca, &root_cross, &older_root_cross];
        Pki {
            now,
            chain: chain.map(Clone::clone).to_vec(),
            anchors: vec![root.clone()],
            leaf,
            issuing_ca,
            root,
            root_cross,
            older_root,
            older_root_cross,
            oldest_root,
        }
    }
}
