//! `status`: what it finds, and how it prints that.

mod findings;
mod print;

pub(crate) use print::status;
