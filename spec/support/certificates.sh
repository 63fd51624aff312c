#!/bin/sh
# Makes what TLS needs in FOLDER, for servers at 127.0.0.1: certificates.sh FOLDER.
# ca.pem signed server, expired (a server's too), and client (of the role and
# user "mill", whose key locked.key is the same under $2); other.pem signed
# nothing.
set -eu
mkdir -p "$1"
cd "$1"
exec 2>certificates.log

authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -keyout "$1.key" -out "$1.pem" -subj "/CN=$1"
}
# certificate NAME SUBJECT DAYS
certificate() {
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$1.key" -out "$1.csr" -subj "/CN=$2"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial \
    -days "$3" -extfile san -out "$1.pem"
  chmod 600 "$1.key"
}
echo 'subjectAltName=IP:127.0.0.1' >san
authority ca
authority other
certificate server server 2
certificate expired server -1
certificate client mill 2
openssl pkcs8 -topk8 -in client.key -passout "pass:$2" -out locked.key
chmod 600 locked.key
cat server.key server.pem >broker.pem # as Kafka wants it
