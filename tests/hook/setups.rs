//! A table of sshd configurations that people have, and what `enable` must do with each.

use crate::families::{old, rpm};
use crate::releases::Release::{Bookworm, Bullseye, Trixie};
use crate::steps::{Expected, Setup, check};
use Expected::{Already, AtRestart, ByAws, Failed, Hooked, Left};

const DROP_IN: &[&str] = &["/etc/ssh/sshd_config.d/60-ec2-instance-connect.conf"];
const UNIT: &[&str] = &["/etc/systemd/system/ssh.service.d/60-ec2-instance-connect.conf"];
const MAIN: &[&str] = &["/etc/ssh/sshd_config"];

const PLAIN: Setup = Setup {
    release: Bookworm,
    prepare: "",
    live: "",
    expected: Hooked(DROP_IN),
    disabled: 0,
    serving: true,
};

macro_rules! setups {
    ($($name:ident: $setup:expr;)+) => { $(
        #[test]
        fn $name() {
            check(concat!("set-up ", stringify!($name)), &$setup);
        }
    )+ };
}

const OTHERS: Expected = Left("sshd already uses another AuthorizedKeysCommand: \"/usr/bin/admin_keys");
const NONE: Expected = Left("sshd is configured to use no AuthorizedKeysCommand");

setups! {
    plain_bookworm: PLAIN;
    plain_bullseye: Setup { release: Bullseye, ..PLAIN };
    plain_trixie: Setup { release: Trixie, ..PLAIN };

    command_in_the_main_file: Setup {
        prepare: config!("AuthorizedKeysCommand /usr/bin/admin_keys %u", "AuthorizedKeysCommandUser nobody"),
        expected: Left("  AuthorizedKeysCommandUser ec2-instance-connect\nthen run `sshd -t`"), ..PLAIN
    };
    command_in_the_main_file_bullseye: Setup {
        release: Bullseye,
        prepare: config!("  authorizedkeyscommand=/usr/bin/admin_keys", "AuthorizedKeysCommandUser = \"nobody\""),
        expected: OTHERS, ..PLAIN
    };
    command_in_the_main_file_trixie: Setup {
        release: Trixie,
        prepare: config!("AuthorizedKeysCommand /usr/bin/admin_keys %u # ours", "AuthorizedKeysCommandUser nobody"),
        expected: OTHERS, ..PLAIN
    };
    command_in_a_vendor_s_drop_in: Setup {
        release: Trixie,
        prepare: "mkdir /usr/lib/x; printf 'AuthorizedKeysCommand /usr/bin/admin_keys\\nAuthorizedKeysCommandUser nobody\\n' \
            >/usr/lib/x/x.conf; ln -s ../../../usr/lib/x/x.conf /etc/ssh/sshd_config.d/20-x.conf",
        expected: Left("20-x.conf is a link to /usr/lib/x/x.conf, a file of another package, which its next upgrade overwrites: put both lines into a file of your own"), ..PLAIN
    };
    command_in_a_match: Setup {
        prepare: config!("Match User bob", "  AuthorizedKeysCommand /usr/bin/admin_keys %u", "  AuthorizedKeysCommandUser nobody"),
        expected: Left("Then enable again, for everybody else"), ..PLAIN
    };
    command_in_a_match_chained: Setup {
        prepare: config!("Match User bob", "  AuthorizedKeysCommand /usr/libexec/ec2-instance-connect/eic_run_authorized_keys %u %f --chain /usr/bin/admin_keys %u", "  AuthorizedKeysCommandUser nobody"),
        disabled: 3, ..PLAIN
    };
    command_in_a_match_of_a_group: Setup {
        release: Trixie,
        prepare: config!("Match Group sftponly Address 10.0.0.0/8", "  AuthorizedKeysCommand /usr/bin/admin_keys", "  AuthorizedKeysCommandUser nobody"),
        expected: OTHERS, ..PLAIN
    };
    command_in_a_match_all: Setup {
        prepare: config!("Match all", "  AuthorizedKeysCommand /usr/bin/admin_keys %u", "  AuthorizedKeysCommandUser nobody"),
        expected: OTHERS, ..PLAIN
    };
    command_in_a_lower_drop_in: Setup {
        prepare: drop_in!("10-admin", "AuthorizedKeysCommand /usr/bin/admin_keys %u", "AuthorizedKeysCommandUser nobody"),
        expected: OTHERS, ..PLAIN
    };
    command_in_a_higher_drop_in: Setup {
        prepare: drop_in!("90-admin", "AuthorizedKeysCommand /usr/bin/admin_keys %u", "AuthorizedKeysCommandUser nobody"),
        expected: OTHERS, ..PLAIN
    };
    command_in_a_higher_drop_in_bullseye: Setup {
        release: Bullseye,
        prepare: drop_in!("90-admin", "AuthorizedKeysCommand /usr/bin/admin_keys %u", "AuthorizedKeysCommandUser nobody"),
        expected: OTHERS, ..PLAIN
    };
    command_in_a_match_of_a_drop_in: Setup {
        prepare: drop_in!("70-admin", "Match User bob", "AuthorizedKeysCommand /usr/bin/admin_keys", "AuthorizedKeysCommandUser nobody"),
        expected: OTHERS, ..PLAIN
    };
    none_in_the_main_file: Setup { prepare: config!("AuthorizedKeysCommand none"), expected: NONE, ..PLAIN };
    none_in_a_match: Setup {
        release: Trixie,
        prepare: config!("Match User bob", "  AuthorizedKeysCommand NONE"), expected: NONE, ..PLAIN
    };
    only_the_user_line_behind_ours: Setup { prepare: config!("AuthorizedKeysCommandUser nobody"), ..PLAIN };
    only_the_user_line_before_ours: Setup {
        prepare: drop_in!("10-admin", "AuthorizedKeysCommandUser nobody"),
        expected: Left("\"nobody\" (/etc/ssh/sshd_config.d/10-admin.conf:1) would take precedence"), ..PLAIN
    };
    only_the_user_line_in_a_match: Setup {
        prepare: config!("Match User bob", "  AuthorizedKeysCommandUser nobody"),
        expected: Left("within \"Match User bob\" at /etc/ssh/sshd_config:"), ..PLAIN
    };
    a_principals_command_that_this_release_would_drop: Setup {
        prepare: config!("AuthorizedPrincipalsCommand /usr/bin/admin_keys", "AuthorizedPrincipalsCommandUser nobody"),
        expected: Left("change its setting \"authorizedprincipalscommand"), ..PLAIN
    };
    a_principals_command: Setup {
        release: Trixie,
        prepare: config!("AuthorizedPrincipalsCommand /usr/bin/admin_keys", "AuthorizedPrincipalsCommandUser nobody"),
        ..PLAIN
    };
    matches_that_say_nothing_of_keys: Setup {
        prepare: config!(
            "Match Group sftponly", "  ForceCommand internal-sftp", "Match User git,*-ci,!root Address 10.0.0.0/8", "  X11Forwarding no",
            "Match Host *.example.org LocalPort 22", "  Banner none", "Match all", "  PrintMotd no"
        ),
        ..PLAIN
    };
    matches_that_say_nothing_of_keys_bullseye: Setup {
        release: Bullseye,
        prepare: config!("Match Group sftponly", "  ForceCommand internal-sftp", "Match LocalAddress 10.0.0.1,fd00::/8", "  X11Forwarding no"),
        ..PLAIN
    };
    our_program_named_by_hand: Setup {
        prepare: config!("AuthorizedKeysCommand /usr/libexec/ec2-instance-connect/eic_run_authorized_keys %u %f --chain /usr/bin/admin_keys", "AuthorizedKeysCommandUser nobody"),
        expected: Already("already uses EC2 Instance Connect (/etc/ssh/sshd_config:"), disabled: 3, ..PLAIN
    };

    include_missing: Setup { prepare: "sed -i /^Include/d /etc/ssh/sshd_config", expected: Hooked(UNIT), ..PLAIN };
    include_missing_trixie: Setup {
        release: Trixie, prepare: "sed -i /^Include/d /etc/ssh/sshd_config",
        expected: Hooked(&[
            "/etc/systemd/system/ssh.service.d/60-ec2-instance-connect.conf",
            "/etc/systemd/system/sshd@.service.d/60-ec2-instance-connect.conf",
        ]), ..PLAIN
    };
    include_commented_out_bullseye: Setup {
        release: Bullseye, prepare: "sed -i 's/^Include/#Include/' /etc/ssh/sshd_config",
        expected: Hooked(&[
            "/etc/systemd/system/ssh.service.d/60-ec2-instance-connect.conf",
            "/etc/systemd/system/ssh@.service.d/60-ec2-instance-connect.conf",
        ]), ..PLAIN
    };
    include_late: Setup {
        prepare: "sed -i /^Include/d /etc/ssh/sshd_config; echo 'Include sshd_config.d/*.conf' >>/etc/ssh/sshd_config", ..PLAIN
    };
    include_behind_a_match: Setup {
        prepare: "sed -i /^Include/d /etc/ssh/sshd_config; printf 'Match User bob\\nBanner none\\nInclude /etc/ssh/sshd_config.d/*.conf\\n' >>/etc/ssh/sshd_config",
        expected: Hooked(UNIT), ..PLAIN
    };
    include_within_a_match_all: Setup {
        prepare: "sed -i /^Include/d /etc/ssh/sshd_config; printf 'Match all\\nInclude /etc/ssh/sshd_config.d/*.conf\\n' >>/etc/ssh/sshd_config",
        expected: Hooked(UNIT), ..PLAIN
    };
    include_of_other_files_only: Setup {
        prepare: "sed -i 's#^Include.*#Include /etc/ssh/sshd_config.d/[0-5]*.conf#' /etc/ssh/sshd_config", expected: Hooked(UNIT), ..PLAIN
    };
    include_within_an_included_file: Setup {
        prepare: "sed -i 's#^Include.*#Include deeper.conf#' /etc/ssh/sshd_config; echo 'Include \"sshd_config.d/*.conf\"' >/etc/ssh/deeper.conf", ..PLAIN
    };
    include_missing_and_a_restart_would_end_connections: Setup {
        prepare: "sed -i /^Include/d /etc/ssh/sshd_config; sed -i /^KillMode/d /lib/systemd/system/ssh.service",
        expected: AtRestart(UNIT), ..PLAIN
    };

    broken: Setup {
        live: "echo NoSuchOption yes >>/etc/ssh/sshd_config", expected: Left("does not start with its present configuration"), ..PLAIN
    };
    broken_drop_in: Setup {
        release: Trixie,
        live: "echo 'Match nonsense' >/etc/ssh/sshd_config.d/70-x.conf", expected: Left("/etc/ssh/sshd_config.d/70-x.conf"), ..PLAIN
    };
    a_drop_in_that_links_to_nothing: Setup {
        live: "ln -s /nowhere /etc/ssh/sshd_config.d/70-x.conf", expected: Left("/etc/ssh/sshd_config.d/70-x.conf"), ..PLAIN
    };
    a_configuration_that_is_too_long_for_us: Setup {
        prepare: "yes '# a comment' | head -n 100000 >>/etc/ssh/sshd_config",
        expected: Left("/etc/ssh/sshd_config cannot be read: it is larger than 1048576 bytes, so this program cannot tell which"), disabled: 3, ..PLAIN
    };
    a_nul_byte: Setup {
        prepare: "printf '# \\000\\n' >>/etc/ssh/sshd_config",
        expected: Left("/etc/ssh/sshd_config contains a NUL byte, so this program cannot tell which"), disabled: 3, ..PLAIN
    };
    a_name_that_cannot_be_quoted: Setup {
        prepare: "echo '# x' >'/etc/ssh/sshd_config.d/a#b.conf'",
        expected: Left("The name of /etc/ssh/sshd_config.d/a#b.conf, which sshd includes"), ..PLAIN
    };
    a_drop_in_that_is_masked: Setup {
        prepare: "ln -s /dev/null /etc/ssh/sshd_config.d/50-x.conf; mkdir /etc/ssh/sshd_config.d/51-x.conf", ..PLAIN
    };
    our_drop_in_masked: Setup {
        prepare: "ln -s /dev/null /etc/ssh/sshd_config.d/60-ec2-instance-connect.conf",
        expected: Left("somebody changed it"), ..PLAIN
    };
    an_sshd_that_takes_no_ed25519_key: Setup {
        prepare: sshd!("*' -h '*) echo 'sshd: no hostkeys available -- exiting.' >&2; exit 1"), ..PLAIN
    };
    no_host_keys: Setup {
        live: "systemctl stop ssh; mkdir /root/keys; mv /etc/ssh/ssh_host_* /root/keys", serving: false, ..PLAIN
    };
    stopped_and_no_run_sshd: Setup { live: "systemctl stop ssh; rm -rf /run/sshd", serving: false, ..PLAIN };
    stopped_trixie: Setup { release: Trixie, live: "systemctl stop ssh; rm -rf /run/sshd", serving: false, ..PLAIN };
    socket_activated: Setup {
        prepare: "systemctl -q disable ssh.service; systemctl -q enable ssh.socket", ..PLAIN
    };
    socket_activated_per_connection_bullseye: Setup {
        release: Bullseye, prepare: "systemctl -q disable ssh.service; systemctl -q enable ssh.socket", ..PLAIN
    };
    socket_activated_per_connection_without_include_bullseye: Setup {
        release: Bullseye,
        prepare: "systemctl -q disable ssh.service; systemctl -q enable ssh.socket; sed -i /^Include/d /etc/ssh/sshd_config",
        expected: Hooked(&[
            "/etc/systemd/system/ssh.service.d/60-ec2-instance-connect.conf",
            "/etc/systemd/system/ssh@.service.d/60-ec2-instance-connect.conf",
        ]), ..PLAIN
    };
    socket_activated_trixie: Setup {
        release: Trixie, prepare: "systemctl -q disable ssh.service; systemctl -q enable ssh.socket", ..PLAIN
    };
    options_in_the_environment_file: Setup {
        prepare: "echo 'SSHD_OPTS=\"-o Banner=none -u0\"' >/etc/default/ssh", ..PLAIN
    };
    a_command_in_the_environment_file: Setup {
        prepare: "echo \"SSHD_OPTS='-oAuthorizedKeysCommand=/usr/bin/admin_keys -oAuthorizedKeysCommandUser=nobody'\" >/etc/default/ssh",
        expected: Left("\"/usr/bin/admin_keys\" (/usr/lib/systemd/system/ssh.service:"), ..PLAIN
    };
    a_command_in_the_template_that_a_socket_starts: Setup {
        release: Bullseye,
        prepare: "sed -i 's#^ExecStart=.*#& -o \"AuthorizedKeysCommand /usr/bin/admin_keys\" -oAuthorizedKeysCommandUser=nobody#' /lib/systemd/system/ssh@.service; systemctl -q disable ssh.service; systemctl -q enable ssh.socket",
        expected: OTHERS, ..PLAIN
    };
    another_configuration_in_the_environment_file: Setup {
        prepare: "echo SSHD_OPTS='-f /etc/ssh/other' >/etc/default/ssh; mv /etc/ssh/sshd_config /etc/ssh/other; printf 'AuthorizedKeysCommand /never\\nAuthorizedKeysCommandUser nobody\\n' >/etc/ssh/sshd_config",
        ..PLAIN
    };
    another_configuration_in_systemd_s_grammar: Setup {
        prepare: "echo \"SSHD_OPTS='-f /etc/ssh/other '\" >/etc/default/ssh; mv /etc/ssh/sshd_config /etc/ssh/other; printf 'AuthorizedKeysCommand /never\\nAuthorizedKeysCommandUser nobody\\n' >/etc/ssh/sshd_config; \
            mkdir /etc/systemd/system/ssh.service.d; printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/sshd -D $SSHD_OPTS -o\\\\x20Banner\\\\snone \\\\\\n' >/etc/systemd/system/ssh.service.d/50-x.conf",
        ..PLAIN
    };
    a_unit_that_starts_a_script: Setup {
        prepare: "mkdir /etc/systemd/system/ssh.service.d; printf '[Service]\\nExecStart=\\nExecStart=/bin/sh -c \"exec /usr/sbin/sshd -D\"\\n' >/etc/systemd/system/ssh.service.d/x.conf",
        expected: Left("ssh.service does not start sshd by its path"), disabled: 3, ..PLAIN
    };
    a_unit_with_an_admin_s_options: Setup {
        prepare: "sed -i /^Include/d /etc/ssh/sshd_config; mkdir /etc/systemd/system/ssh.service.d; printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/sshd -D $SSHD_OPTS \\\\\\n -o Banner=none\\n' >/etc/systemd/system/ssh.service.d/50-x.conf",
        expected: Hooked(UNIT), ..PLAIN
    };
    aws_s_override_in_lib: Setup {
        prepare: aws_deb!(),
        expected: ByAws(&["/usr/lib/systemd/system/ssh.service.d/ec2-instance-connect.conf"]), ..PLAIN
    };
    aws_s_override_of_centos_8: Setup {
        prepare: concat!(rpm!(), old!(), aws_rpm!()),
        expected: ByAws(&["/usr/lib/systemd/system/sshd.service.d/ec2-instance-connect.conf"]), ..PLAIN
    };
    aws_s_drop_in_of_amazon_linux_2023: Setup {
        prepare: concat!(rpm!(), aws_drop_in!()),
        expected: ByAws(DROP_IN), ..PLAIN
    };
    amazon_linux_2_s_two_lines: Setup {
        prepare: concat!(rpm!(), old!(), aws_lines!()),
        expected: ByAws(MAIN), ..PLAIN
    };
    an_option_added_to_aws_s_override: Setup {
        prepare: concat!(aws_deb!(), "sed -i 's/ $SSHD_OPTS/ -o Banner=none&/' /lib/systemd/system/ssh.service.d/*.conf"),
        expected: ByAws(&["/usr/lib/systemd/system/ssh.service.d/ec2-instance-connect.conf"]), ..PLAIN
    };
    rpm_family: Setup { prepare: rpm!(), ..PLAIN };
    rpm_family_before_include: Setup { prepare: concat!(rpm!(), old!()), expected: Hooked(MAIN), ..PLAIN };
    rpm_family_before_include_bullseye: Setup {
        release: Bullseye, prepare: concat!(rpm!(), old!(), config!("Match User bob", "  Banner none")), expected: Hooked(MAIN), ..PLAIN
    };
    rpm_family_before_include_without_a_last_newline: Setup {
        prepare: concat!(rpm!(), old!(), "printf 'PrintLastLog no' >>/etc/ssh/sshd_config"), expected: Hooked(MAIN), ..PLAIN
    };
    rpm_family_before_include_with_a_command: Setup {
        prepare: concat!(rpm!(), old!(), config!("AuthorizedKeysCommand /usr/bin/admin_keys", "AuthorizedKeysCommandUser nobody")),
        expected: OTHERS, ..PLAIN
    };
    rpm_family_with_sshd_config_as_a_link: Setup {
        prepare: concat!(rpm!(), old!(), "mv /etc/ssh/sshd_config /etc/ssh/real; ln -s real /etc/ssh/sshd_config"),
        expected: Hooked(&["/etc/ssh/real"]), ..PLAIN
    };
    deb_family_before_include: Setup { prepare: old!(), expected: Hooked(UNIT), ..PLAIN };
    deb_family_before_include_with_options: Setup {
        prepare: concat!(old!(), "echo 'SSHD_OPTS=\"-o Banner=none\"' >/etc/default/ssh"), expected: Hooked(UNIT), ..PLAIN
    };

    an_account_of_a_person: Setup {
        prepare: "userdel ec2-instance-connect; useradd --create-home --shell /bin/bash ec2-instance-connect",
        expected: Left("The account ec2-instance-connect has a login shell, /bin/bash."), ..PLAIN
    };
    an_account_of_a_person_without_a_shell: Setup {
        prepare: "userdel ec2-instance-connect; useradd --shell /usr/sbin/nologin ec2-instance-connect",
        expected: Left("is not a system account: its user ID is 1002, and system accounts have IDs up to 999"), ..PLAIN
    };
    an_account_that_is_root: Setup {
        prepare: "usermod --non-unique --uid 0 ec2-instance-connect", expected: Left("has user ID 0, which is root's"), ..PLAIN
    };
    an_account_with_keys: Setup {
        prepare: "usermod --home /srv/x ec2-instance-connect; install -D /keys/own.pub /srv/x/.ssh/authorized_keys",
        expected: Left("has SSH keys of its own in /srv/x/.ssh/authorized_keys"), ..PLAIN
    };
    no_account: Setup {
        prepare: "userdel ec2-instance-connect", expected: Left("The account ec2-instance-connect, which sshd runs the program as, does not exist"), ..PLAIN
    };
    the_account_of_adduser: Setup {
        prepare: "userdel ec2-instance-connect; adduser --system --home /nonexistent --no-create-home --shell /usr/sbin/nologin ec2-instance-connect",
        ..PLAIN
    };
    the_account_of_useradd_r: Setup {
        release: Bullseye,
        prepare: "userdel ec2-instance-connect; useradd -r -M -s /sbin/nologin ec2-instance-connect", ..PLAIN
    };
    the_account_of_sysusers: Setup {
        release: Trixie,
        prepare: "userdel ec2-instance-connect; echo 'u ec2-instance-connect - \"EC2 Instance Connect\"' | systemd-sysusers - && getent passwd ec2-instance-connect",
        ..PLAIN
    };

    read_only_etc: Setup { live: "mount --bind /etc /etc; mount -o remount,bind,ro /etc", expected: Left("read-only file system"), disabled: 3, ..PLAIN };
    kept_from_being_enabled: Setup {
        prepare: "mkdir /etc/ec2-instance-connect; touch /etc/ec2-instance-connect/no-enable",
        expected: Left("no-enable exists"), ..PLAIN
    };
    a_program_that_others_can_write: Setup {
        prepare: "chmod g+w /usr/libexec/ec2-instance-connect", expected: Failed("is writable by its group or by others (mode 0775)"), ..PLAIN
    };
    a_program_that_is_not_there: Setup {
        prepare: "rm /usr/libexec/ec2-instance-connect/eic_run_authorized_keys", expected: Failed("cannot stat /usr/libexec/ec2-instance-connect/eic_run_authorized_keys"), ..PLAIN
    };
    a_program_behind_a_link_in_a_folder_of_somebody_s: Setup {
        prepare: "mv /usr/libexec/ec2-instance-connect /usr/libexec/real; install -d -o ann /srv/of-ann; ln -s /usr/libexec/real /srv/of-ann/x; ln -s /srv/of-ann/x /usr/libexec/ec2-instance-connect",
        expected: Failed("/srv/of-ann is owned by user"), ..PLAIN
    };
}
