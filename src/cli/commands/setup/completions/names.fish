
# completes repositories and tags, which the registry is asked for
complete -c registry -f -n "__fish_seen_subcommand_from ls inspect du rm restore why history preview uploads gc" -a "(registry complete -- (commandline -ct) 2>/dev/null)"
complete -c registry -n "__fish_seen_subcommand_from export" -a "(registry complete -- (commandline -ct) 2>/dev/null)"
