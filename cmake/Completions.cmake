# Writes the completions of bash, zsh and fish, from what --help says, so that they cannot differ:
#
#   cmake -DRUN=.../crashcrawler-run -DSHOW=.../crashcrawler -DOUT=FOLDER -P Completions.cmake
#
# The help of CLI11 has one line per option: "  -v,--verbose     Text" or "  --name ARGUMENT Text". ARGUMENT says what
# may stand there: DIR, FILE, alternatives with | between them, else anything.
cmake_minimum_required(VERSION 3.25)

# Sets in the caller ${prefix}_options, and of each: ${prefix}_${option}_{short,argument,text}.
function(read_help prefix)
  execute_process(COMMAND ${ARGN} --help OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE ";" "," help "${help}") # a list of lines; what CMake splits and joins at otherwise
  string(REGEX REPLACE "[][]" "" help "${help}")
  string(REGEX REPLACE "( REQUIRED)\n +" "  " help "${help}") # a long one pushes its text to the next line
  string(REPLACE "\n" ";" lines "${help}")
  set(options)
  foreach(line IN LISTS lines)
    if(line MATCHES "^  (-([a-z]),)?--([a-z0-9-]+)(\\{[a-z]+\\})?( ([A-Z][A-Z0-9:_-]*|[a-z|-]+\\|[a-z|-]+)( \\.\\.\\.)?)? +(.*)$")
      set(option ${CMAKE_MATCH_3})
      list(APPEND options ${option})
      set(${prefix}_${option}_short "${CMAKE_MATCH_2}" PARENT_SCOPE)
      set(text "${CMAKE_MATCH_8}")
      string(REGEX REPLACE ":.*" "" argument "${CMAKE_MATCH_6}")
      set(${prefix}_${option}_argument "${argument}" PARENT_SCOPE)
      string(REGEX REPLACE "^[a-z]+: " "" text "${text}")
      string(REGEX REPLACE "(, |: | \\().*" "" text "${text}")
      string(REGEX REPLACE "['\"`$:]" "" text "${text}")
      set(${prefix}_${option}_text "${text}" PARENT_SCOPE)
    elseif(line MATCHES "^  -")
      message(FATAL_ERROR "an option that is not understood: ${line}")
    endif()
  endforeach()
  set(${prefix}_options ${options} PARENT_SCOPE)
endfunction()

# The names of the subcommands, with their texts in command_${name}_text.
function(read_commands program)
  execute_process(COMMAND ${program} --help OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE ";" "," help "${help}")
  string(REGEX REPLACE ".*\nSubcommands:\n" "" help "${help}")
  string(REPLACE "\n" ";" lines "${help}")
  set(commands)
  foreach(line IN LISTS lines)
    if(line MATCHES "^  ([a-z-]+) +([^(,:']*)")
      list(APPEND commands ${CMAKE_MATCH_1})
      string(STRIP "${CMAKE_MATCH_2}" text)
      set(command_${CMAKE_MATCH_1}_text "${text}" PARENT_SCOPE)
    endif()
  endforeach()
  set(commands ${commands} PARENT_SCOPE)
endfunction()

# --- bash: which words may follow, by the option before -----------------------------------------------------------------

# The branches of a case over the previous word, for the options that take an argument.
function(bash_arguments prefix out)
  set(text)
  foreach(option IN LISTS ${prefix}_options)
    set(argument "${${prefix}_${option}_argument}")
    if(argument STREQUAL "DIR")
      string(APPEND text "    --${option}) compopt -o filenames; COMPREPLY=($(compgen -d -- \"$current\")); return ;;\n")
    elseif(argument STREQUAL "FILE" OR argument STREQUAL "GLOB")
      string(APPEND text "    --${option}) compopt -o filenames; COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n")
    elseif(argument MATCHES "\\|")
      string(REPLACE "|" " " words "${argument}")
      string(APPEND text "    --${option}) COMPREPLY=($(compgen -W '${words}' -- \"$current\")); return ;;\n")
    elseif(NOT argument STREQUAL "")
      string(APPEND text "    --${option}) return ;;\n")
    endif()
  endforeach()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# "--a --b" of all options, or of those alone that take an argument, with | between them.
function(option_words prefix all out)
  set(words)
  foreach(option IN LISTS ${prefix}_options)
    if(all OR NOT "${${prefix}_${option}_argument}" STREQUAL "")
      list(APPEND words --${option})
    endif()
    if(all AND ${prefix}_${option}_short)
      list(APPEND words -${${prefix}_${option}_short})
    endif()
  endforeach()
  if(all)
    list(JOIN words " " words)
  else()
    list(JOIN words "|" words)
  endif()
  set(${out} "${words}" PARENT_SCOPE)
endfunction()

# --- zsh and fish: a line per option --------------------------------------------------------------------------------------

function(zsh_options prefix out)
  set(text)
  foreach(option IN LISTS ${prefix}_options)
    set(argument "${${prefix}_${option}_argument}")
    set(action "")
    if(argument STREQUAL "DIR")
      set(action ":DIR:_files -/")
    elseif(argument STREQUAL "FILE" OR argument STREQUAL "GLOB")
      set(action ":${argument}:_files")
    elseif(argument MATCHES "\\|")
      string(REPLACE "|" " " words "${argument}")
      set(action ":which:(${words})")
    elseif(NOT argument STREQUAL "")
      set(action ":${argument}:")
    endif()
    set(equals "")
    if(NOT action STREQUAL "")
      set(equals "=")
    endif()
    string(APPEND text "    '*--${option}${equals}[${${prefix}_${option}_text}]${action}' \\\n")
    if(${prefix}_${option}_short)
      string(APPEND text "    '*-${${prefix}_${option}_short}[${${prefix}_${option}_text}]${action}' \\\n")
    endif()
  endforeach()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

