//! Which AuthorizedKeysCommand is in effect, globally and within each Match block, and whose it is.

use std::collections::BTreeSet;
use std::fmt;

use super::owner::{Owner, USER};
use crate::files::Place;
use crate::sshd::config_line;
use crate::sshd::sshd_config::{CommandAndUser, Scope, Setting, SshdConfig};
use eic_verify::text::printable;

/// The AuthorizedKeysCommand in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommandInEffect {
    /// None, for any connection.
    NoCommand,
    /// Ours, or AWS's package's, outside any Match block.
    Ours(Owner),
    /// Ours, or AWS's package's, within a Match block only.
    OursInMatch(Owner),
    /// Another one, or an explicit `none`, outside a Match block or within one.
    Other(EffectiveSetting),
}

/// A line that is in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EffectiveSetting {
    /// The line.
    pub(crate) line: Setting,
    /// The criteria of the Match block that contains it, and where that begins; `None` for a line outside any.
    pub(crate) match_line: Option<(String, Place)>,
}

impl fmt::Display for EffectiveSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" ({}", printable(self.line.value.as_bytes()), self.line.place)?;
        match &self.match_line {
            Some((criteria, place)) => write!(f, ", within \"Match {criteria}\" at {place})"),
            None => f.write_str(")"),
        }
    }
}

/// The global scope, and each Match block.
pub(crate) fn scopes(config: &SshdConfig) -> impl Iterator<Item = Scope<'static>> {
    let blocks = 0..config.match_blocks.len();
    [Scope::Global].into_iter().chain(blocks.map(Scope::MatchBlock))
}

/// The command in effect.
pub(crate) fn in_effect(config: &SshdConfig) -> CommandInEffect {
    let mut any_owner = None;
    for scope in scopes(config) {
        let effective = config.effective(scope).unwrap_or_default();
        match effective.command.map(|line| (line, Owner::of(&line.value))) {
            Some((line, Owner::Other)) => {
                return CommandInEffect::Other(effective_setting(config, line, scope));
            }
            Some((_, owner)) => any_owner = any_owner.or(Some(owner)),
            None => {}
        }
    }
    let global = config.effective(Scope::Global).and_then(|effective| effective.command);
    match (global, any_owner) {
        (Some(line), _) => CommandInEffect::Ours(Owner::of(&line.value)),
        (None, Some(owner)) => CommandInEffect::OursInMatch(owner),
        (None, None) => CommandInEffect::NoCommand,
    }
}

/// Whether this program, by its own path or by AWS's, is in effect in any scope.
pub(crate) fn runs_our_program(config: &SshdConfig) -> bool {
    let mut commands = scopes(config).filter_map(|scope| config.effective(scope)?.command);
    commands.any(|line| Owner::of(&line.value) != Owner::Other)
}

/// Each path of our program, or of AWS's, that is in effect in any scope, with the user that sshd runs it as.
pub(crate) fn our_programs_with_users(config: &SshdConfig) -> BTreeSet<(String, &str)> {
    let effective = scopes(config).filter_map(|scope| config.effective(scope));
    let ours = effective.filter_map(|effective| {
        let command = &effective.command?.value;
        let program = config_line::arguments(command)?.into_iter().next()?;
        (Owner::of(command) != Owner::Other).then_some((program, effective.user?.value.as_str()))
    });
    ours.collect()
}

/// The line because of which sshd does not run this program as its own user, globally or within a Match block. A Match block
/// that sets this program itself may set any user.
pub(crate) fn overriding_setting(config: &SshdConfig) -> Option<EffectiveSetting> {
    scopes(config).find_map(|scope| {
        let effective = config.effective(scope).unwrap_or_default();
        let other_command = effective.command.filter(|line| Owner::of(&line.value) == Owner::Other);
        let other_user = effective
            .user
            .filter(|line| line.value != USER && !is_in_match(effective));
        let line = other_command.or(other_user)?;
        Some(effective_setting(config, line, scope))
    })
}

/// Whether the command is set within a Match block: then the administrator chooses its user.
fn is_in_match(effective: CommandAndUser<'_>) -> bool {
    effective.command.is_some_and(|line| !line.is_global())
}

/// Whether the command is this program, run as its own user or, if it is set within a Match block, as any user.
pub(crate) fn is_ours(effective: CommandAndUser<'_>) -> bool {
    effective
        .command
        .is_some_and(|line| Owner::of(&line.value) != Owner::Other)
        && effective
            .user
            .is_some_and(|line| line.value == USER || is_in_match(effective))
}

fn effective_setting(config: &SshdConfig, line: &Setting, scope: Scope<'_>) -> EffectiveSetting {
    let block = match scope {
        Scope::MatchBlock(block) if !line.is_global() => config.match_blocks.get(block),
        _ => None,
    };
    EffectiveSetting {
        line: line.clone(),
        match_line: block.map(|block| (block.text.clone(), block.place.clone())),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::owner::PROGRAM;
    use super::*;
    use crate::files::InMemory;

    const MAIN: &str = "/etc/ssh/sshd_config";

    fn config(text: &str) -> SshdConfig {
        SshdConfig::read(&InMemory::readable(&[(MAIN, text)]), Path::new(MAIN), &[])
    }

    #[test]
    fn the_command_in_effect_is_found_globally_and_within_match_blocks() {
        let ours = format!("AuthorizedKeysCommand {PROGRAM} %u %f\nAuthorizedKeysCommandUser {USER}\n");
        assert_eq!(in_effect(&config("Port 22\n")), CommandInEffect::NoCommand);
        assert_eq!(in_effect(&config(&ours)), CommandInEffect::Ours(Owner::Ours));
        let for_some = format!("Match User a\n{ours}");
        assert_eq!(in_effect(&config(&for_some)), CommandInEffect::OursInMatch(Owner::Ours));
        let none = format!("{ours}Match User a\nAuthorizedKeysCommand none\n");
        let CommandInEffect::Other(setting) = in_effect(&config(&none)) else {
            panic!("none is an administrator's decision");
        };
        assert_eq!(setting.line.place.line, 4);
        assert_eq!(
            setting.match_line.map(|(block, place)| (block, place.line)),
            Some(("User a".to_owned(), 3))
        );
    }

    #[test]
    fn another_user_overrides_ours_but_not_for_our_program_within_a_match_block() {
        let ours = format!("AuthorizedKeysCommand {PROGRAM} %u %f\nAuthorizedKeysCommandUser {USER}\n");
        assert_eq!(overriding_setting(&config(&ours)), None);
        let user = config(&format!("{ours}Match User a\nAuthorizedKeysCommandUser nobody\n"));
        assert_eq!(overriding_setting(&user).map(|winner| winner.line.place.line), Some(4));
        let first = config(&format!("AuthorizedKeysCommandUser nobody\n{ours}"));
        assert_eq!(overriding_setting(&first).map(|winner| winner.line.place.line), Some(1));
        let command = config(&format!("{ours}Match User a\nAuthorizedKeysCommand /x\n"));
        assert_eq!(
            overriding_setting(&command).map(|winner| winner.line.place.line),
            Some(4)
        );
        let chained =
            format!("Match User a\nAuthorizedKeysCommand {PROGRAM} %u %f --chain /x\nAuthorizedKeysCommandUser n\n");
        assert_eq!(overriding_setting(&config(&format!("{ours}{chained}"))), None);
    }
}
