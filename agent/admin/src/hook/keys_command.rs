//! Whose the pair of key command and user is: ours, AWS's package's, or somebody else's.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::sshd::config_line;
use crate::sshd::connection::Connection;
use crate::sshd::sshd_config::{Outcome, Pair, Setting, SshdConfig, Who};

/// Where the program lies.
pub(crate) const PROGRAM: &str = "/usr/libexec/ec2-instance-connect/eic_run_authorized_keys";

/// Where AWS's packages have put theirs, and this project's packages put links: rpm, deb.
pub(crate) const HISTORICAL: [&str; 2] = [
    "/opt/aws/bin/eic_run_authorized_keys",
    "/usr/share/ec2-instance-connect/eic_run_authorized_keys",
];

/// The user that the program runs as.
pub(crate) const USER: &str = "ec2-instance-connect";

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
        match config_line::arguments(command)
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
    /// Ours, or AWS's package's, for everybody.
    Ours(Owner),
    /// The same within a Match alone, where an admin has put it for some.
    OursForSome(Owner),
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
    let mut for_some = None;
    for who in contexts(config) {
        let pair = config.effective(who).unwrap_or_default();
        match pair.command.map(|line| (line, Owner::of(&line.value))) {
            Some((line, Owner::Other)) => {
                return InEffect::Others(contender(config, line, who));
            }
            Some((_, owner)) => for_some = for_some.or(Some(owner)),
            None => {}
        }
    }
    let for_everyone = config.effective(Who::Everyone).and_then(|pair| pair.command);
    match (for_everyone, for_some) {
        (Some(line), _) => InEffect::Ours(Owner::of(&line.value)),
        (None, Some(owner)) => InEffect::OursForSome(owner),
        (None, None) => InEffect::Nothing,
    }
}

/// Whether this program, by whichever path, is in effect for anybody.
pub(crate) fn uses_us(config: &SshdConfig) -> bool {
    let mut commands = contexts(config).filter_map(|who| config.effective(who)?.command);
    commands.any(|line| Owner::of(&line.value) != Owner::Other)
}

/// Each program of ours, or path of AWS's, that is in effect for anybody, with the user that sshd runs it as.
pub(crate) fn ours_with_users(config: &SshdConfig) -> BTreeSet<(String, &str)> {
    let pairs = contexts(config).filter_map(|who| config.effective(who));
    let ours = pairs.filter_map(|pair| {
        let command = &pair.command?.value;
        let program = config_line::arguments(command)?.into_iter().next()?;
        (Owner::of(command) != Owner::Other).then_some((program, pair.user?.value.as_str()))
    });
    ours.collect()
}

/// Who keeps the pair from being this program with this user, for everyone and within each Match block that has no such
/// pair of its own.
pub(crate) fn winner_over_us(config: &SshdConfig) -> Option<Contender> {
    contexts(config).find_map(|who| {
        let pair = config.effective(who).unwrap_or_default();
        let wrong_command = pair.command.filter(|line| Owner::of(&line.value) == Owner::Other);
        let wrong_user = pair.user.filter(|line| line.value != USER && !is_of_a_match(pair));
        wrong_command.or(wrong_user).map(|line| contender(config, line, who))
    })
}

/// Whether an admin has put this command into a Match: with which user is for the admin to say.
fn is_of_a_match(pair: Pair<'_>) -> bool {
    pair.command.is_some_and(|line| !line.is_for_everyone())
}

/// Whether this pair is this program, run as its own user or, where an admin has put it into a Match, as any.
pub(crate) fn is_ours(pair: Pair<'_>) -> bool {
    pair.command.is_some_and(|line| Owner::of(&line.value) != Owner::Other)
        && pair.user.is_some_and(|line| line.value == USER || is_of_a_match(pair))
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

/// As many Match blocks are each asked about; of more, one of each kind. A question takes `sshd -T` 30 ms or so, and is asked
/// three times where something is written.
const FEW: usize = 8;

/// The connections to ask sshd about: an ordinary one, and one for each Match block of another kind.
pub(crate) struct Connections<'a> {
    config: &'a SshdConfig,
    members: &'a [(String, Vec<String>)],
    made: Vec<Connection>,
    outcomes: Vec<Outcome<'a>>,
}

