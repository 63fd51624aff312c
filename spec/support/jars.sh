#!/bin/sh
# Prints the folder that holds the jars of FOLDER/pom.xml beside this file, and
# fetches them by Maven once: jars.sh kafka|kafka3|connect|postgres14|postgres18. The
# latter two are servers, which their jars hold as an archive: it is unpacked. The version
# of the pom is a part of the name. The folder appears by rename, so it is complete if it exists.
set -eu
name=$1
here=$(cd "$(dirname "$0")" && pwd)
pom=$here/$name/pom.xml
version=$(sed -n 's,^  <version>\(.*\)</version>$,\1,p' "$pom")
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/tidemill
jars=$cache/$name-$version

if [ ! -d "$jars" ]; then
  mkdir -p "$cache"
  new=$(mktemp -d "$cache/new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  echo "jars: fetching $name $version into $jars" >&2
  mvn -q -B -f "$pom" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$new" >&2
  case $name in postgres*)
    unzip -q "$new"/*.jar '*.txz' -d "$new"
    tar -xJf "$new"/*.txz -C "$new"
    rm "$new"/*.txz "$new"/*.jar
    ;;
  esac
  chmod 755 "$new"
  # A second run may have been faster: its folder is as good.
  mv -T "$new" "$jars" 2>/dev/null || [ -d "$jars" ]
fi
echo "$jars"
