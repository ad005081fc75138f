//! Values of `WWW-Authenticate`, as distribution writes them (RFC 7617, section 2; RFC 6750, section 3).

use std::fmt;

use super::authorization::scope::RequiredScopes;

/// Formats `Basic realm="…"`.
pub(super) fn basic(realm: &str) -> String {
    format!("Basic realm={}", Quoted(realm))
}

/// Formats `Bearer realm="…",service="…",scope="…",error="…"`; the scope is left out if none is required.
pub(super) fn bearer(
    realm: &str,
    service: &str,
    scopes: &RequiredScopes,
    error: Option<&str>,
) -> String {
    let mut text = format!("Bearer realm={},service={}", Quoted(realm), Quoted(service));
    let scope = scopes.to_string();
    if !scope.is_empty() {
        text += &format!(",scope={}", Quoted(&scope));
    }
    if let Some(error) = error {
        text += &format!(",error={}", Quoted(error));
    }
    text
}

/// Quoted string (RFC 9110, section 5.6.4): control characters become spaces.
struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        formatter.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(formatter, "\\{c}")?,
                c if c.is_control() => formatter.write_char(' ')?,
                c => formatter.write_char(c)?,
            }
        }
        formatter.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realms_are_quoted() {
        assert_eq!(
            basic(r#"My "Realm" \ é"#),
            r#"Basic realm="My \"Realm\" \\ é""#
        );
        assert_eq!(basic("two\r\nlines"), "Basic realm=\"two  lines\"");
    }

    #[test]
    fn a_bearer_challenge_omits_what_is_absent() {
        let scopes = RequiredScopes {
            required: vec![crate::auth::Scope::catalog()],
            optional: Vec::new(),
        };
        let expected = r#"Bearer realm="https://a/t",service="s",scope="registry:catalog:*",error="invalid_token""#;
        assert_eq!(
            bearer("https://a/t", "s", &scopes, Some("invalid_token")),
            expected
        );
        assert_eq!(
            bearer("https://a/t", "s", &RequiredScopes::default(), None),
            r#"Bearer realm="https://a/t",service="s""#
        );
    }
}
