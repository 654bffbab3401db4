//! Whose the pair of key command and user is: ours, AWS's package's, or somebody else's.

use std::path::PathBuf;

use super::connection::Connection;
use super::sshd_config::{Pair, Setting, SshdConfig, Who};
use super::words;

/// Where the program lies.
pub const PROGRAM: &str = "/usr/libexec/ec2-instance-connect/eic_run_authorized_keys";

/// Where AWS's packages have put theirs, and this project's packages put links: rpm, deb.
pub const HISTORICAL: [&str; 2] = [
    "/opt/aws/bin/eic_run_authorized_keys",
    "/usr/share/ec2-instance-connect/eic_run_authorized_keys",
];

/// The user that the program runs as.
pub const USER: &str = "ec2-instance-connect";

/// Whose a key command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// It names this program, perhaps with `--chain`.
    Ours,
    /// It names one of the two historical paths.
    Aws,
    /// Anybody else's, `none` included.
    Other,
}

impl Owner {
    /// Whose command this is, by the program it names.
    pub(crate) fn of(command: &str) -> Self {
        match words::arguments(command)
            .unwrap_or_default()
            .first()
            .map(String::as_str)
        {
            Some(PROGRAM) => Self::Ours,
            Some(program) if HISTORICAL.contains(&program) => Self::Aws,
            _ => Self::Other,
        }
    }
}

/// What is in effect, for everyone and within each Match block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InEffect {
    /// No command, for anybody.
    Nothing,
    /// Ours, or AWS's package's; for everybody, or where an admin has put it for some.
    Ours(Owner),
    /// Somebody else's, or one without the user it needs; for everybody or for some.
    Others(Contender),
}

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contender {
    /// The line.
    pub(crate) line: Setting,
    /// The Match block it holds for, where it is not for everyone.
    pub(crate) block: Option<(String, PathBuf, usize)>,
}

/// Whom to ask about: everyone, and each Match block alone.
pub(crate) fn contexts(config: &SshdConfig) -> impl Iterator<Item = Who<'static>> {
    [Who::Everyone]
        .into_iter()
        .chain((0..config.blocks.len()).map(Who::Block))
}

/// What is in effect now.
pub(crate) fn in_effect(config: &SshdConfig) -> InEffect {
    let mut ours = None;
    for who in contexts(config) {
        let pair = config.effective(who).unwrap_or_default();
        match pair.command.map(|line| (line, Owner::of(&line.value))) {
            Some((line, Owner::Other)) => {
                return InEffect::Others(contender(config, line, who));
            }
            Some((_, owner)) => ours = ours.or(Some(owner)),
            None => {}
        }
    }
    ours.map_or(InEffect::Nothing, InEffect::Ours)
}

/// Who keeps the pair from being this program with this user, for everyone and within each Match block.
pub(crate) fn winner_over_us(config: &SshdConfig) -> Option<Contender> {
    contexts(config).find_map(|who| {
        let pair = config.effective(who).unwrap_or_default();
        let wrong_command = pair.command.filter(|line| Owner::of(&line.value) == Owner::Other);
        let wrong_user = pair.user.filter(|line| line.value != USER);
        wrong_command.or(wrong_user).map(|line| contender(config, line, who))
    })
}

/// Whether this pair is this program, run as its own user.
pub(crate) fn is_ours(pair: Pair<'_>) -> bool {
    pair.command.is_some_and(|line| Owner::of(&line.value) != Owner::Other)
        && pair.user.is_some_and(|line| line.value == USER)
}

fn contender(config: &SshdConfig, line: &Setting, who: Who<'_>) -> Contender {
    let block = match who {
        Who::Block(block) if !line.is_for_everyone() => config.blocks.get(block),
        _ => None,
    };
    Contender {
        line: line.clone(),
        block: block.map(|block| (block.text.clone(), block.place.file.clone(), block.place.line)),
    }
}

/// The connections to ask sshd about: an ordinary one, and one for each Match block for which one can be made up.
pub(crate) fn connections(config: &SshdConfig, members: &[(String, Vec<String>)]) -> Vec<Connection> {
    let mut made = vec![Connection::ordinary()];
    for block in 0..config.blocks.len() {
        let connection = Connection::meeting(&config.criteria_of(block), members);
        made.extend(connection.filter(|connection| !made.contains(connection)));
    }
    made
}

/// The users that `/etc/passwd` and `/etc/group` tell of, with the names of their groups.
pub(crate) fn members(passwd: &str, group: &str) -> Vec<(String, Vec<String>)> {
    let groups: Vec<Vec<&str>> = group.lines().map(|line| line.split(':').collect()).collect();
    let users = passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (user, gid) = (*fields.first()?, *fields.get(3)?);
        let of_user = groups.iter().filter_map(|fields| match fields.as_slice() {
            [name, _, its_gid, its_users] => {
                let is_member = *its_gid == gid || its_users.split(',').any(|member| member == user);
                is_member.then(|| (*name).to_owned())
            }
            _ => None,
        });
        Some((user.to_owned(), of_user.collect()))
    });
    users.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_ours_only_by_the_whole_first_word_that_sshd_makes_of_it() {
        for (command, owner) in [
            (format!("{PROGRAM} %u %f"), Owner::Ours),
            (format!("\"{PROGRAM}\" %u"), Owner::Ours),
            (PROGRAM.to_owned(), Owner::Ours),
            (format!("{} %u %f", HISTORICAL[0]), Owner::Aws),
            (format!("'{}'\t%u", HISTORICAL[1]), Owner::Aws),
            (format!("{PROGRAM}.sh %u"), Owner::Other),
            (format!("\"{PROGRAM}\"x %u"), Owner::Other),
            (format!("\"{PROGRAM} %u\""), Owner::Other),
            (format!("\"{PROGRAM}"), Owner::Other),
            (format!("/bin/sh {PROGRAM}"), Owner::Other),
            (format!("/usr/../{PROGRAM}"), Owner::Other),
            ("none".to_owned(), Owner::Other),
            (String::new(), Owner::Other),
        ] {
            assert_eq!(Owner::of(&command), owner, "{command}");
        }
    }
}
