# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ctx_global_optspecs
    string join \n plan= ledger= orchestrator= json y/yes no-input reason= color= q/quiet h/help V/version
end

function __fish_ctx_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_ctx_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_ctx_using_subcommand
    set -l cmd (__fish_ctx_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c ctx -n "__fish_ctx_needs_command" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_needs_command" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_needs_command" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_needs_command" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_needs_command" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_needs_command" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_needs_command" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_needs_command" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_needs_command" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_needs_command" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_needs_command" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "status" -d 'Shows where the migration stands, on one screen'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "report" -d 'Tells what was done, what came of it, and what is next'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "history" -d 'Lists the runs, newest first'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "show" -d 'Shows everything a run recorded, one line each'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "completions" -d 'Prints a completion script for a shell'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand status" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand status" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand status" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand status" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand status" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand status" -l watch -d 'Show it again every second until no run is in flight'
complete -c ctx -n "__fish_ctx_using_subcommand status" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand status" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand status" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand status" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand status" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand report" -l format -d 'The form [default: by the ending of FILE, else text]' -r -f -a "text\t'For a terminal'
md\t'GitHub Markdown'
json\t'The whole model, as one document'"
complete -c ctx -n "__fish_ctx_using_subcommand report" -s o -l output -d 'Write to FILE, which is replaced whole or not at all' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand report" -l phase -d 'Tell about one phase, by number or id' -r
complete -c ctx -n "__fish_ctx_using_subcommand report" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand report" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand report" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand report" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand report" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand report" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand report" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand report" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand report" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand report" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand report" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand history" -s n -l limit -d 'How many' -r
complete -c ctx -n "__fish_ctx_using_subcommand history" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand history" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand history" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand history" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand history" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand history" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand history" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand history" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand history" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand history" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand history" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand show" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand show" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand show" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand show" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand show" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand show" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand show" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand show" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand show" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand show" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand show" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand completions" -l write -d 'Write the scripts of all shells to FOLDER' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand completions" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand completions" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand completions" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand completions" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand completions" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand completions" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand completions" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand completions" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand completions" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand completions" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from status report history show completions help" -f -a "status" -d 'Shows where the migration stands, on one screen'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from status report history show completions help" -f -a "report" -d 'Tells what was done, what came of it, and what is next'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from status report history show completions help" -f -a "history" -d 'Lists the runs, newest first'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from status report history show completions help" -f -a "show" -d 'Shows everything a run recorded, one line each'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from status report history show completions help" -f -a "completions" -d 'Prints a completion script for a shell'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from status report history show completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
