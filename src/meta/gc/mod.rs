//! Queries and changes of garbage collection.

pub(super) mod cached_images;
pub(super) mod candidates;
pub(super) mod clock_record;
pub(super) mod free_space;
pub(super) mod released;
pub(super) mod removals;
pub(super) mod tag_reviews;
pub(super) mod trash;
pub(super) mod undo_ends;
