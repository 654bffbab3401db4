//! What is asked again, and how often.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::sleep;

use super::ImdsError;

/// How long to wait before a request is sent again.
const PAUSE: Duration = Duration::from_millis(50);

/// How often one request may be sent again.
///
/// A call that verifies a key makes about 11 requests: token, keys, five for the place and the signer, four staples.
/// IMDS closes the connection after each answer, so each request has a connection of its own. Where a share p of the
/// connections breaks, a request that is sent n times at most is lost with pⁿ, and one of eleven with about 11 pⁿ:
///
/// | p    | n = 2  | n = 3  |
/// |------|--------|--------|
/// | 3 %  | 1.0 %  | 0.03 % |
/// | 10 % | 10.5 % | 1.1 %  |
const PER_REQUEST: u32 = 2;

/// How many retries one call has, over all its requests: an IMDS that fails all the time is not to be asked for ever.
///
/// The call runs out of r retries where r + 1 of its first 11 + r requests break (binomial). At 10 %: 4.4 % with
/// r = 3, 1.3 % with 4, 0.08 % with 6. At 3 %: less than 0.001 % with 6. With the table above, one call in 83 is lost
/// at 10 %, and one in 3,300 at 3 %.
const PER_CALL: u32 = 6;

/// The retries that a call has left.
#[derive(Debug)]
pub(super) struct Retries(Cell<u32>);

impl Retries {
    /// For one call.
    pub(super) fn for_a_call() -> Self {
        Self(Cell::new(PER_CALL))
    }

    /// Makes an attempt and, where it fails in a way that may pass, again, after a pause. An attempt is told why the
    /// one before it failed. Whoever calls sets the time over all of them.
    pub(super) async fn run<T>(
        &self,
        attempt: impl AsyncFn(Option<&ImdsError>) -> Result<T, ImdsError>,
    ) -> Result<T, ImdsError> {
        let mut result = attempt(None).await;
        for _ in 0..PER_REQUEST {
            let Err(error) = &result else { break };
            let left = self.0.get();
            if !error.is_passing() || left == 0 {
                break;
            }
            self.0.set(left - 1);
            sleep(PAUSE).await;
            result = attempt(Some(error)).await;
        }
        result
    }
}
