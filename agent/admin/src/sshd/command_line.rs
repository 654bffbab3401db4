//! The arguments of an sshd, as far as they matter to key commands: of one that a unit starts, and of one that runs.

use std::path::PathBuf;

use super::config_line;

/// The options of sshd(8) that take a value.
const WITH_VALUE: &str = "bcCEfghkopu";

/// The keywords that decide whether a pushed key can log in.
const RELEVANT: [&str; 4] = [
    "authorizedkeyscommand",
    "authorizedkeyscommanduser",
    "pubkeyauthentication",
    "authenticationmethods",
];

/// What sshd gets on its command line that matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// The program, with its path.
    pub(crate) program: PathBuf,
    /// The configuration, where it is not the usual one.
    pub(crate) config: Option<PathBuf>,
    /// The value of each `-o`.
    pub(crate) options: Vec<String>,
    /// What to give sshd when asking what it would do: the above and ports, but nothing that makes it serve or log.
    pub(crate) when_asking: Vec<String>,
}

impl Arguments {
    /// Reads the words after the program as getopt(3) does; `None` where sshd would not take them.
    pub(crate) fn read(program: PathBuf, words: impl IntoIterator<Item = String>) -> Option<Self> {
        let mut arguments = Self {
            program,
            ..Self::default()
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut letters = word.strip_prefix('-')?.chars();
            while let Some(letter) = letters.next() {
                if !WITH_VALUE.contains(letter) {
                    if "46".contains(letter) {
                        arguments.when_asking.push(format!("-{letter}"));
                    }
                    continue;
                }
                let attached: String = letters.by_ref().collect();
                let value = if attached.is_empty() { words.next()? } else { attached };
                match letter {
                    'f' => arguments.config = Some(PathBuf::from(&value)),
                    'o' => arguments.options.push(value.clone()),
                    _ => {}
                }
                if "fohp".contains(letter) {
                    arguments.when_asking.extend([format!("-{letter}"), value]);
                }
            }
        }
        Some(arguments)
    }

    /// Reads `/proc/PID/cmdline` of a listening sshd; `None` for any other process of sshd, and for what cannot be
    /// understood.
    ///
    /// From 8.2 on, sshd writes its name and its arguments (`sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups`),
    /// with one space between any two, over what it was started with. That of a connection has no such word.
    pub(crate) fn of_process(command_line: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(command_line);
        let text = text.trim_end_matches(['\0', ' ']);
        let words = match listener_title(text) {
            Some(title) => joined(title),
            None => text.split('\0').map(str::to_owned).collect(),
        };
        let mut words = words.into_iter();
        let program = PathBuf::from(words.next()?);
        Self::read(program, words).filter(|arguments| arguments.program.is_absolute())
    }

    /// Whether both make the same of key commands: the same configuration, and the same options that decide on them.
    pub(crate) fn is_same_for_keys(&self, other: &Self) -> bool {
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

/// The arguments in what a listening sshd writes for its command line.
pub(crate) fn listener_title(text: &str) -> Option<&str> {
    let (name, title) = text.split_once(": ").filter(|(name, _)| !name.contains(['/', '\0']))?;
    let (arguments, _) = title.rsplit_once(" [listener]").filter(|_| !name.is_empty())?;
    Some(arguments)
}

/// The words of a title, in which spaces within the value of an `-o` look like those between words: the value goes on
/// to the next word that begins with one dash.
fn joined(title: &str) -> Vec<String> {
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
    fn a_running_sshd_tells_its_arguments_before_and_after_it_writes_its_title() {
        let aws = "AuthorizedKeysCommand /x %u %f --chain /y -z";
        for command_line in [
            format!("/usr/sbin/sshd\0-D\0-f\0/etc/other\0-o\0{aws}\0-oBanner none\0"),
            format!("sshd: /usr/sbin/sshd -D -f /etc/other -o {aws} -oBanner none [listener] 0 of 10-100 startups\0\0"),
            format!("sshd.x: /usr/sbin/sshd -f /etc/other -o {aws} -oBanner none [listener] 1 of 10-100 startups\0"),
        ] {
            let arguments = Arguments::of_process(command_line.as_bytes()).unwrap();
            assert_eq!(arguments.program, PathBuf::from("/usr/sbin/sshd"), "{command_line}");
            assert_eq!(arguments.config, Some(PathBuf::from("/etc/other")), "{command_line}");
            assert!(arguments.options[0].starts_with("AuthorizedKeysCommand /x %u %f --chain /y"));
            assert_eq!(arguments.options[1], "Banner none", "{command_line}");
        }
    }

    #[test]
    fn what_serves_a_connection_and_what_is_cut_off_is_no_listener() {
        for command_line in [
            "sshd: ann [priv]",
            "sshd: root@pts/0",
            "sshd: [accepted]",
            "sshd: /usr/sbin/sshd -D -o AuthorizedKeysComm",
            "sshd\0-D",
            "/usr/sbin/sshd\0-D\0-f",
            "",
        ] {
            assert_eq!(Arguments::of_process(command_line.as_bytes()), None, "{command_line}");
        }
    }

    #[test]
    fn arguments_are_the_same_for_keys_by_configuration_and_what_decides_on_keys() {
        let read = |words: &str| Arguments::of_process(words.replace('|', "\0").as_bytes()).unwrap();
        let plain = read("/usr/sbin/sshd|-D");
        for same in ["/x/sshd|-D|-e|-oBanner=none", "/usr/sbin/sshd|-4|-p|2222"] {
            assert!(plain.is_same_for_keys(&read(same)), "{same}");
        }
        for other in [
            "/usr/sbin/sshd|-f/etc/other",
            "/usr/sbin/sshd|-o|authorizedkeyscommand=/x",
            "/usr/sbin/sshd|-oAuthorizedKeysCommandUser x",
            "/usr/sbin/sshd|-oPubkeyAuthentication=no",
            "/usr/sbin/sshd|-oAuthenticationMethods=password",
        ] {
            assert!(!plain.is_same_for_keys(&read(other)), "{other}");
        }
        let spaced = read("/usr/sbin/sshd|-oAuthorizedKeysCommand  /x  %u");
        assert!(spaced.is_same_for_keys(&read("/usr/sbin/sshd|-o|AuthorizedKeysCommand=/x %u")));
    }
}
