# SPDX-License-Identifier: GPL-2.0-or-later
# Completion for bash of Bulkhead's tools: source this file, or copy it to /usr/share/bash-completion/completions/bhcheck
# (and link it there as mkstick, mkusb, seal, bhtrace and bulkctl).

_bulkhead_words() {
    COMPREPLY=($(compgen -W "$1" -- "$2"))
}

_bulkhead() {
    local tool=${1##*/} word=$2 before=$3
    case "$tool $before" in
    "bhcheck --explain")
        # The keys as bhcheck itself knows them.
        _bulkhead_words "$("$1" --manual 2>/dev/null | sed -n 's|^### `\([a-z_]*\)`.*|\1|p' | sort -u)" "$word"
        return ;;
    "bhcheck --cpus" | "bhcheck --memory" | "bhcheck --set" | "mkusb --size" | "mkusb --id" | "mkstick --size" | "mkstick --id")
        return ;;
    esac
    if [[ $word == -* ]]; then
        case $tool in
        bhcheck) _bulkhead_words "--machine --cpus --memory --set --map --files --svg --explain --manual --version --help --toml" "$word" ;;
        mkusb) _bulkhead_words "--help -o --size --id" "$word" ;;
        mkstick) _bulkhead_words "--help -o --update --good --show --machine --any-machine --application --size --id --bhcheck" "$word" ;;
        seal) _bulkhead_words "--help --key --cert --application -o" "$word" ;;
        bhtrace) _bulkhead_words "--help --json" "$word" ;;
        bulkctl) _bulkhead_words "--help --json --port -f" "$word" ;;
        esac
        return
    fi
    if [[ $tool == bulkctl ]]; then
        case $before in
        *bulkctl | -f | --json)
            _bulkhead_words "list ps stats start stop restart reset kill pause resume events logs trace console attach metrics" "$word" ;;
        --port) COMPREPLY=($(compgen -f -- "$word")) ;;
        *) _bulkhead_words "$("$1" list 2>/dev/null | sed '1d;s/ .*//')" "$word" ;;
        esac
        return
    fi
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$word"))
}

complete -F _bulkhead bhcheck mkstick mkusb seal bhtrace bulkctl
