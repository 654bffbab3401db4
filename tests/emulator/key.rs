//! Private keys: made once per process, and able to sign in every way that a verifier has to judge.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::{Any, BitString, Null};
use der::{Decode, Encode};
use md5::Md5;
use rand::rngs::OsRng;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaEncoding,
};
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::pkcs8::EncodePublicKey as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, Pkcs1v15Sign, Pss, RsaPrivateKey, RsaPublicKey};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use crate::kept_keys::kept;

/// How a certificate or an OCSP response is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256: what today's public CAs use.
    RsaSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaSha384,
    /// RSASSA-PKCS1-v1_5 with SHA-1: to be refused.
    RsaSha1,
    /// RSASSA-PKCS1-v1_5 with MD5: to be refused.
    RsaMd5,
    /// ECDSA with SHA-256.
    EcdsaSha256,
    /// ECDSA with SHA-384.
    EcdsaSha384,
    /// An algorithm that no key here signs with; it can only be *claimed*.
    Ed25519,
}

impl SignatureAlgorithm {
    /// The AlgorithmIdentifier: RSA's has NULL parameters (RFC 4055, section 5), the others have none.
    pub fn identifier(self) -> AlgorithmIdentifierOwned {
        let (oid, parameters) = match self {
            Self::RsaSha256 => (rfc5912::SHA_256_WITH_RSA_ENCRYPTION, Some(null())),
            Self::RsaSha384 => (rfc5912::SHA_384_WITH_RSA_ENCRYPTION, Some(null())),
            Self::RsaSha1 => (rfc5912::SHA_1_WITH_RSA_ENCRYPTION, Some(null())),
            Self::RsaMd5 => (rfc5912::MD_5_WITH_RSA_ENCRYPTION, Some(null())),
            Self::EcdsaSha256 => (rfc5912::ECDSA_WITH_SHA_256, None),
            Self::EcdsaSha384 => (rfc5912::ECDSA_WITH_SHA_384, None),
            Self::Ed25519 => (rfc8410::ID_ED_25519, None),
        };
        AlgorithmIdentifierOwned { oid, parameters }
    }
}

fn fresh_rsa(bits: usize) -> RsaPrivateKey {
    RsaPrivateKey::new(&mut OsRng, bits).expect("an RSA key of this size can be made")
}

/// A fresh key on the curve of that algorithm.
fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("the kernel has random bytes");
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a key that was just encoded decodes")
}

/// The SubjectPublicKeyInfo of a key on that curve in DER (RFC 5480, section 2).
fn ecdsa_public_key(curve: ObjectIdentifier, key: &EcdsaKeyPair) -> Vec<u8> {
    let info = SubjectPublicKeyInfoOwned {
        algorithm: AlgorithmIdentifierOwned {
            oid: rfc5912::ID_EC_PUBLIC_KEY,
            parameters: Some(Any::from(curve)),
        },
        subject_public_key: BitString::from_bytes(key.public_key().as_ref()).expect("a point is short"),
    };
    info.to_der().expect("a public key encodes")
}

/// The ASN.1 NULL that stands as an algorithm's parameters.
pub(crate) fn null() -> Any {
    Any::from(Null)
}

/// An RSA key of any size.
pub struct RsaKey {
    key: RsaPrivateKey,
    /// The same key for *ring*, which signs ten times as fast; `None` for a size that *ring* does not sign with.
    ring: Option<ring::signature::RsaKeyPair>,
}

impl RsaKey {
    fn new(key: RsaPrivateKey) -> Self {
        let der = key.to_pkcs1_der().expect("an RSA key encodes");
        let ring = ring::signature::RsaKeyPair::from_der(der.as_bytes()).ok();
        Self { key, ring }
    }

