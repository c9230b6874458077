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
complete -c ctx -n "__fish_ctx_needs_command" -f -a "init" -d 'Make a ledger from what an orchestrator is doing already'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "plan" -d 'Check a plan, preview it, or print the schema of plans'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "rehearse" -d 'Run a plan on an embedded orchestrator first, with real traffic and compressed time'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "serve" -d 'Run an orchestrator: the event gateway and the control API'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "migrate" -d 'Run a phase, or take it up where it was left'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "resume" -d 'Take up the run in flight, or say that there is none'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "pause" -d 'Stop the run in flight at its next safe point'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "abort" -d 'Take the phase in flight back, at once'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "confirm" -d 'Keep the provisional change now, before its soak is over'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "rollback" -d 'Undo the phase in flight, or the last one'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "status" -d 'Show where the migration stands, on one screen'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "validate" -d 'Judge the success criteria now'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "report" -d 'Tell what was done, what came of it, and what is next'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "history" -d 'List the runs, newest first'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "show" -d 'Show everything that a run recorded, one line each'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "backup" -d 'Make, list, verify or restore backups'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "ledger" -d 'Verify, describe or export the ledger'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "lock" -d 'Show who holds the locks, or break the lease of a holder who is gone'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "load" -d 'Send load at a constant rate to a server on this machine'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "test" -d 'Run a plan\'s test suites against its orchestrator'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "alerts" -d 'List the sinks of alerts, or send a test to them'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "events" -d 'Show stored events and dead letters, and have dead letters tried again'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "extension" -d 'List extensions, install them, swap their versions, or take them out'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "flags" -d 'List feature flags, evaluate them for a user, or change one'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "shadow" -d 'Show whether shadow copies of reads got the same answers, and where they differ'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "canary" -d 'Tell whether a canary is worse than its control'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "completions" -d 'Print a completion script for a shell'
complete -c ctx -n "__fish_ctx_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand init" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand init" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand init" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand init" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand init" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand init" -l adopt -d 'Record the running orchestrator as the baseline'
complete -c ctx -n "__fish_ctx_using_subcommand init" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand init" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand init" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand init" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand init" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and not __fish_seen_subcommand_from check show schema help" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand plan; and not __fish_seen_subcommand_from check show schema help" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand plan; and not __fish_seen_subcommand_from check show schema help" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand plan; and not __fish_seen_subcommand_from check show schema help" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand plan; and not __fish_seen_subcommand_from check show schema help" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand plan; and not __fish_seen_subcommand_from check show schema help" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and not __fish_seen_subcommand_from check show schema help" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and not __fish_seen_subcommand_from check show schema help" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and not __fish_seen_subcommand_from check show schema help" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and not __fish_seen_subcommand_from check show schema help" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and not __fish_seen_subcommand_from check show schema help" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and not __fish_seen_subcommand_from check show schema help" -f -a "check" -d 'Find every fault of a plan'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and not __fish_seen_subcommand_from check show schema help" -f -a "show" -d 'Preview what a plan would change, and how it would be undone'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and not __fish_seen_subcommand_from check show schema help" -f -a "schema" -d 'Print the JSON Schema of plans, for editors'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and not __fish_seen_subcommand_from check show schema help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from check" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from check" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from check" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from check" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from check" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from check" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from check" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from check" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from show" -l phase -d 'One phase only, by its number or id' -r
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from show" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from show" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from show" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from show" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from show" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from show" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from show" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from schema" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from schema" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from schema" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from schema" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from schema" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from schema" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from schema" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from schema" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from schema" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from schema" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from schema" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from help" -f -a "check" -d 'Find every fault of a plan'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from help" -f -a "show" -d 'Preview what a plan would change, and how it would be undone'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from help" -f -a "schema" -d 'Print the JSON Schema of plans, for editors'
complete -c ctx -n "__fish_ctx_using_subcommand plan; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand rehearse" -l soaks -d 'How long all soaks together may take' -r
complete -c ctx -n "__fish_ctx_using_subcommand rehearse" -l rate -d 'Requests a second' -r
complete -c ctx -n "__fish_ctx_using_subcommand rehearse" -l keep -d 'Keep the ledger, the backups and the orchestrator\'s state in this folder' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand rehearse" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand rehearse" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand rehearse" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand rehearse" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand rehearse" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand rehearse" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand rehearse" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand rehearse" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand rehearse" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand rehearse" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand rehearse" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l legacy -d 'The legacy app' -r
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l listen -d 'Where events are received' -r
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l control -d 'Where the control API listens; loopback only' -r
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l state -d 'Where the state is kept' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l token -d 'The operators\' token, as `env:NAME` or `file:PATH` [default: `CTX_TOKEN`, else a new one in DIR/token]' -r
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l flags-token -d 'A token that may evaluate flags (OFREP) and nothing else, as `env:NAME` or `file:PATH`' -r
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l workers -d 'Threads that handle events [default: one per core]' -r
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l programs -d 'Where programs of extensions are; without it, none are run. Whoever holds the operators\' token can have programs run as this user then' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l github-secret -d 'Where GitHub\'s webhook secret is; used on the first start' -r
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l slack-secret -d 'Where Slack\'s signing secret is; used on the first start' -r
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l linear-secret -d 'Where Linear\'s webhook secret is; used on the first start' -r
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l take-over -d 'Take the place of the `ctx serve` that has the state folder, without a request lost; start as ever if none has'
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l force -d 'Take over even while a phase is in flight: what is provisional is reverted'
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand serve" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand serve" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand serve" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand serve" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -l confirm-within -d 'How long after each soak a detached change waits to be confirmed before it reverts [default: 1h]' -r
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -l dry-run -d 'Show what would be done, and do nothing'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -l accept-drift -d 'Begin even though the configuration is not the one that the last phase left'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -l detach -d 'Leave soaks to the orchestrator and exit with 12; `ctx resume` goes on later'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -f -a "phase" -d 'Run one phase, named by its number or id'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -f -a "next" -d 'Run the first phase that is not confirmed'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -f -a "all" -d 'Run every phase that is not confirmed, one after the other'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and not __fish_seen_subcommand_from phase next all help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from phase" -l confirm-within -d 'How long after each soak a detached change waits to be confirmed before it reverts [default: 1h]' -r
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from phase" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from phase" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from phase" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from phase" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from phase" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from phase" -l dry-run -d 'Show what would be done, and do nothing'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from phase" -l accept-drift -d 'Begin even though the configuration is not the one that the last phase left'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from phase" -l detach -d 'Leave soaks to the orchestrator and exit with 12; `ctx resume` goes on later'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from phase" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from phase" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from phase" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from phase" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from phase" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from phase" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from next" -l confirm-within -d 'How long after each soak a detached change waits to be confirmed before it reverts [default: 1h]' -r
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from next" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from next" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from next" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from next" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from next" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from next" -l dry-run -d 'Show what would be done, and do nothing'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from next" -l accept-drift -d 'Begin even though the configuration is not the one that the last phase left'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from next" -l detach -d 'Leave soaks to the orchestrator and exit with 12; `ctx resume` goes on later'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from next" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from next" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from next" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from next" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from next" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from next" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from all" -l confirm-within -d 'How long after each soak a detached change waits to be confirmed before it reverts [default: 1h]' -r
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from all" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from all" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from all" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from all" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from all" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from all" -l dry-run -d 'Show what would be done, and do nothing'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from all" -l accept-drift -d 'Begin even though the configuration is not the one that the last phase left'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from all" -l detach -d 'Leave soaks to the orchestrator and exit with 12; `ctx resume` goes on later'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from all" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from all" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from all" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from all" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from all" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from all" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from help" -f -a "phase" -d 'Run one phase, named by its number or id'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from help" -f -a "next" -d 'Run the first phase that is not confirmed'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from help" -f -a "all" -d 'Run every phase that is not confirmed, one after the other'
complete -c ctx -n "__fish_ctx_using_subcommand migrate; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand resume" -l confirm-within -d 'How long after each soak a detached change waits to be confirmed before it reverts [default: 1h]' -r
complete -c ctx -n "__fish_ctx_using_subcommand resume" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand resume" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand resume" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand resume" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand resume" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand resume" -l detach -d 'Leave soaks to the orchestrator and exit with 12; `ctx resume` goes on later'
complete -c ctx -n "__fish_ctx_using_subcommand resume" -l attend -d 'Stay and watch the soaks, even of a run that was detached'
complete -c ctx -n "__fish_ctx_using_subcommand resume" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand resume" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand resume" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand resume" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand resume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand resume" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand pause" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand pause" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand pause" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand pause" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand pause" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand pause" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand pause" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand pause" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand pause" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand pause" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand pause" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand abort" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand abort" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand abort" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand abort" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand abort" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand abort" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand abort" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand abort" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand abort" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand abort" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand abort" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand confirm" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand confirm" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand confirm" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand confirm" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand confirm" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand confirm" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand confirm" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand confirm" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand confirm" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand confirm" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand confirm" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand rollback" -l to -d 'Keep this phase and everything before it; `start` keeps none' -r
complete -c ctx -n "__fish_ctx_using_subcommand rollback" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand rollback" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand rollback" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand rollback" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand rollback" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand rollback" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand rollback" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand rollback" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand rollback" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand rollback" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand rollback" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand status" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand status" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand status" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand status" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand status" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand status" -l watch -d 'Show it again every second until no run is in flight'
complete -c ctx -n "__fish_ctx_using_subcommand status" -l live -d 'Ask the orchestrator too, for at most a second'
complete -c ctx -n "__fish_ctx_using_subcommand status" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand status" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand status" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand status" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand status" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand validate" -l phase -d 'Judge the criteria of one phase only' -r
complete -c ctx -n "__fish_ctx_using_subcommand validate" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand validate" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand validate" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand validate" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand validate" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand validate" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand validate" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand validate" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand validate" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand validate" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand validate" -s V -l version -d 'Print version'
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
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -f -a "create" -d 'Back up configuration, database, cache, stored events and the plan\'s `[backup] databases`'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -f -a "list" -d 'List the backups beside the ledger'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -f -a "show" -d 'Show what a backup holds'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -f -a "verify" -d 'Restore backups into a scratch folder and check every part'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -f -a "restore" -d 'Put a backup back into the running service, or its files into a folder'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and not __fish_seen_subcommand_from create list show verify restore help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from create" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from create" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from create" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from create" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from create" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from create" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from create" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from create" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from create" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from list" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from list" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from list" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from list" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from list" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from list" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from list" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from show" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from show" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from show" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from show" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from show" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from show" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from show" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from verify" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from verify" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from verify" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from verify" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from verify" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from verify" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from verify" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from verify" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from verify" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from restore" -l to -d 'Restore into this folder, which must be empty or absent; no orchestrator is needed' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from restore" -l part -d 'Restore only this part; may be given more than once' -r -f -a "config\t'The orchestrator\'s configuration'
cache\t'The cached answers'
inbox\t'Stored events that wait, and dead letters'
service\t'The service\'s own databases'
database\t'The orchestrator\'s own database; only with `--to`'"
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from restore" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from restore" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from restore" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from restore" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from restore" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from restore" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from restore" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from restore" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from restore" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from restore" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "create" -d 'Back up configuration, database, cache, stored events and the plan\'s `[backup] databases`'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the backups beside the ledger'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show what a backup holds'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Restore backups into a scratch folder and check every part'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "restore" -d 'Put a backup back into the running service, or its files into a folder'
complete -c ctx -n "__fish_ctx_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -f -a "verify" -d 'Prove that no entry was edited, removed, moved or inserted'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -f -a "info" -d 'Show who the ledger is and how far it goes'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -f -a "export" -d 'Print the ledger as JSON lines: first the ledger itself, then each entry'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -f -a "rebuild" -d 'Derive the tables that `status`, `history` and `report` show again from the entries'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and not __fish_seen_subcommand_from verify info export rebuild help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from verify" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from verify" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from verify" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from verify" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from verify" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from verify" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from verify" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from verify" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from verify" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from info" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from info" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from info" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from info" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from info" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from info" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from info" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from info" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from info" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from info" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from export" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from export" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from export" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from export" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from export" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from export" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from export" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from export" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from export" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from rebuild" -s o -l output -d 'Where the new ledger goes [default: beside the old one, `ledger-rebuilt.sqlite3`]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from rebuild" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from rebuild" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from rebuild" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from rebuild" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from rebuild" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from rebuild" -l from-orchestrator -d 'Make a new ledger of what the orchestrator knows'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from rebuild" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from rebuild" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from rebuild" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from rebuild" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from rebuild" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from rebuild" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Prove that no entry was edited, removed, moved or inserted'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from help" -f -a "info" -d 'Show who the ledger is and how far it goes'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from help" -f -a "export" -d 'Print the ledger as JSON lines: first the ledger itself, then each entry'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from help" -f -a "rebuild" -d 'Derive the tables that `status`, `history` and `report` show again from the entries'
complete -c ctx -n "__fish_ctx_using_subcommand ledger; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and not __fish_seen_subcommand_from show release help" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand lock; and not __fish_seen_subcommand_from show release help" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand lock; and not __fish_seen_subcommand_from show release help" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand lock; and not __fish_seen_subcommand_from show release help" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand lock; and not __fish_seen_subcommand_from show release help" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand lock; and not __fish_seen_subcommand_from show release help" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and not __fish_seen_subcommand_from show release help" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and not __fish_seen_subcommand_from show release help" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and not __fish_seen_subcommand_from show release help" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and not __fish_seen_subcommand_from show release help" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and not __fish_seen_subcommand_from show release help" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and not __fish_seen_subcommand_from show release help" -f -a "show" -d 'Show who writes to the ledger and who holds the orchestrator\'s lease'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and not __fish_seen_subcommand_from show release help" -f -a "release" -d 'Take the orchestrator\'s lease from a holder who is dead or out of reach'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and not __fish_seen_subcommand_from show release help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from show" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from show" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from show" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from show" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from show" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from show" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from show" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from release" -l lease -d 'The number of the lease, from `ctx lock show`; another one is never hit' -r
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from release" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from release" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from release" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from release" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from release" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from release" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from release" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from release" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from release" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from release" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from release" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show who writes to the ledger and who holds the orchestrator\'s lease'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from help" -f -a "release" -d 'Take the orchestrator\'s lease from a holder who is dead or out of reach'
complete -c ctx -n "__fish_ctx_using_subcommand lock; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand load" -l rate -d 'Requests a second' -r
complete -c ctx -n "__fish_ctx_using_subcommand load" -l lasts -d 'For how long, at most 1h' -r
complete -c ctx -n "__fish_ctx_using_subcommand load" -l connections -d 'Connections, and so requests at the same time, at most' -r
complete -c ctx -n "__fish_ctx_using_subcommand load" -l webhooks -d 'Send webhooks of this platform, instead of `GET URL`' -r -f -a "github\t''
slack\t''
linear\t''
all\t'All three, and reads of `/` in between'"
complete -c ctx -n "__fish_ctx_using_subcommand load" -l secret -d 'Sign a platform\'s webhooks with the secret at REF, `env:NAME` or `file:PATH`' -r
complete -c ctx -n "__fish_ctx_using_subcommand load" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand load" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand load" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand load" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand load" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand load" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand load" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand load" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand load" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand load" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand load" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand test; and not __fish_seen_subcommand_from phase suite help" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand test; and not __fish_seen_subcommand_from phase suite help" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand test; and not __fish_seen_subcommand_from phase suite help" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand test; and not __fish_seen_subcommand_from phase suite help" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand test; and not __fish_seen_subcommand_from phase suite help" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand test; and not __fish_seen_subcommand_from phase suite help" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand test; and not __fish_seen_subcommand_from phase suite help" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand test; and not __fish_seen_subcommand_from phase suite help" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand test; and not __fish_seen_subcommand_from phase suite help" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand test; and not __fish_seen_subcommand_from phase suite help" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand test; and not __fish_seen_subcommand_from phase suite help" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand test; and not __fish_seen_subcommand_from phase suite help" -f -a "phase" -d 'Run the suites that a phase\'s `test` steps name'
complete -c ctx -n "__fish_ctx_using_subcommand test; and not __fish_seen_subcommand_from phase suite help" -f -a "suite" -d 'Run one suite'
complete -c ctx -n "__fish_ctx_using_subcommand test; and not __fish_seen_subcommand_from phase suite help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from phase" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from phase" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from phase" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from phase" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from phase" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from phase" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from phase" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from phase" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from phase" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from phase" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from phase" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from suite" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from suite" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from suite" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from suite" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from suite" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from suite" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from suite" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from suite" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from suite" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from suite" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from suite" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from help" -f -a "phase" -d 'Run the suites that a phase\'s `test` steps name'
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from help" -f -a "suite" -d 'Run one suite'
complete -c ctx -n "__fish_ctx_using_subcommand test; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and not __fish_seen_subcommand_from list test help" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and not __fish_seen_subcommand_from list test help" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and not __fish_seen_subcommand_from list test help" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and not __fish_seen_subcommand_from list test help" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and not __fish_seen_subcommand_from list test help" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and not __fish_seen_subcommand_from list test help" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and not __fish_seen_subcommand_from list test help" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and not __fish_seen_subcommand_from list test help" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and not __fish_seen_subcommand_from list test help" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and not __fish_seen_subcommand_from list test help" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and not __fish_seen_subcommand_from list test help" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and not __fish_seen_subcommand_from list test help" -f -a "list" -d 'List the sinks, where they are from, and what goes there'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and not __fish_seen_subcommand_from list test help" -f -a "test" -d 'Send one test alert to each sink, or to one'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and not __fish_seen_subcommand_from list test help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from list" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from list" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from list" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from list" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from list" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from list" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from list" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from test" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from test" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from test" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from test" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from test" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from test" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from test" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from test" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from test" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from test" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the sinks, where they are from, and what goes there'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from help" -f -a "test" -d 'Send one test alert to each sink, or to one'
complete -c ctx -n "__fish_ctx_using_subcommand alerts; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -f -a "status" -d 'Show how many events wait for their handler, and how many are dead letters'
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -f -a "dead" -d 'List the dead letters: acknowledged events that no handler would or could handle'
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -f -a "show" -d 'Show one dead letter with its headers and its body'
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -f -a "replay" -d 'Put dead letters back, so that their handlers are asked again at once'
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -f -a "discard" -d 'Take dead letters away for good'
complete -c ctx -n "__fish_ctx_using_subcommand events; and not __fish_seen_subcommand_from status dead show replay discard help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from status" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from status" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from status" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from status" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from status" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from status" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from status" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from status" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from status" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from dead" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from dead" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from dead" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from dead" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from dead" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from dead" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from dead" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from dead" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from dead" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from dead" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from dead" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from show" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from show" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from show" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from show" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from show" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from show" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from show" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from show" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from replay" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from replay" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from replay" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from replay" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from replay" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from replay" -l all -d 'All of them'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from replay" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from replay" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from replay" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from replay" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from replay" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from discard" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from discard" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from discard" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from discard" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from discard" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from discard" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from discard" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from discard" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from discard" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from discard" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from discard" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show how many events wait for their handler, and how many are dead letters'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from help" -f -a "dead" -d 'List the dead letters: acknowledged events that no handler would or could handle'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show one dead letter with its headers and its body'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from help" -f -a "replay" -d 'Put dead letters back, so that their handlers are asked again at once'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from help" -f -a "discard" -d 'Take dead letters away for good'
complete -c ctx -n "__fish_ctx_using_subcommand events; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -f -a "list" -d 'List the installed extensions and how they are doing'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -f -a "validate" -d 'Check manifests, and what they say of each other, without an orchestrator'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -f -a "install" -d 'Put extensions in place, wait until they run, and take them out again if they do not'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -f -a "swap" -d 'Put another version in place of the one that runs, without a failed request'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -f -a "remove" -d 'Take extensions out, once they have answered what they were given'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and not __fish_seen_subcommand_from list validate install swap remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from list" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from list" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from list" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from list" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from list" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from list" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from list" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from validate" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from validate" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from validate" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from validate" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from validate" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from validate" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from validate" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from validate" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from validate" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from validate" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from validate" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from install" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from install" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from install" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from install" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from install" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from install" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from install" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from install" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from install" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from install" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from install" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from swap" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from swap" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from swap" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from swap" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from swap" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from swap" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from swap" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from swap" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from swap" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from swap" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from swap" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from remove" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from remove" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from remove" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from remove" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from remove" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from remove" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from remove" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from remove" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from remove" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the installed extensions and how they are doing'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from help" -f -a "validate" -d 'Check manifests, and what they say of each other, without an orchestrator'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from help" -f -a "install" -d 'Put extensions in place, wait until they run, and take them out again if they do not'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from help" -f -a "swap" -d 'Put another version in place of the one that runs, without a failed request'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Take extensions out, once they have answered what they were given'
complete -c ctx -n "__fish_ctx_using_subcommand extension; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -f -a "list" -d 'List the flags of the configuration in force'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -f -a "eval" -d 'Tell what a flag is for a user: `on`, `off`, or the value of a variant'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -f -a "explain" -d 'Show what decides it: hash, bucket and rule'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -f -a "set" -d 'Make a flag another one, at once and for good'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -f -a "import" -d 'Take flags from a definition of flagd, at once and for good'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -f -a "export" -d 'Print all flags as a definition of flagd'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and not __fish_seen_subcommand_from list eval explain set import export help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from list" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from list" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from list" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from list" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from list" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from list" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from list" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from list" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from eval" -l user -d 'The targeting key; without one a percentage is a throw of the dice' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from eval" -l context -d 'What else a rule may look at, such as `plan=pro` or `age=36`; may be repeated' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from eval" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from eval" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from eval" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from eval" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from eval" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from eval" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from eval" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from eval" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from eval" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from eval" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from eval" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from explain" -l user -d 'The targeting key; without one a percentage is a throw of the dice' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from explain" -l context -d 'What else a rule may look at, such as `plan=pro` or `age=36`; may be repeated' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from explain" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from explain" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from explain" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from explain" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from explain" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from explain" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from explain" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from explain" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from explain" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from explain" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from set" -l percentage -d 'The share of keys that are in, such as `25%`' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from set" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from set" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from set" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from set" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from set" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from set" -l on -d 'Enable it'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from set" -l off -d 'Disable it, whatever its percentage'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from set" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from set" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from set" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from set" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from set" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from import" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from import" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from import" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from import" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from import" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from import" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from import" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from import" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from import" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from import" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from export" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from export" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from export" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from export" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from export" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from export" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from export" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from export" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from export" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the flags of the configuration in force'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from help" -f -a "eval" -d 'Tell what a flag is for a user: `on`, `off`, or the value of a variant'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Show what decides it: hash, bucket and rule'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from help" -f -a "set" -d 'Make a flag another one, at once and for good'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from help" -f -a "import" -d 'Take flags from a definition of flagd, at once and for good'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from help" -f -a "export" -d 'Print all flags as a definition of flagd'
complete -c ctx -n "__fish_ctx_using_subcommand flags; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand shadow" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand shadow" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand shadow" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand shadow" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand shadow" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand shadow" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand shadow" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand shadow" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand shadow" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand shadow" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand shadow" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and not __fish_seen_subcommand_from judge help" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand canary; and not __fish_seen_subcommand_from judge help" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand canary; and not __fish_seen_subcommand_from judge help" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand canary; and not __fish_seen_subcommand_from judge help" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand canary; and not __fish_seen_subcommand_from judge help" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand canary; and not __fish_seen_subcommand_from judge help" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and not __fish_seen_subcommand_from judge help" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and not __fish_seen_subcommand_from judge help" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and not __fish_seen_subcommand_from judge help" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and not __fish_seen_subcommand_from judge help" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and not __fish_seen_subcommand_from judge help" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and not __fish_seen_subcommand_from judge help" -f -a "judge" -d 'Judge recorded samples, as a canary step would at one look'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and not __fish_seen_subcommand_from judge help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and __fish_seen_subcommand_from judge" -l plan -d 'The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand canary; and __fish_seen_subcommand_from judge" -l ledger -d 'The ledger [default: .ctx/ledger.sqlite3]' -r -F
complete -c ctx -n "__fish_ctx_using_subcommand canary; and __fish_seen_subcommand_from judge" -l orchestrator -d 'The orchestrator\'s control API [default: what the plan says]' -r
complete -c ctx -n "__fish_ctx_using_subcommand canary; and __fish_seen_subcommand_from judge" -l reason -d 'Why this is done, for the record' -r
complete -c ctx -n "__fish_ctx_using_subcommand canary; and __fish_seen_subcommand_from judge" -l color -d 'When to use colour' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ctx -n "__fish_ctx_using_subcommand canary; and __fish_seen_subcommand_from judge" -l json -d 'Print JSON: one document for reads, one record a line for runs'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and __fish_seen_subcommand_from judge" -s y -l yes -d 'Answer every question with yes'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and __fish_seen_subcommand_from judge" -l no-input -d 'Never ask; fail with exit code 44 where a confirmation is needed'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and __fish_seen_subcommand_from judge" -s q -l quiet -d 'Print the result and errors only'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and __fish_seen_subcommand_from judge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and __fish_seen_subcommand_from judge" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and __fish_seen_subcommand_from help" -f -a "judge" -d 'Judge recorded samples, as a canary step would at one look'
complete -c ctx -n "__fish_ctx_using_subcommand canary; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
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
complete -c ctx -n "__fish_ctx_using_subcommand completions" -s h -l help -d 'Print help'
complete -c ctx -n "__fish_ctx_using_subcommand completions" -s V -l version -d 'Print version'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "init" -d 'Make a ledger from what an orchestrator is doing already'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "plan" -d 'Check a plan, preview it, or print the schema of plans'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "rehearse" -d 'Run a plan on an embedded orchestrator first, with real traffic and compressed time'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "serve" -d 'Run an orchestrator: the event gateway and the control API'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "migrate" -d 'Run a phase, or take it up where it was left'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "resume" -d 'Take up the run in flight, or say that there is none'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "pause" -d 'Stop the run in flight at its next safe point'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "abort" -d 'Take the phase in flight back, at once'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "confirm" -d 'Keep the provisional change now, before its soak is over'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "rollback" -d 'Undo the phase in flight, or the last one'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "status" -d 'Show where the migration stands, on one screen'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "validate" -d 'Judge the success criteria now'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "report" -d 'Tell what was done, what came of it, and what is next'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "history" -d 'List the runs, newest first'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "show" -d 'Show everything that a run recorded, one line each'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "backup" -d 'Make, list, verify or restore backups'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "ledger" -d 'Verify, describe or export the ledger'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "lock" -d 'Show who holds the locks, or break the lease of a holder who is gone'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "load" -d 'Send load at a constant rate to a server on this machine'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "test" -d 'Run a plan\'s test suites against its orchestrator'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "alerts" -d 'List the sinks of alerts, or send a test to them'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "events" -d 'Show stored events and dead letters, and have dead letters tried again'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "extension" -d 'List extensions, install them, swap their versions, or take them out'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "flags" -d 'List feature flags, evaluate them for a user, or change one'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "shadow" -d 'Show whether shadow copies of reads got the same answers, and where they differ'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "canary" -d 'Tell whether a canary is worse than its control'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "completions" -d 'Print a completion script for a shell'
complete -c ctx -n "__fish_ctx_using_subcommand help; and not __fish_seen_subcommand_from init plan rehearse serve migrate resume pause abort confirm rollback status validate report history show backup ledger lock load test alerts events extension flags shadow canary completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from plan" -f -a "check" -d 'Find every fault of a plan'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from plan" -f -a "show" -d 'Preview what a plan would change, and how it would be undone'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from plan" -f -a "schema" -d 'Print the JSON Schema of plans, for editors'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from migrate" -f -a "phase" -d 'Run one phase, named by its number or id'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from migrate" -f -a "next" -d 'Run the first phase that is not confirmed'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from migrate" -f -a "all" -d 'Run every phase that is not confirmed, one after the other'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from backup" -f -a "create" -d 'Back up configuration, database, cache, stored events and the plan\'s `[backup] databases`'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from backup" -f -a "list" -d 'List the backups beside the ledger'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from backup" -f -a "show" -d 'Show what a backup holds'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from backup" -f -a "verify" -d 'Restore backups into a scratch folder and check every part'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from backup" -f -a "restore" -d 'Put a backup back into the running service, or its files into a folder'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from ledger" -f -a "verify" -d 'Prove that no entry was edited, removed, moved or inserted'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from ledger" -f -a "info" -d 'Show who the ledger is and how far it goes'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from ledger" -f -a "export" -d 'Print the ledger as JSON lines: first the ledger itself, then each entry'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from ledger" -f -a "rebuild" -d 'Derive the tables that `status`, `history` and `report` show again from the entries'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from lock" -f -a "show" -d 'Show who writes to the ledger and who holds the orchestrator\'s lease'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from lock" -f -a "release" -d 'Take the orchestrator\'s lease from a holder who is dead or out of reach'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from test" -f -a "phase" -d 'Run the suites that a phase\'s `test` steps name'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from test" -f -a "suite" -d 'Run one suite'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from alerts" -f -a "list" -d 'List the sinks, where they are from, and what goes there'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from alerts" -f -a "test" -d 'Send one test alert to each sink, or to one'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from events" -f -a "status" -d 'Show how many events wait for their handler, and how many are dead letters'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from events" -f -a "dead" -d 'List the dead letters: acknowledged events that no handler would or could handle'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from events" -f -a "show" -d 'Show one dead letter with its headers and its body'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from events" -f -a "replay" -d 'Put dead letters back, so that their handlers are asked again at once'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from events" -f -a "discard" -d 'Take dead letters away for good'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from extension" -f -a "list" -d 'List the installed extensions and how they are doing'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from extension" -f -a "validate" -d 'Check manifests, and what they say of each other, without an orchestrator'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from extension" -f -a "install" -d 'Put extensions in place, wait until they run, and take them out again if they do not'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from extension" -f -a "swap" -d 'Put another version in place of the one that runs, without a failed request'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from extension" -f -a "remove" -d 'Take extensions out, once they have answered what they were given'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from flags" -f -a "list" -d 'List the flags of the configuration in force'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from flags" -f -a "eval" -d 'Tell what a flag is for a user: `on`, `off`, or the value of a variant'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from flags" -f -a "explain" -d 'Show what decides it: hash, bucket and rule'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from flags" -f -a "set" -d 'Make a flag another one, at once and for good'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from flags" -f -a "import" -d 'Take flags from a definition of flagd, at once and for good'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from flags" -f -a "export" -d 'Print all flags as a definition of flagd'
complete -c ctx -n "__fish_ctx_using_subcommand help; and __fish_seen_subcommand_from canary" -f -a "judge" -d 'Judge recorded samples, as a canary step would at one look'
