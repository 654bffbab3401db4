//! Reads an sshd_config as sshd does: which lines name a key command or its user, where they stand, and whom they hold for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::connection::{Connection, Criterion, service_port};
use super::{config_line, pattern};
use eic_verify::text::printable;

/// What relative Include arguments are relative to, whatever file they stand in (`SSHDIR`).
pub(crate) const SSH_FOLDER: &str = "/etc/ssh";

/// The ports of services (services(5)), which `Match LocalPort` may name.
const SERVICES: &str = "/etc/services";

/// Files within files that sshd reads (`SERVCONF_MAX_DEPTH`).
const DEEPEST: usize = 16;

/// Where files come from: a disk, a disk with changes laid over it, or a test.
pub(crate) trait Files {
    /// A file's bytes.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The names in a folder; none where there is no such folder.
    fn names(&self, folder: &Path) -> Vec<String>;
    /// Whether there is a file, a folder, or a link to one.
    fn exists(&self, path: &Path) -> bool;
    /// The same, or a link to nothing: sshd stops at one that an Include stands for.
    fn has_name(&self, path: &Path) -> bool {
        self.exists(path)
    }
}

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command => "AuthorizedKeysCommand",
            Self::User => "AuthorizedKeysCommandUser",
            Self::Pubkey => "PubkeyAuthentication",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = printable(self.file.as_os_str().as_encoded_bytes());
        write!(f, "{file}:{}", self.line)
    }
}

/// The keywords that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    Command,
    User,
    /// PubkeyAuthentication.
    Pubkey,
}

/// A line that names a key command, or its user, or has pubkey authentication on or off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) keyword: Keyword,
    pub(crate) value: String,
    pub(crate) place: Place,
    /// The Match blocks that all have to match, as places in [`SshdConfig::blocks`].
    within: Vec<usize>,
}

impl Setting {
    /// Whether it stands outside any Match block.
    pub(crate) fn is_for_everyone(&self) -> bool {
        self.within.is_empty()
    }
}

/// A Match line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) criteria: Vec<Criterion>,
    pub(crate) text: String,
    pub(crate) place: Place,
    /// The blocks around it: it stands in a file that was included there.
    within: Vec<usize>,
    /// What it sets, in lower case.
    keywords: BTreeSet<String>,
}

/// An Include line, and the files that each of its arguments stands for.
#[derive(Debug, Clone)]
pub(crate) struct Include {
    pub(crate) place: Place,
    pub(crate) arguments: Vec<(String, Vec<PathBuf>)>,
    /// The folders in which names were looked for, or where a file is missing that is named.
    looked_in: Vec<PathBuf>,
    within: Vec<usize>,
}

/// Whom a question is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Who<'a> {
    /// Somebody to whom no Match applies but `Match all`.
    Everyone,
    /// Somebody to whom only this block applies, and those around it.
    Block(usize),
    /// This connection.
    One(&'a Connection),
}

/// What is in effect for somebody: the command, and its user, which resolve separately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pair<'a> {
    pub(crate) command: Option<&'a Setting>,
    pub(crate) user: Option<&'a Setting>,
}

/// What sshd comes to for a connection, in kind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome<'a> {
    /// Command and user; `None` where that cannot be told.
    pair: Option<(Option<&'a str>, Option<&'a str>)>,
    keywords: BTreeSet<&'a str>,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct SshdConfig {
    pub(crate) settings: Vec<Setting>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) includes: Vec<Include>,
    /// The bytes of each file that was read.
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
    /// What sshd would not start with.
    pub(crate) problems: Vec<String>,
    /// What sshd may read, and this program does not.
    pub(crate) unread: Vec<String>,
    is_too_deep: bool,
}

impl SshdConfig {
    /// Reads the configuration in `file`; `options` are the unit's `-o`, which come before it, with where they stand.
    pub(crate) fn read(files: &dyn Files, file: &Path, options: &[(String, Place)]) -> Self {
        let mut config = Self::default();
        for (option, place) in options {
            if let Some((keyword, rest)) = config_line::keyword(option) {
                config.setting(&keyword, rest, place.clone(), &[]);
            }
        }
        config.read_file(files, file, &[], 0);
        config.problems.extend(config.command_without_user());
        config
    }

