//! The page at `/ui/`.

mod pages;
