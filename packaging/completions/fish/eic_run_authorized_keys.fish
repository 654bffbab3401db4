complete -c eic_run_authorized_keys -l imds-endpoint -d 'Ask IMDS at this address only [default: http://169.254.169.254, then http://[fd00:ec2::254]]' -r
complete -c eic_run_authorized_keys -l trust-store -d 'Trust the roots in this bundle or folder [default: where the OS keeps them]' -r -F
complete -c eic_run_authorized_keys -l sysfs -d 'Read what the firmware says of the machine under this folder' -r -F
complete -c eic_run_authorized_keys -l timeout -d 'Give up after this many seconds, whatever is going on' -r
complete -c eic_run_authorized_keys -l chain -d 'Run this command as well, beside this program\'s own work, and print its keys behind ours; it takes the rest of the line' -r
complete -c eic_run_authorized_keys -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eic_run_authorized_keys -s V -l version -d 'Print version'
