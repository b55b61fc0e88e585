# Completion of millpond for fish: millpond completion fish | source

function __millpond_words
    set -l typed (commandline -opc)
    $typed[1] completion --words $typed[2..-1] (commandline -ct) 2>/dev/null
end

complete -c millpond -f -a '(__millpond_words)'
