//! Reads an sshd_config and the files that it includes, as sshd does, and finds the line that is in effect in each scope.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::config_line::{self, Keyword};
use super::connection::{Connection, Criterion, service_port};
use crate::files::{Files, Place, printable_path};
use crate::glob;
use eic_verify::text::printable;

/// The directory of relative Include arguments, whichever file contains them (`SSHDIR`).
const SSH_DIRECTORY: &str = "/etc/ssh";

/// The ports of services (services(5)), which `Match LocalPort` may name.
const SERVICES: &str = "/etc/services";

/// How deep sshd follows Include (`SERVCONF_MAX_DEPTH`).
const MAX_DEPTH: usize = 16;

/// A line that sets one of [`Keyword`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) keyword: Keyword,
    pub(crate) value: String,
    pub(crate) place: Place,
    /// The Match blocks that contain it, as indices of [`SshdConfig::match_blocks`]; all of them have to match.
    within: Vec<usize>,
}

impl Setting {
    /// Whether it is outside any Match block.
    pub(crate) fn is_global(&self) -> bool {
        self.within.is_empty()
    }
}

/// A Match block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MatchBlock {
    pub(crate) criteria: Vec<Criterion>,
    /// The criteria as written.
    pub(crate) text: String,
    /// The Match line.
    pub(crate) place: Place,
    /// The Match blocks that contain it, if its file is included within one.
    within: Vec<usize>,
    /// The keywords that it sets, in lower case.
    keywords: BTreeSet<String>,
}

/// An Include line.
#[derive(Debug, Clone)]
pub(crate) struct Include {
    pub(crate) place: Place,
    /// Each argument, and the files that it matches.
    pub(crate) arguments: Vec<(String, Vec<PathBuf>)>,
    /// The directories on whose entries these files depend.
    searched: Vec<PathBuf>,
    within: Vec<usize>,
}

/// The connections for which a value is looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// A connection that meets no Match block but `Match all`.
    Global,
    /// A connection that meets only this block, an index of [`SshdConfig::match_blocks`], and the blocks that contain it.
    MatchBlock(usize),
    /// This connection.
    Connection(&'a Connection),
}

/// AuthorizedKeysCommand and AuthorizedKeysCommandUser in effect, which sshd resolves separately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CommandAndUser<'a> {
    pub(crate) command: Option<&'a Setting>,
    pub(crate) user: Option<&'a Setting>,
}

/// What sshd's answer about a connection depends on, whatever the values: connections of one kind need one answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConnectionKind<'a> {
    /// AuthorizedKeysCommand and its user; `None` if only sshd can tell.
    command_and_user: Option<(Option<&'a str>, Option<&'a str>)>,
    /// What the Match blocks that it meets set.
    keywords: BTreeSet<&'a str>,
}

/// A configuration.
#[derive(Debug, Default)]
pub(crate) struct SshdConfig {
    pub(crate) settings: Vec<Setting>,
    pub(crate) match_blocks: Vec<MatchBlock>,
    pub(crate) includes: Vec<Include>,
    /// The bytes of each file that was read.
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
    /// Why sshd would refuse it.
    pub(crate) problems: Vec<String>,
    /// What sshd may read and this program cannot.
    pub(crate) unread: Vec<String>,
    is_too_deep: bool,
}

impl SshdConfig {
    /// Reads the configuration in `file`. `options` are the `-o` options of the command line, each with its place; they take
    /// precedence.
    pub(crate) fn read(files: &dyn Files, file: &Path, options: &[(String, Place)]) -> Self {
        let mut config = Self::default();
        for (option, place) in options {
            if let Some((keyword, rest)) = config_line::keyword(option) {
                config.add_setting(&keyword, rest, place.clone(), &[]);
            }
        }
        config.read_file(files, file, &[], 0);
        config.problems.extend(config.command_without_user());
        config
    }

    /// sshd refuses a global command without a user, though each line is valid.
    fn command_without_user(&self) -> Option<String> {
        let effective = self.effective(Scope::Global)?;
        let command = effective
            .command
            .filter(|line| !line.value.trim().eq_ignore_ascii_case("none"))?;
        let place = &command.place;
        effective
            .user
            .is_none()
            .then(|| format!("{place}: AuthorizedKeysCommand without AuthorizedKeysCommandUser"))
    }