    /// What sshd stops at, though every line is as it should be: a command for everyone, and no user to run it as.
    fn command_without_user(&self) -> Option<String> {
        let pair = self.effective(Who::Everyone)?;
        let command = pair
            .command
            .filter(|line| !line.value.trim().eq_ignore_ascii_case("none"))?;
        let place = &command.place;
        pair.user
            .is_none()
            .then(|| format!("{place}: AuthorizedKeysCommand without AuthorizedKeysCommandUser"))
    }

    fn read_file(&mut self, files: &dyn Files, file: &Path, around: &[usize], depth: usize) {
        let name = printable(file.as_os_str().as_encoded_bytes());
        if depth > DEEPEST {
            self.is_too_deep = true;
            self.problems
                .push(format!("{name} is included more than {DEEPEST} levels deep"));
            return;
        }
        let bytes = match files.read(file) {
            Ok(bytes) => bytes,
            Err(error) => {
                let words = format!("{name} cannot be read: {error}");
                // sshd stops at a link to nothing as well.
                if error.kind() == io::ErrorKind::NotFound {
                    self.problems.push(words);
                } else {
                    self.unread.push(words);
                }
                return;
            }
        };
        // sshd goes by C's strings, and puts the next line behind one that ends early: not to be relied on.
        if bytes.contains(&0) {
            self.unread.push(format!("{name} has a NUL byte in it"));
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.files.insert(file.to_owned(), bytes);
        let mut within = around.to_vec();
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
                within.truncate(around.len());
                self.blocks.push(Block {
                    criteria,
                    text: printable(rest.as_bytes()),
                    place,
                    within: within.clone(),
                    keywords: BTreeSet::new(),
                });
                within.push(self.blocks.len() - 1);
            } else if keyword.eq_ignore_ascii_case("include") {
                self.include(files, rest, place, &within, depth);
            } else {
                if let Some(block) = within.last().and_then(|block| self.blocks.get_mut(*block)) {
                    block.keywords.insert(keyword.to_ascii_lowercase());
                }
                self.setting(&keyword, rest, place, &within);
            }
        }
    }

    fn include(&mut self, files: &dyn Files, rest: &str, place: Place, within: &[usize], depth: usize) {
        let arguments = config_line::arguments(rest).unwrap_or_default();
        if arguments.is_empty() || arguments.iter().any(String::is_empty) {
            self.problems.push(format!("{place}: Include without a file"));
        }
        let mut looked_in = Vec::new();
        let arguments: Vec<_> = arguments
            .into_iter()
            .map(|argument| {
                let found = glob(files, &absolute(&argument), &mut looked_in);
                (argument, found)
            })
            .collect();
        let found: Vec<PathBuf> = arguments.iter().flat_map(|(_, found)| found.clone()).collect();
        self.includes.push(Include {
            place,
            arguments,
            looked_in,
            within: within.to_vec(),
        });
        for file in found {
            // As sshd does, this ends at the first: a file that includes itself twice would be read 2^16 times.
            if self.is_too_deep {
                return;
            }
            self.read_file(files, &file, within, depth + 1);
        }
    }

    fn setting(&mut self, keyword: &str, rest: &str, place: Place, within: &[usize]) {
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
            // sshd takes the older name as well (servconf.c).
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

    /// What is in effect for somebody; `None` where a Match line judges by what cannot be told.
    pub(crate) fn effective(&self, who: Who<'_>) -> Option<Pair<'_>> {
        Some(Pair {
            command: self.in_effect(Keyword::Command, who)?,
            user: self.in_effect(Keyword::User, who)?,
        })
    }

    /// The line that decides for everybody outside any Match that pubkey authentication is off.
    pub(crate) fn pubkey_off(&self) -> Option<&Setting> {
        let setting = self.in_effect(Keyword::Pubkey, Who::Everyone).flatten();
        setting.filter(|setting| setting.value.eq_ignore_ascii_case("no"))
    }

    /// The line that is in effect for somebody, if any; `None` where a Match line judges by what cannot be told.
    ///
    /// sshd reads twice: first what holds for everyone, then the blocks that match, whose first value goes before.
    fn in_effect(&self, keyword: Keyword, who: Who<'_>) -> Option<Option<&Setting>> {
        for setting in self.of(keyword).filter(|setting| !setting.within.is_empty()) {
            let all = setting.within.iter().map(|block| self.applies(*block, who));
            if all.collect::<Option<Vec<bool>>>()?.iter().all(|applies| *applies) {
                return Some(Some(setting));
            }
        }
        Some(self.of(keyword).find(|setting| setting.within.is_empty()))
    }

    /// The files and folders whose change can change what sshd reads.
    pub(crate) fn read_from(&self) -> impl Iterator<Item = &Path> {
        let folders = self.includes.iter().flat_map(|include| &include.looked_in);
        self.files.keys().chain(folders).map(PathBuf::as_path)
    }

    /// What sshd's answer for a connection depends on, in kind: the pair in effect, and what the Match blocks that apply set
    /// besides, whatever the values.
    pub(crate) fn outcome(&self, connection: &Connection) -> Outcome<'_> {
        let who = Who::One(connection);
        let blocks = (0..self.blocks.len()).filter(|block| self.applies(*block, who) == Some(true));
        let keywords = blocks.filter_map(|block| Some(&self.blocks.get(block)?.keywords));
        let pair = self.effective(who).map(|pair| {
            let [command, user] = [pair.command, pair.user].map(|line| line.map(|line| line.value.as_str()));
            (command, user)
        });
        Outcome {
            pair,
            keywords: keywords.flatten().map(String::as_str).collect(),
        }
    }

    fn of(&self, keyword: Keyword) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(move |setting| setting.keyword == keyword)
    }

    fn applies(&self, block: usize, who: Who<'_>) -> Option<bool> {
        let its = self.blocks.get(block)?;
        if its.criteria == [Criterion::All] {
            return Some(true);
        }
        match who {
            Who::Everyone => Some(false),
            Who::Block(only) => Some(block == only || self.blocks.get(only)?.within.contains(&block)),
            Who::One(connection) => connection.meets(&its.criteria),
        }
    }

    /// The criteria that somebody has to meet for whom this block is read.
    pub(crate) fn criteria_of(&self, block: usize) -> Vec<Criterion> {
        let around = self.blocks.get(block).map(|its| its.within.as_slice());
        let all = around.unwrap_or_default().iter().chain([&block]);
        all.filter_map(|block| self.blocks.get(*block))
            .flat_map(|block| block.criteria.iter().cloned())
            .collect()
    }

    /// Whether a file at `path` would be read for everyone: an Include outside any Match stands for it.
    pub(crate) fn includes_for_everyone(&self, path: &Path) -> bool {
        let mut for_everyone = self.includes.iter().filter(|include| include.within.is_empty());
        for_everyone.any(|include| include.arguments.iter().any(|(argument, _)| stands_for(argument, path)))
    }
}

