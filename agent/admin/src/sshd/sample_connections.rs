//! Chooses the connections to ask sshd about: at least one for each kind of Match block.

use super::connection::Connection;
use super::sshd_config::{ConnectionKind, SshdConfig};

/// Up to this many Match blocks, sshd is asked about each; about more, only once for each kind. `sshd -T` takes about 30 ms,
/// and runs three times for each connection if something is written.
const ASK_ABOUT_EACH: usize = 8;

/// The connections chosen so far; the first is an ordinary one.
pub(crate) struct SampleConnections<'a> {
    config: &'a SshdConfig,
    users: &'a [(String, Vec<String>)],
    chosen: Vec<Connection>,
    kinds: Vec<ConnectionKind<'a>>,
}

impl<'a> SampleConnections<'a> {
    /// An ordinary connection. `users` are known users with their groups.
    pub(crate) fn new(config: &'a SshdConfig, users: &'a [(String, Vec<String>)]) -> Self {
        let ordinary = Connection::ordinary();
        Self {
            config,
            users,
            kinds: vec![config.kind_of(&ordinary)],
            chosen: vec![ordinary],
        }
    }

    /// A connection that meets this Match block; `None` if none can be constructed, or sshd was asked about its kind.
    pub(crate) fn for_block(&mut self, block: usize) -> Option<Connection> {
        let connection = Connection::meeting(&self.config.criteria_of(block), self.users)?;
        if self.chosen.contains(&connection) {
            return None;
        }
        let kind = self.config.kind_of(&connection);
        let is_new = !self.kinds.contains(&kind);
        if self.chosen.len() > ASK_ABOUT_EACH && !is_new {
            return None;
        }
        if is_new {
            self.kinds.push(kind);
        }
        self.chosen.push(connection.clone());
        Some(connection)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::InMemory;

    const MAIN: &str = "/etc/ssh/sshd_config";

    fn config(text: &str) -> SshdConfig {
        SshdConfig::read(&InMemory::readable(&[(MAIN, text)]), Path::new(MAIN), &[])
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
        let mut connections = SampleConnections::new(&config, &[]);
        let blocks = 0..config.match_blocks.len();
        let asked: Vec<_> = blocks
            .filter_map(|block| Some(connections.for_block(block)?.user))
            .collect();
        let few: Vec<String> = (0..ASK_ABOUT_EACH).map(|user| format!("u{user}")).collect();
        assert_eq!(asked[..ASK_ABOUT_EACH], few);
        assert_eq!(asked[ASK_ABOUT_EACH..], ["u200", "u201", "u202"]);
    }
}