    fn read_file(&mut self, files: &dyn Files, file: &Path, within: &[usize], depth: usize) {
        let name = printable_path(file);
        if depth > MAX_DEPTH {
            self.is_too_deep = true;
            self.problems
                .push(format!("{name} is included more than {MAX_DEPTH} levels deep"));
            return;
        }
        let bytes = match files.read(file) {
            Ok(bytes) => bytes,
            Err(error) => {
                let problem = format!("{name} cannot be read: {error}");
                // sshd also fails on a dangling link.
                if error.kind() == io::ErrorKind::NotFound {
                    self.problems.push(problem);
                } else {
                    self.unread.push(problem);
                }
                return;
            }
        };
        // sshd reads C strings: it ends a line at a NUL and joins the next line to it, in ways that differ by release.
        if bytes.contains(&0) {
            self.unread.push(format!("{name} contains a NUL byte"));
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.files.insert(file.to_owned(), bytes);
        let mut blocks = within.to_vec();
        for (number, line) in text.split('\n').enumerate() {
            let Some((keyword, rest)) = config_line::keyword(line) else {
                continue;
            };
            let place = Place {
                file: file.to_owned(),
                line: number + 1,
            };
            if keyword.eq_ignore_ascii_case("match") {
                let words = config_line::arguments(rest);
                let port = |service: &str| service_port(&files.read(Path::new(SERVICES)).ok()?, service);
                let Some(criteria) = words.and_then(|words| Criterion::read(&words, &port)) else {
                    self.problems
                        .push(format!("{place}: the criteria of Match are not valid"));
                    continue;
                };
                blocks.truncate(within.len());
                self.match_blocks.push(MatchBlock {
                    criteria,
                    text: printable(rest.as_bytes()),
                    place,
                    within: blocks.clone(),
                    keywords: BTreeSet::new(),
                });
                blocks.push(self.match_blocks.len() - 1);
            } else if keyword.eq_ignore_ascii_case("include") {
                self.include(files, rest, place, &blocks, depth);
            } else {
                if let Some(block) = blocks.last().and_then(|block| self.match_blocks.get_mut(*block)) {
                    block.keywords.insert(keyword.to_ascii_lowercase());
                }
                self.add_setting(&keyword, rest, place, &blocks);
            }
        }
    }

    fn include(&mut self, files: &dyn Files, rest: &str, place: Place, within: &[usize], depth: usize) {
        let arguments = config_line::arguments(rest).unwrap_or_default();
        if arguments.is_empty() || arguments.iter().any(String::is_empty) {
            self.problems.push(format!("{place}: Include without a file"));
        }
        let mut searched = Vec::new();
        let arguments: Vec<_> = arguments
            .into_iter()
            .map(|argument| {
                let found = glob::files_matching(files, &absolute(&argument), &mut searched);
                (argument, found)
            })
            .collect();
        let found: Vec<PathBuf> = arguments.iter().flat_map(|(_, found)| found.clone()).collect();
        self.includes.push(Include {
            place,
            arguments,
            searched,
            within: within.to_vec(),
        });
        for file in found {
            // Like sshd, stop at the first error: a file that includes itself twice would be read 2^16 times.
            if self.is_too_deep {
                return;
            }
            self.read_file(files, &file, within, depth + 1);
        }
    }

    fn add_setting(&mut self, keyword: &str, rest: &str, place: Place, within: &[usize]) {
        let (keyword, values) = match keyword.to_ascii_lowercase().as_str() {
            "authorizedkeyscommand"
                if rest.starts_with('/') || rest.eq_ignore_ascii_case("none") || rest.is_empty() =>
            {
                (Keyword::Command, Some(vec![rest.to_owned()]))
            }
            "authorizedkeyscommand" => {
                self.problems
                    .push(format!("{place}: AuthorizedKeysCommand must be an absolute path"));
                return;
            }
            "authorizedkeyscommanduser" => (Keyword::User, config_line::arguments(rest)),
            // sshd still accepts the old name (servconf.c).
            "pubkeyauthentication" | "dsaauthentication" => (Keyword::Pubkey, config_line::arguments(rest)),
            _ => return,
        };
        let mut values = values.unwrap_or_default().into_iter();
        match (values.next().filter(|value| !value.is_empty()), values.next()) {
            (Some(value), None) => self.settings.push(Setting {
                keyword,
                value,
                place,
                within: within.to_vec(),
            }),
            (Some(_), Some(_)) => self
                .problems
                .push(format!("{place}: the keyword has more than one value")),
            (None, _) => self.problems.push(format!("{place}: the keyword has no value")),
        }
    }

    /// The command and user in effect; `None` if that depends on a criterion that only sshd can evaluate.
    pub(crate) fn effective(&self, scope: Scope<'_>) -> Option<CommandAndUser<'_>> {
        Some(CommandAndUser {
            command: self.in_effect(Keyword::Command, scope)?,
            user: self.in_effect(Keyword::User, scope)?,
        })
    }

    /// The global line, if any, that disables public key authentication.
    pub(crate) fn pubkey_authentication_off(&self) -> Option<&Setting> {
        let setting = self.in_effect(Keyword::Pubkey, Scope::Global).flatten();
        setting.filter(|setting| setting.value.eq_ignore_ascii_case("no"))
    }

    /// The line in effect, if any; `None` if that depends on a criterion that only sshd can evaluate.
    ///
    /// The first value in a matching block takes precedence over the first value outside any block.
    fn in_effect(&self, keyword: Keyword, scope: Scope<'_>) -> Option<Option<&Setting>> {
        for setting in self.settings_of(keyword).filter(|setting| !setting.within.is_empty()) {
            let all = setting.within.iter().map(|block| self.applies(*block, scope));
            if all.collect::<Option<Vec<bool>>>()?.iter().all(|applies| *applies) {
                return Some(Some(setting));
            }
        }
        Some(self.settings_of(keyword).find(|setting| setting.within.is_empty()))
    }

    /// The files and directories that decide what sshd reads.
    pub(crate) fn depends_on(&self) -> impl Iterator<Item = &Path> {
        let directories = self.includes.iter().flat_map(|include| &include.searched);
        self.files.keys().chain(directories).map(PathBuf::as_path)
    }

    /// The kind of a connection.
    pub(crate) fn kind_of(&self, connection: &Connection) -> ConnectionKind<'_> {
        let scope = Scope::Connection(connection);
        let blocks = (0..self.match_blocks.len()).filter(|block| self.applies(*block, scope) == Some(true));
        let keywords = blocks.filter_map(|block| Some(&self.match_blocks.get(block)?.keywords));
        let command_and_user = self.effective(scope).map(|effective| {
            let [command, user] = [effective.command, effective.user].map(|line| line.map(|line| line.value.as_str()));
            (command, user)
        });
        ConnectionKind {
            command_and_user,
            keywords: keywords.flatten().map(String::as_str).collect(),
        }
    }

    fn settings_of(&self, keyword: Keyword) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(move |setting| setting.keyword == keyword)
    }

