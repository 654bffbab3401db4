//! Scripts that change a root directory before the boot: stand-ins for sshd, configurations, what AWS's packages install.

/// Replaces sshd by a script that runs these commands if the arguments match a pattern, and then the real sshd.
macro_rules! sshd {
    ($does:literal) => {
        concat!(
            "mv /usr/sbin/sshd /usr/sbin/sshd.real; cat >/usr/sbin/sshd <<'END'\n#!/bin/sh\ncase \" $* \" in\n",
            $does,
            ";;\nesac\nexec /usr/sbin/sshd.real \"$@\"\nEND\nchmod 755 /usr/sbin/sshd\n"
        )
    };
}

macro_rules! config {
    ($($line:literal),+) => { concat!("cat >>/etc/ssh/sshd_config <<'END'\n", $($line, "\n",)+ "END\n") };
}

macro_rules! drop_in {
    ($name:literal, $($line:literal),+) => {
        concat!("cat >/etc/ssh/sshd_config.d/", $name, ".conf <<'END'\n", $($line, "\n",)+ "END\n")
    };
}

/// Writes the unit's drop-in of AWS's packages, with the path of their program.
macro_rules! aws_override {
    ($unit:literal, $program:literal) => {
        concat!(
            "mkdir -p /lib/systemd/system/",
            $unit,
            ".d; cat >/lib/systemd/system/",
            $unit,
            ".d/ec2-instance-connect.conf <<'END'\n",
            "[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D -o \"AuthorizedKeysCommand ",
            $program,
            " %%u %%f\" ",
            "-o \"AuthorizedKeysCommandUser ec2-instance-connect\" $SSHD_OPTS\nEND\n"
        )
    };
}

/// The drop-in of Ubuntu's package.
macro_rules! aws_deb {
    () => {
        aws_override!("ssh.service", "/usr/share/ec2-instance-connect/eic_run_authorized_keys")
    };
}

/// The drop-in of the rpm for RHEL and CentOS.
macro_rules! aws_rpm {
    () => {
        aws_override!("sshd.service", "/opt/aws/bin/eic_run_authorized_keys")
    };
}

/// The drop-in for sshd of Amazon Linux 2023.
macro_rules! aws_drop_in {
    () => {
        drop_in!(
            "60-ec2-instance-connect",
            "AuthorizedKeysCommand /opt/aws/bin/eic_run_authorized_keys %u %f",
            "AuthorizedKeysCommandUser ec2-instance-connect"
        )
    };
}

/// The two lines of Amazon Linux 2.
macro_rules! aws_lines {
    () => {
        config!(
            "",
            "AuthorizedKeysCommand /opt/aws/bin/eic_run_authorized_keys %u %f",
            "AuthorizedKeysCommandUser ec2-instance-connect"
        )
    };
}
