#!/bin/sh
# Becomes a Kafka broker: start.sh FOLDER PORT CONTROLLER_PORT [TLS_PORT
# CERTIFICATES PASSWORD]. With the latter it also listens by SASL_SSL, for the
# user "mill" by PLAIN and SCRAM-SHA-512; see certificates.sh. KAFKA_POM=kafka3: a
# broker of the version in ../kafka3/pom.xml.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 port=$2 controller=$3 tls=${4:-} certificates=${5:-} password=${6:-}
jars=$("$here/../jars.sh" "${KAFKA_POM:-kafka}")
mkdir -p "$folder"
{
  cat "$here/server.properties"
  secure=${tls:+,SASL_SSL://127.0.0.1:$tls}
  echo "listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller$secure"
  echo "advertised.listeners=PLAINTEXT://127.0.0.1:$port$secure"
  echo "controller.quorum.voters=1@127.0.0.1:$controller"
  echo "log.dirs=$folder/data"
  if [ -n "$tls" ]; then
    security=org.apache.kafka.common.security
    echo 'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512'
    printf 'listener.name.sasl_ssl.%s.sasl.jaas.config=%s required%s;\n' \
      scram-sha-512 $security.scram.ScramLoginModule '' \
      plain $security.plain.PlainLoginModule " user_mill=\"$password\""
    echo 'ssl.keystore.type=PEM'
    echo "ssl.keystore.location=$certificates/broker.pem"
    echo 'ssl.truststore.type=PEM'
    echo "ssl.truststore.location=$certificates/ca.pem"
    echo 'ssl.client.auth=requested'
  fi
} >"$folder/server.properties"

set -- -Xms512m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
  -Dlog4j2.configurationFile="$here/log4j2.properties" -cp "$jars/*"
java "$@" kafka.tools.StorageTool format -t dGlkZW1pbGwtdGVzdHMtMQ \
  -c "$folder/server.properties" \
  ${tls:+--add-scram "SCRAM-SHA-512=[name=mill,password=$password]"}
# Comes back when it was stopped, with the settings that the file has by then,
# but not while FOLDER/hold exists; FOLDER/pid names the broker's process.
trap 'exit 0' TERM
while :; do
  java "$@" kafka.Kafka "$folder/server.properties" &
  echo "$!" >"$folder/pid"
  wait "$!" || true
  while [ -e "$folder/hold" ]; do sleep 0.1; done
done
