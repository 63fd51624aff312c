#!/bin/sh
# Makes what TLS needs in FOLDER, for servers at 127.0.0.1: certificates.sh FOLDER.
# ca.pem signed server, expired (a server's too), and client (of the role and
# user "mill", whose key locked.key is the same under $2); other.pem signed
# nothing.
# What openssl says is in certificates.log; when it fails, on stderr.
set -eu
mkdir -p "$1"
cd "$1"
exec 3>&2 2>certificates.log
told() {
  [ $? = 0 ] || { echo "certificates.sh: openssl failed:"; tail -n 5 certificates.log; } >&3
}
trap told EXIT

authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -keyout "$1.key" -out "$1.pem" -subj "/CN=$1"
}
# Since openssl 3.4 an end has to be later than the beginning, which can be named.
past() {
  if openssl x509 -help 2>&1 | grep -q -e -not_after; then
    date -u -d '-2 days' '+-not_before %Y%m%d%H%M%SZ'
    date -u -d '-1 day' '+-not_after %Y%m%d%H%M%SZ'
  else
    echo '-days -1'
  fi
}
# certificate NAME SUBJECT VALIDITY...
certificate() {
  name=$1 subject=$2
  shift 2
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$name.key" -out "$name.csr" -subj "/CN=$subject"
  openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial \
    "$@" -extfile san -out "$name.pem"
  chmod 600 "$name.key"
}
echo 'subjectAltName=IP:127.0.0.1' >san
authority ca
authority other
certificate server server -days 2
# shellcheck disable=SC2046 # several words
certificate expired server $(past)
certificate client mill -days 2
openssl pkcs8 -topk8 -in client.key -passout "pass:$2" -out locked.key
chmod 600 locked.key
cat server.key server.pem >broker.pem # as Kafka wants it