/// An Include's argument as the pattern that sshd looks for.
pub(crate) fn absolute(argument: &str) -> String {
    if argument.starts_with(['/', '~']) {
        argument.to_owned()
    } else {
        format!("{SSH_FOLDER}/{argument}")
    }
}

/// Whether an Include's argument stands for `path`, if there is such a file.
pub(crate) fn stands_for(argument: &str, path: &Path) -> bool {
    let pattern = absolute(argument);
    let (Some(path), patterns) = (path.to_str(), pattern.split('/').filter(|part| !part.is_empty())) else {
        return false;
    };
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let patterns: Vec<&str> = patterns.collect();
    let all = || {
        patterns
            .iter()
            .zip(&parts)
            .all(|(pattern, part)| pattern::name_matches(pattern, part))
    };
    patterns.len() == parts.len() && all()
}

/// The files that a pattern stands for, in glob(3)'s order; the folders that decide on that go to `looked_in`.
fn glob(files: &dyn Files, pattern: &str, looked_in: &mut Vec<PathBuf>) -> Vec<PathBuf> {
    let Some(parts) = pattern.strip_prefix('/') else {
        return Vec::new();
    };
    let mut found = vec![PathBuf::from("/")];
    for part in parts.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for folder in found {
            if pattern::is_pattern(part) {
                let names = files.names(&folder).into_iter();
                next.extend(
                    names
                        .filter(|name| pattern::name_matches(part, name))
                        .map(|name| folder.join(name)),
                );
                looked_in.push(folder);
            } else {
                next.push(folder.join(part));
            }
        }
        found = next;
    }
    let missing = found.iter().filter(|path| !files.has_name(path));
    looked_in.extend(missing.filter_map(|path| path.parent()).map(Path::to_owned));
    found.retain(|path| files.has_name(path));
    found.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    found
}

#[cfg(test)]
#[path = "sshd_config_tests.rs"]
mod tests;
