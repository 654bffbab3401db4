//! Unit tests of the reader; `tests/hook` compares it with the real sshd.

use super::*;
use crate::files::InMemory;

const MAIN: &str = "/etc/ssh/sshd_config";

fn read(files: &[(&str, &str)]) -> SshdConfig {
    SshdConfig::read(&InMemory::readable(files), Path::new(MAIN), &[])
}

/// The global command and user, each with its line.
fn everyone(config: &SshdConfig) -> (Option<String>, Option<String>) {
    let pair = config.effective(Scope::Global).unwrap();
    let shown = |setting: Option<&Setting>| setting.map(|s| format!("{} at {}", s.value, s.place));
    (shown(pair.command), shown(pair.user))
}

#[test]
fn the_first_value_wins_and_command_and_user_resolve_separately() {
    let config = read(&[
        (
            MAIN,
            "Include sshd_config.d/*.conf\nauthorizedkeyscommand /b\nAuthorizedKeysCommandUser=b\n",
        ),
        ("/etc/ssh/sshd_config.d/20-x.conf", "AuthorizedKeysCommand /late\n"),
        (
            "/etc/ssh/sshd_config.d/10-x.conf",
            "# first\n\nAuthorizedKeysCommand /a %u # not a comment\n",
        ),
        ("/etc/ssh/sshd_config.d/05-x.conf.bak", "AuthorizedKeysCommand /never\n"),
    ]);
    assert_eq!(
        everyone(&config),
        (
            Some("/a %u # not a comment at /etc/ssh/sshd_config.d/10-x.conf:3".to_owned()),
            Some("b at /etc/ssh/sshd_config:3".to_owned())
        )
    );
    assert!(config.problems.is_empty());
}

#[test]
fn a_match_block_takes_precedence_and_ends_with_its_file() {
    let config = read(&[
        (
            MAIN,
            "AuthorizedKeysCommand /all\nInclude x.conf\nAuthorizedKeysCommandUser all\nMatch User b\nAuthorizedKeysCommand /b\n",
        ),
        (
            "/etc/ssh/x.conf",
            "Match User a\nAuthorizedKeysCommand /a\nAuthorizedKeysCommandUser a\n",
        ),
    ]);
    let values = |who| {
        let pair = config.effective(who).unwrap();
        (pair.command.unwrap().value.as_str(), pair.user.unwrap().value.as_str())
    };
    assert_eq!(values(Scope::Global), ("/all", "all"));
    assert_eq!(values(Scope::MatchBlock(0)), ("/a", "a"));
    assert_eq!(values(Scope::MatchBlock(1)), ("/b", "all"));
}

#[test]
fn match_all_is_global_and_an_include_within_a_match_block_is_not() {
    let config = read(&[
        (
            MAIN,
            "AuthorizedKeysCommand /x\nMatch User a\nInclude in.conf\nMatch all\nAuthorizedKeysCommand /y\n",
        ),
        ("/etc/ssh/in.conf", "AuthorizedKeysCommandUser in\n"),
    ]);
    assert_eq!(everyone(&config).0.unwrap(), "/y at /etc/ssh/sshd_config:5");
    assert_eq!(everyone(&config).1, None);
    assert!(!config.includes_globally(Path::new("/etc/ssh/in.conf")));
}

#[test]
fn an_include_outside_any_match_block_is_found_by_the_files_it_matches() {
    for (line, expected) in [
        ("Include /etc/ssh/sshd_config.d/*.conf", true),
        ("include sshd_config.d/*", true),
        ("Include=\"sshd_config.d/60*.conf\"", true),
        ("Include other.conf sshd_config.d/*.conf", true),
        ("Include sshd_config.d/[0-5]*.conf", false),
        ("Include sshd_config.d/*/*.conf", false),
        ("#Include sshd_config.d/*.conf", false),
        ("Match all\nInclude sshd_config.d/*.conf", false),
    ] {
        let config = read(&[(MAIN, line)]);
        let path = Path::new("/etc/ssh/sshd_config.d/60-ec2-instance-connect.conf");
        assert_eq!(config.includes_globally(path), expected, "{line}");
    }
}

#[test]
fn a_configuration_that_sshd_refuses_is_a_problem() {
    for line in [
        "Include",
        "Match",
        "Match all user a",
        "AuthorizedKeysCommand",
        "AuthorizedKeysCommand /x",
        "Include loop.conf",
        "Match User",
        "Match Address 10.0.0.1/8",
        "Match LocalPort x",
        "Include \"\"",
        "AuthorizedKeysCommandUser a b",
        "PubkeyAuthentication yes no",
    ] {
        let config = read(&[
            (MAIN, line),
            ("/etc/ssh/loop.conf", "Include loop.conf loop.conf loop.conf\n"),
        ]);
        assert_eq!(config.problems.len(), 1, "{line}: {:?}", config.problems);
    }
}

#[test]
fn what_this_program_cannot_read_is_no_error_of_the_configuration() {
    let config = read(&[(MAIN, "Port 22\n# \0\n")]);
    assert_eq!(config.unread, ["/etc/ssh/sshd_config contains a NUL byte"]);
    let tree = InMemory::of(&[
        (MAIN, Some("Include too-large.conf\n")),
        ("/etc/ssh/too-large.conf", None),
    ]);
    let config = SshdConfig::read(&tree, Path::new(MAIN), &[]);
    assert!(
        config.unread[0].starts_with("/etc/ssh/too-large.conf cannot be read"),
        "{:?}",
        config.unread
    );
    assert_eq!(config.problems, [""; 0]);
}

#[test]
fn pubkey_authentication_is_off_by_the_global_line_in_effect() {
    for (text, line) in [
        ("PubkeyAuthentication no\nPubkeyAuthentication yes\n", Some(1)),
        ("PubkeyAuthentication yes\nPubkeyAuthentication no\n", None),
        ("#PubkeyAuthentication no\n", None),
        ("DSAAuthentication no\n", Some(1)),
        ("Match User a\nPubkeyAuthentication no\n", None),
        (
            "PubkeyAuthentication yes\nMatch all\nPubkeyAuthentication No\n",
            Some(3),
        ),
    ] {
        let config = read(&[(MAIN, text)]);
        assert_eq!(
            config.pubkey_authentication_off().map(|setting| setting.place.line),
            line,
            "{text}"
        );
    }
}

#[test]
fn what_is_read_depends_on_the_files_and_on_the_searched_directories() {
    let config = read(&[
        (MAIN, "Include sshd_config.d/*.conf there.conf gone/x.conf /srv/*/y\n"),
        ("/etc/ssh/sshd_config.d/10-x.conf", ""),
        ("/etc/ssh/there.conf", ""),
    ]);
    let paths: Vec<&str> = config.depends_on().filter_map(Path::to_str).collect();
    assert_eq!(
        paths,
        [
            MAIN,
            "/etc/ssh/sshd_config.d/10-x.conf",
            "/etc/ssh/there.conf",
            "/etc/ssh/sshd_config.d",
            "/etc/ssh/gone",
            "/srv"
        ]
    );
}
