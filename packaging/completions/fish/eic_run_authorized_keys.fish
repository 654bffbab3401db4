complete -c eic_run_authorized_keys -l imds-endpoint -d 'Query IMDS at this address only [default: http://169.254.169.254, then http://[fd00:ec2::254]]' -r
complete -c eic_run_authorized_keys -l trust-store -d 'Trust the CA certificates in this bundle or directory [default: the operating system\'s]' -r -F
complete -c eic_run_authorized_keys -l sysfs -d 'Read DMI data from this directory' -r -F
complete -c eic_run_authorized_keys -l timeout -d 'Overall timeout in seconds, 1 to 60' -r
complete -c eic_run_authorized_keys -l chain -d 'Also run this command, and print its keys after this program\'s own; must be the last option' -r
complete -c eic_run_authorized_keys -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eic_run_authorized_keys -s V -l version -d 'Print version'
