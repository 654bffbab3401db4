//! Plans the changes that `enable` makes: which lines go into which files.

use std::path::{Path, PathBuf};

use super::markers::Marker;
use super::outcome::Outcome;
use crate::files::{AfterChanges, Changes, Files};
use crate::hook::installed::{self, Installed};
use crate::hook::keys_command::{self, CommandInEffect};
use crate::hook::our_lines::{
    SSHD_DROP_IN, is_of_unit, original_exec_start, sshd_drop_in, unit_drop_in, unit_drop_in_path, with_our_block,
};
use crate::hook::owner::Owner;
use crate::host::root_directory::RootDirectory;
use crate::options;
use crate::service::sshd_service::SshdService;

/// The lines of this program, added to `files`.
///
/// # Errors
/// An administrator deleted or changed our file, or there is no place for the lines.
pub(crate) fn add_our_lines(
    files: &AfterChanges<'_>,
    service: &SshdService<'_>,
    options: &options::Change,
) -> Result<Changes, Outcome> {
    let deleted = Marker::FilesWritten.paths(service.root).into_iter().next();
    if let Some(path) = deleted.filter(|_| options.package) {
        return Err(Outcome::DeletedByAdministrator(path));
    }
    let drop_in = PathBuf::from(SSHD_DROP_IN);
    if service.config.includes_globally(&drop_in) {
        return match files.read(&drop_in) {
            Ok(_) => Err(Outcome::OurFileChanged(drop_in)),
            Err(_) => Ok(Changes::from([(drop_in, Some(sshd_drop_in().into_bytes()))])),
        };
    }
    if is_debian(service.root) {
        return add_unit_drop_ins(files, service);
    }
    let bytes = files.read(&service.config_file).map_err(|error| Outcome::NotWritten {
        path: service.config_file.clone(),
        error,
    })?;
    let config_file = service.config_file.clone();
    Ok(Changes::from([(config_file, Some(with_our_block(&bytes)))]))
}

/// A drop-in for each unit that starts sshd.
fn add_unit_drop_ins(files: &AfterChanges<'_>, service: &SshdService<'_>) -> Result<Changes, Outcome> {
    let mut changes = Changes::new();
    for unit in SshdService::units_without_ours(files) {
        let path = unit_drop_in_path(&unit.name);
        if files.exists(&path) {
            return Err(Outcome::OurFileChanged(path));
        }
        // If one ExecStart is not understood, neither the listener's unit nor the template is changed.
        let exec_start = unit.exec_start.as_ref().filter(|_| unit.command_line().is_some());
        let (line, _) = exec_start.ok_or_else(|| Outcome::UnclearExecStart(unit.name.clone()))?;
        changes.insert(path, Some(unit_drop_in(line).into_bytes()));
    }
    if changes.is_empty() {
        return Err(Outcome::NoPlaceForLines(service.config_file.clone()));
    }
    Ok(changes)
}

/// Whether this is Debian or derived from it (os-release(5)).
fn is_debian(root: &RootDirectory) -> bool {
    let text = root.read(Path::new("/etc/os-release")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or(line.strip_prefix("ID_LIKE=")))
        .flat_map(|value| value.trim_matches(['"', '\'']).split_whitespace());
    values.any(|id| matches!(id, "debian" | "ubuntu"))
}

/// The lines of AWS's package replaced with ours, if they are as that package wrote them.
///
/// # Errors
/// Somebody changed them, or another command would be in effect without them.
pub(crate) fn replace_aws_lines(
    root: &RootDirectory,
    service: &SshdService<'_>,
    options: &options::Change,
) -> Result<Changes, Outcome> {
    let Installed { mut changes, edited } = installed::find(root, Some(service.config_and_units()), &[Owner::Aws]);
    if !edited.is_empty() {
        return Err(Outcome::AwsLinesChanged(edited));
    }
    // If something remains of a file of AWS's, somebody added to it.
    let is_file_of_aws = |path: &Path| path == Path::new(SSHD_DROP_IN) || is_of_unit(path);
    let added = changes
        .iter()
        .filter(|(path, rest)| rest.is_some() && is_file_of_aws(path));
    let added: Vec<String> = added.map(|(path, _)| path.display().to_string()).collect();
    if !added.is_empty() {
        return Err(Outcome::AwsLinesChanged(added));
    }
    let without = SshdService::read(root, &changes)?;
    match keys_command::in_effect(&without.config) {
        CommandInEffect::Other(setting) => Err(Outcome::AwsHidesOther(Box::new(setting))),
        CommandInEffect::Ours(Owner::Ours) => Ok(changes),
        CommandInEffect::Ours(_) => Err(Outcome::EnabledByAws(place_of_command(service))),
        CommandInEffect::OursInMatch(_) | CommandInEffect::NoCommand => {
            let files = AfterChanges {
                files: root,
                changes: &changes,
            };
            let ours = add_our_lines(&files, &without, options)?;
            changes.extend(ours);
            Ok(changes)
        }
    }
}

/// Our drop-ins of units whose own ExecStart has changed, written again for the new ExecStart.
///
/// # Errors
/// An ExecStart that is not understood.
pub(crate) fn update_unit_drop_ins(root: &RootDirectory) -> Result<Changes, Outcome> {
    let mut changes = Changes::new();
    for unit in SshdService::units_without_ours(root) {
        let path = unit_drop_in_path(&unit.name);
        let Some(original) = root.read(&path).ok().and_then(|bytes| original_exec_start(&bytes)) else {
            continue;
        };
        let exec_start = unit.exec_start.as_ref();
        let (line, _) = exec_start.ok_or_else(|| Outcome::UnclearExecStart(unit.name.clone()))?;
        if *line != original {
            changes.insert(path, Some(unit_drop_in(line).into_bytes()));
        }
    }
    Ok(changes)
}

/// Where the AuthorizedKeysCommand in effect is set: `file:line`.
pub(crate) fn place_of_command(service: &SshdService<'_>) -> String {
    let mut scopes = keys_command::scopes(&service.config);
    let command = scopes.find_map(|scope| service.config.effective(scope)?.command);
    command.map(|line| line.place.to_string()).unwrap_or_default()
}
