//! Finds the lines that run this program, in sshd's configuration and in its units: those to remove, and those that somebody
//! changed.

use std::path::{Path, PathBuf};

use super::aws_lines;
use super::aws_override;
use super::our_lines::{SSHD_DROP_IN, UNIT_DIRECTORIES, original_exec_start, unit_drop_in_path};
use super::owner::Owner;
use super::removal::{self, Removal};
use crate::files::{Changes, Files};
use crate::sshd::sshd_config::SshdConfig;
use crate::systemd::unit::Unit;

/// The lines that were found.
#[derive(Default)]
pub(crate) struct Installed {
    /// The changes that remove them.
    pub(crate) changes: Changes,
    /// The lines (`file:line`) that name the program, but that somebody changed.
    pub(crate) edited: Vec<String>,
}

impl Installed {
    fn add(&mut self, path: &Path, removal: Removal) {
        match removal {
            Removal::Unchanged => {}
            Removal::Remainder(bytes) => {
                self.changes.insert(path.to_owned(), Some(bytes));
            }
            Removal::WholeFile => {
                self.changes.insert(path.to_owned(), None);
            }
            Removal::Edited(line) => self.edited.push(format!("{}:{line}", path.display())),
        }
    }
}

/// Finds the lines of these owners. `sshd` is `None` if there is no sshd_config.
pub(crate) fn find(files: &dyn Files, sshd: Option<(&SshdConfig, &[Unit])>, owners: &[Owner]) -> Installed {
    let mut installed = Installed::default();
    // Our drop-in is removed even if nothing includes it any more.
    let drop_in = PathBuf::from(SSHD_DROP_IN);
    if let Ok(bytes) = files.read(&drop_in) {
        let is_aws_s = owners.contains(&Owner::Aws) && aws_lines::is_drop_in(&bytes);
        let removal = if is_aws_s {
            Removal::WholeFile
        } else {
            removal::remove(&bytes, owners)
        };
        installed.add(&drop_in, removal);
    }
    let Some((config, units)) = sshd else {
        return installed;
    };
    for (path, bytes) in config.files.iter().filter(|(path, _)| **path != drop_in) {
        installed.add(path, removal::remove(bytes, owners));
    }
    for unit in units {
        for directory in UNIT_DIRECTORIES.map(|directory| Path::new(directory).join(format!("{}.d", unit.name))) {
            let names = files.names(&directory).into_iter();
            for name in names.filter(|name| name.ends_with(".conf")) {
                let path = directory.join(name);
                if let Ok(bytes) = files.read(&path) {
                    let is_our_path = path == unit_drop_in_path(&unit.name);
                    installed.add(&path, remove_from_unit(&bytes, is_our_path, owners));
                }
            }
        }
    }
    installed
}

/// Removes the options of these owners from a unit's drop-in.
fn remove_from_unit(drop_in: &[u8], is_our_path: bool, owners: &[Owner]) -> Removal {
    if owners.contains(&Owner::Ours) && original_exec_start(drop_in).is_some() {
        return Removal::WholeFile;
    }
    match aws_override::remove_options(drop_in) {
        Removal::Unchanged if is_our_path && owners.contains(&Owner::Ours) => Removal::Edited(1),
        removal if owners.contains(&Owner::Aws) => removal,
        _ => Removal::Unchanged,
    }
}
