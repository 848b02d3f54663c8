
# Completes commands with a colon. Bash splits words at colons (COMP_WORDBREAKS): this function joins the words, completes them,
# and removes from each candidate the part before the last colon, which bash keeps.
_console_with_colons() {
    local -a joined=()
    local index last word_index=0
    for index in "${!COMP_WORDS[@]}"; do
        last=$((${#joined[@]} - 1))
        if ((index > 1)) && [[ "${COMP_WORDS[index]}" == :* || "${joined[last]}" == *: ]]; then
            joined[last]+="${COMP_WORDS[index]}"
        else
            joined+=("${COMP_WORDS[index]}")
        fi
        if ((index == COMP_CWORD)); then
            word_index=$((${#joined[@]} - 1))
        fi
    done
    local -a COMP_WORDS=("${joined[@]}")
    local COMP_CWORD=$word_index
    local current="${joined[word_index]}" previous=""
    if ((word_index > 0)); then
        previous="${joined[word_index - 1]}"
    fi
    _console "${joined[0]}" "$current" "$previous"
    if [[ "$current" == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
    fi
}

complete -F _console_with_colons -o bashdefault -o default console
