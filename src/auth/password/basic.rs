//! Basic credentials in an `Authorization` header (RFC 7617).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::auth::login::Login;

/// User and password that a client sends.
pub(in crate::auth) struct Credentials {
    pub(in crate::auth) user: String,
    /// Bytes in the client's character set; they are hashed as they are.
    pub(in crate::auth) password: Vec<u8>,
}

impl Credentials {
    /// Parses the credentials of a login; `None` if it has no user and password.
    pub(in crate::auth) fn of(login: Login<'_>) -> Option<Self> {
        Self::parse(login.authorization?)
    }

    /// Parses a header's value; `None` if it holds no user and password.
    ///
    /// The password begins after the first colon and may contain more. Neither part may contain control characters, as the
    /// RFC requires; bcrypt would cut a password off at a zero byte.
    pub(super) fn parse(authorization: &[u8]) -> Option<Self> {
        let (scheme, encoded) = authorization.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let decoded = STANDARD.decode(encoded.trim_ascii()).ok()?;
        let colon = decoded.iter().position(|&byte| byte == b':')?;
        Self::new(text(&decoded[..colon]), decoded[colon + 1..].to_vec())
    }

    /// Returns credentials; `None` if they hold control characters.
    pub(in crate::auth) fn new(user: String, password: Vec<u8>) -> Option<Self> {
        let is_plain =
            !user.chars().any(char::is_control) && !password.iter().any(u8::is_ascii_control);
        is_plain.then_some(Self { user, password })
    }
}

/// Decodes a user's name from UTF-8, or else from Latin-1.
///
/// A name in a file and one from a client are thus equal whichever of the two each uses.
pub fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(credentials: &[u8]) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(credentials)).into_bytes()
    }

    #[test]
    fn a_password_may_have_colons_and_be_empty() {
        let parsed = Credentials::parse(&header(b"joe:a:b:")).unwrap();
        assert_eq!((&*parsed.user, &*parsed.password), ("joe", &b"a:b:"[..]));
        let parsed = Credentials::parse(&header(b"joe:")).unwrap();
        assert_eq!((&*parsed.user, &*parsed.password), ("joe", &b""[..]));
    }

    #[test]
    fn names_are_the_same_in_both_character_sets() {
        for name in ["jos\u{e9}:x".as_bytes(), b"jos\xe9:x"] {
            assert_eq!(Credentials::parse(&header(name)).unwrap().user, "josé");
        }
    }

    #[test]
    fn other_headers_are_rejected() {
        for text in [
            "",
            "Basic",
            "Basic ",
            "basic !!!",
            "Bearer am9lOng=",
            "Basic am9l",
            "Basicam9lOng=",
            "Basic am9lOng",
        ] {
            assert!(Credentials::parse(text.as_bytes()).is_none(), "{text}");
        }
        for hidden in [&b"joe:a\0"[..], b"jo\ne:a", b"joe:\x7f"] {
            assert!(Credentials::parse(&header(hidden)).is_none());
        }
    }

    proptest! {
        #[test]
        fn no_header_causes_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Credentials::parse(&bytes);
            let _ = Credentials::parse(&header(&bytes));
        }
    }
}
