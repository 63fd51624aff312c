#!/bin/sh
# Becomes a Kafka broker: start.sh FOLDER PORT CONTROLLER_PORT.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 port=$2 controller=$3
jars=$("$here/jars.sh")
mkdir -p "$folder"
{
  cat "$here/server.properties"
  echo "listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller"
  echo "advertised.listeners=PLAINTEXT://127.0.0.1:$port"
  echo "controller.quorum.voters=1@127.0.0.1:$controller"
  echo "log.dirs=$folder/data"
} >"$folder/server.properties"

set -- -Xms512m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
  -Dlog4j2.configurationFile="$here/log4j2.properties" -cp "$jars/*"
java "$@" kafka.tools.StorageTool format -t dGlkZW1pbGwtdGVzdHMtMQ \
  -c "$folder/server.properties"
# Comes back when it was stopped, with the settings that the file has by then,
# but not while FOLDER/hold exists; FOLDER/pid names the broker's process.
trap 'exit 0' TERM
while :; do
  java "$@" kafka.Kafka "$folder/server.properties" &
  echo "$!" >"$folder/pid"
  wait "$!" || true
  while [ -e "$folder/hold" ]; do sleep 0.1; done
done
