# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ec2_instance_connect_global_optspecs
	string join \n h/help V/version
end

function __fish_ec2_instance_connect_needs_command
	# Figure out if the current invocation already has a command.
	set -l cmd (commandline -opc)
	set -e cmd[1]
	argparse -s (__fish_ec2_instance_connect_global_optspecs) -- $cmd 2>/dev/null
	or return
	if set -q argv[1]
		# Also print the command, so this can be used to figure out what it is.
		echo $argv[1]
		return 1
	end
	return 0
end

function __fish_ec2_instance_connect_using_subcommand
	set -l cmd (__fish_ec2_instance_connect_needs_command)
	test -z "$cmd"
	and return 1
	contains -- $cmd[1] $argv
end

complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_needs_command" -s h -l help -d 'Print help'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_needs_command" -s V -l version -d 'Print version'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_needs_command" -f -a "enable" -d 'Enable EC2 Instance Connect in sshd, unless another AuthorizedKeysCommand is in use or an administrator disabled it'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_needs_command" -f -a "disable" -d 'Remove what `enable` or AWS\'s package added to sshd\'s configuration, and nothing else'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_needs_command" -f -a "status" -d 'Show which AuthorizedKeysCommand sshd uses, from which line, and what keeps pushed keys from logging in'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand enable" -l root -d 'Work on the system under this directory, as image builders do; no sshd is reloaded' -r -F
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand enable" -l dry-run -d 'Print what would be done, and change nothing'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand enable" -l no-reload -d 'Do not reload the running sshd'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand enable" -l package -d 'For package scripts: keep what an administrator disabled, deleted or changed; replace the lines of AWS\'s package, or restore them; exit with 0 instead of 3'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand enable" -s h -l help -d 'Print help'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand disable" -l root -d 'Work on the system under this directory, as image builders do; no sshd is reloaded' -r -F
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand disable" -l dry-run -d 'Print what would be done, and change nothing'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand disable" -l no-reload -d 'Do not reload the running sshd'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand disable" -l package -d 'For package scripts: keep what an administrator disabled, deleted or changed; replace the lines of AWS\'s package, or restore them; exit with 0 instead of 3'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand disable" -s h -l help -d 'Print help'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand status" -l root -d 'Examine the system under this directory' -r -F
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand status" -l json -d 'Print JSON'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand status" -l run-sshd -d 'With --root: also run the sshd under DIR, as root, to confirm what was read'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand status" -s h -l help -d 'Print help'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand help; and not __fish_seen_subcommand_from enable disable status help" -f -a "enable" -d 'Enable EC2 Instance Connect in sshd, unless another AuthorizedKeysCommand is in use or an administrator disabled it'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand help; and not __fish_seen_subcommand_from enable disable status help" -f -a "disable" -d 'Remove what `enable` or AWS\'s package added to sshd\'s configuration, and nothing else'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand help; and not __fish_seen_subcommand_from enable disable status help" -f -a "status" -d 'Show which AuthorizedKeysCommand sshd uses, from which line, and what keeps pushed keys from logging in'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand help; and not __fish_seen_subcommand_from enable disable status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
