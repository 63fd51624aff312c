#!/bin/sh
# Becomes a Kafka Connect worker with the given connectors in it:
# start.sh WORKER.properties CONNECTOR.properties...
set -eu
here=$(cd "$(dirname "$0")" && pwd)
jars=$("$here/../jars.sh" connect)
exec java -Xms64m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
  -Dlog4j.configuration="file:$here/log4j.properties" -cp "$jars/*" \
  org.apache.kafka.connect.cli.ConnectStandalone "$@"
