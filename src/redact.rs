//! Redaction of secrets in configured values: one rule for URLs and one for names.

use std::borrow::Cow;

/// Replacement for a secret value.
pub const REDACTED: &str = "(secret)";

/// Redacts user and password, query and fragment of a URL.
///
/// Other text counts as a URL without a scheme. Everything before an `@` counts as a user, because a
/// password may contain a slash.
pub fn url(text: &str) -> Cow<'_, str> {
    let start = text.find("://").map_or(0, |end| end + "://".len());
    let (scheme, rest) = text.split_at(start);
    let (visible, hidden) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let (has_user, visible) = visible
        .rsplit_once('@')
        .map_or((false, visible), |(_, visible)| (true, visible));
    let authority = visible.split('/').next().unwrap_or_default();
    // anything else is a password that contains a delimiter
    let is_port = |port: &str| {
        port.ends_with(']') || !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    };
    if authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !is_port(port))
        || has_user && hidden.contains('@')
    {
        return Cow::Owned(format!("{scheme}{REDACTED}"));
    }
    match (has_user, hidden.chars().next()) {
        (false, None) => Cow::Borrowed(text),
        (true, None) => Cow::Owned(format!("{scheme}{REDACTED}@{visible}")),
        (false, Some(mark)) => Cow::Owned(format!("{scheme}{visible}{mark}{REDACTED}")),
        (true, Some(mark)) => Cow::Owned(format!("{scheme}{REDACTED}@{visible}{mark}{REDACTED}")),
    }
}

/// Reports whether a header or field of this name probably holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    const WORDS: [&str; 10] = [
        "authorization",
        "cookie",
        "token",
        "secret",
        "password",
        "passwd",
        "passphrase",
        "credential",
        "key",
        "signature",
    ];
    let lower = name.to_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possible_secrets_in_a_url_are_not_shown() {
        for (text, shown) in [
            ("https://example.com/v2/", "https://example.com/v2/"),
            (
                "https://user:hidden@example.com:8443/v2/",
                "https://(secret)@example.com:8443/v2/",
            ),
            ("https://hidden@example.com", "https://(secret)@example.com"),
            (
                "https://example.com/hook?token=hidden",
                "https://example.com/hook?(secret)",
            ),
            ("https://example.com?hidden", "https://example.com?(secret)"),
            (
                "https://example.com/a#hidden?hidden",
                "https://example.com/a#(secret)",
            ),
            (
                "https://u:hidden@example.com/a?t=hidden#hidden",
                "https://(secret)@example.com/a?(secret)",
            ),
            (
                "https://u:hid@den@example.com/",
                "https://(secret)@example.com/",
            ),
            (
                "https://u:hidden/hidden@example.com/",
                "https://(secret)@example.com/",
            ),
            ("https://u:hidden?hidden@example.com/", "https://(secret)"),
            ("https://u:hid@den?hidden@example.com/", "https://(secret)"),
            ("user:hidden@example.com/a", "(secret)@example.com/a"),
            ("registry.example.com", "registry.example.com"),
            ("http://[::1]:5000/a", "http://[::1]:5000/a"),
            ("http://[::1]/", "http://[::1]/"),
            ("", ""),
            ("?hidden", "?(secret)"),
        ] {
            assert_eq!(url(text), shown, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_user_and_no_query_is_shown(
            user in "[a-y]{1,3}:[a-y!$&'()*+,;=:/@%?#]{0,8}zzsecretzz[a-y:/@%?#]{0,4}", host in "[a-y]{1,8}(:[0-9]{1,4})?", path in "(/[a-y.]{0,5}){0,3}"
        ) {
            let with_user = format!("https://{user}@{host}{path}");
            proptest::prop_assert!(!url(&with_user).contains("zzsecretzz"), "{}", url(&with_user));
            let with_query = format!("https://{host}{path}?a={user}");
            proptest::prop_assert!(!url(&with_query).contains("zzsecretzz"), "{}", url(&with_query));
        }
    }

    #[test]
    fn names_of_secrets_are_recognised() {
        for name in [
            "Authorization",
            "Cookie",
            "SET-COOKIE",
            "X-Auth-Token",
            "X-Api-Key",
            "x_client_secret",
            "dbPassword",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "X-Content-Type-Options",
            "Strict-Transport-Security",
            "service",
            "environment",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
