//! What the library decides, one rule at a time: each test breaks one thing and asserts the reason.

mod judge;
mod login;

mod chain_path;
mod chain_pem;
mod cost;
mod damage;
mod intermediate;
mod leaf;
mod partitions;
mod real_chain;
mod record_login;
mod record_signature;
mod revocation;
mod revocation_der;
mod revocation_refused;
mod revocation_responder;
mod trust_store;
mod unreadable_extension;
