#compdef millpond
# Completion of millpond for zsh: source <(millpond completion zsh), after compinit

_millpond() {
    local line word about
    local -a lines whole open whole_shown open_shown
    lines=(${(f)"$($words[1] completion --words "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)"})
    for line in $lines; do
        word=${line%%$'\t'*} about=${line#*$'\t'}
        # What goes on behind it, a folder or a name with its '=', gets no blank.
        if [[ $word == *[/=] ]]; then
            open+=("$word") open_shown+=("$word${about:+  -- $about}")
        else
            whole+=("$word") whole_shown+=("$word${about:+  -- $about}")
        fi
    done
    compadd -l -d whole_shown -a whole
    compadd -l -S '' -d open_shown -a open
    (( $#whole + $#open ))
}

if [[ $funcstack[1] == _millpond ]]; then
    _millpond "$@"
else
    compdef _millpond millpond
fi