function(fish_options prefix start out)
  set(text)
  foreach(option IN LISTS ${prefix}_options)
    set(argument "${${prefix}_${option}_argument}")
    set(action "")
    if(argument STREQUAL "DIR")
      set(action " -x -a '(__fish_complete_directories)'")
    elseif(argument STREQUAL "FILE" OR argument STREQUAL "GLOB")
      set(action " -r -F")
    elseif(argument MATCHES "\\|")
      string(REPLACE "|" " " words "${argument}")
      set(action " -x -a '${words}'")
    elseif(NOT argument STREQUAL "")
      set(action " -x")
    endif()
    if(${prefix}_${option}_short)
      string(PREPEND action " -s ${${prefix}_${option}_short}")
    endif()
    string(APPEND text "${start} -l ${option}${action} -d '${${prefix}_${option}_text}'\n")
  endforeach()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# --- crashcrawler-run: options, then a command of its own ------------------------------------------------------------------

read_help(run ${RUN})
bash_arguments(run cases)
option_words(run YES all)
option_words(run NO with_argument)
file(WRITE ${OUT}/bash/crashcrawler-run "# bash completion for crashcrawler-run
_crashcrawler_run() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case \${COMP_WORDS[i]} in
      --) i=$((i + 1)); break ;;
      ${with_argument}) i=$((i + 1)) ;;
      -*) ;;
      *) break ;;
    esac
  done
  if ((i < COMP_CWORD)) || { ((i == COMP_CWORD)) && [[ $before == -- ]]; }; then
    if declare -F _command_offset >/dev/null; then
      _command_offset $i
    else
      COMPREPLY=($(compgen -c -- \"$current\"))
    fi
    return
  fi
  case $before in
${cases}  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W '-- ${all}' -- \"$current\"))
  else
    COMPREPLY=($(compgen -c -- \"$current\"))
  fi
}
complete -F _crashcrawler_run crashcrawler-run
")
zsh_options(run options)
file(WRITE ${OUT}/zsh/_crashcrawler-run "#compdef crashcrawler-run
_arguments -S \\
${options}    '(-):command:_command_names -e' \\
    '*::arguments:_normal'
")
fish_options(run "complete -c crashcrawler-run -n __crashcrawler_run_options" options)
file(WRITE ${OUT}/fish/crashcrawler-run.fish "# fish completion for crashcrawler-run

# The words that end where the command begins.
function __crashcrawler_run_options
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case --
                return 1
            case --${with_argument}
                set -e words[1]
            case '-*'
            case '*'
                return 1
        end
        set -e words[1]
    end
    return 0
end

function __crashcrawler_run_command
    set -l words (commandline -opc) (commandline -ct)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case --
                set -e words[1]
                break
            case --${with_argument}
                set -e words[1]
            case '-*'
            case '*'
                break
        end
        set -e words[1]
    end
    complete -C \"$words\"
end

${options}complete -c crashcrawler-run -x -n 'not __crashcrawler_run_options' -a '(__crashcrawler_run_command)'
complete -c crashcrawler-run -x -n __crashcrawler_run_options -a '(__fish_complete_command)'
")
# fish has words in its cases where bash has | between them
file(READ ${OUT}/fish/crashcrawler-run.fish text)
string(REPLACE "case --${with_argument}" "case ${with_argument}" text "${text}")
string(REPLACE "|--" " --" text "${text}")
file(WRITE ${OUT}/fish/crashcrawler-run.fish "${text}")

# --- crashcrawler: commands with options of their own -----------------------------------------------------------------------

read_commands(${SHOW})
read_help(top ${SHOW})
list(JOIN commands " " command_words)
option_words(top YES all)
zsh_options(top zsh_top)
fish_options(top "complete -c crashcrawler -n '__fish_use_subcommand'" fish)
set(bash "    '') COMPREPLY=($(compgen -W '${command_words} ${all}' -- \"$current\")) ;;\n")
set(zsh_commands)
set(zsh)
foreach(command IN LISTS commands)
  read_help(${command} ${SHOW} ${command})
  bash_arguments(${command} cases)
  option_words(${command} YES all)
  string(APPEND bash "    ${command})\n      case $before in\n${cases}      esac
      COMPREPLY=($(compgen -W '${all}' -- \"$current\")) ;;\n")
  zsh_options(${command} options)
  string(APPEND zsh_commands "      '${command}:${command_${command}_text}'\n")
  string(APPEND zsh "      ${command})\n  _arguments \\\n${options}    '*:ID:' ;;\n")
  fish_options(${command} "complete -c crashcrawler -n '__fish_seen_subcommand_from ${command}'" options)
  string(APPEND fish
    "complete -c crashcrawler -f -n '__fish_use_subcommand' -a ${command} -d '${command_${command}_text}'\n${options}")
endforeach()
file(WRITE ${OUT}/bash/crashcrawler "# bash completion for crashcrawler
_crashcrawler() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} command=
  COMPREPLY=()
  ((COMP_CWORD == 1)) || command=\${COMP_WORDS[1]}
  case $command in
${bash}  esac
}
complete -F _crashcrawler crashcrawler
")
file(WRITE ${OUT}/zsh/_crashcrawler "#compdef crashcrawler
local -a commands
local state
_arguments -C \\
${zsh_top}    '1:command:->command' \\
    '*::options:->options'
case $state in
  command)
    commands=(
${zsh_commands}    )
    _describe command commands ;;
  options)
    case $words[1] in
${zsh}    esac ;;
esac
")
file(WRITE ${OUT}/fish/crashcrawler.fish "# fish completion for crashcrawler
${fish}")
