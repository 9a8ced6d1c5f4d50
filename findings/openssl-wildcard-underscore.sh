#!/usr/bin/env bash
# OpenSSL 3.0 lets no wildcard of a certificate cover a name with an underscore.
#
# `*.example.com` covers `my-bucket.example.com` and not `my_bucket.example.com`: the part that a wildcard matches must be
# letters, digits and hyphens (`wildcard_match` in crypto/x509/v3_utl.c). Browsers take the underscore, and buckets in S3
# made before 2018 may have one in their name. A certificate that holds the very name covers it.
#
# Output seen 2026-11-29:
#   my-bucket yes
#   my_bucket no
#   the_name yes
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -out cert.pem -days 2 -subj /CN=x \
  -addext 'subjectAltName=DNS:*.example.com,DNS:the_name.example.org' 2>/dev/null
covers() {
  if openssl verify -CAfile cert.pem -verify_hostname "$1" cert.pem >/dev/null 2>&1; then echo yes; else echo no; fi
}
{
  echo "my-bucket $(covers my-bucket.example.com)"
  echo "my_bucket $(covers my_bucket.example.com)"
  echo "the_name $(covers the_name.example.org)"
} | tee seen
diff seen - <<'SEEN'
my-bucket yes
my_bucket no
the_name yes
SEEN