    fn applies(&self, block: usize, scope: Scope<'_>) -> Option<bool> {
        let its = self.match_blocks.get(block)?;
        if its.criteria == [Criterion::All] {
            return Some(true);
        }
        match scope {
            Scope::Global => Some(false),
            Scope::MatchBlock(only) => Some(block == only || self.match_blocks.get(only)?.within.contains(&block)),
            Scope::Connection(connection) => connection.meets(&its.criteria),
        }
    }

    /// The criteria of a block and of those that contain it.
    pub(crate) fn criteria_of(&self, block: usize) -> Vec<Criterion> {
        let outer = self.match_blocks.get(block).map(|its| its.within.as_slice());
        let all = outer.unwrap_or_default().iter().chain([&block]);
        all.filter_map(|block| self.match_blocks.get(*block))
            .flat_map(|block| block.criteria.iter().cloned())
            .collect()
    }

    /// Whether sshd would read a file at `path` for every connection: an Include outside any Match block names it.
    pub(crate) fn includes_globally(&self, path: &Path) -> bool {
        let mut global = self.includes.iter().filter(|include| include.within.is_empty());
        global.any(|include| include.would_include(path))
    }
}

impl Include {
    /// Whether this line would include `path`, if there were such a file.
    pub(crate) fn would_include(&self, path: &Path) -> bool {
        let mut arguments = self.arguments.iter();
        arguments.any(|(argument, _)| glob::path_matches(&absolute(argument), path))
    }
}

/// An Include's argument as an absolute pattern.
fn absolute(argument: &str) -> String {
    if argument.starts_with(['/', '~']) {
        argument.to_owned()
    } else {
        format!("{SSH_DIRECTORY}/{argument}")
    }
}

#[cfg(test)]
#[path = "sshd_config_tests.rs"]
mod tests;
