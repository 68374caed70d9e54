# Shared by the scripts beside this file: where the repository is, messages, long steps, cleaning up.
# Sourced, not run. Messages go to standard error, so that standard output stays free for results.
# shellcheck shell=bash

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=$root/.cache
program=${0##*/}

heartbeat_pid=
background_pids=()
scratch_dirs=()

# say prints a progress line.
say() { printf '%s: %s\n' "$program" "$*" >&2; }

# die ends the script because something failed.
die() {
	say "$*"
	exit 1
}

# misuse ends the script because it was called wrongly.
misuse() {
	say "$*"
	say "see scripts/$program --help"
	exit 2
}

# cleanup stops what runs in the background and removes the scratch directories.
cleanup() {
	local dir
	stop_heartbeat
	((${#background_pids[@]} == 0)) || kill "${background_pids[@]}" 2>/dev/null || true
	for dir in ${scratch_dirs[@]+"${scratch_dirs[@]}"}; do rm -rf -- "$dir"; done
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# scratch NAME sets the variable NAME to a new directory under .cache that is removed on exit.
scratch() {
	mkdir -p -- "$cache"
	printf -v "$1" '%s' "$(mktemp -d -- "$cache/tmp.XXXXXX")"
	scratch_dirs+=("${!1}")
}

# need COMMAND HINT ends the script when COMMAND is not installed.
need() { command -v "$1" >/dev/null || die "$1 is not installed: $2"; }

# as_root runs a command as root, through sudo where needed.
as_root() {
	if ((EUID == 0)); then
		"$@"
	else
		need sudo "run this once as root, or install sudo"
		sudo "$@"
	fi
}

# start_heartbeat LABEL says every 30 s that LABEL is still going on.
start_heartbeat() {
	local label=$1 start=$SECONDS pause
	(
		trap - EXIT INT TERM
		exec {pause}<> <(:) # reading it with a timeout is a sleep without a child process
		while true; do
			read -r -t 30 -u "$pause" || true
			say "$label: still working, $((SECONDS - start)) s"
		done
	) &
	heartbeat_pid=$!
}

stop_heartbeat() {
	[[ -n $heartbeat_pid ]] || return 0
	kill "$heartbeat_pid" 2>/dev/null || true
	wait "$heartbeat_pid" 2>/dev/null || true
	heartbeat_pid=
}

# long LABEL COMMAND... runs a long command with its output in a log that is shown when it fails.
long() {
	local label=$1 start=$SECONDS rc=0 log
	shift
	mkdir -p -- "$cache/log"
	log=$cache/log/${label//[^a-zA-Z0-9.]/-}.log
	say "$label"
	start_heartbeat "$label"
	"$@" </dev/null >"$log" 2>&1 || rc=$?
	stop_heartbeat
	if ((rc)); then
		tail -n 40 -- "$log" >&2
		say "$label: failed with exit code $rc after $((SECONDS - start)) s, whole log in $log"
		return "$rc"
	fi
	say "$label: done in $((SECONDS - start)) s"
}

# vcs_flag prints the flag that makes go stamp the commit, where git can tell it.
vcs_flag() {
	if git -C "$root" rev-parse HEAD >/dev/null 2>&1; then echo -buildvcs=true; else echo -buildvcs=false; fi
}

# opencv_flags exports the compiler's flags for OpenCV and sets OPENCV_TAGS.
opencv_flags() {
	# shellcheck source=scripts/cgo.env
	. "$root/scripts/cgo.env"
}
