#!/bin/sh
# Installs the Debian packages that a goal needs and that are missing.
# Usage: deps.sh build|demo|test|fuzz|deb. Says nothing when nothing is missing.
set -eu

build='gcc g++ make pkg-config libc6-dev libluajit-5.1-dev luajit lua-cjson
  librdkafka-dev libpq-dev libev-dev libsimdjson-dev libmicrohttpd-dev'
# dev and test start a PostgreSQL of their own from these files.
demo="$build postgresql lua-busted curl ca-certificates"
test="$demo default-jre-headless maven openssl procps lua-filesystem lua-check cppcheck
  clang-format universal-ctags valgrind xz-utils unzip dpkg-dev binutils"
deb="$build dpkg-dev binutils"
# libFuzzer is a part of clang's runtime.
fuzz="$build clang libclang-rt-dev"

case ${1:-} in
build) wanted=$build ;;
demo) wanted=$demo ;;
test) wanted=$test ;;
fuzz) wanted=$fuzz ;;
deb) wanted=$deb ;;
*) echo "usage: $0 build|demo|test|fuzz|deb" >&2; exit 64 ;;
esac
wanted=$(echo $wanted)

if ! command -v dpkg-query >/dev/null; then
  echo "deps: not a Debian system; these must be there: $wanted" >&2
  exit 0
fi
there=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
  sed -n 's/ installed$//p' || true)
missing=
for package in $wanted; do
  echo "$there" | grep -qx "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "deps: missing packages:$missing" >&2
    echo "deps: install them as root: apt-get install$missing" >&2
    exit 69
  fi
  as_root=sudo
fi

echo "deps: installing:$missing"
install() {
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "$@"
}
# Package lists may be absent or old: they are fetched only when it matters.
install_or_update() {
  install "$@" || { $as_root apt-get update -q && install "$@"; }
}

# The package would make and start a database cluster for the whole machine;
# nothing here uses it.
case " $missing " in
*' postgresql '*)
  dropin=/etc/postgresql-common/createcluster.d/tidemill.conf
  install_or_update postgresql-common
  $as_root mkdir -p "${dropin%/*}"
  echo 'create_main_cluster = false' | $as_root tee "$dropin" >/dev/null
  trap '$as_root rm -f "$dropin"' EXIT
  ;;
esac
install_or_update $missing
