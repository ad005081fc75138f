//! User and password in an `Authorization` header (RFC 7617).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a client says of itself.
pub(super) struct Credentials {
    pub(super) user: String,
    /// Bytes, in whatever character set the client has: they are hashed as they come.
    pub(super) password: Vec<u8>,
}

impl Credentials {
    /// Reads a header's value; none where it holds no user and password.
    ///
    /// The password begins after the first colon and may have more of them. Neither part has control characters, as the
    /// RFC says; bcrypt would take a password with a zero byte for a shorter one.
    pub(super) fn parse(authorization: &[u8]) -> Option<Self> {
        let (scheme, encoded) = authorization.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let decoded = STANDARD.decode(encoded.trim_ascii()).ok()?;
        let colon = decoded.iter().position(|&byte| byte == b':')?;
        let password = decoded[colon + 1..].to_vec();
        let user = text(&decoded[..colon]);
        let is_plain =
            !user.chars().any(char::is_control) && !password.iter().any(u8::is_ascii_control);
        is_plain.then_some(Self { user, password })
    }
}

/// A user's name as text: UTF-8, or Latin-1 where it is not. So a name is the same one in a file and from a client, whichever of
/// the two either of them writes.
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
    fn what_is_no_basic_header() {
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
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Credentials::parse(&bytes);
            let _ = Credentials::parse(&header(&bytes));
        }
    }
}
