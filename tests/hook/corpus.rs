//! Compares our reader of sshd_config with sshd itself, of three releases: both find the same command and user for an ordinary
//! connection and for one that meets each Match block, and both refuse the same configurations.

use serde_json::Value;

use crate::machine::Machine;
use crate::releases::Release::{self, Bookworm, Bullseye, Trixie};
use crate::surroundings::ready;

/// How sshd must take an entry of the corpus.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// sshd accepts it.
    Taken,
    /// sshd refuses it.
    Refused,
    /// Releases differ: this only asserts that sshd and our reader agree.
    Either,
}
use Read::{Either, Refused, Taken};

/// Each entry: the main file, then, after an `@` each, further files: the name under `/etc/ssh`, a newline, the contents.
const CORPUS: &[(Read, &str)] = &[
    (Taken, ""),
    (Taken, "AuthorizedKeysCommand /bin/a\nAuthorizedKeysCommandUser a\n"),
    (
        Taken,
        "AuthorizedKeysCommand /bin/a\nAuthorizedKeysCommandUser a\nAuthorizedKeysCommand /bin/b\nAuthorizedKeysCommandUser b\n",
    ),
    (Taken, "AUTHORIZEDKEYSCOMMAND /bin/a\nauthorizedkeyscommanduser a\n"),
    (
        Taken,
        "\t AuthorizedKeysCommand\t /bin/a %u %f \t\n  AuthorizedKeysCommandUser\ta  \n",
    ),
    (Taken, "AuthorizedKeysCommand=/bin/a\nAuthorizedKeysCommandUser=a\n"),
    (Taken, "AuthorizedKeysCommand = /bin/a\nAuthorizedKeysCommandUser = a\n"),
    (
        Taken,
        "\"AuthorizedKeysCommand\" /bin/a\n\"AuthorizedKeysCommandUser\" \"a\"\n",
    ),
    (
        Taken,
        "AuthorizedKeysCommand /bin/a # with a comment\nAuthorizedKeysCommandUser a # another\n",
    ),
    (Taken, "AuthorizedKeysCommand /bin/a\r\nAuthorizedKeysCommandUser a\r\n"),
    (
        Taken,
        "AuthorizedKeysCommand /bin/a \"two words\" 'x y'\nAuthorizedKeysCommandUser a",
    ),
    (Taken, "AuthorizedKeysCommand none\n"),
    (
        Taken,
        "AuthorizedKeysCommand NONE\nAuthorizedKeysCommand /bin/a\nAuthorizedKeysCommandUser a\n",
    ),
    (Taken, "AuthorizedKeysCommandUser nobody\n"),
    (
        Taken,
        "# AuthorizedKeysCommand /bin/a\n#AuthorizedKeysCommandUser a\n\n   # x\n",
    ),
    (Taken, "\"AuthorizedKeysCommand /bin/never closed\n"),
    (Refused, "AuthorizedKeysCommand /bin/a\n"),
    (Refused, "AuthorizedKeysCommand\n"),
    (Refused, "AuthorizedKeysCommandUser\n"),
    (Refused, "AuthorizedKeysCommand relative\nAuthorizedKeysCommandUser a\n"),
    (
        Either,
        "AuthorizedKeysCommand \"/bin/a\"\nAuthorizedKeysCommandUser a\n",
    ),
    (
        Either,
        "AuthorizedKeysCommand /bin/a 'never closed\nAuthorizedKeysCommandUser a\n",
    ),
    (
        Taken,
        "Match User git\nAuthorizedKeysCommand /bin/git\nAuthorizedKeysCommandUser git\n",
    ),
    (
        Taken,
        "AuthorizedKeysCommand /bin/a\nAuthorizedKeysCommandUser a\nMatch User git\nAuthorizedKeysCommand /bin/git\n",
    ),
    (
        Taken,
        "AuthorizedKeysCommand /bin/a\nAuthorizedKeysCommandUser a\nMatch User git\nAuthorizedKeysCommandUser git\n",
    ),
    (
        Taken,
        "AuthorizedKeysCommand /bin/a\nAuthorizedKeysCommandUser a\nMatch User git\nAuthorizedKeysCommand none\n",
    ),
    (
        Taken,
        "Match User g*,!go\nAuthorizedKeysCommand /bin/1\nMatch User git\nAuthorizedKeysCommand /bin/2\nAuthorizedKeysCommandUser b\n",
    ),
    (
        Taken,
        "Match Group sftponly\nAuthorizedKeysCommand /bin/1\nMatch Group ann,bob User bob\nAuthorizedKeysCommand /bin/2\nAuthorizedKeysCommandUser b\n",
    ),
    (
        Taken,
        "Match Group !bob,*\nAuthorizedKeysCommand /bin/1\nMatch Group *\nAuthorizedKeysCommandUser b\n",
    ),
    (
        Taken,
        "Match Address 10.0.0.0/8,!10.1.0.0/16\nAuthorizedKeysCommand /bin/1\nMatch Address 10.*\nAuthorizedKeysCommand /bin/2\n",
    ),
    (
        Taken,
        "Match Address fd00::/8\nAuthorizedKeysCommand /bin/1\nMatch Address 0.0.0.0/0,::/0\nAuthorizedKeysCommandUser b\n",
    ),
    (
        Taken,
        "Match LocalAddress 127.0.0.1 LocalPort 2222\nAuthorizedKeysCommand /bin/1\nMatch LocalPort 22\nAuthorizedKeysCommandUser b\n",
    ),
    (
        Taken,
        "Match Host *.Example.COM,!bad.example.com\nAuthorizedKeysCommand /bin/1\nMatch host client.*\nAuthorizedKeysCommandUser b\n",
    ),
    (
        Taken,
        "Match all\nAuthorizedKeysCommand /bin/a\nAuthorizedKeysCommandUser a\n",
    ),
    (
        Taken,
        "AuthorizedKeysCommand /bin/a\nAuthorizedKeysCommandUser a\nMatch ALL\nAuthorizedKeysCommand /bin/b\nMatch User x\nAuthorizedKeysCommandUser x\n",
    ),
    (Taken, "Match User=git\nAuthorizedKeysCommand /bin/1\n"),
    (
        Taken,
        "Match User \"git\" Address \"10.0.0.0/8\" # why\nAuthorizedKeysCommand /bin/1\n",
    ),
    (Taken, "match user x\n\nMATCH USER y\nAuthorizedKeysCommand /bin/1\n"),
    (
        Taken,
        "Match User CORP\\git,[a]*\nAuthorizedKeysCommand /bin/1\nMatch User corp\\?*\nAuthorizedKeysCommandUser b\n",
    ),
    (
        Taken,
        "Match Address fd00::1,10.1.2.3\nAuthorizedKeysCommand /bin/1\nMatch Address ::/0,!fd00::/16\nAuthorizedKeysCommandUser b\n",
    ),
    (
        Taken,
        "Match Address 10.1.515\nAuthorizedKeysCommand /bin/1\nAuthorizedKeysCommandUser b\n",
    ),
    (
        Taken,
        "Match LocalPort ssh\nAuthorizedKeysCommand /bin/1\nAuthorizedKeysCommandUser b\n@../services\nssh 22/tcp\n",
    ),
    (
        Either,
        "Match Address 10.0.0.0/129\nAuthorizedKeysCommand /bin/1\nAuthorizedKeysCommandUser b\n",
    ),
    (Refused, "Match\n"),
    (Refused, "Match User\n"),
    (Refused, "Match all User x\n"),
    (Either, "Match Nonsense x\n"),
    (Refused, "Match LocalPort x\n"),
    (Refused, "Match Address 10.0.0.1/8\n"),
    (Refused, "Match Address 10.0.0.0/33\n"),
    (Refused, "Match Address 10.0.0.0/8,\n"),
    (Refused, "Match LocalAddress 127.0.0.1,!\n"),
    (Refused, "AuthorizedKeysCommand /bin/a\nAuthorizedKeysCommandUser a b\n"),
    (Refused, "PubkeyAuthentication yes no\n"),
    (
        Taken,
        "Include in.conf\n@in.conf\nAuthorizedKeysCommand /bin/a\nAuthorizedKeysCommandUser a\n",
    ),
    (
        Taken,
        "Include x.d/*.conf\nAuthorizedKeysCommand /bin/main\nAuthorizedKeysCommandUser m\n@x.d/20.conf\nAuthorizedKeysCommand /bin/20\n@x.d/10.conf\nAuthorizedKeysCommandUser ten\n@x.d/05.conf.old\nAuthorizedKeysCommand /bin/old\n@x.d/.01.conf\nAuthorizedKeysCommand /bin/hidden\n",
    ),
    (
        Taken,
        "Include x.d/[0-2]?.conf x.d/[!0-8]*.conf\n@x.d/20.conf\nAuthorizedKeysCommand /bin/20\nAuthorizedKeysCommandUser t\n@x.d/90.conf\nAuthorizedKeysCommand /bin/90\n@x.d/40.conf\nAuthorizedKeysCommand /bin/40\n",
    ),
    (
        Taken,
        "Include x.d/b.conf x.d/a.conf\n@x.d/a.conf\nAuthorizedKeysCommand /bin/a\nAuthorizedKeysCommandUser t\n@x.d/b.conf\nAuthorizedKeysCommand /bin/b\n",
    ),
    (
        Taken,
        "Include \"x.d/with space.conf\"\n@x.d/with space.conf\nAuthorizedKeysCommand /bin/a\nAuthorizedKeysCommandUser t\n",
    ),
    (Taken, "Include no/such/*.conf no-such.conf\n"),
    (
        Taken,
        "Include x.d/[5*.conf\nAuthorizedKeysCommandUser t\n@x.d/[50.conf\nAuthorizedKeysCommand /bin/50\n",
    ),
    (
        Taken,
        "Include x.d/[[:digit:]]*.conf x.d/[![:digit:]]*.conf\n@x.d/a.conf\nAuthorizedKeysCommand /bin/a\n@x.d/5.conf\nAuthorizedKeysCommand /bin/5\nAuthorizedKeysCommandUser t\n",
    ),
    (
        Taken,
        "Include x.d/[[:digits:]]*.conf\nAuthorizedKeysCommandUser t\n@x.d/5.conf\nAuthorizedKeysCommand /bin/5\n",
    ),
    (
        Taken,
        "Include x.d/[a\\-z].conf x.d/[\\!b].conf\nAuthorizedKeysCommandUser t\n@x.d/m.conf\nAuthorizedKeysCommand /bin/m\n@x.d/!.conf\nAuthorizedKeysCommand /bin/not\n",
    ),
    (
        Taken,
        "Include x.d/?.conf\nAuthorizedKeysCommandUser t\n@x.d/\u{e9}.conf\nAuthorizedKeysCommand /bin/two-bytes\n",
    ),
    (
        Taken,
        "Include x.d/{5,6}.conf\nAuthorizedKeysCommandUser t\n@x.d/5.conf\nAuthorizedKeysCommand /bin/5\n",
    ),
    (
        Taken,
        "Include x.d/[^5].conf\nAuthorizedKeysCommandUser t\n@x.d/5.conf\nAuthorizedKeysCommand /bin/5\n@x.d/6.conf\nAuthorizedKeysCommand /bin/6\n",
    ),
    (
        Taken,
        "Include x.d/\\*.conf\nAuthorizedKeysCommandUser t\n@x.d/*.conf\nAuthorizedKeysCommand /bin/star\n@x.d/5.conf\nAuthorizedKeysCommand /bin/5\n",
    ),
    (
        Taken,
        "Include x.d/*\nAuthorizedKeysCommandUser t\n@x.d/y/5.conf\nAuthorizedKeysCommand /bin/5\n@x.d/z\nAuthorizedKeysCommand /bin/z\n",
    ),
    (
        Taken,
        "Include /etc/ssh/in.conf\nAuthorizedKeysCommandUser after\n@in.conf\nMatch User git\nAuthorizedKeysCommand /bin/git\nAuthorizedKeysCommandUser git\n",
    ),
    (
        Taken,
        "Match User git\nInclude in.conf\nAuthorizedKeysCommand /bin/1\n@in.conf\nAuthorizedKeysCommandUser git\nMatch Address 10.0.0.0/8\nAuthorizedKeysCommand /bin/ten\n",
    ),
    (
        Taken,
        "Match User git\nInclude in.conf\nMatch User other\nInclude in.conf\n@in.conf\nMatch Address 10.0.0.0/8\nAuthorizedKeysCommand /bin/ten\nAuthorizedKeysCommandUser x\nMatch all\nAuthorizedKeysCommandUser y\n",
    ),
    (
        Taken,
        "Include 1.conf\n@1.conf\nInclude 2.conf\nAuthorizedKeysCommandUser one\n@2.conf\nInclude x.d/*.conf\nAuthorizedKeysCommand /bin/2\n@x.d/3.conf\nAuthorizedKeysCommandUser three\nMatch User git\nAuthorizedKeysCommandUser git\n",
    ),
    (
        Taken,
        "Match all\nInclude in.conf\n@in.conf\nAuthorizedKeysCommand /bin/a\nAuthorizedKeysCommandUser a\n",
    ),
    (Refused, "Include\n"),
    (Refused, "Include \"\"\n"),
    (Refused, "Include in.conf\n@in.conf\nInclude in.conf\n"),
    (Refused, "Include in.conf\n@in.conf\nMatch User\n"),
];

