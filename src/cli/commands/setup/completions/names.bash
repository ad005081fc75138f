
# completes repositories and tags, which the registry is asked for
_registry_names() {
    local word="${COMP_LINE:0:COMP_POINT}" colon="" number value flags=() found=()
    word="${word##*[[:space:]]}"
    COMPREPLY=()
    _registry "$@"
    [[ $COMP_CWORD -ge 2 && $word != -* ]] || return 0
    case "${COMP_WORDS[1]}" in
        ls | inspect | du | rm | restore | why | gc) COMPREPLY=() ;;
        export) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        tag | policy | uploads) [[ $COMP_CWORD -eq 2 ]] || COMPREPLY=() ;;
        *) return 0 ;;
    esac
    case "${COMP_WORDS[COMP_CWORD - 1]}" in
        -*) [[ "${COMP_WORDS[COMP_CWORD - 1]}" =~ ^(-y|--yes|--dry-run|--removed-only|--now|--no-referrers|--docker|--)$ ]] || return 0 ;;
    esac
    for ((number = 2; number < COMP_CWORD; number++)); do
        if [[ ${COMP_WORDS[number]} == --data-dir || ${COMP_WORDS[number]} == --config ]]; then
            value="${COMP_WORDS[number + 1]}"
            [[ $value != = ]] || value="${COMP_WORDS[number + 2]}"
            flags+=("${COMP_WORDS[number]}" "$value")
        fi
    done
    mapfile -t found < <("${COMP_WORDS[0]}" complete "${flags[@]}" -- "$word" 2>/dev/null)
    # bash completes what follows the last colon
    [[ $word != *:* || $COMP_WORDBREAKS != *:* ]] || colon="${word%"${word##*:}"}"
    COMPREPLY+=("${found[@]#"$colon"}")
    # a tag may follow
    [[ $word == *:* ]] || compopt -o nospace 2>/dev/null
    return 0
}

complete -F _registry_names registry
