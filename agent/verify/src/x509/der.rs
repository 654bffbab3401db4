//! A reader of DER (X.690): it takes one value after another, and anything unexpected is an error.

use x509_parser::asn1_rs::{Any, Class, FromDer, Tag};
use x509_parser::time::ASN1Time;

/// Why bytes are not the expected DER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DerError {
    /// A value is missing or truncated, or has another tag.
    Malformed,
    /// Bytes follow the last value.
    TrailingBytes,
}

/// The bytes of a BIT STRING whose length is a multiple of 8 bits.
pub(crate) fn bit_string_bytes(contents: &[u8]) -> Result<&[u8], DerError> {
    contents.strip_prefix(&[0]).ok_or(DerError::Malformed)
}

/// The values that are still to be read.
pub(crate) struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Reads the values in `contents`.
    pub(crate) fn within(contents: &'a [u8]) -> Self {
        Self(contents)
    }

    /// The bytes that are still to be read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Reads `der`, which must be exactly one value.
    pub(crate) fn whole(der: &'a [u8]) -> Result<Self, DerError> {
        Self(der).only()
    }

    /// Checks that exactly one value is still to be read.
    pub(crate) fn only(self) -> Result<Self, DerError> {
        let mut rest = Self(self.0);
        rest.take_whole()?;
        if rest.is_empty() {
            Ok(self)
        } else {
            Err(DerError::TrailingBytes)
        }
    }

    /// Whether every value has been read.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that every value has been read.
    pub(crate) fn end(&self) -> Result<(), DerError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(DerError::TrailingBytes)
        }
    }

    /// Whether the next value has this tag.
    pub(crate) fn next_is(&self, class: Class, tag: u32) -> bool {
        Any::from_der(self.0).is_ok_and(|(_, any)| any.class() == class && any.tag().0 == tag)
    }

    /// Takes the contents of the next value, which must have this tag.
    pub(crate) fn take(&mut self, class: Class, tag: u32) -> Result<&'a [u8], DerError> {
        let constructed = class == Class::Universal && [Tag::Sequence.0, Tag::Set.0].contains(&tag);
        self.take_formed(class, tag, constructed)
    }

    /// As `take`, for a constructed or a primitive value: DER leaves no choice between the two (X.690 8.1.2.5 and 10.2).
    fn take_formed(&mut self, class: Class, tag: u32, constructed: bool) -> Result<&'a [u8], DerError> {
        let (rest, any) = Any::from_der(self.0).map_err(|_| DerError::Malformed)?;
        if any.class() != class || any.tag().0 != tag || any.header.constructed() != constructed {
            return Err(DerError::Malformed);
        }
        self.0 = rest;
        Ok(any.data)
    }

    /// Takes the tag and the contents of the next value, which must be a string: of a universal type, and primitive.
    pub(crate) fn take_string(&mut self) -> Result<(Tag, &'a [u8]), DerError> {
        let (rest, any) = Any::from_der(self.0).map_err(|_| DerError::Malformed)?;
        if any.class() != Class::Universal || any.header.constructed() {
            return Err(DerError::Malformed);
        }
        self.0 = rest;
        Ok((any.tag(), any.data))
    }

    /// Takes the next value with its header.
    pub(crate) fn take_whole(&mut self) -> Result<&'a [u8], DerError> {
        let before = self.0;
        let (rest, _) = Any::from_der(before).map_err(|_| DerError::Malformed)?;
        self.0 = rest;
        before.get(..before.len() - rest.len()).ok_or(DerError::Malformed)
    }

    /// The contents of a SEQUENCE, which must be the last value.
    pub(crate) fn sequence(mut self) -> Result<Self, DerError> {
        let contents = self.take(Class::Universal, Tag::Sequence.0)?;
        self.end()?;
        Ok(Self(contents))
    }

    /// The bytes of an INTEGER, which must be the last value.
    pub(crate) fn integer(mut self) -> Result<&'a [u8], DerError> {
        let contents = self.take(Class::Universal, Tag::Integer.0)?;
        self.end()?;
        Ok(contents)
    }

    /// Takes the contents of `[tag] EXPLICIT`.
    pub(crate) fn explicit(&mut self, tag: u32) -> Result<Self, DerError> {
        self.take_formed(Class::ContextSpecific, tag, true).map(Self)
    }

    /// As `explicit`, for an OPTIONAL value.
    pub(crate) fn optional_explicit(&mut self, tag: u32) -> Result<Option<Self>, DerError> {
        if self.next_is(Class::ContextSpecific, tag) {
            self.explicit(tag).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Takes a GeneralizedTime; in seconds since the epoch.
    pub(crate) fn time(&mut self) -> Result<i64, DerError> {
        if !self.next_is(Class::Universal, Tag::GeneralizedTime.0) {
            return Err(DerError::Malformed);
        }
        let (rest, time) = ASN1Time::from_der(self.0).map_err(|_| DerError::Malformed)?;
        self.0 = rest;
        Ok(time.timestamp())
    }
}
