//! A stapled OCSP response (RFC 6960) as IMDS serves it, and its fields. Nothing in it is verified here.

use std::error::Error;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use x509_parser::asn1_rs::{Class, Tag};

use crate::x509::{Der, DerError, bit_string_bytes};

/// id-sha1 (RFC 8017 B.1).
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// id-sha256 (RFC 4055 2.1).
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// id-pkix-ocsp-basic (RFC 6960 4.2.1).
const OCSP_BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];

/// A stapled OCSP response for one certificate of the signer's chain, as IMDS serves it. It is not verified.
#[derive(Debug)]
pub struct OcspStaple(Result<Vec<u8>, OcspParseError>);

impl OcspStaple {
    /// Decodes the IMDS answer `managed-ssh-keys/signer-ocsp/<name>`: base64, with or without line breaks.
    ///
    /// A response that cannot be decoded proves nothing, but is not an error: another one may be valid.
    #[must_use]
    pub fn from_base64(answer: &[u8]) -> Self {
        let packed: Vec<u8> = answer
            .iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        Self(STANDARD.decode(packed).map_err(|_| OcspParseError::Base64))
    }

    /// The fields of the response.
    pub(crate) fn parse(&self) -> Result<BasicOcspResponse<'_>, OcspParseError> {
        match &self.0 {
            Ok(der) => BasicOcspResponse::from_der(der),
            Err(why) => Err(*why),
        }
    }
}

/// The fields of a BasicOCSPResponse (RFC 6960 4.2.1). Its signature and times are not checked.
#[derive(Debug)]
pub(crate) struct BasicOcspResponse<'a> {
    /// tbsResponseData with its DER header: the bytes that the signature covers.
    pub(super) signed: &'a [u8],
    /// The responder that claims to have signed it.
    pub(super) responder: ResponderId<'a>,
    /// The statuses of certificates.
    pub(super) responses: Vec<SingleResponse<'a>>,
    /// The contents of the signature's AlgorithmIdentifier, without the DER header.
    pub(super) algorithm: &'a [u8],
    /// The signature.
    pub(super) signature: &'a [u8],
    /// The certificates that the response includes (`certs`), each with its DER header.
    pub(super) certificates: Vec<&'a [u8]>,
}

/// ResponderID (RFC 6960 4.2.1).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ResponderId<'a> {
    /// The subject of the responder's certificate: the Name, with its DER header.
    Name(&'a [u8]),
    /// The SHA-1 hash of the responder's public key bits.
    Key(&'a [u8]),
}

/// SingleResponse (RFC 6960 4.2.1): the status of one certificate.
#[derive(Debug)]
pub(super) struct SingleResponse<'a> {
    /// The certificate.
    pub(super) certificate: CertId<'a>,
    /// Its status.
    pub(super) status: CertStatus,
    /// The time at which the status was known to be correct, in seconds since the epoch.
    pub(super) this_update: i64,
    /// The time by which newer information will be available, in seconds since the epoch.
    pub(super) next_update: Option<i64>,
}

/// CertID (RFC 6960 4.1.1): identifies a certificate by its serial number and hashes of its issuer's name and key.
#[derive(Debug)]
pub(super) struct CertId<'a> {
    /// The hash algorithm; `None` if it is neither SHA-1 nor SHA-256.
    pub(super) hash: Option<HashAlgorithm>,
    /// The hash of the issuer's Name.
    pub(super) issuer_name: &'a [u8],
    /// The hash of the issuer's public key bits.
    pub(super) issuer_key: &'a [u8],
    /// The bytes of the serial number.
    pub(super) serial: &'a [u8],
}

/// The hash algorithm of a CertID. The hashes identify the issuer; nothing is trusted because of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HashAlgorithm {
    /// SHA-1, which responders use.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// CertStatus (RFC 6960 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CertStatus {
    /// Not revoked.
    Good,
    /// Revoked at this time, in seconds since the epoch.
    Revoked(i64),
    /// The responder does not know the certificate.
    Unknown,
}

impl<'a> BasicOcspResponse<'a> {
    fn from_der(der: &'a [u8]) -> Result<Self, OcspParseError> {
        let mut response = Der::whole(der)?.sequence()?;
        // OCSPResponseStatus: successful(0), or one of five errors (RFC 6960 4.2.1).
        match response.take(Class::Universal, Tag::Enumerated.0)? {
            [0] => {}
            [status] => return Err(OcspParseError::Status(*status)),
            _ => return Err(OcspParseError::Malformed),
        }
        let mut bytes = response.explicit(0)?.sequence()?;
        response.end()?;
        if bytes.take(Class::Universal, Tag::Oid.0)? != OCSP_BASIC {
            return Err(OcspParseError::NotBasic);
        }
        let mut basic = Der::within(bytes.take(Class::Universal, Tag::OctetString.0)?)
            .only()?
            .sequence()?;
        bytes.end()?;

        let signed = basic.take_whole()?;
        let algorithm = basic.take(Class::Universal, Tag::Sequence.0)?;
        let signature = bit_string_bytes(basic.take(Class::Universal, Tag::BitString.0)?)?;
        let mut certificates = Vec::new();
        if let Some(included) = basic.optional_explicit(0)? {
            let mut list = included.sequence()?;
            while !list.is_empty() {
                certificates.push(list.take_whole()?);
            }
        }
        basic.end()?;

        let mut data = Der::whole(signed)?.sequence()?;
        if let Some(version) = data.optional_explicit(0)? {
            // In DER the default v1(0) is absent, but some responders include it. There is no other version.
            if version.integer()? != [0] {
                return Err(OcspParseError::Malformed);
            }
        }
        let responder = data.responder_id()?;
        data.time()?;
        let mut list = Der::within(data.take(Class::Universal, Tag::Sequence.0)?);
        data.extensions(1)?;
        data.end()?;
        let mut responses = Vec::new();
        while !list.is_empty() {
            responses.push(list.single_response()?);
        }
        Ok(Self {
            signed,
            responder,
            responses,
            algorithm,
            signature,
            certificates,
        })
    }
}

