//! Where the hook lies: each file that has our bytes or AWS's, what stays of it without them, and what somebody changed.

use std::path::{Path, PathBuf};

use super::aws_lines;
use super::keys_command::Owner;
use super::our_lines::{self, SSHD_DROP_IN, Without, made_from};
use crate::host::root_directory::Disk;
use crate::service::sshd_service::{Changes, Setup, UNIT_FOLDERS, unit_drop_in_path};
use crate::sshd::sshd_config::Files;

/// What was found.
#[derive(Default)]
pub(crate) struct Found {
    /// What takes it all out.
    pub(crate) changes: Changes,
    /// Lines that name the program, but not as it was written: somebody has changed them.
    pub(crate) edited: Vec<String>,
}

impl Found {
    fn take(&mut self, path: &Path, without: Without) {
        match without {
            Without::Same => {}
            Without::Rest(bytes) => {
                self.changes.insert(path.to_owned(), Some(bytes));
            }
            Without::Nothing => {
                self.changes.insert(path.to_owned(), None);
            }
            Without::Edited(line) => self.edited.push(format!("{}:{line}", path.display())),
        }
    }
}

/// Looks for the bytes of these owners. `setup` is `None` where sshd has no configuration.
pub(crate) fn find(disk: &Disk, setup: Option<&Setup<'_>>, owners: &[Owner]) -> Found {
    let mut found = Found::default();
    // Also where nothing includes it any more.
    let drop_in = PathBuf::from(SSHD_DROP_IN);
    if let Ok(bytes) = disk.read(&drop_in) {
        let is_aws = owners.contains(&Owner::Aws) && aws_lines::is_drop_in(&bytes);
        let without = if is_aws {
            Without::Nothing
        } else {
            our_lines::without(&bytes, owners)
        };
        found.take(&drop_in, without);
    }
    let Some(setup) = setup else {
        return found;
    };
    for (path, bytes) in setup.config.files.iter().filter(|(path, _)| **path != drop_in) {
        found.take(path, our_lines::without(bytes, owners));
    }
    for unit in &setup.units {
        for folder in UNIT_FOLDERS.map(|folder| Path::new(folder).join(format!("{}.d", unit.name))) {
            for name in disk.names(&folder).into_iter().filter(|name| name.ends_with(".conf")) {
                let path = folder.join(name);
                if let Ok(bytes) = disk.read(&path) {
                    let is_ours = path == unit_drop_in_path(&unit.name);
                    found.take(&path, without_options(&bytes, is_ours, owners));
                }
            }
        }
    }
    found
}

/// A unit's drop-in without the options of these owners; `is_ours` by its name.
fn without_options(drop_in: &[u8], is_ours: bool, owners: &[Owner]) -> Without {
    if owners.contains(&Owner::Ours) && made_from(drop_in).is_some() {
        return Without::Nothing;
    }
    match aws_lines::without_options(drop_in) {
        Without::Same if is_ours && owners.contains(&Owner::Ours) => Without::Edited(1),
        without if owners.contains(&Owner::Aws) => without,
        _ => Without::Same,
    }
}