fn write_files(entry: &str) -> String {
    let mut script = "cd /etc/ssh; rm -rf x.d *.conf /etc/services; mkdir -p x.d/y\n".to_owned();
    for (at, file) in entry.split('@').enumerate() {
        let (name, text) = if at == 0 {
            ("sshd_config", file)
        } else {
            file.split_once('\n').unwrap()
        };
        let escaped = text
            .replace('\\', "\\\\")
            .replace('%', "%%")
            .replace('\n', "\\n")
            .replace('\r', "\\r");
        script.push_str(&format!("printf '{}' >'{name}'\n", escaped.replace('\'', "'\\''")));
    }
    script
}

fn check(release: Release) {
    if !ready("our reader of sshd_config against sshd") {
        return;
    }
    let machine = Machine::root(release, "rm /etc/default/ssh; chmod 666 /dev/null");
    let mut wrong = Vec::new();
    for (expected, entry) in CORPUS {
        let ran = machine.run(&format!("{}\nec2-instance-connect status --json", write_files(entry)));
        let told: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
        let problems = told["problems"].to_string();
        let by_sshd = problems.contains("configuration-invalid");
        let by_us = told["notes"]
            .to_string()
            .contains("this program considers the configuration invalid: ");
        let agree = match expected {
            Taken => told["confirmed_by_sshd"] == true && !by_sshd && !by_us,
            Refused => by_sshd && by_us,
            Either => told["confirmed_by_sshd"] == true || by_sshd,
        };
        if !agree {
            wrong.push(format!("{entry:?}: {told}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        CORPUS.len(),
        wrong.join("\n")
    );
}

#[test]
fn openssh_9_2_reads_as_we_do() {
    check(Bookworm);
}

#[test]
fn openssh_8_4_reads_as_we_do() {
    check(Bullseye);
}

#[test]
fn openssh_10_0_reads_as_we_do() {
    check(Trixie);
}
