//! Everything that touches the world: files, sockets, processes, the clock. It decides nothing: it brings in bytes, each
//! answer with a size limit, and writes lines out.
//!
//! The public modules are for `ec2-instance-connect`, which checks a machine with the same code that sshd runs at a login:
//! the IMDS client, the identity of the machine, the trust store, the path check, and reading files below a root directory.

pub(crate) mod audit_log;
pub(crate) mod chained_command;
pub(crate) mod clock;
pub(crate) mod deadline;
pub mod imds;
pub mod machine;
pub(crate) mod output;
pub(crate) mod process;
pub mod regular_file;
pub mod safe_path;
pub mod symlinks;
pub mod trust_store;
