//! webpki's reason for refusing a certification path, without webpki in the public interface.

use std::error::Error;
use std::fmt;

/// webpki's reason for refusing a certification path.
#[derive(Clone, PartialEq, Eq)]
pub struct PathError(webpki::Error);

impl PathError {
    /// webpki's `reason`.
    pub(crate) fn new(reason: webpki::Error) -> Self {
        Self(reason)
    }

    /// The reason itself.
    pub(crate) fn reason(&self) -> &webpki::Error {
        &self.0
    }
}

impl fmt::Debug for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for PathError {}
