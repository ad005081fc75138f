//! Failures, with Apache's exit codes.

/// Apache's exit codes.
#[derive(Clone, Copy)]
pub(super) enum Code {
    File = 1,
    Syntax = 2,
    Password = 3,
    TooLong = 5,
    User = 6,
    NoHtpasswd = 7,
}

/// A failure: exit code and message.
pub(super) struct End(pub Code, pub String);

pub(super) fn end(code: Code, message: impl Into<String>) -> End {
    End(code, message.into())
}
