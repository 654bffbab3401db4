//! Scripts that make a Debian root look like another distribution's to the programs under test.

/// Makes a root look like an rpm system to this program.
macro_rules! rpm {
    () => {
        r#"
rm -f /etc/init.d/ssh /etc/os-release; printf 'ID="amzn"\nID_LIKE="centos rhel fedora"\n' >/etc/os-release
sed -e 's#/etc/default/ssh#/etc/sysconfig/sshd#' -e 's/SSHD_OPTS/OPTIONS/' /lib/systemd/system/ssh.service >/lib/systemd/system/sshd.service
rm -f /lib/systemd/system/ssh.service /lib/systemd/system/ssh@.service /etc/systemd/system/sshd.service
rm -f /etc/systemd/system/multi-user.target.wants/ssh.service
ln -s /lib/systemd/system/sshd.service /etc/systemd/system/multi-user.target.wants/
mkdir -p /etc/sysconfig; sed s/SSHD_OPTS/OPTIONS/ /etc/default/ssh >/etc/sysconfig/sshd; rm /etc/default/ssh
chmod 600 /etc/ssh/sshd_config; chmod 700 /etc/ssh/sshd_config.d
"#
    };
}

/// Replaces sshd by a stand-in for a version before 8.2, which does not support Include.
macro_rules! old {
    () => {
        r#"
mv /usr/sbin/sshd /usr/sbin/sshd.real
cat >/usr/sbin/sshd <<'END'
#!/bin/sh
file=/etc/ssh/sshd_config
previous=
for word; do
    if [ "$previous" = -f ]; then file=$word; fi
    previous=$word
done
line=$(grep -n -i -m 1 '^[[:space:]]*include' "$file" | cut -d: -f1)
if [ -n "$line" ]; then
    echo "$file: line $line: Bad configuration option: Include" >&2
    exit 255
fi
exec /usr/sbin/sshd.real "$@"
END
chmod 755 /usr/sbin/sshd
sed -i /^Include/d /etc/ssh/sshd_config
rm -r /etc/ssh/sshd_config.d
"#
    };
}

pub(crate) use {old, rpm};
