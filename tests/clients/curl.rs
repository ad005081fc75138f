//! Scripts that push, pull and delete with curl, as people write them.

use crate::bench::Bench;
use crate::content::{noise, sha256};

/// Runs a script with `$R`, the address of the registry, in the bench's directory; returns what it prints.
fn script(bench: &Bench, text: &str) -> String {
    let head = format!("set -eu\nR=http://{}\n", bench.server.host);
    bench.write("script.sh", head + text);
    bench.run("sh script.sh").stdout
}

/// A closing PUT that is cut off, or whose answer is lost, is sent again.
pub fn closing_again(bench: &Bench) {
    let blob = noise(7, 3 << 20);
    bench.write("blob", &blob);
    bench.write("first", &blob[..1 << 20]);
    bench.write("rest", &blob[1 << 20..]);
    bench.set("D", sha256(&blob));
    let printed = script(
        bench,
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
