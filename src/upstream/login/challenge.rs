//! Challenges of other registries: `WWW-Authenticate` (RFC 9110, section 11.6.1; RFC 6750, section 3).

/// Kind of login that a registry wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Challenge {
    Basic,
    Bearer {
        /// URL of the token service.
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

impl Challenge {
    /// Returns the first challenge that can be answered; tokens come before passwords.
    pub fn choose(headers: impl Iterator<Item = impl AsRef<str>>) -> Option<Self> {
        let mut found = None;
        for challenge in headers.flat_map(|header| challenges(header.as_ref())) {
            match challenge {
                Self::Bearer { .. } => return Some(challenge),
                Self::Basic => found = Some(challenge),
            }
        }
        found
    }
}

/// Parses the challenges of one header.
fn challenges(header: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut rest = header.trim();
    while !rest.is_empty() {
        let (scheme, after) = split_word(rest);
        if scheme.is_empty() {
            break;
        }
        let (parameters, after) = parameters(after.trim_start());
        rest = after;
        let value = |name: &str| {
            let named = parameters
                .iter()
                .find(|(found, _)| found.eq_ignore_ascii_case(name));
            named.map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("basic") {
            found.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = value("realm")
        {
            let (service, scope) = (value("service"), value("scope"));
            found.push(Challenge::Bearer {
                realm,
                service,
                scope,
            });
        }
    }
    found
}

/// Parses `name=value` and `name="value"`, until something else follows: the next challenge.
fn parameters(text: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let (name, after) = split_word(rest);
        let Some(after) = after
            .trim_start()
            .strip_prefix('=')
            .filter(|_| !name.is_empty())
        else {
            return (found, rest);
        };
        let (value, after) = value(after.trim_start());
        found.push((name.to_owned(), value));
        rest = after;
    }
}

fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(['=', ',', ' ', '\t', '"']).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        })
    }

    #[test]
    fn challenges_of_registries_are_parsed() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        for (header, challenge) in [
            (
                hub,
                bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:a/b:pull,push"),
                ),
            ),
            (r#"Basic realm="registry""#, Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                r#"BEARER Realm=x , service="a\"b""#,
                bearer("x", Some("a\"b"), None),
            ),
            (
                r#"Basic realm="a", Bearer realm="b""#,
                bearer("b", None, None),
            ),
            (r#"Negotiate, Bearer realm="b""#, bearer("b", None, None)),
            (
                r#"Negotiate abc==, Basic realm="b""#,
                Some(Challenge::Basic),
            ),
            (r#"Bearer service="no realm""#, None),
            (r#"Bearer realm="open"#, bearer("open", None, None)),
            (r#"=, "", ="#, None),
            ("", None),
        ] {
            assert_eq!(
                Challenge::choose([header].into_iter()),
                challenge,
                "{header}"
            );
        }
    }
}
