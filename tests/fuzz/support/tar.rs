//! Archives made of what the fuzzer wrote: headers get their right checksums, and names the right digests.

use sha2::{Digest, Sha256};

const BLOCK: usize = 512;
/// Beginning of a text in the place of a digest's 64 hexadecimal digits; the digit after it is the number of a file.
const MARK: u8 = b'@';
const HEX: usize = 64;

/// Mends an archive in place, as far as it is one.
///
/// In names and contents, `@N@@…` of 64 characters becomes the digest of the Nth file before it, from 0 to 9.
pub fn mend(archive: &mut [u8]) {
    let (mut digests, mut at) = (Vec::new(), 0);
    while let Some(header) = archive.get_mut(at..at + BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let size = size(&header[124..136]);
        let kind = header[156];
        let begin = at + BLOCK;
        let end = size
            .and_then(|size| begin.checked_add(size))
            .filter(|end| *end <= archive.len());
        if let Some(end) = end {
            fill(&mut archive[begin..end], &digests);
            if matches!(kind, b'0' | 0) {
                digests.push(hex(&archive[begin..end]));
            }
        }
        let header = &mut archive[at..begin];
        // a file may be named by its own digest
        fill(&mut header[..100], &digests);
        fill(&mut header[157..257], &digests);
        let sum: u32 = header
            .iter()
            .zip(0..)
            .map(|(byte, place)| match place {
                148..156 => u32::from(b' '),
                _ => u32::from(*byte),
            })
            .sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let Some(end) = end else {
            break;
        };
        at = end.next_multiple_of(BLOCK);
    }
}

/// Replaces marks by digests.
fn fill(text: &mut [u8], digests: &[[u8; HEX]]) {
    let mut at = 0;
    while let Some(place) = text.get_mut(at..at + HEX) {
        let number = usize::from(place[1].wrapping_sub(b'0'));
        let is_mark = place[0] == MARK && place[2..].iter().all(|byte| *byte == MARK);
        if let Some(digest) = digests.get(number).filter(|_| is_mark) {
            place.copy_from_slice(digest);
            at += HEX;
        } else {
            at += 1;
        }
    }
}

fn hex(content: &[u8]) -> [u8; HEX] {
    let mut digits = [0; HEX];
    for (pair, byte) in digits.chunks_mut(2).zip(Sha256::digest(content)) {
        pair.copy_from_slice(format!("{byte:02x}").as_bytes());
    }
    digits
}

fn size(field: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    if digits.is_empty() {
        return Some(0);
    }
    usize::from_str_radix(digits, 8).ok()
}
