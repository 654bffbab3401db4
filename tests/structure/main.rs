//! The structure of the workspace: which crate may link what, and which file may import which.

mod dependencies;
mod imports;

use std::path::{Path, PathBuf};

/// The directory of the workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
