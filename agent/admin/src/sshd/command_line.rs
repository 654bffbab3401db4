//! The command line of an sshd: of one that a unit starts, and of one that is running.

use std::path::PathBuf;

use super::config_line;

/// The options of sshd(8) that take an argument.
const WITH_VALUE: &str = "bcCEfghkopu";

/// The keywords that decide whether a pushed key can log in.
const RELEVANT: [&str; 4] = [
    "authorizedkeyscommand",
    "authorizedkeyscommanduser",
    "pubkeyauthentication",
    "authenticationmethods",
];

/// A command line, as far as it decides which keys sshd accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// The path of sshd.
    pub(crate) program: PathBuf,
    /// The argument of `-f`: the configuration file, if it is not the default one.
    pub(crate) config: Option<PathBuf>,
    /// The argument of each `-o`.
    pub(crate) options: Vec<String>,
    /// The arguments for a call with `-t` or `-T`: the above, host keys and ports, but none that makes sshd serve or log.
    pub(crate) test_arguments: Vec<String>,
}

impl CommandLine {
    /// Reads the arguments after the program as getopt(3) does; `None` if sshd would refuse them.
    pub(crate) fn read(program: PathBuf, arguments: impl IntoIterator<Item = String>) -> Option<Self> {
        let mut command_line = Self {
            program,
            ..Self::default()
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut letters = argument.strip_prefix('-')?.chars();
            while let Some(letter) = letters.next() {
                if !WITH_VALUE.contains(letter) {
                    if "46".contains(letter) {
                        command_line.test_arguments.push(format!("-{letter}"));
                    }
                    continue;
                }
                let attached: String = letters.by_ref().collect();
                let value = if attached.is_empty() {
                    arguments.next()?
                } else {
                    attached
                };
                match letter {
                    'f' => command_line.config = Some(PathBuf::from(&value)),
                    'o' => command_line.options.push(value.clone()),
                    _ => {}
                }
                if "fohp".contains(letter) {
                    command_line.test_arguments.extend([format!("-{letter}"), value]);
                }
            }
        }
        Some(command_line)
    }

    /// Reads `/proc/PID/cmdline` of a listening sshd; `None` for any other process of sshd, and for a command line that is
    /// not understood.
    ///
    /// From 8.2 on, sshd overwrites its command line with a title that repeats its arguments, separated by single spaces
    /// (`sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups`). The title of a connection has no `[listener]`.
    pub(crate) fn of_process(command_line: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(command_line);
        let text = text.trim_end_matches(['\0', ' ']);
        let words = match listener_title(text) {
            Some(title) => split_title(title),
            None => text.split('\0').map(str::to_owned).collect(),
        };
        let mut words = words.into_iter();
        let program = PathBuf::from(words.next()?);
        Self::read(program, words).filter(|its| its.program.is_absolute())
    }

    /// Whether both read the same configuration file and set the same options that decide whether a pushed key can log in.
    pub(crate) fn has_same_key_settings(&self, other: &Self) -> bool {
        let relevant = |options: &[String]| -> Vec<(String, Vec<String>)> {
            let read = options.iter().filter_map(|option| config_line::keyword(option));
            let read = read.map(|(keyword, value)| {
                let value = value.split_whitespace().map(str::to_owned).collect();
                (keyword.to_ascii_lowercase(), value)
            });
            read.filter(|(keyword, _)| RELEVANT.contains(&keyword.as_str()))
                .collect()
        };
        self.config == other.config && relevant(&self.options) == relevant(&other.options)
    }
}

/// The program and arguments in the title of a listening sshd.
pub(crate) fn listener_title(text: &str) -> Option<&str> {
    let (name, title) = text.split_once(": ").filter(|(name, _)| !name.contains(['/', '\0']))?;
    let (arguments, _) = title.rsplit_once(" [listener]").filter(|_| !name.is_empty())?;
    Some(arguments)
}

/// Splits a title, in which a space may also be part of the argument of `-o`: that argument continues to the next word that
/// begins with a single dash.
fn split_title(title: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut in_value = false;
    let mut before_value = false;
    for word in title.split(' ') {
        let is_option = word.starts_with('-') && !word.starts_with("--");
        match words.last_mut().filter(|_| in_value && !is_option) {
            Some(value) => {
                value.push(' ');
                value.push_str(word);
            }
            None => {
                in_value = before_value || (word.starts_with("-o") && word != "-o");
                before_value = is_option && word.ends_with('o') && !in_value;
                words.push(word.to_owned());
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_sshd_shows_its_arguments_before_and_after_it_sets_its_title() {
        let aws = "AuthorizedKeysCommand /x %u %f --chain /y -z";
        for command_line in [
            format!("/usr/sbin/sshd\0-D\0-f\0/etc/other\0-o\0{aws}\0-oBanner none\0"),
            format!("sshd: /usr/sbin/sshd -D -f /etc/other -o {aws} -oBanner none [listener] 0 of 10-100 startups\0\0"),
            format!("sshd.x: /usr/sbin/sshd -f /etc/other -o {aws} -oBanner none [listener] 1 of 10-100 startups\0"),
        ] {
            let arguments = CommandLine::of_process(command_line.as_bytes()).unwrap();
            assert_eq!(arguments.program, PathBuf::from("/usr/sbin/sshd"), "{command_line}");
            assert_eq!(arguments.config, Some(PathBuf::from("/etc/other")), "{command_line}");
            assert!(arguments.options[0].starts_with("AuthorizedKeysCommand /x %u %f --chain /y"));
            assert_eq!(arguments.options[1], "Banner none", "{command_line}");
        }
    }

    #[test]
    fn the_title_of_a_connection_and_a_truncated_title_are_no_listener_s() {
        for command_line in [
            "sshd: ann [priv]",
            "sshd: root@pts/0",
            "sshd: [accepted]",
            "sshd: /usr/sbin/sshd -D -o AuthorizedKeysComm",
            "sshd\0-D",
            "/usr/sbin/sshd\0-D\0-f",
            "",
        ] {
            assert_eq!(CommandLine::of_process(command_line.as_bytes()), None, "{command_line}");
        }
    }

    #[test]
    fn command_lines_are_compared_by_configuration_file_and_key_settings() {
        let read = |words: &str| CommandLine::of_process(words.replace('|', "\0").as_bytes()).unwrap();
        let plain = read("/usr/sbin/sshd|-D");
        for same in ["/x/sshd|-D|-e|-oBanner=none", "/usr/sbin/sshd|-4|-p|2222"] {
            assert!(plain.has_same_key_settings(&read(same)), "{same}");
        }
        for other in [
            "/usr/sbin/sshd|-f/etc/other",
            "/usr/sbin/sshd|-o|authorizedkeyscommand=/x",
            "/usr/sbin/sshd|-oAuthorizedKeysCommandUser x",
            "/usr/sbin/sshd|-oPubkeyAuthentication=no",
            "/usr/sbin/sshd|-oAuthenticationMethods=password",
        ] {
            assert!(!plain.has_same_key_settings(&read(other)), "{other}");
        }
        let spaced = read("/usr/sbin/sshd|-oAuthorizedKeysCommand  /x  %u");
        assert!(spaced.has_same_key_settings(&read("/usr/sbin/sshd|-o|AuthorizedKeysCommand=/x %u")));
    }
}
