# completes repositories and tags, which the registry is asked for
_registry_names() {
    local -a flags names
    local number
    for (( number = 2; number < $#words; number++ )); do
        case "${words[number]}" in
            --data-dir|--config) flags+=("${words[number]}" "${words[number+1]}") ;;
            --data-dir=*|--config=*) flags+=("${words[number]}") ;;
        esac
    done
    names=(${(f)"$(registry complete $flags -- "$PREFIX" 2>/dev/null)"})
    compadd -S '' -a names
}

