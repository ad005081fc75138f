//! The page at `/ui/`.

mod pages;
mod sessions;
