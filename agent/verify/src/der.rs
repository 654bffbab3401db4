//! DER (X.690), read value by value from the front; whatever is not exactly as expected is an error.

use x509_parser::asn1_rs::{Any, Class, FromDer, Tag};
use x509_parser::time::ASN1Time;

/// Why bytes are not the DER that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DerError {
    /// A value is missing, cut, or bears another tag.
    Malformed,
    /// Bytes follow a value where none may.
    TrailingBytes,
}

/// The bytes of a BIT STRING that is whole bytes.
pub(super) fn bits(contents: &[u8]) -> Result<&[u8], DerError> {
    contents.strip_prefix(&[0]).ok_or(DerError::Malformed)
}

/// DER, read from the front.
pub(super) struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The values in `contents`, one after the other.
    pub(super) fn within(contents: &'a [u8]) -> Self {
        Self(contents)
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// One value and nothing behind it.
    pub(super) fn whole(der: &'a [u8]) -> Result<Self, DerError> {
        Self(der).only()
    }

    /// This, if it is one value and nothing behind it.
    pub(super) fn only(self) -> Result<Self, DerError> {
        let mut rest = Self(self.0);
        rest.take_whole()?;
        if rest.is_empty() {
            Ok(self)
        } else {
            Err(DerError::TrailingBytes)
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn end(&self) -> Result<(), DerError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(DerError::TrailingBytes)
        }
    }

    pub(super) fn next_is(&self, class: Class, tag: u32) -> bool {
        Any::from_der(self.0).is_ok_and(|(_, any)| any.class() == class && any.tag().0 == tag)
    }

    /// The contents of the next value, which must bear this tag.
    pub(super) fn take(&mut self, class: Class, tag: u32) -> Result<&'a [u8], DerError> {
        let constructed = class == Class::Universal && [Tag::Sequence.0, Tag::Set.0].contains(&tag);
        self.take_formed(class, tag, constructed)
    }

    /// As `take`; whether a value is made of others is not DER's to choose (X.690 8.1.2.5 and 10.2).
    fn take_formed(&mut self, class: Class, tag: u32, constructed: bool) -> Result<&'a [u8], DerError> {
        let (rest, any) = Any::from_der(self.0).map_err(|_| DerError::Malformed)?;
        if any.class() != class || any.tag().0 != tag || any.header.constructed() != constructed {
            return Err(DerError::Malformed);
        }
        self.0 = rest;
        Ok(any.data)
    }

    /// The tag and the contents of the next value, which must be a string: of a universal type, and not made of others.
    pub(super) fn take_string(&mut self) -> Result<(Tag, &'a [u8]), DerError> {
        let (rest, any) = Any::from_der(self.0).map_err(|_| DerError::Malformed)?;
        if any.class() != Class::Universal || any.header.constructed() {
            return Err(DerError::Malformed);
        }
        self.0 = rest;
        Ok((any.tag(), any.data))
    }

    /// The next value with its header.
    pub(super) fn take_whole(&mut self) -> Result<&'a [u8], DerError> {
        let before = self.0;
        let (rest, _) = Any::from_der(before).map_err(|_| DerError::Malformed)?;
        self.0 = rest;
        before.get(..before.len() - rest.len()).ok_or(DerError::Malformed)
    }

    /// The inside of a SEQUENCE that is all there is.
    pub(super) fn sequence(mut self) -> Result<Self, DerError> {
        let inside = self.take(Class::Universal, Tag::Sequence.0)?;
        self.end()?;
        Ok(Self(inside))
    }

    /// The bytes of an INTEGER that is all there is.
    pub(super) fn integer(mut self) -> Result<&'a [u8], DerError> {
        let inside = self.take(Class::Universal, Tag::Integer.0)?;
        self.end()?;
        Ok(inside)
    }

    /// The inside of `[tag] EXPLICIT`.
    pub(super) fn explicit(&mut self, tag: u32) -> Result<Self, DerError> {
        self.take_formed(Class::ContextSpecific, tag, true).map(Self)
    }

    /// As `explicit`, where it is there.
    pub(super) fn optional_explicit(&mut self, tag: u32) -> Result<Option<Self>, DerError> {
        if self.next_is(Class::ContextSpecific, tag) {
            self.explicit(tag).map(Some)
        } else {
            Ok(None)
        }
    }

    /// A GeneralizedTime, in seconds since the epoch.
    pub(super) fn time(&mut self) -> Result<i64, DerError> {
        if !self.next_is(Class::Universal, Tag::GeneralizedTime.0) {
            return Err(DerError::Malformed);
        }
        let (rest, time) = ASN1Time::from_der(self.0).map_err(|_| DerError::Malformed)?;
        self.0 = rest;
        Ok(time.timestamp())
    }
}
