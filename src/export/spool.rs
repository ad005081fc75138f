//! Manifests of an export, kept aside while it is planned: they may be deleted before they are written.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;

use crate::oci::Digest;

/// Size up to which manifests are kept in memory, in bytes; beyond it they are in a temporary file.
const IN_MEMORY: usize = 8 << 20;

/// Manifests by digest.
pub(super) struct Spool {
    file: SpooledTempFile,
    end: u64,
    places: BTreeMap<Digest, Place>,
}

/// Place of a manifest in the file, in bytes.
#[derive(Clone, Copy)]
struct Place {
    start: u64,
    length: u64,
}

impl Spool {
    pub fn new() -> Self {
        Self {
            file: SpooledTempFile::new(IN_MEMORY),
            end: 0,
            places: BTreeMap::new(),
        }
    }

    pub fn contains(&self, digest: &Digest) -> bool {
        self.places.contains_key(digest)
    }

    /// Adds a manifest, unless it is there.
    pub fn add(&mut self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        if self.contains(digest) {
            return Ok(());
        }
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(bytes)?;
        let place = Place {
            start: self.end,
            length: bytes.len() as u64,
        };
        self.end += place.length;
        self.places.insert(digest.clone(), place);
        Ok(())
    }

    /// Forgets a manifest.
    pub fn leave_out(&mut self, digest: &Digest) -> Option<u64> {
        self.places.remove(digest).map(|place| place.length)
    }

    /// Lists digests with sizes in bytes, in order.
    pub fn sizes(&self) -> impl Iterator<Item = (&Digest, u64)> {
        self.places
            .iter()
            .map(|(digest, place)| (digest, place.length))
    }

    /// Hands every manifest to `take`, in order.
    pub fn read_all<E>(
        &mut self,
        unreadable: impl Fn(io::Error) -> E,
        mut take: impl FnMut(&Digest, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut bytes = Vec::new();
        for (digest, place) in &self.places {
            bytes.clear();
            self.file
                .seek(SeekFrom::Start(place.start))
                .and_then(|_| {
                    let mut rest = (&mut self.file).take(place.length);
                    rest.read_to_end(&mut bytes)
                })
                .map_err(&unreadable)?;
            take(digest, &bytes)?;
        }
        Ok(())
    }
}
