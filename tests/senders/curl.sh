#!/bin/sh
# curl.sh FOLDER URL IDLE_S: what tests/senders/drive.py asks of a sender, by one curl on one connection.
set -eu
folder=$1 url=$2 idle_s=$3

send() {  # NAME OPTION...
    name=$1
    shift
    set -- --silent --show-error --output /dev/null --write-out "$name %{http_code}\n" "$@"
    set -- "$@" --header "Content-Type: application/json" --header "X-Webhook-Signature: $(cat "$folder/$name.sig")"
    for option in "$@" --data-binary "@$folder/$name.json" "$url"; do
        printf '%s\0' "$option"
    done
}

{
    send fresh
    printf -- '--next\0'
    send reused
    printf -- '--next\0'
    send chunked --header "Transfer-Encoding: chunked"
    printf -- '--next\0'
    send large
    printf -- '--next\0'
    send expect --header "Expect: 100-continue"
    printf -- '--next\0'
    # Offers h2c, on a connection that it has used before.
    send upgrade --http2
    printf -- '--next\0'
    send idle
} | xargs -0 curl --rate "$(awk "BEGIN { print int(60 / $idle_s) }")/m"
