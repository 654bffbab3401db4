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
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_needs_command" -f -a "enable" -d 'Hook the program into sshd, unless another key command is in effect or an admin said otherwise'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_needs_command" -f -a "disable" -d 'Take the hook out of sshd, and leave everything else as it is'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_needs_command" -f -a "status" -d 'Tell whom sshd asks for keys, why, and whether the running sshd knows'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand enable" -l root -d 'Work on the system under this folder, as image builders do; nothing is reloaded then' -r -F
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand enable" -l dry-run -d 'Say what would be done, and change nothing'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand enable" -l no-reload -d 'Leave the running sshd as it is'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand enable" -l package -d 'For package scripts: nothing here counts as an admin\'s word, and the hook of AWS\'s package is taken over or handed back'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand enable" -s h -l help -d 'Print help'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand disable" -l root -d 'Work on the system under this folder, as image builders do; nothing is reloaded then' -r -F
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand disable" -l dry-run -d 'Say what would be done, and change nothing'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand disable" -l no-reload -d 'Leave the running sshd as it is'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand disable" -l package -d 'For package scripts: nothing here counts as an admin\'s word, and the hook of AWS\'s package is taken over or handed back'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand disable" -s h -l help -d 'Print help'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand status" -l root -d 'Look at the system under this folder' -r -F
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand status" -l json -d 'As JSON, for other programs'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand status" -l run-sshd -d 'With --root: also ask the sshd under DIR, which then runs as root here'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand status" -s h -l help -d 'Print help'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand help; and not __fish_seen_subcommand_from enable disable status help" -f -a "enable" -d 'Hook the program into sshd, unless another key command is in effect or an admin said otherwise'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand help; and not __fish_seen_subcommand_from enable disable status help" -f -a "disable" -d 'Take the hook out of sshd, and leave everything else as it is'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand help; and not __fish_seen_subcommand_from enable disable status help" -f -a "status" -d 'Tell whom sshd asks for keys, why, and whether the running sshd knows'
complete -c ec2-instance-connect -n "__fish_ec2_instance_connect_using_subcommand help; and not __fish_seen_subcommand_from enable disable status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
