//! Where OpenSSL judges the same chains and staples: the verdicts agree, or the difference is listed.
//!
//! Each row of the two tables says what both make of it. Where they differ it says why, and `docs/compliance.md` holds
//! these rows, no more and no fewer.

mod chain_rows;
mod chains;
mod differences;
mod extension_rows;
#[path = "../verification/judge.rs"]
#[allow(dead_code, reason = "shared with the target `verification`, which uses all of it")]
mod judge;
mod openssl;
mod staples;
