//! Retries: which requests are sent again, and how many times.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::sleep;

use super::error::ImdsError;

/// The pause before a retry.
const PAUSE: Duration = Duration::from_millis(50);

/// The most retries of one request.
///
/// A run that verifies a key sends about 11 requests: token, keys, five for the region and the signer, four staples.
/// IMDS closes the connection after each answer, so each request has its own connection. If a share p of the connections
/// breaks, a request that is sent at most n times fails with probability pⁿ, and one of eleven fails with about 11 pⁿ:
///
/// | p    | n = 2  | n = 3  |
/// |------|--------|--------|
/// | 3 %  | 1.0 %  | 0.03 % |
/// | 10 % | 10.5 % | 1.1 %  |
const PER_REQUEST: u32 = 2;

/// The most retries of one run, over all its requests: an IMDS that always fails gets a limited number of requests.
///
/// The run uses up r retries if r + 1 of its first 11 + r requests break (binomial distribution). At 10 %: 4.4 % with
/// r = 3, 1.3 % with 4, 0.08 % with 6. At 3 %: less than 0.001 % with 6. Together with the table above, one run in 83 fails
/// at 10 %, and one in 3,300 at 3 %.
const PER_RUN: u32 = 6;

/// The retries that a run has left.
#[derive(Debug)]
pub(super) struct Retries(Cell<u32>);

impl Retries {
    /// All retries of a run.
    pub(super) fn new() -> Self {
        Self(Cell::new(PER_RUN))
    }

    /// Makes an attempt and, if it fails with a transient error, further ones, each after a pause. Each attempt gets the
    /// error of the one before it. The caller limits the total time.
    pub(super) async fn run<T>(
        &self,
        attempt: impl AsyncFn(Option<&ImdsError>) -> Result<T, ImdsError>,
    ) -> Result<T, ImdsError> {
        let mut result = attempt(None).await;
        for _ in 0..PER_REQUEST {
            let Err(error) = &result else { break };
            let left = self.0.get();
            if !error.is_transient() || left == 0 {
                break;
            }
            self.0.set(left - 1);
            sleep(PAUSE).await;
            result = attempt(Some(error)).await;
        }
        result
    }
}
