//! One staple read: an OCSP response (RFC 6960) as IMDS serves it, taken apart without a judgement.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use x509_parser::asn1_rs::{Class, Tag};

use super::der::{Der, DerError, bits};

/// id-sha1 (RFC 8017 B.1).
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// id-sha256 (RFC 4055 2.1).
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// id-pkix-ocsp-basic (RFC 6960 4.2.1).
const OCSP_BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];

/// A staple as it was served, decoded but not yet read.
#[derive(Debug)]
pub struct Served(Result<Vec<u8>, Unreadable>);

impl Served {
    /// Decodes an answer of `signer-ocsp/<name>`: base64, perhaps wrapped.
    #[must_use]
    pub fn new(answer: &[u8]) -> Self {
        let packed: Vec<u8> = answer
            .iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        Self(STANDARD.decode(packed).map_err(|_| Unreadable::Base64))
    }

    /// The response in it.
    ///
    /// # Errors
    /// [`Unreadable`] says what is wrong with it.
    pub fn read(&self) -> Result<Staple<'_>, Unreadable> {
        match &self.0 {
            Ok(der) => Staple::from_der(der),
            Err(why) => Err(*why),
        }
    }
}

/// A BasicOCSPResponse (RFC 6960 4.2.1) taken apart. Whether its signature and times hold is judged in `revocation`.
#[derive(Debug)]
pub struct Staple<'a> {
    /// The bytes that are signed: tbsResponseData, with its header.
    pub signed: &'a [u8],
    /// Who says to have signed.
    pub responder: ResponderId<'a>,
    /// What is said, of one certificate each.
    pub statements: Vec<Statement<'a>>,
    /// The contents of the signature's AlgorithmIdentifier, without its header.
    pub algorithm: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
    /// The certificates enclosed for whoever verifies, each with its header.
    pub certificates: Vec<&'a [u8]>,
}

/// ResponderID: by name (the Name, with its header) or by key (SHA-1 of the public key's bits).
#[derive(Debug, PartialEq, Eq)]
pub enum ResponderId<'a> {
    /// The responder certificate's subject.
    Name(&'a [u8]),
    /// The SHA-1 of the responder's public key.
    Key(&'a [u8]),
}

/// SingleResponse: the status of one certificate for a span of time.
#[derive(Debug)]
pub struct Statement<'a> {
    /// Which certificate.
    pub certificate: CertId<'a>,
    /// What is said of it.
    pub status: Status,
    /// The time at which that was known, in seconds since the epoch.
    pub this_update: i64,
    /// The time until which there will be nothing newer, in seconds since the epoch.
    pub next_update: Option<i64>,
}

/// CertID (RFC 6960 4.1.1): a certificate by hashes of its issuer and by its serial number.
#[derive(Debug)]
pub struct CertId<'a> {
    /// How name and key are hashed; `None` for an algorithm other than SHA-1 and SHA-256.
    pub hash: Option<Hash>,
    /// The hash of the issuer's Name.
    pub issuer_name: &'a [u8],
    /// The hash of the issuer's public key bits.
    pub issuer_key: &'a [u8],
    /// The serial number's bytes.
    pub serial: &'a [u8],
}

/// A hash of a CertID. It identifies; it vouches for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1, what responders use.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// CertStatus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not revoked.
    Good,
    /// Revoked at this time, in seconds since the epoch.
    Revoked(i64),
    /// The responder does not know the certificate.
    Unknown,
}

impl<'a> Staple<'a> {
    fn from_der(der: &'a [u8]) -> Result<Self, Unreadable> {
        let mut response = Der::whole(der)?.sequence()?;
        // OCSPResponseStatus: successful(0), and five ways to say that there is no answer.
        match response.take(Class::Universal, Tag::Enumerated.0)? {
            [0] => {}
            [status] => return Err(Unreadable::Status(*status)),
            _ => return Err(Unreadable::Malformed),
        }
        let mut bytes = response.explicit(0)?.sequence()?;
        response.end()?;
        if bytes.take(Class::Universal, Tag::Oid.0)? != OCSP_BASIC {
            return Err(Unreadable::NotBasic);
        }
        let mut basic = Der::within(bytes.take(Class::Universal, Tag::OctetString.0)?)
            .only()?
            .sequence()?;
        bytes.end()?;

        let signed = basic.take_whole()?;
        let algorithm = basic.take(Class::Universal, Tag::Sequence.0)?;
        let signature = bits(basic.take(Class::Universal, Tag::BitString.0)?)?;
        let mut certificates = Vec::new();
        if let Some(enclosed) = basic.optional_explicit(0)? {
            let mut list = enclosed.sequence()?;
            while !list.is_empty() {
                certificates.push(list.take_whole()?);
            }
        }
        basic.end()?;

        let mut data = Der::whole(signed)?.sequence()?;
        if let Some(version) = data.optional_explicit(0)? {
            // DER leaves the default v1(0) out, but responders that write it exist; there is no other version.
            if version.integer()? != [0] {
                return Err(Unreadable::Malformed);
            }
        }
        let responder = data.responder_id()?;
        data.time()?;
        let mut list = Der::within(data.take(Class::Universal, Tag::Sequence.0)?);
        data.extensions(1)?;
        data.end()?;
        let mut statements = Vec::new();
        while !list.is_empty() {
            statements.push(list.statement()?);
        }
        Ok(Self {
            signed,
            responder,
            statements,
            algorithm,
            signature,
            certificates,
        })
    }
}