impl<'a> Connections<'a> {
    /// `members` are known users with their groups.
    pub(crate) fn new(config: &'a SshdConfig, members: &'a [(String, Vec<String>)]) -> Self {
        let ordinary = Connection::ordinary();
        Self {
            config,
            members,
            outcomes: vec![config.outcome(&ordinary)],
            made: vec![ordinary],
        }
    }

    /// A connection that meets this block, where one can be made up and is not as good as asked about already.
    pub(crate) fn of_block(&mut self, block: usize) -> Option<Connection> {
        let connection = Connection::meeting(&self.config.criteria_of(block), self.members)?;
        if self.made.contains(&connection) {
            return None;
        }
        let outcome = self.config.outcome(&connection);
        let is_new = !self.outcomes.contains(&outcome);
        if self.made.len() > FEW && !is_new {
            return None;
        }
        if is_new {
            self.outcomes.push(outcome);
        }
        self.made.push(connection.clone());
        Some(connection)
    }
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
    use std::path::Path;

    use super::*;
    use crate::files::Tree;

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

    const MAIN: &str = "/etc/ssh/sshd_config";

    fn config(text: &str) -> SshdConfig {
        SshdConfig::read(&Tree::readable(&[(MAIN, text)]), Path::new(MAIN), &[])
    }

    #[test]
    fn what_is_in_effect_is_told_for_everyone_and_for_some() {
        let ours = format!("AuthorizedKeysCommand {PROGRAM} %u %f\nAuthorizedKeysCommandUser {USER}\n");
        assert_eq!(in_effect(&config("Port 22\n")), InEffect::Nothing);
        assert_eq!(in_effect(&config(&ours)), InEffect::Ours(Owner::Ours));
        let for_some = format!("Match User a\n{ours}");
        assert_eq!(in_effect(&config(&for_some)), InEffect::OursForSome(Owner::Ours));
        let none = format!("{ours}Match User a\nAuthorizedKeysCommand none\n");
        let InEffect::Others(contender) = in_effect(&config(&none)) else {
            panic!("none is somebody's word");
        };
        assert_eq!(contender.line.place.line, 4);
        assert_eq!(
            contender.block.map(|(block, _, line)| (block, line)),
            Some(("User a".to_owned(), 3))
        );
    }

    #[test]
    fn of_many_match_blocks_one_of_each_kind_is_asked_about() {
        let block = |user: usize, lines: &str| format!("Match User u{user}\n{lines}\n");
        let alike: String = (0..200)
            .map(|user| block(user, &format!("ChrootDirectory /srv/{user}")))
            .collect();
        let others = [
            block(200, "AuthorizedPrincipalsCommandUser nobody\nChrootDirectory /srv"),
            block(201, "AuthorizedKeysCommandUser nobody"),
            block(202, "AuthorizedKeysCommandUser somebody"),
            block(203, "AuthorizedKeysCommandUser nobody"),
        ];
        let config = config(&[alike, others.concat()].concat());
        let mut connections = Connections::new(&config, &[]);
        let blocks = 0..config.blocks.len();
        let asked: Vec<_> = blocks
            .filter_map(|block| Some(connections.of_block(block)?.user))
            .collect();
        let few: Vec<String> = (0..FEW).map(|user| format!("u{user}")).collect();
        assert_eq!(asked[..FEW], few);
        assert_eq!(asked[FEW..], ["u200", "u201", "u202"]);
    }

    #[test]
    fn another_user_wins_over_us_but_not_where_an_admin_has_put_our_program_into_a_match() {
        let ours = format!("AuthorizedKeysCommand {PROGRAM} %u %f\nAuthorizedKeysCommandUser {USER}\n");
        assert_eq!(winner_over_us(&config(&ours)), None);
        let user = config(&format!("{ours}Match User a\nAuthorizedKeysCommandUser nobody\n"));
        assert_eq!(winner_over_us(&user).map(|winner| winner.line.place.line), Some(4));
        let first = config(&format!("AuthorizedKeysCommandUser nobody\n{ours}"));
        assert_eq!(winner_over_us(&first).map(|winner| winner.line.place.line), Some(1));
        let command = config(&format!("{ours}Match User a\nAuthorizedKeysCommand /x\n"));
        assert_eq!(winner_over_us(&command).map(|winner| winner.line.place.line), Some(4));
        let chained =
            format!("Match User a\nAuthorizedKeysCommand {PROGRAM} %u %f --chain /x\nAuthorizedKeysCommandUser n\n");
        assert_eq!(winner_over_us(&config(&format!("{ours}{chained}"))), None);
    }
}
