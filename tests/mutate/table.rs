//! The checks, each with the test that must notice when it is gone.

use super::Mutation;

/// Where a test is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Beside the code.
    Unit,
    /// `tests/verification`.
    Verification,
    /// `tests/program`.
    Program,
}

impl Target {
    /// What tells cargo to run it.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Unit => &["--package", "ec2-instance-connect", "--lib"],
            Self::Verification => &["--package", "ec2-instance-connect-tests", "--test", "verification"],
            Self::Program => &["--package", "ec2-instance-connect-tests", "--test", "program"],
        }
    }
}

/// Every check that refuses.
pub(crate) static MUTATIONS: &[Mutation] = &[];
