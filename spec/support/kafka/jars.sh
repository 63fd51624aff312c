#!/bin/sh
# Prints the folder that holds Kafka's jars; fetches them by Maven once.
# The folder appears by rename, so it is complete if it exists.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
version=4.1.1
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/tidemill
jars=$cache/kafka-$version

if [ ! -d "$jars" ]; then
  mkdir -p "$cache"
  new=$(mktemp -d "$cache/new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  echo "kafka: fetching Apache Kafka $version into $jars" >&2
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$new" >&2
  chmod 755 "$new"
  # A second run may have been faster: its folder is as good.
  mv -T "$new" "$jars" 2>/dev/null || [ -d "$jars" ]
fi
echo "$jars"
