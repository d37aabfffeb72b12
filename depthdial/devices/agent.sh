# depthdial's far side, for any POSIX shell. It arrives over its own standard input (see connection.py) and then
# reads requests from there: a verb, a number of words, the words, each on a line of its own. Words are handed to
# programs as they are; nothing that arrives is ever read as shell text.
set -fu
LC_ALL=C
export LC_ALL
umask 077
watched=
scratch=
break='
'

leave() {
    [ -z "$scratch" ] || rm -rf -- "$scratch"
}
trap leave EXIT
trap 'exit 1' HUP PIPE TERM

# enter FOLDER: make it the one folder in which everything happens; say its absolute path. A folder that somebody else
# owns or may write to is refused: there, tools could be swapped after their hashes were checked.
enter() {
    if ! { mkdir -p -- "$1" && cd -- "$1"; }; then
        printf 'entered 1 -\n'
        return
    fi
    mode=$(ls -ld .)
    case $mode in
    ?????w* | ????????w*) mode= ;;
    esac
    if [ -z "$mode" ] || ! [ -O . ]; then
        printf 'entered 2 -\n'
        return
    fi
    rm -rf -- "session.$$" # of a session that was killed and had this number
    if mkdir -- "session.$$"; then
        scratch=$PWD/session.$$
        printf 'entered 0 %s\n' "$PWD"
    else
        printf 'entered 1 -\n'
    fi
}

# lock WHO: wait until nobody else holds the folder. Descriptor 9 stays open in every tool that is started, so the
# lock lasts exactly as long as this session and what it started.
lock() {
    if ! command -v flock >/dev/null; then
        printf 'locked 127 no flock\n'
        return
    fi
    if ! (: >>lock); then
        printf 'locked 1 cannot write\n'
        return
    fi
    exec 9>>lock
    until flock -n 9; do
        holder=unknown
        read -r holder <lock
        printf 'busy 0 %s\n' "$holder"
        sleep 1
    done
    printf '%s\n' "$1" >lock
    set +f
    for old in session.* incoming.*; do
        case $old in
        *.'*' | "session.$$") ;;
        session.*) [ -e "/proc/${old#session.}" ] || rm -rf -- "$old" ;;
        *) rm -rf -- "$old" ;;
        esac
    done
    set -f
    printf 'locked 0 -\n'
}

# sample MOMENT PEAK: a line of these and of what the watched files say.
sample() {
    line="$1	$2"
    IFS=$break
    for file in $watched; do
        value=-
        read -r value <"$file"
        line="$line	$value"
    done
    unset IFS
    printf '%s\n' "$line"
}

# observe PID TICK SECONDS: until the process ends, a line each TICK: uptime, peak resident kB, the watched files.
# After SECONDS the process is killed.
observe() {
    read -r now _ </proc/uptime
    deadline=$((${now%.*} + $3))
    while [ -e "/proc/$1" ]; do
        peak=-
        while read -r key value _; do
            case $key in VmHWM:) peak=$value && break ;; esac
        done <"/proc/$1/status"
        read -r now _ </proc/uptime
        sample "$now" "$peak"
        if [ "${now%.*}" -ge "$deadline" ]; then
            printf 'overdue\n'
            kill -9 "$1"
            return
        fi
        sleep "$2"
    done
}

# run FOLDER TICK SECONDS PROGRAM ARGUMENTS...: run it there; say its exit status, when it began and ended, how many
# bytes of output, errors and samples follow, and then these. The last sample is of the moment after the end.
run() {
    folder=$1 tick=$2 seconds=$3
    shift 3
    (: >"$scratch/samples") # the observer of a short program may be killed before it opens its file
    read -r began _ </proc/uptime
    (cd -- "$folder" && exec "$@") >"$scratch/out" 2>"$scratch/err" </dev/null &
    tool=$!
    observe "$tool" "$tick" "$seconds" >"$scratch/samples" 2>/dev/null </dev/null 9>&- &
    observer=$!
    wait "$tool"
    status=$?
    read -r ended _ </proc/uptime
    kill "$observer" 2>/dev/null
    wait "$observer" 2>/dev/null
    sample after - >>"$scratch/samples" 2>/dev/null
    set -- "$scratch/out" "$scratch/err" "$scratch/samples"
    printf 'done %s %s %s %s %s %s\n' "$status" "$began" "$ended" \
        "$(wc -c <"$1" | tr -d ' ')" "$(wc -c <"$2" | tr -d ' ')" "$(wc -c <"$3" | tr -d ' ')"
    cat -- "$@"
}

# watch FILES...: what observe reads.
watch() {
    watched=
    for file in "$@"; do
        watched="$watched$file$break"
    done
    printf 'watching 0 -\n'
}

# receive FOLDER: unpack the tar archive that follows on standard input. What a tar that gave up leaves is read too, or
# the sender would be cut off before it hears of it.
receive() {
    tar -x -f - -C "$1" >&2
    status=$?
    cat >/dev/null
    printf 'received %s -\n' "$status"
    exit 0
}

# stream PROGRAM ARGUMENTS...: pass on what it prints until it ends or the input does. A program that does not care for
# that is killed.
stream() {
    "$@" </dev/null &
    tool=$!
    exec 8<&0
    (cat <&8 && kill "$tool" && sleep 1 && kill -9 "$tool") >/dev/null 2>&1 &
    wait "$tool"
    exit
}

while read -r verb && read -r count; do
    set --
    while [ "$count" -gt 0 ]; do
        IFS= read -r word || exit 1
        set -- "$@" "$word"
        count=$((count - 1))
    done
    case $verb in
    enter | lock | run | watch | receive | stream) "$verb" "$@" ;;
    *) exit 2 ;;
    esac
done
