//! Checks a change with sshd: on a copy before it is written, and again on the files once it is.

use std::fs;
use std::path::Path;

use super::outcome::Outcome;
use super::trial_config::TrialConfig;
use crate::files::Changes;
use crate::hook::keys_command;
use crate::hook::owner::PROGRAM;
use crate::host::root_directory::RootDirectory;
use crate::host::sshd_program::{SshdProgram, SshdUnavailable};
use crate::host::temporary_directory::TemporaryDirectory;
use crate::service::effective_config::{Disagreement, EffectiveConfig, Unconfirmed};
use crate::service::sshd_service::SshdService;

/// Writes a copy of the configuration with `changes` applied, for sshd to check. `after` was read with these changes.
///
/// # Errors
/// A file name that cannot be quoted, or no room for the copy.
pub(crate) fn write_trial_config(
    after: &SshdService<'_>,
    changes: &Changes,
    temporary: &TemporaryDirectory,
) -> Result<TrialConfig, Outcome> {
    let trial = TrialConfig::new(&after.config, changes, &after.config_file, temporary.in_root())
        .map_err(Outcome::UnquotablePath)?;
    for (name, bytes) in trial.files() {
        fs::write(temporary.on_host().join(name), bytes).map_err(Outcome::NoTemporaryDirectory)?;
    }
    Ok(trial)
}

/// What was in effect before a change.
pub(crate) struct Before {
    /// sshd's effective configuration for each connection that it was asked about.
    pub(crate) answers: Vec<EffectiveConfig>,
    /// Whether the change removes the drop-in of AWS's package, which kept the distribution's crypto policy from sshd.
    pub(crate) ignores_crypto_policy: bool,
}

/// Checks that sshd reports ours as the AuthorizedKeysCommand for every connection, and that no other setting changes. Returns
/// whether a crypto policy takes effect again.
///
/// # Errors
/// sshd refuses the configuration in `file`, or reports something else.
pub(crate) fn check_with_sshd(
    after: &SshdService<'_>,
    sshd: &SshdProgram<'_>,
    file: &Path,
    before: &Before,
) -> Result<bool, Outcome> {
    let connections = before.answers.iter().map(|earlier| earlier.connection.clone());
    let answers = after.confirm_for(sshd, file, connections);
    let answers = answers.map_err(|unconfirmed| match unconfirmed {
        Unconfirmed::Refused(message) => Outcome::WouldBreakSshd(message),
        other => other.into(),
    })?;
    let mut regains_crypto_policy = false;
    for (answer, earlier) in answers.iter().zip(&before.answers) {
        let connection = answer.connection.specification();
        if !answer.is_ours(&after.config) {
            return Err(Outcome::SshdDisagrees(Disagreement {
                connection,
                read: format!("\"{PROGRAM}\" as the AuthorizedKeysCommand"),
                reported: format!("\"{}\"", answer.command()),
            }));
        }
        if let Some(line) = answer.other_change(earlier, before.ignores_crypto_policy) {
            return Err(Outcome::ChangesOtherSetting {
                connection,
                line: line.to_owned(),
            });
        }
        regains_crypto_policy |= answer.other_change(earlier, false).is_some();
    }
    Ok(regains_crypto_policy)
}

/// Checks the files once the change is written; with sshd as well if `asks_sshd`.
///
/// # Errors
/// Why the change has to be rolled back.
pub(crate) fn check_written(
    root: &RootDirectory,
    temporary: &TemporaryDirectory,
    asks_sshd: bool,
    before: &Before,
) -> Result<(), String> {
    let now = SshdService::read(root, &Changes::new()).map_err(|unreadable| Outcome::from(unreadable).cause())?;
    if let Some(setting) = keys_command::overriding_setting(&now.config) {
        return Err(Outcome::Overridden(Box::new(setting)).cause());
    }
    let mut effective = keys_command::scopes(&now.config).filter_map(|scope| now.config.effective(scope));
    if !effective.all(keys_command::is_ours) {
        return Err("the new lines are not in effect".to_owned());
    }
    match now.sshd(temporary) {
        Ok(sshd) => {
            let checked = check_with_sshd(&now, &sshd, &now.config_file, before);
            checked.map(|_| ()).map_err(|outcome| outcome.cause())
        }
        Err(SshdUnavailable::DoesNotRun(message)) if asks_sshd => Err(Outcome::InvalidConfiguration(message).cause()),
        Err(_) => Ok(()),
    }
}

/// The note if the sshd of another root directory does not run here.
pub(crate) fn sshd_not_run_note(message: &str) -> String {
    format!("The sshd of this system does not run here ({message}); only this program has read its configuration.")
}
