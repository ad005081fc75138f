//! Errors of invalid and unreadable requests.

mod requests;
mod unreadable;