    /// Signs with *ring*, if it has this key.
    fn sign_with_ring(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Option<Vec<u8>> {
        let ring = self.ring.as_ref()?;
        let mut signature = vec![0; ring.public().modulus_len()];
        ring.sign(encoding, &SystemRandom::new(), message, &mut signature)
            .expect("the kernel has random bytes");
        Some(signature)
    }
}

/// A private key. Clones share it.
#[derive(Clone)]
pub enum Key {
    /// RSA of any size.
    Rsa(Arc<RsaKey>),
    /// ECDSA on P-256.
    P256(Arc<EcdsaKeyPair>),
    /// ECDSA on P-384.
    P384(Arc<EcdsaKeyPair>),
    /// A public RSA key without a private key: what it signs is not a valid signature.
    Hollow(Arc<RsaPublicKey>),
}

impl Key {
    /// A fresh RSA key; tenths of a second for 2048 bits, so prefer [`Key::cached`].
    pub fn rsa(bits: usize) -> Self {
        Self::Rsa(Arc::new(RsaKey::new(fresh_rsa(bits))))
    }

    /// A fresh P-256 key; takes next to no time.
    pub fn p256() -> Self {
        Self::P256(Arc::new(ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)))
    }

    /// A fresh P-384 key; takes next to no time.
    pub fn p384() -> Self {
        Self::P384(Arc::new(ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING)))
    }

    /// A new modulus of that many bits, and the largest exponent that *ring* accepts: the most expensive key to verify
    /// with.
    pub fn hollow(bits: usize) -> Self {
        let mut modulus: Vec<u8> = (0..bits / 8).map(|_| rand::random()).collect();
        // Odd, and of its full length.
        modulus[0] |= 0x80;
        modulus[bits / 8 - 1] |= 1;
        let exponent = BigUint::from((1_u64 << 33) - 1);
        let key = RsaPublicKey::new_unchecked(BigUint::from_bytes_be(&modulus), exponent);
        Self::Hollow(Arc::new(key))
    }

    /// The process's RSA-2048 key of that name: made at the first call, and the same one at later calls.
    pub fn cached(name: &str) -> Self {
        Self::cached_rsa(name, 2048)
    }

    /// The process's RSA key of that name and size, for example a 1024-bit one that is to be refused.
    pub fn cached_rsa(name: &str, bits: usize) -> Self {
        // Two locks, so that two threads can make two different keys at the same time.
        type Cell = Arc<OnceLock<Key>>;
        static KEYS: OnceLock<Mutex<HashMap<(String, usize), Cell>>> = OnceLock::new();
        let cell = {
            let mut keys = KEYS
                .get_or_init(Mutex::default)
                .lock()
                .expect("nothing panics while it holds the key cache");
            Arc::clone(keys.entry((name.to_owned(), bits)).or_default())
        };
        let made = || RsaKey::new(kept(name, bits, || fresh_rsa(bits)));
        cell.get_or_init(|| Self::Rsa(Arc::new(made()))).clone()
    }

    /// The public half, as certificates carry it.
    pub fn public_key_info(&self) -> SubjectPublicKeyInfoOwned {
        SubjectPublicKeyInfoOwned::from_der(&self.public_key_der()).expect("a public key that was just encoded decodes")
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn public_key_der(&self) -> Vec<u8> {
        let document = match self {
            Self::Rsa(key) => key.key.to_public_key().to_public_key_der(),
            Self::P256(key) => return ecdsa_public_key(rfc5912::SECP_256_R_1, key),
            Self::P384(key) => return ecdsa_public_key(rfc5912::SECP_384_R_1, key),
            Self::Hollow(key) => key.to_public_key_der(),
        };
        document.expect("a public key encodes").into_vec()
    }

    /// The public half as PEM, for `openssl dgst -verify`.
    pub fn public_key_pem(&self) -> String {
        crate::pem("PUBLIC KEY", &self.public_key_der())
    }

    /// The bits of the public key without the algorithm: what key identifiers and certIDs hash.
    pub fn public_key_bits(&self) -> Vec<u8> {
        self.public_key_info().subject_public_key.raw_bytes().to_vec()
    }

    /// SHA-1 of [`Key::public_key_bits`], the usual key identifier (RFC 5280, section 4.2.1.2, method 1).
    pub fn identifier(&self) -> Vec<u8> {
        Sha1::digest(self.public_key_bits()).to_vec()
    }

    /// The algorithm with which this key signs certificates by default.
    pub fn default_algorithm(&self) -> SignatureAlgorithm {
        match self {
            Self::Rsa(_) | Self::Hollow(_) => SignatureAlgorithm::RsaSha256,
            Self::P256(_) => SignatureAlgorithm::EcdsaSha256,
            Self::P384(_) => SignatureAlgorithm::EcdsaSha384,
        }
    }

    /// Signs.
    ///
    /// # Panics
    ///
    /// If the key cannot sign with this algorithm. To only *claim* another algorithm, use the templates' fields.
    pub fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Vec<u8> {
        let rsa = |encoding: Option<&'static dyn RsaEncoding>, padding, digest: &[u8]| {
            let key = match self {
                Self::Rsa(key) => key,
                Self::Hollow(key) => return vec![1; key.size()],
                Self::P256(_) | Self::P384(_) => panic!("an elliptic-curve key cannot sign with {algorithm:?}"),
            };
            let by_ring = encoding.and_then(|encoding| key.sign_with_ring(encoding, message));
            // Blinded, as the library asks; the signature does not depend on it.
            let by_rsa = || key.key.sign_with_rng(&mut OsRng, padding, digest);
            by_ring.unwrap_or_else(|| by_rsa().expect("the digest fits the key"))
        };
        let ecdsa = |key: &EcdsaKeyPair| {
            let signature = key.sign(&SystemRandom::new(), message);
            signature.expect("the kernel has random bytes").as_ref().to_vec()
        };
        match algorithm {
            SignatureAlgorithm::RsaSha256 => rsa(
                Some(&RSA_PKCS1_SHA256),
                Pkcs1v15Sign::new::<Sha256>(),
                &Sha256::digest(message),
            ),
            SignatureAlgorithm::RsaSha384 => rsa(
                Some(&RSA_PKCS1_SHA384),
                Pkcs1v15Sign::new::<Sha384>(),
                &Sha384::digest(message),
            ),
            SignatureAlgorithm::RsaSha1 => rsa(None, Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(message)),
            SignatureAlgorithm::RsaMd5 => rsa(None, Pkcs1v15Sign::new::<Md5>(), &Md5::digest(message)),
            SignatureAlgorithm::EcdsaSha256 => match self {
                Self::P256(key) => ecdsa(key),
                _ => panic!("only a P-256 key signs with {algorithm:?}"),
            },
            SignatureAlgorithm::EcdsaSha384 => match self {
                Self::P384(key) => ecdsa(key),
                _ => panic!("only a P-384 key signs with {algorithm:?}"),
            },
            SignatureAlgorithm::Ed25519 => panic!("no key here signs with Ed25519"),
        }
    }

    /// RSASSA-PSS with SHA-256 and MGF1-SHA-256: the scheme of records, whose salt is 32 bytes.
    ///
    /// # Panics
    ///
    /// Where the key is not an RSA key.
    pub fn sign_pss(&self, salt_length: usize, message: &[u8]) -> Vec<u8> {
        let Self::Rsa(key) = self else {
            panic!("only an RSA key makes an RSASSA-PSS signature")
        };
        // ring's salt is as long as the digest.
        if salt_length == 32
            && let Some(signature) = key.sign_with_ring(&RSA_PSS_SHA256, message)
        {
            return signature;
        }
        let padding = Pss::new_with_salt::<Sha256>(salt_length);
        key.key
            .sign_with_rng(&mut OsRng, padding, &Sha256::digest(message))
            .expect("digest and salt fit the key")
    }
}

impl fmt::Debug for Key {
    /// Prints only the kind: a failed assertion should not print a page of private numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa(_) => "Key::Rsa",
            Self::P256(_) => "Key::P256",
            Self::P384(_) => "Key::P384",
            Self::Hollow(_) => "Key::Hollow",
        })
    }
}
