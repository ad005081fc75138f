//! The page at `/ui/`.

mod deleting;
mod pages;
mod sessions;
