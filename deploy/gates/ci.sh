#!/bin/sh
# Before a pipeline promotes: may this revision go on? The exit code says it; the reason is in the log.
#   GATE_SERVICE=orders GATE_ENVIRONMENT=staging GATE_REVISION=$(git rev-parse HEAD) GATE_IMAGE=registry.example.com/orders:5 \
#   GATE_SERVER=https://hook-responder.example.com GATE_TOKEN_FILE=gate-token sh deploy/gates/ci.sh
set -u
responder gate --wait="${GATE_WAIT:-600}" \
  --server="$GATE_SERVER" --token-file="$GATE_TOKEN_FILE" \
  --service="$GATE_SERVICE" --environment="$GATE_ENVIRONMENT" --revision="$GATE_REVISION" \
  ${GATE_IMAGE:+--image="$GATE_IMAGE"}
code=$?
case $code in
  0) echo "promoting $GATE_REVISION" ;;
  1) echo "not promoting: it failed, or it is held; see the reason above" >&2 ;;
  3) echo "not promoting: not known yet; run this job again" >&2 ;;
  *) echo "not promoting: the responder could not be asked; this is no verdict on the revision" >&2 ;;
esac
exit "$code"