/// What of a response is not DER in general.
impl<'a> Der<'a> {
    fn responder_id(&mut self) -> Result<ResponderId<'a>, Unreadable> {
        if let Some(name) = self.optional_explicit(1)? {
            return Ok(ResponderId::Name(name.only()?.rest()));
        }
        let mut key = self.explicit(2)?;
        let hash = key.take(Class::Universal, Tag::OctetString.0)?;
        key.end()?;
        Ok(ResponderId::Key(hash))
    }

    fn statement(&mut self) -> Result<Statement<'a>, Unreadable> {
        let mut single = Self::within(self.take(Class::Universal, Tag::Sequence.0)?);
        let certificate = single.cert_id()?;
        let status = single.status()?;
        let this_update = single.time()?;
        let next_update = match single.optional_explicit(0)? {
            Some(mut time) => {
                let next = time.time()?;
                time.end()?;
                Some(next)
            }
            None => None,
        };
        single.extensions(1)?;
        single.end()?;
        Ok(Statement {
            certificate,
            status,
            this_update,
            next_update,
        })
    }

    fn cert_id(&mut self) -> Result<CertId<'a>, Unreadable> {
        let mut id = Self::within(self.take(Class::Universal, Tag::Sequence.0)?);
        let mut algorithm = Self::within(id.take(Class::Universal, Tag::Sequence.0)?);
        let hash = match algorithm.take(Class::Universal, Tag::Oid.0)? {
            SHA1 => Some(Hash::Sha1),
            SHA256 => Some(Hash::Sha256),
            _ => None,
        };
        let issuer_name = id.take(Class::Universal, Tag::OctetString.0)?;
        let issuer_key = id.take(Class::Universal, Tag::OctetString.0)?;
        let serial = id.take(Class::Universal, Tag::Integer.0)?;
        id.end()?;
        Ok(CertId {
            hash,
            issuer_name,
            issuer_key,
            serial,
        })
    }

    fn status(&mut self) -> Result<Status, Unreadable> {
        if self.next_is(Class::ContextSpecific, 0) {
            self.take(Class::ContextSpecific, 0)?;
            Ok(Status::Good)
        } else if self.next_is(Class::ContextSpecific, 1) {
            let mut revoked = self.explicit(1)?;
            Ok(Status::Revoked(revoked.time()?))
        } else {
            self.take(Class::ContextSpecific, 2)?;
            Ok(Status::Unknown)
        }
    }

    /// Passes over `[tag] EXPLICIT Extensions`, where they are there. None is known here that may be critical
    /// (RFC 6960 4.4: a nonce would be useless in a staple), so a critical one is refused.
    fn extensions(&mut self, tag: u32) -> Result<(), Unreadable> {
        let Some(extensions) = self.optional_explicit(tag)? else {
            return Ok(());
        };
        let mut list = extensions.sequence()?;
        while !list.is_empty() {
            let mut extension = Self::within(list.take(Class::Universal, Tag::Sequence.0)?);
            extension.take(Class::Universal, Tag::Oid.0)?;
            if extension.next_is(Class::Universal, Tag::Boolean.0)
                && extension.take(Class::Universal, Tag::Boolean.0)? != [0]
            {
                return Err(Unreadable::CriticalExtension);
            }
            extension.take(Class::Universal, Tag::OctetString.0)?;
            extension.end()?;
        }
        Ok(())
    }
}

/// Why a staple cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not base64.
    Base64,
    /// It is not the DER of an OCSPResponse.
    Malformed,
    /// Bytes follow a value where none may.
    TrailingBytes,
    /// The responder had no answer: this OCSPResponseStatus other than successful.
    Status(u8),
    /// It is not a BasicOCSPResponse.
    NotBasic,
    /// It has an unknown extension marked critical.
    CriticalExtension,
}

impl From<DerError> for Unreadable {
    fn from(error: DerError) -> Self {
        match error {
            DerError::Malformed => Self::Malformed,
            DerError::TrailingBytes => Self::TrailingBytes,
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base64 => f.write_str("not base64"),
            Self::Malformed => f.write_str("not an OCSP response"),
            Self::TrailingBytes => f.write_str("trailing bytes"),
            Self::Status(status) => write!(f, "the responder answered with status {status}"),
            Self::NotBasic => f.write_str("not a basic OCSP response"),
            Self::CriticalExtension => f.write_str("an unknown critical extension"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// DER of one value: tag, length, contents.
    fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
        let length = u8::try_from(contents.len()).unwrap();
        assert!(length < 128);
        [&[tag, length], contents].concat()
    }

    #[test]
    fn what_is_not_base64_says_so() {
        assert_eq!(Served::new(b"<html>").read().unwrap_err(), Unreadable::Base64);
        assert_eq!(Served::new(b"").read().unwrap_err(), Unreadable::Malformed);
    }

    #[test]
    fn base64_may_be_wrapped() {
        // A response that says tryLater(3), RFC 6960 4.2.1.
        assert_eq!(Served::new(b"MAMK\nAQM=\n").read().unwrap_err(), Unreadable::Status(3));
    }

    #[test]
    fn bytes_behind_the_response_are_refused() {
        let mut response = der(0x30, &der(0x0a, &[3]));
        response.push(0);
        assert_eq!(Staple::from_der(&response).unwrap_err(), Unreadable::TrailingBytes);
    }

    #[test]
    fn a_response_of_another_type_is_refused() {
        let bytes = der(0x30, &[der(0x06, &[0x2a]), der(0x04, &[])].concat());
        let response = der(0x30, &[der(0x0a, &[0]), der(0xa0, &bytes)].concat());
        assert_eq!(Staple::from_der(&response).unwrap_err(), Unreadable::NotBasic);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = Staple::from_der(&bytes);
            let wrapped = [&[0x30, 3, 0x0a, 1, 0], bytes.as_slice()].concat();
            let _ = Staple::from_der(&wrapped);
            let _ = Served::new(&bytes).read();
        }
    }
}