/// The types that only OCSP responses have.
impl<'a> Der<'a> {
    fn responder_id(&mut self) -> Result<ResponderId<'a>, OcspParseError> {
        if let Some(name) = self.optional_explicit(1)? {
            return Ok(ResponderId::Name(name.only()?.rest()));
        }
        let mut key = self.explicit(2)?;
        let hash = key.take(Class::Universal, Tag::OctetString.0)?;
        key.end()?;
        Ok(ResponderId::Key(hash))
    }

    fn single_response(&mut self) -> Result<SingleResponse<'a>, OcspParseError> {
        let mut single = Self::within(self.take(Class::Universal, Tag::Sequence.0)?);
        let certificate = single.cert_id()?;
        let status = single.cert_status()?;
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
        Ok(SingleResponse {
            certificate,
            status,
            this_update,
            next_update,
        })
    }

    fn cert_id(&mut self) -> Result<CertId<'a>, OcspParseError> {
        let mut id = Self::within(self.take(Class::Universal, Tag::Sequence.0)?);
        let mut algorithm = Self::within(id.take(Class::Universal, Tag::Sequence.0)?);
        let hash = match algorithm.take(Class::Universal, Tag::Oid.0)? {
            SHA1 => Some(HashAlgorithm::Sha1),
            SHA256 => Some(HashAlgorithm::Sha256),
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

    fn cert_status(&mut self) -> Result<CertStatus, OcspParseError> {
        if self.next_is(Class::ContextSpecific, 0) {
            self.take(Class::ContextSpecific, 0)?;
            Ok(CertStatus::Good)
        } else if self.next_is(Class::ContextSpecific, 1) {
            let mut revoked = self.explicit(1)?;
            Ok(CertStatus::Revoked(revoked.time()?))
        } else {
            self.take(Class::ContextSpecific, 2)?;
            Ok(CertStatus::Unknown)
        }
    }

    /// Skips `[tag] EXPLICIT Extensions OPTIONAL`. No critical extension is supported (RFC 6960 4.4: a nonce has no use in
    /// a stapled response), so a critical one is refused.
    fn extensions(&mut self, tag: u32) -> Result<(), OcspParseError> {
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
                return Err(OcspParseError::CriticalExtension);
            }
            extension.take(Class::Universal, Tag::OctetString.0)?;
            extension.end()?;
        }
        Ok(())
    }
}

/// Why a stapled OCSP response cannot be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OcspParseError {
    /// It is not valid base64.
    Base64,
    /// It is not the DER of an OCSPResponse.
    Malformed,
    /// Bytes follow the last value of a structure.
    TrailingBytes,
    /// The responder reported an error: its OCSPResponseStatus is this value instead of successful(0).
    Status(u8),
    /// It is not a BasicOCSPResponse.
    NotBasic,
    /// It has a critical extension. None is supported.
    CriticalExtension,
}

impl From<DerError> for OcspParseError {
    fn from(error: DerError) -> Self {
        match error {
            DerError::Malformed => Self::Malformed,
            DerError::TrailingBytes => Self::TrailingBytes,
        }
    }
}

impl fmt::Display for OcspParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base64 => f.write_str("not valid base64"),
            Self::Malformed => f.write_str("not an OCSP response"),
            Self::TrailingBytes => f.write_str("extra bytes after a value"),
            Self::Status(status) => write!(f, "the responder returned error status {status}"),
            Self::NotBasic => f.write_str("not a basic OCSP response"),
            Self::CriticalExtension => f.write_str("unknown critical extension"),
        }
    }
}

impl Error for OcspParseError {}

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
    fn an_answer_that_is_not_base64_is_refused() {
        assert_eq!(
            OcspStaple::from_base64(b"<html>").parse().unwrap_err(),
            OcspParseError::Base64
        );
        assert_eq!(
            OcspStaple::from_base64(b"").parse().unwrap_err(),
            OcspParseError::Malformed
        );
    }

    #[test]
    fn base64_may_be_wrapped() {
        // A response that says tryLater(3), RFC 6960 4.2.1.
        assert_eq!(
            OcspStaple::from_base64(b"MAMK\nAQM=\n").parse().unwrap_err(),
            OcspParseError::Status(3)
        );
    }

    #[test]
    fn bytes_after_the_response_are_refused() {
        let mut response = der(0x30, &der(0x0a, &[3]));
        response.push(0);
        assert_eq!(
            BasicOcspResponse::from_der(&response).unwrap_err(),
            OcspParseError::TrailingBytes
        );
    }

    #[test]
    fn a_response_of_another_type_is_refused() {
        let bytes = der(0x30, &[der(0x06, &[0x2a]), der(0x04, &[])].concat());
        let response = der(0x30, &[der(0x0a, &[0]), der(0xa0, &bytes)].concat());
        assert_eq!(
            BasicOcspResponse::from_der(&response).unwrap_err(),
            OcspParseError::NotBasic
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = BasicOcspResponse::from_der(&bytes);
            let wrapped = [&[0x30, 3, 0x0a, 1, 0], bytes.as_slice()].concat();
            let _ = BasicOcspResponse::from_der(&wrapped);
            let _ = OcspStaple::from_base64(&bytes).parse();
        }
    }
}
