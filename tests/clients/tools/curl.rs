//! Scripts that push, pull and delete with curl, as people write them.

use crate::harness::sandbox::Sandbox;
use crate::support::content::{noise, sha256};

/// Runs a script with `$R`, the address of the registry, in the sandbox's directory; returns what it prints.
fn script(sandbox: &Sandbox, text: &str) -> String {
    let head = format!("set -eu\nR=http://{}\n", sandbox.server.host);
    sandbox.write("script.sh", head + text);
    sandbox.run("sh script.sh").stdout
}

/// A closing PUT that is cut off, or whose answer is lost, is sent again.
pub fn closing_again(sandbox: &Sandbox) {
    let blob = noise(7, 3 << 20);
    sandbox.write("blob", &blob);
    sandbox.write("first", &blob[..1 << 20]);
    sandbox.write("rest", &blob[1 << 20..]);
    sandbox.set("D", sha256(&blob));
    let printed = script(
        sandbox,
        r#"
begin() { curl -s -i -X POST "$R/v2/$1/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p'; }
close() { curl -s -o /dev/null -w '%{http_code}\n' -X PUT -H 'Content-Type: application/octet-stream' "$@"; }

# cut off after a second, at half a megabyte per second
L=$(begin whole)
curl -s -m 1 --limit-rate 500k -X PUT --data-binary @blob "$R$L&digest=$D" || true
close --data-binary @blob "$R$L?digest=$D"
close --data-binary @blob "$R$L&digest=$D"
curl -s "$R/v2/whole/blobs/$D" | cmp - blob

# with a Content-Range, after a chunk
L=$(begin chunked)
curl -s -o /dev/null -X PATCH --data-binary @first "$R$L"
curl -s -m 1 --limit-rate 500k -X PUT -H 'Content-Range: 1048576-3145727' --data-binary @rest "$R$L&digest=$D" || true
close -H 'Content-Range: 1048576-3145727' --data-binary @rest "$R$L&digest=$D"
close "$R$L&digest=$D"
curl -s "$R/v2/chunked/blobs/$D" | cmp - blob

# nothing to add, and the range of everything
L=$(begin ranged)
curl -s -o /dev/null -X PATCH --data-binary @blob "$R$L"
close -H 'Content-Range: 0-3145727' "$R$L&digest=$D"
"#,
    );
    assert_eq!(printed, "201\n201\n201\n201\n201\n");
}

/// Headers found with `grep`, and writes that depend on what is stored.
pub fn header_names(sandbox: &Sandbox) {
    sandbox.set("D", sha256(b"{}"));
    let printed = script(
        sandbox,
        r#"
T='Content-Type: application/vnd.oci.image.manifest.v1+json'
code() { curl -s -o /dev/null -w '%{http_code}\n' "$@"; }
manifest() { printf '{"schemaVersion":2,"config":{"mediaType":"%s","digest":"%s","size":2},"layers":[]}' "$1" "$D"; }
value() { curl -sI "$R/v2/app/manifests/$2" | tr -d '\r' | grep "^$1: " | cut -d' ' -f2; }

LOCATION=$(curl -si -X POST "$R/v2/app/blobs/uploads/" | tr -d '\r' | grep '^Location: ' | cut -d' ' -f2)
code -X PUT --data-binary '{}' "$R$LOCATION&digest=$D"
manifest a/one > one.json
manifest a/two > two.json
code -X PUT -H "$T" -H 'If-None-Match: *' --data-binary @one.json "$R/v2/app/manifests/v1"
code -X PUT -H "$T" -H 'If-None-Match: *' --data-binary @two.json "$R/v2/app/manifests/v1"
ETAG=$(value Etag v1)
code -X PUT -H "$T" -H "If-Match: $ETAG" --data-binary @two.json "$R/v2/app/manifests/v1"
code -X PUT -H "$T" -H "If-Match: $ETAG" --data-binary @one.json "$R/v2/app/manifests/v1"
DIGEST=$(value Docker-Content-Digest v1)
code -X DELETE -H "If-Match: $ETAG" "$R/v2/app/manifests/$DIGEST"
code -X DELETE "$R/v2/app/manifests/$DIGEST"
code -I "$R/v2/app/manifests/v1"
"#,
    );
    assert_eq!(printed, "201\n201\n412\n201\n412\n412\n202\n404\n");
}

/// With `relativeurls: false`, locations have the scheme and host that a proxy names.
pub fn absolute(sandbox: &Sandbox) {
    let printed = script(
        sandbox,
        r#"
begin() { curl -si -X POST "$@" "$R/v2/app/blobs/uploads/" | tr -d '\r' | grep '^Location: ' | cut -d/ -f1-3; }
begin -H 'X-Forwarded-Proto: https' -H 'X-Forwarded-Host: registry.example'
begin -H 'Forwarded: for=192.0.2.1;proto=https;host=registry.example:8443'
begin -H 'Host: registry.example:5000'
"#,
    );
    assert_eq!(
        printed,
        "Location: https://registry.example\nLocation: https://registry.example:8443\nLocation: http://registry.example:5000\n"
    );
}
