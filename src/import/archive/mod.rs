//! Image layouts, in a directory or an archive, and archives of `docker save`: their images become content of this registry.
//!
//! A directory's files are linked or copied as those of `registry:2` are. An archive is read once, as it arrives: what it holds is
//! stored before it is known which images need it, because its lists may come last.

mod compression;
mod contents;
mod docker;
mod images;
mod naming;
mod spool;
mod spooled;
mod tar;
mod texts;

pub use naming::Place;
pub use texts::{ArchiveText, archive_texts};

pub(super) use contents::{Contents, LayoutDirectory, is_layout};
pub(super) use images::ImageTransfer;
pub(super) use spool::{PlanSpool, RegistrySpool, Spool};
pub(super) use spooled::Spooled;
