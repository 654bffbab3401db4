//! webpki's reason for refusing a certification path, without webpki in the public interface.

use std::fmt;

/// webpki's reason for refusing a certification path.
#[derive(Clone, PartialEq, Eq)]
pub struct PathError(webpki::Error);

impl PathError {
    /// The reason itself.
    pub(crate) fn reason(&self) -> &webpki::Error {
        &self.0
    }
}

impl From<webpki::Error> for PathError {
    fn from(reason: webpki::Error) -> Self {
        Self(reason)
    }
}

impl fmt::Debug for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
