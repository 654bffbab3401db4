//! Compares the verdicts on chains and staples with OpenSSL's: they agree, or the difference is listed.
//!
//! Each row of the two tables gives both verdicts and, if they differ, the reason. `docs/compliance.md` lists exactly the
//! rows that differ.

mod chain_rows;
mod chains;
mod differences;
mod extension_rows;
#[path = "../verification/judge.rs"]
#[allow(dead_code, reason = "shared with the target `verification`, which uses all of it")]
mod judge;
mod openssl;
mod staples;
